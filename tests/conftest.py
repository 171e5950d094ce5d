"""Kernels run on the GPU if there is one; otherwise, and with MINIDS_SIM=1, in the simulator."""

import os
import shutil

import pytest

from minids.ops import diagnosis, driver

PROBLEM = diagnosis.problem()
if PROBLEM is not None:
    os.environ["MINIDS_SIM"] = "1"


def pytest_report_header():
    where = f"in the simulator ({PROBLEM or 'MINIDS_SIM=1'})" if driver.simulated() else "on the GPU"
    return f"kernels run {where}"


# The files that take minutes: they begin first, so that no process waits for another at the end.
LONGEST = {"test_executor.py", "test_lessons.py", "test_real.py", "test_compile.py", "test_kill.py"}


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in LONGEST)
    if driver.simulated():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="no NVIDIA GPU"))


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium that logs the console and the requests of pages."""
    pytest.importorskip("selenium", reason="selenium is not installed: pip install '.[dev]'")
    from selenium import webdriver

    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("chromium and chromedriver are not installed: apt install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage":
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options, webdriver.ChromeService(driver)) as opened:
        yield opened

"""Kernels run on the GPU where there is one; elsewhere, or if MINIDS_SIM=1 asks for it, in the simulator."""

import os

import pytest

from minids.ops import driver

if not driver.found():
    os.environ["MINIDS_SIM"] = "1"


def pytest_collection_modifyitems(items):
    if driver.simulated():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="no NVIDIA GPU"))

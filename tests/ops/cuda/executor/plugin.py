"""pytest -p tests.ops.cuda.executor.plugin --gpu h200 --order reverse: tests believe that there is a GPU.

Their kernels are compiled by Numba as for this GPU, and run on the CPU; see driver.py. A test fails if it
does something that a GPU would not forgive, even if its results are right.
"""

import os
import sys

import pytest

from tests.ops.cuda.executor import driver


def pytest_addoption(parser):
    parser.addoption(
        "--gpu", default="h200", help=f"what tests believe in: {', '.join(driver.GPUS)}; or two, as h200,t4"
    )
    parser.addoption("--order", choices=driver.ORDERS, default="forward", help="of threads, and of streams")


def pytest_load_initial_conftests(early_config):
    options = early_config.known_args_namespace
    driver.install(options.gpu.split(","), options.order)


def pytest_collection_modifyitems(items):
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="too large without a GPU"))


@pytest.fixture(autouse=True)
def no_problems():
    driver.problems.clear()
    yield
    assert not driver.problems, "\n".join(driver.problems)


@pytest.fixture(autouse=True)
def launches_are_registered(monkeypatch):
    """So that test_compile.py has compiled them, for these types of arguments, for every architecture."""
    from numba.cuda.dispatcher import CUDADispatcher

    from minids.ops.cuda.registry import registered

    launched, call = set(), CUDADispatcher.call

    def noted(kernel, arguments, configuration):
        if kernel.py_func.__module__.startswith("minids."):
            launched.add((kernel.py_func.__name__, tuple(map(kernel.typeof_pyval, arguments))))
        return call(kernel, arguments, configuration)

    monkeypatch.setattr(CUDADispatcher, "call", noted)
    yield
    if launched:
        assert launched <= {(entry.kernel.py_func.__name__, entry.arguments) for _, entry in registered()}


def pytest_sessionfinish(session, exitstatus):
    session.config.exit_status = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """Leave at once: CUDA packages call the driver until the end, when Python cannot answer any more."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(getattr(config, "exit_status", 1))

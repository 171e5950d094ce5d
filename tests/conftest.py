"""Kernels run on the GPU where there is one; elsewhere, or if MINIDS_SIM=1 asks for it, in the simulator."""

import os
from importlib.util import find_spec

import pytest

from minids.ops import driver

if not driver.found() or find_spec("numba_cuda") is None:
    os.environ["MINIDS_SIM"] = "1"


def pytest_collection_modifyitems(items):
    if driver.simulated():
        for item in items:
            if "gpu" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="no NVIDIA GPU"))

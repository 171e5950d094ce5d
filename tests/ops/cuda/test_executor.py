"""The compiled kernels, executed without a GPU: see executor/. Tests of the backend pass on several GPUs.

A part runs in `make test`: faults are found, and a training step is right. The rest is slow.
"""

import os
import platform
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest

from minids.ops import driver
from tests import ROOT

HERE = "tests/ops/cuda"
PRODUCTS = "affine matmul birnn"  # which differ from GPU to GPU
PARTS = f"{PRODUCTS} elementwise ctc checks guard kernel_cache ladder model"
LARGE, FAULTS, INSTRUCTIONS, TWO_GPUS = (
    f"{HERE}/executor/check_{name}.py" for name in ("large", "faults", "instructions", "two_gpus")
)


def missing():
    if not driver.simulated():
        return "there is a GPU, or MINIDS_SIM=0"
    if find_spec("numba_cuda") is None or find_spec("nvidia") is None:
        return "needs pip install 'minids[cuda]'"
    if shutil.which("gcc") is None or platform.machine() not in ("x86_64", "AMD64"):
        return "needs gcc on x86-64"
    return None


pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def run_tests(*arguments, folder=ROOT):
    """pytest on a GPU that is not there. In a new process, because this one uses the simulator."""
    plugin = ["-q", "-x", "-p", "tests.ops.cuda.executor.plugin", "-p", "no:cacheprovider"]
    real = {name: value for name, value in os.environ.items() if name != "MINIDS_SIM"}
    command = [sys.executable, "-m", "pytest", *plugin, *arguments]
    return subprocess.run(command, cwd=folder, env=real, capture_output=True, text=True)


def execute(*arguments):
    process = run_tests(*arguments)
    assert process.returncode == 0, process.stdout[-5000:] + process.stderr[-2000:]


def test_faults_are_found():
    execute("--order", "reverse", FAULTS, INSTRUCTIONS)


def test_a_training_step():
    execute("--gpu", "h200", "--order", "random", f"{HERE}/test_model.py", "-k", "forward_ctc_and_backward")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gpu", "order", "parts"),
    [("h200", "reverse", PARTS), ("4090", "forward", "affine birnn"), ("t4", "random", PRODUCTS)],
)
def test_the_tests_of_the_backend(gpu, order, parts):
    execute("--gpu", gpu, "--order", order, *(f"{HERE}/test_{name}.py" for name in parts.split()))


@pytest.mark.slow
def test_arrays_of_more_numbers_than_an_int32_counts():
    execute("--gpu", "h200", LARGE)


@pytest.mark.slow
def test_a_node_with_two_gpus():
    execute("--gpu", "t4,h200", "--order", "reverse", TWO_GPUS, FAULTS)

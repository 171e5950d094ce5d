"""Every kernel compiles to machine code for every GPU it is made for, within its budget, without a GPU."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("numba_cuda") is None, reason="needs pip install 'minids[cuda]'"),
]
REAL = {name: value for name, value in os.environ.items() if name != "MINIDS_SIM"}


def run(*arguments):
    """A process of its own: this one has the simulator."""
    return subprocess.run([sys.executable, *arguments], env=REAL, capture_output=True, text=True)


@pytest.fixture(scope="module")
def reports():
    done = run("-m", "minids.ops.cuda.offline")
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_kernel_keeps_to_its_budget(reports):
    assert {report["architecture"] for report in reports} == {75, 80, 90}
    for report in reports:
        assert report["spills"] == report["float64"] == 0, report
        assert report["registers"] <= report["budget"], report
        assert report["shared"] <= 48 * 1024, report


def test_what_only_a_gpu_can_run_can_at_least_be_imported():
    done = run("-c", "from minids.ops.cuda import launch, native")
    assert done.returncode == 0, done.stderr


BAD = """
import math
import numpy as np
from minids.ops.cuda import offline
from minids.ops.cuda.registry import Registered
from numba import cuda, float32

@cuda.jit
def kernel(x):
    {body}

entry = Registered(kernel, (float32[::1],), registers=32)
print(offline.report("bad", entry, 80).float64)
"""


@pytest.mark.parametrize(
    ("body", "clean"), [("x[0] = math.exp(x[0] * np.float32(0.5))", True), ("x[0] = x[0] * 0.1", False)]
)
def test_a_float64_constant_is_seen(body, clean):
    done = run("-c", BAD.format(body=body))
    assert done.returncode == 0, done.stderr[-3000:]
    assert (done.stdout.strip() == "0") == clean


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("x[0] = sum([x[1], x[2]])", "Error"),
        ("s = cuda.shared.array(16384, float32); s[cuda.threadIdx.x] = x[0]; x[1] = s[5]", "shared data"),
    ],
)
def test_what_no_gpu_could_run_is_refused(body, complaint):
    done = run("-c", BAD.format(body=body))
    assert done.returncode != 0
    assert complaint in done.stderr, done.stderr[-3000:]

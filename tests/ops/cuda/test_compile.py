"""Every kernel compiles to machine code for every GPU it is made for, within its budget, without a GPU."""

import ast
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.ops import driver

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("numba_cuda") is None, reason="needs pip install 'minids[cuda]'"),
]
REAL = {name: value for name, value in os.environ.items() if name != "MINIDS_SIM"}


def run(*arguments):
    """A process of its own: this one has the cuda_simulator."""
    return subprocess.run([sys.executable, *arguments], env=REAL, capture_output=True, text=True)


@pytest.fixture(scope="module")
def reports():
    done = run("-m", "minids.ops.cuda.compile_report")
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_kernel_keeps_to_its_budget(reports):
    assert {report["architecture"] for report in reports} == {75, 80, 90}
    for report in reports:
        assert report["spills"] == report["stack"] == report["float64"] == 0, report
        assert report["registers"] <= report["budget"], report
        assert report["shared"] <= 48 * 1024, report


def test_every_kernel_of_the_source_is_among_them():
    pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda")
    from minids.ops.cuda.registry import registered

    written = set()
    for path in Path(driver.__file__).with_name("cuda").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                ways = [ast.unparse(way) for way in node.decorator_list]
                if any(way.startswith("cuda.jit") and "device=True" not in way for way in ways):
                    written.add(node.name)
    assert {entry.kernel.py_func.__name__ for _, entry in registered()} == written


@pytest.mark.skipif(not driver.simulated(), reason="the simulator sees what is launched")
def test_they_are_compiled_for_the_types_that_they_are_launched_with():
    pytest.importorskip("greenlet")
    from minids import DeepSpeech, cuda_simulator
    from minids.model import ModelSettings
    from minids.ops.cuda import birnn
    from minids.ops.cuda.registry import registered

    model = DeepSpeech(ModelSettings(3, 4, hidden=6, context=1, dropout=0.1), backend="cuda")
    frames, lengths = np.ones((40, 2, 3), np.float32), np.array([40, 3], np.int32)
    labels, label_lengths = np.array([[1, 2], [3, 0]], np.int32), np.array([2, 1], np.int32)
    with cuda_simulator.launches() as launched:
        for way in ("launches", "persistent"):
            birnn.use(way)
            model.loss_and_grad(frames, lengths, labels, label_lengths, np.array([5, 6], np.uint32))
        birnn.use(None)
        model.ops.norm(model.flat_grads)
        model.ops.nesterov(*[model.flat_params] * 2, model.flat_grads, 0.1, 0.9)
    compiled = {(entry.kernel.py_func.__name__, entry.arguments) for _, entry in registered()}
    assert launched <= compiled
    assert {name for name, _ in compiled} - {name for name, _ in launched} == {"finish"}  # cuBLAS alone


FITS = """
from minids.ops.cuda import birnn
from minids.ops.cuda.limits import Limits
birnn.limits = lambda: Limits({multiprocessors}, {kilobytes} * 1024, True)
shape, directions = birnn._resident({H})
print(shape.units, directions)
"""


@pytest.mark.parametrize(
    ("multiprocessors", "kilobytes", "H", "expected"),
    [(132, 227, 2048, "16 1"), (132, 227, 1024, "16 2"), (108, 163, 1024, "16 1"), (76, 99, 512, "8 1")],
)
def test_which_recurrence_stays_on_which_gpu(multiprocessors, kilobytes, H, expected):
    """Units of a block, directions at a time: an H100, an A100, a small one."""
    done = run("-c", FITS.format(multiprocessors=multiprocessors, kilobytes=kilobytes, H=H))
    assert done.stdout.strip() == expected, done.stderr[-3000:]


def test_the_hosts_code_does_with_numbas_own_arrays_and_launches():
    """All that a training step asks of numba-cuda and the driver, to the moment of the launch."""
    done = run("-m", "tests.ops.cuda.host")
    assert done.returncode == 0, done.stderr[-3000:]
    assert {"all_frames", "one_frame", "layer_tile", "walk", "update"} <= set(done.stdout.split())


def test_what_only_a_gpu_can_run_can_at_least_be_imported():
    done = run("-c", "from minids.ops.cuda import launch, native")
    assert done.returncode == 0, done.stderr


KEPT = """
import hashlib, sys
from unittest import mock
from numba.core import event
from numba.cuda import dispatcher
from minids.ops.cuda import compile_report
from minids.ops.cuda.registry import registered

class Listener(event.Listener):
    def on_start(self, event): print("compiling")
    def on_end(self, event): pass

event.register("numba:compile", Listener())
def bind(kernel): kernel._codelibrary.get_cubin((9, 0))  # as the real one, which then asks the driver

kernels = dict(registered())
with compile_report._pretended_gpu((9, 0)), mock.patch.object(dispatcher._Kernel, "bind", bind):
    for name in "norm.squares", "ctc.walk", "birnn.all_frames 8 wide forward":
        entry = kernels[name]
        (code,) = entry.kernel.compile(entry.arguments)._codelibrary._cubin_cache.values()
        print(name, hashlib.sha256(code.code).hexdigest())
"""


OTHER_SOURCE = """
from pathlib import Path
from minids.ops.cuda import kernel_cache
kernel_cache.install([Path(kernel_cache.__file__)])
"""


def test_a_compiled_kernel_is_found_by_the_next_process(monkeypatch, tmp_path):
    """Of a file, of a factory, and cooperative; the first process compiles, one of other source too."""
    monkeypatch.setitem(REAL, "NUMBA_CACHE_DIR", str(tmp_path))
    first, second = (run("-c", KEPT) for _ in range(2))
    assert first.returncode == second.returncode == 0, first.stderr[-3000:] + second.stderr[-3000:]
    assert first.stdout.count("compiling") == 3
    assert second.stdout == first.stdout.replace("compiling\n", "")
    third = run("-c", OTHER_SOURCE + KEPT)  # whatever the times of its files say
    assert third.stdout.count("compiling") == 3, third.stderr[-3000:]


def test_small_launches_are_not_warned_of():
    """Though Numba was imported first."""
    script = "import numba, minids.ops.cuda; print(numba.core.config.CUDA_LOW_OCCUPANCY_WARNINGS)"
    assert run("-c", script).stdout.strip() == "0"


def test_a_driver_that_is_too_old_is_named(monkeypatch):
    """It would run none of this machine code."""
    for name, answer in (("simulated", False), ("found", True), ("version", 12090)):
        monkeypatch.setattr(driver, name, lambda answer=answer: answer)
    with pytest.raises(InputError, match="the NVIDIA driver is too old: install 580 or newer"):
        driver.require()


BAD = """
import math
import numpy as np
from minids.ops.cuda import compile_report
from minids.ops.cuda.registry import Registered
from numba import cuda, float32

@cuda.jit
def kernel(x):
    {body}

entry = Registered(kernel, (float32[::1],), registers=32)
print(compile_report.report("bad", entry, 80).float64)
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

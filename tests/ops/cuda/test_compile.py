"""Without a GPU, every kernel compiles for every supported architecture, within its register budget."""

import ast
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from minids.ops import driver

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("numba_cuda") is None, reason="needs pip install 'minids[cuda]'"),
]
REAL = {name: value for name, value in os.environ.items() if name != "MINIDS_SIM"}


def run(*arguments):
    """In a new process, because this one uses the simulator."""
    return subprocess.run([sys.executable, *arguments], env=REAL, capture_output=True, text=True)


@pytest.fixture(scope="module")
def reports():
    process = run("-m", "minids.ops.cuda.compile_report", "75", "90")  # every kernel runs on one of them
    assert process.returncode == 0, process.stderr[-3000:]
    return [json.loads(line) for line in process.stdout.splitlines()]


def test_every_kernel_stays_within_its_budget(reports):
    assert {report["architecture"] for report in reports} == {75, 90}
    for report in reports:
        assert report["float64"] == 0, report
        tight = "matmul" in report["kernel"] or "32 scalar" in report["kernel"]
        spills = 60 if tight else 0  # addresses, before and after their loops
        assert max(report["spills"], report["stack"]) <= spills, report
        assert report["registers"] <= report["max_registers"], report
        assert report["shared"] <= 48 * 1024, report


def test_every_kernel_in_the_source_is_registered():
    pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda")
    from minids.ops.cuda.registry import registered

    kernels = set()
    for path in Path(driver.__file__).with_name("cuda").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
                if any(d.startswith("cuda.jit") and "device=True" not in d for d in decorators):
                    kernels.add(node.name)
    assert {entry.kernel.py_func.__name__ for _, entry in registered()} == kernels


@pytest.mark.skipif(not driver.simulated(), reason="only the simulator records launches")
def test_kernels_are_compiled_for_the_types_they_are_launched_with():
    pytest.importorskip("greenlet")
    from minids import DeepSpeech, cuda_simulator, ops
    from minids.model import ModelSettings
    from minids.ops.cuda.registry import registered

    frames, lengths = np.ones((40, 2, 3), np.float32), np.array([40, 3], np.int32)
    labels, label_lengths = np.array([[1, 2], [3, 0]], np.int32), np.array([2, 1], np.int32)
    with cuda_simulator.launches() as launched:
        for recurrence in ("graph", "persistent"):
            settings = ModelSettings(3, 4, hidden=6, context=1, dropout=0.1)
            model = DeepSpeech(settings, backend=ops.load("cuda", recurrence=recurrence))
            model.loss_and_grad(frames, lengths, labels, label_lengths, np.array([5, 6], np.uint32))
        model.ops.norm(model.flat_grads)
        model.ops.axpby(1, model.flat_params, 1, model.flat_grads)
        model.ops.nesterov(*[model.flat_params] * 2, model.flat_grads, 0.1, 0.9)
    entries = [entry for name, entry in registered() if not name.startswith("ladder.")]
    compiled = {(entry.kernel.py_func.__name__, entry.arguments) for entry in entries}
    assert launched <= compiled
    assert {name for name, _ in compiled} == {name for name, _ in launched}


FITS = """
from minids.ops.cuda import birnn
from minids.ops.cuda.limits import Limits
birnn.limits = lambda: Limits({multiprocessors}, {kilobytes} * 1024, True)
shape, directions = birnn._persistent_shape.__wrapped__({H})
print(shape.units, directions)
"""


@pytest.mark.parametrize(
    ("multiprocessors", "kilobytes", "H", "expected"),
    [(132, 227, 2048, "32 2"), (132, 227, 1024, "16 2"), (108, 163, 1024, "32 2"), (76, 99, 512, "16 2")],
)
def test_the_block_shape_of_the_persistent_recurrence(multiprocessors, kilobytes, H, expected):
    """Units per block and directions at a time, on an H100, an A100 and a small GPU."""
    process = run("-c", FITS.format(multiprocessors=multiprocessors, kilobytes=kilobytes, H=H))
    assert process.stdout.strip() == expected, process.stderr[-3000:]


def test_the_driver_api_can_be_imported_without_a_gpu():
    process = run("-c", "from minids.ops.cuda import driver_api, launch")
    assert process.returncode == 0, process.stderr


CACHED = """
import hashlib, sys
from unittest import mock
from numba.core import event
from numba.cuda import dispatcher
from minids.ops.cuda import compile_report
from minids.ops.cuda.kernel_cache import enable_caching
from minids.ops.cuda.registry import registered

class Listener(event.Listener):
    def on_start(self, event): print("compiling")
    def on_end(self, event): pass

event.register("numba:compile", Listener())
def bind(kernel): kernel._codelibrary.get_cubin((9, 0))  # the real one also asks the driver

kernels = dict(registered())
with compile_report._fake_gpu((9, 0)), mock.patch.object(dispatcher._Kernel, "bind", bind):
    for name in "norm.squares", "ctc.alpha_beta", "birnn.all_frames 8 vectorized forward":
        entry = kernels[name]
        enable_caching(entry.kernel)
        (code,) = entry.kernel.compile(entry.arguments)._codelibrary._cubin_cache.values()
        print(name, hashlib.sha256(code.code).hexdigest())
"""


OTHER_SOURCE = """
from minids.ops.cuda import kernel_cache
kernel_cache.source_digest = lambda sources: "other"
"""


def test_compiled_kernels_are_reused_by_the_next_process(monkeypatch, tmp_path):
    """A kernel of a module, of a factory, and a cooperative one. Changed source code compiles again."""
    monkeypatch.setitem(REAL, "NUMBA_CACHE_DIR", str(tmp_path))
    first, second = (run("-c", CACHED) for _ in range(2))
    assert first.returncode == second.returncode == 0, first.stderr[-3000:] + second.stderr[-3000:]
    assert first.stdout.count("compiling") == 3
    assert second.stdout == first.stdout.replace("compiling\n", "")
    third = run("-c", OTHER_SOURCE + CACHED)
    assert third.stdout.count("compiling") == 3, third.stderr[-3000:]


def test_numba_does_not_warn_about_small_launches():
    script = "from minids.ops import cuda; cuda._configure_numba(); import numba; "
    script += "print(numba.core.config.CUDA_LOW_OCCUPANCY_WARNINGS)"
    assert run("-c", script).stdout.strip() == "0"


BAD = """
import math
import numpy as np
from minids.ops.cuda import compile_report
from minids.ops.cuda.registry import Registered
from numba import cuda, float32

@cuda.jit
def kernel(x):
    {body}

entry = Registered(kernel, (float32[::1],), max_registers=32)
print(compile_report.compiled("bad", entry, 80)[0].float64)
"""


@pytest.mark.parametrize(
    ("body", "clean"), [("x[0] = math.exp(x[0] * np.float32(0.5))", True), ("x[0] = x[0] * 0.1", False)]
)
def test_a_float64_constant_is_found(body, clean):
    process = run("-c", BAD.format(body=body))
    assert process.returncode == 0, process.stderr[-3000:]
    assert (process.stdout.strip() == "0") == clean


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("x[0] = sum([x[1], x[2]])", "Error"),
        ("s = cuda.shared.array(16384, float32); s[cuda.threadIdx.x] = x[0]; x[1] = s[5]", "shared data"),
    ],
)
def test_a_kernel_that_no_gpu_could_run_is_refused(body, complaint):
    process = run("-c", BAD.format(body=body))
    assert process.returncode != 0
    assert complaint in process.stderr, process.stderr[-3000:]

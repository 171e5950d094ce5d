"""Faults that were put into kernels and host code on purpose: each is found by one of the tests.

In a copy of the source code one place is changed, and a few tests run on a GPU that is not there.
"""
# ruff: noqa: E501  (a table)

import os
import shutil

import pytest

from tests import ROOT
from tests.ops.cuda import test_executor
from tests.ops.cuda.test_executor import HERE, LARGE, TWO_GPUS, run_tests

pytestmark = [
    pytest.mark.slow,
    test_executor.pytestmark,
    pytest.mark.skipif(
        os.environ.get("MINIDS_MUTANTS") != "1", reason="takes half an hour: MINIDS_MUTANTS=1"
    ),
]

AFFINE, MATMUL, BIRNN, MODEL, ELEMENTWISE, CTC = (
    f"{HERE}/test_{name}.py" for name in ("affine", "matmul", "birnn", "model", "elementwise", "ctc")
)
ONE = MATMUL, "-k", "17-5-33-fp32"  # a product of each kind
ONE = MATMUL, "-k", "17-5-33-fp32"  # a product of each kind
PERSISTENT = BIRNN, "-k", "agrees and persistent and 3-33-129"
LARGER = BIRNN, "-k", "agrees and persistent and 2-17-1060"
GRAPH = BIRNN, "-k", "agrees and graph and 4-3-17"
# file of minids/ops/cuda, the code, what it becomes, and the tests that find it
MUTANTS = [
    ("vector_io", " and address(a) % 16 == 0", "", BIRNN, "-k", "any_address"),
    ("vector_io", "c = source[start + 2] if valid > 2", "c = source[start + 2] if valid > 1", BIRNN, "-k", "agrees and graph and 2-2-130"),
    ("vector_io", "if valid > 3:\n        target", "if valid > 2:\n        target", BIRNN, "-k", "agrees and graph and 3-1-7"),
    ("vector_io", "bytes_read = builder.select(is_valid, _INT(size), _INT(0))", "bytes_read = _INT(size)", *ONE),
    ("gemm_tile", "source, j + n, valid - n, 1)", "source, j + n, valid, 1)", MATMUL, "-k", "17-5-33-tf32"),
    ("gemm_tile", "wait_copies(UNDER_WAY)", "wait_copies(UNDER_WAY + 1)", *ONE),
    ("gemm_tile", "wait_copies(0)", "wait_copies(1)", *ONE),
    ("gemm_tile", "                commit_copies()\n            multiply_slice", "                pass\n            multiply_slice", *ONE),
    ("gemm_tile", "            cuda.syncthreads()  # all threads have", "            # all threads have", *ONE, "--order", "reverse"),
    ("gemm_tile", "valid = int32(last - k0 - part)", "valid = int32(last - k0)", *ONE),
    ("gemm_tile", "row = min(first + line, sides - 1)", "row = first + line", *ONE),
    ("gemm_tile", "start = starts[k] if k < last else 0", "start = starts[k]",
     MATMUL, "-k", "overlap and 4-37-fp32"),
    ("gemm_tile", "(starts[row] if gathered else row * K)", "np.int32(starts[row] if gathered else row * K)", LARGE, "-k", "first_layer"),
    ("gemm_tile", "return i * DEPTH | k ^ i // 2 % 4 * 4", "return i * DEPTH | k ^ i // 2 % 4 * 2", MATMUL, "-k", "17-5-33-tf32"),
    ("gemm_tile", "                        multiply_piece(ra, m, small_b, n, part)\n", "", MATMUL, "-k", "almost_as_exact"),
    ("gemm_tile", "multiply_slice_apart if SPLIT else multiply_slice", "multiply_slice", MATMUL, "-k", "almost_as_exact"),
    ("tensor_core", "cvt.rna.tf32.f32 $0, $1;", "mov.b32 $0, $1;", MATMUL, "-k", "almost_as_exact"),
    ("matmul", "y[row * N + column] =", "y[np.int32(row * N + column)] =", LARGE, "-k", "layer"),
    ("matmul", "if row < M and column < N:\n                    C", "if row < M:\n                    C", *ONE),
    ("barrier", "        cuda.syncthreads()\n        if cuda.threadIdx.x == 0:\n            _count", "        if cuda.threadIdx.x == 0:\n            _count", *PERSISTENT),
    ("barrier", "red.release.gpu.global", "red.relaxed.gpu.global", *PERSISTENT),
    ("barrier", "ld.acquire.gpu.global", "ld.relaxed.gpu.global", *PERSISTENT),
    ("barrier", "                pass\n        cuda.syncthreads()\n", "                pass\n", *PERSISTENT, "--order", "reverse"),
    ("barrier", "_counted(arrivals, i) < count", "_counted(arrivals, i) < count - 1", *PERSISTENT),
    ("birnn", "(kernel, B, H,", "(kernel, H,", BIRNN, "-k", "belongs"),
    ("birnn", ", *(address(a) for a in flat))", ",)", BIRNN, "-k", "belongs"),
    ("birnn", "if recorded < T:", "if graph is None:", BIRNN, "-k", "recorded"),
    ("birnn_kernels", "if step < T:", "if True:", *GRAPH),
    ("birnn_kernels", "position = (t * B + b0 + b) * H", "position = np.int32((t * B + b0 + b) * H)", LARGE, "-k", "frame"),
    ("birnn_kernels", "            cuda.syncthreads()\n            if valid > 0 and b //", "            if valid > 0 and b //", *PERSISTENT),
    ("birnn_kernels", "                    cuda.syncthreads()  # the states", "                    pass  # the states", *PERSISTENT, "--order", "reverse"),
    ("birnn_kernels", "            if number + 1 < PASSES:\n                cuda.syncthreads()\n", "", *LARGER, "--order", "random"),
    ("birnn_kernels", "        cuda.syncwarp()  # all lanes have read the previous", "        # all lanes have read the previous", *LARGER),
    ("birnn_kernels", "values)\n        cuda.syncwarp()\n", "values)\n", *PERSISTENT),
    ("birnn_kernels", "k = k if k < H else 0", "pass", BIRNN, "-k", "agrees and graph and 2-2-130"),
    ("birnn_kernels", "min(lane // QUADS_PER_LINE + q * LINES, rows - 1)", "lane // QUADS_PER_LINE + q * LINES", *PERSISTENT),
    ("birnn_kernels", "        cuda.syncwarp()  # all lanes have read the last", "        # all lanes have read the last", *PERSISTENT),
    ("birnn_kernels", "part[i, j] += s3 * w[e, 3]", "pass", *GRAPH),
    ("birnn_kernels", "own, other = (high, low) if upper else (low, high)", "own, other = (low, high)", *PERSISTENT),
    ("affine", "    partial[line, column] = total\n    cuda.syncthreads()\n", "    partial[line, column] = total\n",
     AFFINE, "-k", "agrees and 130", "--order", "forward"),
    ("affine", "        x.copy_weights(wide, dW)\n", "", AFFINE, "-k", "in_place"),
    ("context", "first = row - C if time < length else B * (T0 + C)", "first = row - C", ELEMENTWISE, "-k", "context"),
    ("context", "0 <= time < length", "time < length", ELEMENTWISE, "-k", "context"),
    ("context", "first * padded.shape[1]", "np.int32(first * padded.shape[1])", LARGE, "-k", "first_layer"),
    ("context", " if i < source.shape[1] else _ZERO", "", AFFINE, "-k", "in_place"),
    ("launch", "_recording = threading.local()", "_recording = type('', (), {})()", TWO_GPUS, "--gpu", "t4,h200"),
    ("launch", "driver_api.make_cooperative(kernel, arguments)", "pass", *PERSISTENT),
    ("launch", "if shared > DEFAULT_SHARED_BYTES:", "if False:", *LARGER),
    ("launch", "kernel[blocks, threads, stream, shared]", "kernel[blocks, threads, 0, shared]", BIRNN, "-k", "recorded"),
    ("launch", "        del _recording.stream\n", "", BIRNN, "-k", "recorded"),
    ("arrays", "        self._stream.synchronize()\n", "", MODEL, "-k", "two_buffers", "--order", "reverse"),
    ("arrays", "memory_manager.deallocations", "deallocations", MODEL, "-k", "available_memory"),
    ("guard", "with lock, cuda.gpus[device]:", "with lock:", TWO_GPUS, "--gpu", "t4,h200"),
    ("driver_api", "cu.CUdevice(number)", "cu.CUdevice(0)", TWO_GPUS, "--gpu", "t4,h200"),
    ("limits", "@per_device", "@__import__('functools').cache", TWO_GPUS, "--gpu", "t4,h200"),
    ("ctc", "                cuda.syncthreads()\n\n            if thread == 0", "\n            if thread == 0", CTC, "-k", "every_kind"),
]  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant[0]}-{mutant[1].strip()[:30]}")
def test_a_test_finds_it(mutant, tmp_path):
    name, code, wrong, *tests = mutant
    for folder in ("minids", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "out").mkdir()
    os.symlink(ROOT / "out" / "executor", tmp_path / "out" / "executor")
    path = tmp_path / "minids" / "ops" / "cuda" / f"{name}.py"
    source = path.read_text()
    assert source.count(code) == 1
    path.write_text(source.replace(code, wrong))
    process = run_tests(*tests, folder=tmp_path)
    assert process.returncode == 1, process.stdout[-3000:] + process.stderr[-1000:]
    assert " failed" in process.stdout or " error" in process.stdout

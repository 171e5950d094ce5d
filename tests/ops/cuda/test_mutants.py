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
        os.environ.get("MINIDS_MUTANTS") != "1", reason="takes a quarter of an hour: MINIDS_MUTANTS=1"
    ),
]

AFFINE, MATMUL, BIRNN, MODEL, ELEMENTWISE, CTC = (
    f"{HERE}/test_{name}.py" for name in ("affine", "matmul", "birnn", "model", "elementwise", "ctc")
)
PERSISTENT = BIRNN, "-k", "agrees and persistent and (2-40 or 4-3-17)"
# file of minids/ops/cuda, the code, what it becomes, and the tests that find it
MUTANTS = [
    ("vector_io", " and address(a) % 16 == 0", "", MATMUL, "-k", "any_address"),
    ("vector_io", "c = source[start + 2] if valid > 2", "c = source[start + 2] if valid > 1", MATMUL, "-k", "fp32"),
    ("vector_io", "if valid > 3:\n        target", "if valid > 2:\n        target", BIRNN, "-k", "launches"),
    ("birnn", "(backward, vectorized, T, B, H,", "(backward, vectorized, T, H,", BIRNN, "-k", "belongs"),
    ("birnn", ", *(address(a) for a in flat))", ",)", BIRNN, "-k", "belongs"),
    ("birnn", "tile[i, x] = W[row + i, column + x]", "tile[x, i] = W[row + i, column + x]", BIRNN, "-k", "launches"),
    ("birnn_kernels", "position = (t * B + b0 + b) * H", "position = np.int32((t * B + b0 + b) * H)", LARGE, "-k", "frame"),
    ("birnn_kernels", "            grid.sync()\n", "", *PERSISTENT),
    ("birnn_kernels", "        store_sums(s, part)\n        cuda.syncthreads()\n", "        store_sums(s, part)\n", *PERSISTENT),
    ("birnn_kernels", "(row + line) * H + k,", "(row + line) * DEPTH + k,", *PERSISTENT),
    ("matmul", "y[row * N + column] =", "y[np.int32(row * N + column)] =", LARGE, "-k", "layer"),
    ("matmul", "if row < M and column < N:\n                    C", "if row < M:\n                    C", MATMUL, "-k", "fp32"),
    ("gemm_tile", "                store_b(b_quads, b, buffer * B_SLICE)\n                cuda.syncthreads()\n",
     "                store_b(b_quads, b, buffer * B_SLICE)\n", MATMUL, "-k", "products and fp32", "--order", "reverse"),
    ("gemm_tile", "line = e // PER_LINE\n            offset = (e % PER_LINE) * 4\n            if k_last:\n                for",
     "line = e // PER_LINE\n            offset = (e % PER_LINE) * 2\n            if k_last:\n                for", MATMUL, "-k", "fp32"),
    ("gemm_tile", "i // 4) * A_HALF", "i // 4) * B_HALF * 2", MATMUL, "-k", "fp32"),
    ("affine", "    partial[line, column] = total\n    cuda.syncthreads()\n", "    partial[line, column] = total\n",
     AFFINE, "-k", "agrees and 130", "--order", "forward"),
    ("context", "center, length = t * stride", "center, length = t", ELEMENTWISE, "-k", "context"),
    ("launch", "if shared > DEFAULT_SHARED_BYTES:", "if False:", *PERSISTENT),
    ("launch", "kernel[blocks, threads, _stream, shared]", "kernel[blocks, threads, 0, shared]", BIRNN, "-k", "recorded"),
    ("launch", "        _stream = 0\n", "        pass\n", BIRNN, "-k", "recorded"),
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

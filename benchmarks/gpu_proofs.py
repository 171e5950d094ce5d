"""Runs that are right or wrong, without a clock: for the sanitizer, and again and again. See gpu.py."""

import numpy as np

from benchmarks.gpu_kernels import WAYS, Size
from minids import ops
from minids._utils.errors import InputError
from minids.gradcheck import check_backend
from minids.ops import driver

ROUNDED = 5e-2  # of a small network's gradients, and its weights after ten steps, where products are TF32


def sanitized(hidden: int = 64, steps: int = 2) -> dict:
    """A small network by every way and product that this GPU has, right each time; run under a sanitizer."""
    from minids.ops.cuda import birnn, matmul

    errors = {}
    for gemm in ("fp32", "tf32") if driver.simulated() or driver.capability() >= (8, 0) else ("fp32",):
        for way in WAYS:
            matmul.use(gemm)
            birnn.use(way)
            try:
                checks = list(check_backend("cuda", hidden, steps))
            except InputError:  # a persistent grid does not fit on this GPU
                continue
            finally:
                matmul.use("fp32")
                birnn.use(None)
            for check in checks:
                if not check.error <= (check.tolerance if gemm == "fp32" else ROUNDED):
                    raise ArithmeticError(f"{check.name}, {gemm}, {way}: wrong by {check.error:.1e}")
            errors[f"{gemm}, {way}"] = max(check.error for check in checks)
    return {"errors": errors}


def stress(size: Size, repeats: int = 20) -> dict:
    """The persistent recurrence again and again, there and back: the same bits each time.

    Outputs are NaN before each time, so that nobody who reads too early finds the number of the time before.
    """
    from minids.ops.cuda import birnn

    grid, rng, shape = ops.load("cuda"), np.random.default_rng(2), (size.T, size.B, size.H)
    put = grid.arrays.from_host
    z, nothing = put(rng.standard_normal(shape, np.float32)), put(np.full(shape, np.nan, np.float32))
    Wr = [put(rng.standard_normal((size.H,) * 2, np.float32) * np.float32(0.5 * size.H**-0.5)) for _ in "fb"]
    outs, lengths = [grid.arrays.empty(shape, np.float32) for _ in range(4)], put(size.draw()[1])
    first, different = None, 0
    birnn.use("persistent")
    try:
        for _ in range(repeats):
            for out in outs:
                out.copy_to_device(nothing)
            birnn._through_time(False, z, *Wr, lengths, *outs[:2], *outs[:2])
            birnn._through_time(True, z, *Wr, lengths, *outs)
            now = [grid.arrays.to_host(out) for out in outs]
            first = first or now
            different += any(not np.array_equal(a, b) for a, b in zip(now, first, strict=True))
    finally:
        birnn.use(None)
    finite = all(np.isfinite(array).all() for array in first or [])
    return {
        "passed": finite and not different,
        "repeats": repeats,
        "different": different,
        "finite": bool(finite),
    }

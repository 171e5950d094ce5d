"""Runs that are checked but not timed: under compute-sanitizer, and many times in a row. See gpu.py."""

import numpy as np

from benchmarks.gpu_kernels import RECURRENCES, Size
from minids import ops
from minids._utils.errors import InputError
from minids.gradcheck import check_backend
from minids.ops import driver

TF32_TOLERANCE = 5e-2  # for the gradients of a small network and its weights after ten steps


def sanitized(hidden: int = 64, steps: int = 2) -> dict:
    """Check a small network with every gemm and recurrence that this GPU supports."""
    errors = {}
    for gemm in ("fp32", "tf32") if driver.simulated() or driver.capability() >= (8, 0) else ("fp32",):
        for recurrence in RECURRENCES:
            try:
                backend = ops.load("cuda", gemm=gemm, recurrence=recurrence)
                checks = list(check_backend(backend, hidden, steps))
            except InputError:  # a persistent grid does not fit on this GPU
                continue
            for check in checks:
                if not check.error <= (check.tolerance if gemm == "fp32" else TF32_TOLERANCE):
                    raise ArithmeticError(f"{check.name}, {gemm}, {recurrence}: error {check.error:.1e}")
            errors[f"{gemm}, {recurrence}"] = max(check.error for check in checks)
    return {"errors": errors}


def stress(size: Size, repeats: int = 20) -> dict:
    """Repeat the persistent recurrence, forward and backward: it must give the same bits every time.

    Outputs are filled with NaN before, so that a read that comes too early does not find the previous result.
    """
    from minids.ops.cuda import birnn

    gpu, rng, shape = ops.load("cuda"), np.random.default_rng(2), (size.T, size.B, size.H)
    to_device = gpu.arrays.from_host
    z, nan = to_device(rng.standard_normal(shape, np.float32)), to_device(np.full(shape, np.nan, np.float32))
    Wr = [
        to_device(rng.standard_normal((size.H,) * 2, np.float32) * np.float32(0.5 * size.H**-0.5))
        for _ in "fb"
    ]
    outs, lengths = [gpu.arrays.empty(shape, np.float32) for _ in range(4)], to_device(size.draw()[1])
    first, different = None, 0
    for _ in range(repeats):
        for out in outs:
            out.copy_to_device(nan)
        birnn._scan(False, z, *Wr, lengths, *outs[:2], *outs[:2], "persistent")
        birnn._scan(True, z, *Wr, lengths, *outs, "persistent")
        results = [gpu.arrays.to_host(out) for out in outs]
        first = first or results
        different += any(not np.array_equal(a, b) for a, b in zip(results, first, strict=True))
    finite = all(np.isfinite(array).all() for array in first or [])
    return {
        "passed": finite and not different,
        "repeats": repeats,
        "different": different,
        "finite": bool(finite),
    }

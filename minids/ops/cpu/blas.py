"""Matrix products inside Numba's threads: BLAS, single-threaded (see pool.py)."""

import numpy as np
from numba import get_num_threads, prange, types
from numba.np.linalg import ensure_blas

from minids._utils.compile_cache import cached_njit

njit = cached_njit("ops/cpu", "ops/common.py", "text.py", "_utils/vectors.py")

ensure_blas()
_pointer = types.CPointer(types.float32)
_gemm = types.ExternalFunction(  # Numba's own entry to BLAS; a symbol keeps compiled code cacheable
    "numba_xxgemm",
    types.intc(
        *(types.char, types.char, types.char, types.intp, types.intp, types.intp),
        *(_pointer, _pointer, types.intp, _pointer, types.intp, _pointer, _pointer, types.intp),
    ),
)
_ZERO_ONE = np.array([0, 1], np.float32)


@njit(inline="always")
def product(a, a_transposed, b, b_transposed, c, accumulate):
    """c ← a b, or c ← c + a b; each of a and b may be transposed.

    Rows may be strided, columns are contiguous.
    """
    s, n, t = ord("s"), ord("N"), ord("T")
    depth = a.shape[0] if a_transposed else a.shape[1]
    # BLAS counts columns first, so it sees cᵀ = bᵀ aᵀ.
    _gemm(  # type: ignore[call-overload]  # a type of Numba's that can be called in compiled code
        s,
        t if b_transposed else n,
        t if a_transposed else n,
        c.shape[1],
        c.shape[0],
        depth,
        _ZERO_ONE[1:].ctypes,
        b.ctypes,
        b.strides[0] // 4,
        a.ctypes,
        a.strides[0] // 4,
        _ZERO_ONE[accumulate:].ctypes,
        c.ctypes,
        c.strides[0] // 4,
    )


def warm_up() -> None:
    """Call BLAS once: the first call resolves its symbol under the GIL, which pool threads must not take."""
    x = np.zeros((1, 1), np.float32)
    product(x, False, x, False, x, 0)


def weight_gradient(dz, x, dW):
    """dW ← dzᵀ x, a sum over all rows. Each thread has a part of the longer side of dW."""
    _weight_gradient(dz, x, dW, get_num_threads())


@njit(parallel=True, nogil=True)
def _weight_gradient(dz, x, dW, threads):
    H, D = dW.shape
    size = (max(H, D) + threads - 1) // threads
    for i in prange(threads):
        first, last = i * size, min((i + 1) * size, max(H, D))
        if first < last:
            if H >= D:
                product(dz[:, first:last], True, x, False, dW[first:last], 0)
            else:
                product(dz, True, x[:, first:last], False, dW[:, first:last], 0)

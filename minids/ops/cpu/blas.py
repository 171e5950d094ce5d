"""Matrix products inside Numba's threads: BLAS, one thread to a call.

One pool of threads does everything. Numba splits a product into blocks, and each of its threads calls SciPy's
BLAS, which is held to one thread here; two pools that wait for each other by spinning would cost up to half
of the machine. NumPy's own BLAS, where it is another library, keeps its threads; SciPy's has one in the whole
process.
"""

import os

# A thread that has nothing to do spins for some tens of microseconds, from one operation to the next, and
# then sleeps. GNU's OpenMP would have it spin for long: on a busy machine it then holds the core that the
# last working thread waits for, and a step takes ten times as long. Asleep at once, it may wake on the core
# that is busy already, and a small step takes twice as long. Read when Numba starts its threads.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")

import numpy as np
from numba import njit, types
from numba.np.linalg import ensure_blas
from threadpoolctl import ThreadpoolController

ensure_blas()
_blas = ThreadpoolController().select(user_api="blas").lib_controllers
for library in [each for each in _blas if "scipy" in each.filepath] or _blas:  # or one that both share
    library.set_num_threads(1)

_pointer = types.CPointer(types.float32)
_gemm = types.ExternalFunction(  # Numba's own door to BLAS; the symbol keeps compiled code cacheable
    "numba_xxgemm",
    types.intc(
        *(types.char, types.char, types.char, types.intp, types.intp, types.intp),
        *(_pointer, _pointer, types.intp, _pointer, types.intp, _pointer, _pointer, types.intp),
    ),
)
_NUMBERS = np.array([0, 1], np.float32)


@njit(cache=True, inline="always")
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
        _NUMBERS[1:].ctypes,
        b.ctypes,
        b.strides[0] // 4,
        a.ctypes,
        a.strides[0] // 4,
        _NUMBERS[accumulate:].ctypes,
        c.ctypes,
        c.strides[0] // 4,
    )


_warm = np.zeros((1, 1), np.float32)
product(
    _warm, False, _warm, False, _warm, 0
)  # the first call looks BLAS up under Python's lock: never from a thread

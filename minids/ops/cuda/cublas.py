"""NVIDIA's own matrix product, called through ctypes: the ceiling that ours are measured against.

Used only where asked for, `matmul.use("cublas")`; it needs `pip install nvidia-cublas` or a toolkit.
"""

import ctypes
from functools import cache
from typing import Any

from minids._utils.errors import InputError, reason
from minids.ops import driver
from minids.ops.cuda.vector_io import address

_ONE, _ZERO = ctypes.c_float(1), ctypes.c_float(0)
_AS_IT_LIES, _TRANSPOSED = 0, 1


@cache
def load():
    """The library and its handle. Raises InputError where there is none."""
    if driver.simulated():
        raise InputError("cuBLAS needs an NVIDIA GPU; choose gemm = fp32 or tf32")
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        library = ctypes.CDLL(load_nvidia_dynamic_lib("cublas").abs_path)
    except Exception as error:
        raise InputError(
            f"cuBLAS was not found ({reason(error)}); pip install nvidia-cublas, or take gemm = fp32 or tf32"
        ) from error
    # handle, two transpositions, three sizes, alpha, A and its pitch, B and its pitch, beta, C and its pitch
    kinds: dict[str, Any] = {"n": ctypes.c_int, "p": ctypes.c_void_p}
    library.cublasSgemm_v2.argtypes = [kinds[kind] for kind in "p nn nnn p pn pn p pn".replace(" ", "")]
    handle = ctypes.c_void_p()
    _check(library.cublasCreate_v2(ctypes.byref(handle)))
    return library, handle


def product(A, a_first, B, b_last, C, M, N, K) -> None:
    """C (M, N) ← A B, by rows; `a_first`: A lies as (K, M); `b_last`: B lies as (N, K).

    cuBLAS counts by columns, where our C is Cᵀ = Bᵀ Aᵀ: the operands change places. It runs on the default
    stream.
    """
    if not M * N:
        return
    library, handle = load()
    status = library.cublasSgemm_v2(
        handle,
        _TRANSPOSED if b_last else _AS_IT_LIES,
        _TRANSPOSED if a_first else _AS_IT_LIES,
        *(N, M, K),
        ctypes.byref(_ONE),
        *(address(B), max(1, K if b_last else N)),
        *(address(A), max(1, M if a_first else K)),
        ctypes.byref(_ZERO),
        *(address(C), N),
    )
    _check(status)


def _check(status):
    if status:
        raise RuntimeError(f"cuBLAS answers with status {status}")

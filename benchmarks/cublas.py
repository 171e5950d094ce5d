"""NVIDIA's own matrix product, called through ctypes, to compare ours with it.

It needs `pip install nvidia-cublas` or a CUDA toolkit.
"""

import ctypes
from typing import Any

from minids._utils.errors import InputError
from minids.ops import diagnosis, driver
from minids.ops.cuda.device import per_device
from minids.ops.cuda.vector_io import address

_ONE, _ZERO = ctypes.c_float(1), ctypes.c_float(0)
_NOT_TRANSPOSED, _TRANSPOSED = 0, 1


@per_device
def load():
    """The library and its handle. Raises InputError if it is not installed."""
    if driver.simulated():
        raise InputError("cuBLAS needs an NVIDIA GPU")
    try:
        from cuda.pathfinder import load_nvidia_dynamic_lib

        library = ctypes.CDLL(load_nvidia_dynamic_lib("cublas").abs_path)
    except Exception as error:
        package = "nvidia-cublas-cu12" if diagnosis.toolkit() is diagnosis.OLDER else "nvidia-cublas"
        raise InputError(f"cuBLAS was not found; pip install {package}") from error
    # handle, two transpositions, three sizes, alpha, A and its pitch, B and its pitch, beta, C and its pitch
    kinds: dict[str, Any] = {"n": ctypes.c_int, "p": ctypes.c_void_p}
    library.cublasSgemm_v2.argtypes = [kinds[kind] for kind in "p nn nnn p pn pn p pn".replace(" ", "")]
    handle = ctypes.c_void_p()
    _check(library.cublasCreate_v2(ctypes.byref(handle)))
    return library, handle


def product(A, a_transposed, B, b_transposed, C, M, N, K) -> None:
    """C (M, N) ← A B, row-major; `a_transposed`: A is stored as (K, M), `b_transposed`: B as (N, K).

    cuBLAS is column-major and computes Cᵀ = Bᵀ Aᵀ, so the operands are exchanged. It uses the default stream.
    """
    if not M * N:
        return
    library, handle = load()
    status = library.cublasSgemm_v2(
        handle,
        _TRANSPOSED if b_transposed else _NOT_TRANSPOSED,
        _TRANSPOSED if a_transposed else _NOT_TRANSPOSED,
        *(N, M, K),
        ctypes.byref(_ONE),
        *(address(B), max(1, K if b_transposed else N)),
        *(address(A), max(1, M if a_transposed else K)),
        ctypes.byref(_ZERO),
        *(address(C), N),
    )
    _check(status)


def _check(status):
    if status:
        raise RuntimeError(f"cuBLAS reports status {status}")

"""The operations on the GPU, in float32: Numba CUDA kernels. `ops.load("cuda")` loads them."""

from functools import partial
from types import SimpleNamespace
from typing import Any


def load(gemm: str = "fp32", recurrence: str = "auto") -> dict[str, Any]:
    """The operations and `arrays`, by name.

    `gemm` is the implementation of the matrix products: "fp32", "tf32" (tensor cores, which round the factors
    to 10 bits) or "cublas". `recurrence` is that of the recurrent layer: "launches", "graph", "persistent",
    or "auto" for the fastest that fits on the GPU. See matmul.py and birnn.py. Raises InputError for an
    unknown option and for one that this GPU does not support.

    The backend computes on the GPU that is selected now, in whichever thread it is called; see guard.py.
    """
    from minids.ops.cuda import affine, arrays, birnn, context, ctc, log_softmax, matmul, nesterov, norm
    from minids.ops.cuda.device import current_device
    from minids.ops.cuda.guard import guarded, operation

    matmul.check_gemm(gemm)
    birnn.check_recurrence(recurrence)
    _configure_numba()
    device = current_device()
    operations: dict[str, Any] = {
        "context_forward": context.context_forward,
        "affine_forward": partial(affine.affine_forward, gemm=gemm),
        "affine_backward": partial(affine.affine_backward, gemm=gemm),
        "birnn_forward": partial(birnn.birnn_forward, recurrence=recurrence),
        "birnn_backward": partial(birnn.birnn_backward, recurrence=recurrence, gemm=gemm),
        "log_softmax_forward": log_softmax.log_softmax_forward,
        "ctc": ctc.ctc,
        "norm": norm.norm,
        "nesterov": nesterov.nesterov,
    }
    copies = {
        name: guarded(getattr(arrays, name), device, exclusive=False)
        for name in ("empty", "view", "from_host", "copy", "to_host", "synchronize", "available")
    }
    return {
        "arrays": SimpleNamespace(
            on_host=False,
            AsyncCopier=lambda: guarded(
                guarded(arrays.AsyncCopier, device, False)(), device, exclusive=False
            ),
            **copies,
        ),
        **{name: operation(function, device) for name, function in operations.items()},
    }


def _configure_numba() -> None:
    """Keep Numba from warning about grids that do not fill the GPU, which users cannot change, and from
    freeing memory by itself; see arrays.empty.

    Numba reads its environment variables on import, and again whenever the environment has changed.
    """
    import os

    import numba

    for name, variable, value in (
        ("LOW_OCCUPANCY_WARNINGS", "LOW_OCCUPANCY_WARNINGS", 0),
        ("DEALLOCS_COUNT", "MAX_PENDING_DEALLOCS_COUNT", 10**9),
        ("DEALLOCS_RATIO", "MAX_PENDING_DEALLOCS_RATIO", 1.0),  # of the GPU's memory
    ):
        setattr(numba.core.config, f"CUDA_{name}", value)
        os.environ[f"NUMBA_CUDA_{variable}"] = str(value)

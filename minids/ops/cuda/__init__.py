"""The operations on the GPU, in float32: Numba CUDA kernels. `ops.load("cuda")` loads them."""

from functools import partial
from types import SimpleNamespace
from typing import Any


def load(gemm: str = "fp32", recurrence: str = "auto") -> dict[str, Any]:
    """The operations and `arrays`, by name.

    `gemm` is the implementation of the matrix products: "fp32", "tf32" (tensor cores, which round the factors
    to 10 bits) or "3xtf32" (three of these, almost as exact as "fp32"). `recurrence` is that of the
    recurrent layer: "graph", "persistent", or "auto" for persistent if it fits on the GPU. See matmul.py and
    birnn.py. Raises InputError for an unknown option and for one that this GPU does not support.

    The backend computes on the GPU that is selected now, in whichever thread it is called; see guard.py.
    """
    from minids.ops.cuda import affine, arrays, birnn, context, ctc, log_softmax, matmul
    from minids.ops.cuda.axpby import axpby
    from minids.ops.cuda.device import current_device
    from minids.ops.cuda.guard import guarded, operation
    from minids.ops.cuda.nesterov import nesterov
    from minids.ops.cuda.norm import norm

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
        "axpby": axpby,
        "norm": norm,
        "nesterov": nesterov,
    }
    copies = {
        name: guarded(getattr(arrays, name), device, exclusive=False)
        for name in ("empty", "view", "from_host", "copy", "to_host", "available")
    }
    # Waiting for a whole GPU breaks a graph that another thread records on it.
    copies["synchronize"] = guarded(arrays.synchronize, device, exclusive=True)
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
    """Keep Numba from warning about grids that do not fill the GPU, and from freeing memory by itself, which
    arrays.empty does. Numba reads these variables on import, and whenever one has changed."""
    import os

    import numba

    os.environ["NUMBA_CUDA_LOW_OCCUPANCY_WARNINGS"] = "0"
    os.environ["NUMBA_CUDA_MAX_PENDING_DEALLOCS_COUNT"] = str(10**9)
    os.environ["NUMBA_CUDA_MAX_PENDING_DEALLOCS_RATIO"] = "1.0"  # of the GPU's memory
    numba.core.config.reload_config()

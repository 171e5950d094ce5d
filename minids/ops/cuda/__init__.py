"""The same operations on the GPU, in float32: Numba CUDA kernels."""

import os
from pathlib import Path

import numba

from minids import text
from minids._utils.compile_cache import remove_stale
from minids.ops import common, driver

if driver.simulated():
    from minids import cuda_simulator

    cuda_simulator.install()
else:
    from minids.ops.cuda import kernel_cache

    _HERE = Path(__file__).parent
    _SOURCE = [*_HERE.glob("*.py"), Path(common.__file__), Path(text.__file__)]
    remove_stale(_HERE, _SOURCE)  # for room on the disk alone
    kernel_cache.install(_SOURCE)

from minids.ops.cuda import arrays
from minids.ops.cuda.affine import affine_backward, affine_forward
from minids.ops.cuda.birnn import birnn_backward, birnn_forward
from minids.ops.cuda.context import context_forward
from minids.ops.cuda.ctc import ctc
from minids.ops.cuda.log_softmax import log_softmax_forward
from minids.ops.cuda.nesterov import nesterov
from minids.ops.cuda.norm import norm

# Small launches are no mistake of a user's. Numba has read its environment when it was imported, and does so
# again whenever that has changed.
numba.core.config.CUDA_LOW_OCCUPANCY_WARNINGS = 0
os.environ["NUMBA_CUDA_LOW_OCCUPANCY_WARNINGS"] = "0"

__all__ = [
    "affine_backward",
    "affine_forward",
    "arrays",
    "birnn_backward",
    "birnn_forward",
    "context_forward",
    "ctc",
    "log_softmax_forward",
    "nesterov",
    "norm",
]

"""The same operations on the GPU, in float32: Numba CUDA kernels."""

import os

from minids.ops import driver

os.environ.setdefault("NUMBA_CUDA_LOW_OCCUPANCY_WARNINGS", "0")  # small launches are no mistake of a user's
if driver.simulated():
    from minids.ops.cuda import simulator

    simulator.install()

from minids.ops.cuda import arrays
from minids.ops.cuda.affine import affine_backward, affine_forward
from minids.ops.cuda.birnn import birnn_backward, birnn_forward
from minids.ops.cuda.context import context_forward
from minids.ops.cuda.ctc import ctc
from minids.ops.cuda.log_softmax import log_softmax_forward
from minids.ops.cuda.nesterov import nesterov
from minids.ops.cuda.norm import norm

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

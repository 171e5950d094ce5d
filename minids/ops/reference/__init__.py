"""The mathematics, and nothing else: plain NumPy, any float type."""

from minids.ops.reference import arrays
from minids.ops.reference.affine import affine_backward, affine_forward
from minids.ops.reference.birnn import birnn_backward, birnn_forward
from minids.ops.reference.context import context_forward
from minids.ops.reference.ctc import ctc
from minids.ops.reference.log_softmax import log_softmax_forward
from minids.ops.reference.nesterov import nesterov
from minids.ops.reference.norm import norm

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

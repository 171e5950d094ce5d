"""The same operations in float32, on all cores: Numba for the loops, BLAS for the products."""

from typing import Any

from minids.ops.cpu.affine import affine_backward, affine_forward
from minids.ops.cpu.axpby import axpby
from minids.ops.cpu.birnn import birnn_backward, birnn_forward
from minids.ops.cpu.context import context_forward
from minids.ops.cpu.ctc import ctc
from minids.ops.cpu.log_softmax import log_softmax_forward
from minids.ops.cpu.nesterov import nesterov
from minids.ops.cpu.norm import norm
from minids.ops.reference import arrays

__all__ = [
    "affine_backward",
    "affine_forward",
    "arrays",
    "axpby",
    "birnn_backward",
    "birnn_forward",
    "context_forward",
    "ctc",
    "log_softmax_forward",
    "nesterov",
    "norm",
]


def load() -> dict[str, Any]:
    """The arrays and operations of the backend, by name."""
    return {name: globals()[name] for name in __all__}

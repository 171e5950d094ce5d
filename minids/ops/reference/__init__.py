"""The mathematics: plain NumPy, any float type, pure functions."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from minids.ops.common import check_ctc
from minids.ops.reference import arrays
from minids.ops.reference.affine import affine_backward, affine_forward
from minids.ops.reference.axpby import axpby
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
    """The arrays and operations by name; they accept output arrays, as those of the other backends do."""
    return {
        "arrays": arrays,
        "context_forward": _with_outputs(context_forward),
        "affine_forward": _with_outputs(affine_forward, "out"),
        "affine_backward": _with_outputs(affine_backward, "dx", "dW", "db"),
        "birnn_forward": _with_outputs(birnn_forward, "h", "hf", "hb"),
        "birnn_backward": _with_outputs(birnn_backward, "dz", "dWr_f", "dWr_b"),
        "log_softmax_forward": _with_outputs(log_softmax_forward, "out"),
        "ctc": _with_outputs(_checked_ctc, "losses", "dlogits"),
        "axpby": axpby,
        "nesterov": nesterov,
        "norm": norm,
    }


@wraps(ctc)
def _checked_ctc(log_probs, lengths, labels, label_lengths):
    check_ctc(log_probs, lengths, labels, label_lengths)  # NumPy would take -1 for the last character
    return ctc(log_probs, lengths, labels, label_lengths)


def _with_outputs(operation: Callable, *outputs: str) -> Callable:
    """The operation, which copies its results to arrays given by these names and ignores scratch arrays."""
    parameters = inspect.signature(operation).parameters

    @wraps(operation)
    def run(*args: Any, **kwargs: Any) -> Any:
        arrays = [kwargs.get(name) for name in outputs] or [None]
        results = operation(*args, **{name: kwargs[name] for name in kwargs if name in parameters})
        results = results if len(outputs) > 1 else [results]
        returned = []
        for array, result in zip(arrays, results, strict=True):
            if array is not None and result is not None:
                array[...] = result
                result = array
            returned.append(result)
        return tuple(returned) if len(outputs) > 1 else returned[0]

    return run

"""Operations refuse arrays that their kernels would misread, before anything is launched."""

import numpy as np
import pytest

from minids import ops
from minids.ops import driver
from minids.ops.common import Dropout

pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda")

GPU = ops.load("cuda")
T, B, F, H, K, U = 4, 2, 3, 5, 4, 2
SHAPES = {
    "context_forward": {"frames": (T, B, F), "lengths": (B,)},
    "affine_forward": {"x": (T, B, F), "W": (H, F), "b": (H,), "out": (T, B, H)},
    "affine_backward": {
        **{"dy": (T, B, H), "x": (T, B, F), "W": (H, F), "y": (T, B, H)},
        **{"dz": (T, B, H), "dx": (T, B, F), "dW": (H, F), "db": (H,)},
    },
    "birnn_forward": {
        **{"z": (T, B, H), "Wr_f": (H, H), "Wr_b": (H, H), "lengths": (B,)},
        **{"h": (T, B, H), "hf": (T, B, H), "hb": (T, B, H)},
    },
    "birnn_backward": {
        **{
            "dh": (T, B, H),
            "hf": (T, B, H),
            "hb": (T, B, H),
            "Wr_f": (H, H),
            "Wr_b": (H, H),
            "lengths": (B,),
        },
        **{"delta_f": (T, B, H), "delta_b": (T, B, H), "dz": (T, B, H), "dWr_f": (H, H), "dWr_b": (H, H)},
    },
    "log_softmax_forward": {"z": (T, B, K), "out": (T, B, K)},
    "ctc": {
        **{"log_probs": (T, B, K), "lengths": (B,), "labels": (B, U), "label_lengths": (B,)},
        **{"losses": (B,), "dlogits": (T, B, K)},
    },
    "axpby": {"x": (H,), "y": (H,)},
    "norm": {"x": (H,)},
    "nesterov": {"params": (H,), "grads": (H,), "velocity": (H,)},
}
OTHERS = {
    "context_forward": {"C": 1, "stride": 1},
    "axpby": {"a": 1, "b": 1},
    "nesterov": {"rate": 0.1, "momentum": 0.9},
}
# Frames of any number and size are allowed, and more labels than needed.
ANY_SIZE = {("context_forward", "frames", 0), ("context_forward", "frames", 2), ("ctc", "labels", 1)}
INTEGERS = {"lengths", "labels", "label_lengths"}
ARGUMENTS = [(name, argument) for name, shapes in SHAPES.items() for argument in shapes]


def arguments(name):
    """Valid arguments of an operation."""
    values = {}
    for argument, shape in SHAPES[name].items():
        host = np.ones(shape, np.int32 if argument in INTEGERS else np.float32)
        values[argument] = GPU.arrays.from_host(host)
    return values | OTHERS.get(name, {})


def refused(name, values, message):
    with pytest.raises(ValueError, match=message):
        getattr(GPU, name)(**values)


@pytest.mark.parametrize("name", SHAPES)
def test_valid_arguments_are_accepted(name):
    getattr(GPU, name)(**arguments(name))


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_an_array_on_the_host_is_refused(name, argument):
    values = arguments(name)
    refused(name, values | {argument: GPU.arrays.to_host(values[argument])}, f"{argument} is not on the GPU")


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
@pytest.mark.parametrize("dtype", [np.uint32, np.float32, np.int32])
def test_another_type_is_refused(name, argument, dtype):
    values = arguments(name)
    if values[argument].dtype == dtype:
        return
    other = GPU.arrays.empty(values[argument].shape, dtype)
    refused(name, values | {argument: other}, f"{argument} has the type {np.dtype(dtype)}, not")


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_another_shape_is_refused(name, argument):
    """The first axis is longer, or, of the array that sets the sizes, the last."""
    values = arguments(name)
    shape, dtype = SHAPES[name][argument], values[argument].dtype
    if name == "norm":
        return refused(name, {"x": GPU.arrays.empty((2, 3), dtype)}, "x has the shape")
    for axis in range(len(shape)):
        longer = tuple(n + (i == axis) for i, n in enumerate(shape))
        if (name, argument, axis) not in ANY_SIZE:
            refused(name, values | {argument: GPU.arrays.empty(longer, dtype)}, "has the shape")
    return None


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_an_array_that_is_not_contiguous_is_refused(name, argument):
    values = arguments(name)
    *first, last = SHAPES[name][argument]
    wide = GPU.arrays.empty((*first, 2 * last), values[argument].dtype)
    every_second = wide[(*(slice(None) for _ in first), slice(None, None, 2))]  # Numba knows no ellipsis
    refused(name, values | {argument: every_second}, f"{argument} must be C-contiguous")


@pytest.mark.parametrize(
    ("keys", "clip", "message"),
    [
        (np.zeros(B, np.uint32), False, "dropout requires clip=True"),
        (np.zeros(B + 1, np.uint32), True, "dropout_keys has the shape"),
        (np.zeros(B, np.int32), True, "keys has the type int32, not uint32"),
    ],
)
@pytest.mark.parametrize("name", ["affine_forward", "affine_backward"])
def test_dropout_that_does_not_fit_is_refused(name, keys, clip, message):
    dropout = Dropout(0.1, GPU.arrays.from_host(keys))
    refused(name, arguments(name) | {"clip": clip, "dropout": dropout}, message)

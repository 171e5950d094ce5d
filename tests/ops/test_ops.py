"""The grid: the same names in every backend, and cpu against reference over awkward shapes."""

import dataclasses
import inspect
import math
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from scipy.special import log_softmax

from minids import ops
from minids.gradcheck import relative_error
from minids.ops import reference
from minids.ops.common import CLIP, Dropout, Workspace, hash_key, min_frames, output_length
from tests.tolerances import FLOAT32_RECURRENCE, FLOAT32_SUM

BACKENDS = pytest.mark.parametrize("backend", ["reference", "cpu"])  # whose arrays are NumPy's
SHAPES = pytest.mark.parametrize(  # T, B, H
    ("T", "B", "H"), [(1, 1, 1), (1, 33, 7), (13, 1, 33), (9, 33, 5), (0, 2, 3), (300, 2, 17), (30, 5, 64)]
)
REFERENCE = ops.load("reference")


def normal(rng, *shape, scale=1.0):
    return (scale * rng.normal(size=shape)).astype(np.float32)


def uneven(rng, T, B):
    """Lengths from 0 to T, with both among them if B > 1."""
    lengths = rng.integers(0, T + 1, B).astype(np.int32)
    lengths[:1], lengths[1:2] = T, 0
    return lengths


def poisoned(x, lengths):
    """A copy with NaN past every length."""
    x = x.copy()
    for b, n in enumerate(lengths):
        x[n:, b] = np.nan
    return x


def doubles(*arrays):
    return [
        a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype == np.float32 else a for a in arrays
    ]


def assert_near(got, expected, tolerance):
    for a, b in zip(got, expected, strict=True):
        assert a.shape == b.shape
        if a.size:
            assert relative_error(a, b) <= tolerance


def test_every_backend_has_the_same_operations_and_arguments():
    for backend in ("reference", "cpu"):
        grid = ops.load(backend)
        for name in ops.OPERATIONS:
            operation, pure = getattr(grid, name), inspect.signature(getattr(reference, name)).parameters
            parameters = list(inspect.signature(operation).parameters.values())
            assert parameters[: len(pure)] == list(pure.values()), f"{backend}.{name}"
            assert all(p.default is None for p in parameters[len(pure) :]), (
                "arrays that are allocated if not given"
            )
            assert operation.__module__.startswith(f"minids.ops.{backend}.")


def test_an_unknown_backend_is_named():
    with pytest.raises(ValueError, match="no backend 'tpu'; choose one of reference, cpu, cuda"):
        ops.load("tpu")


def test_a_backend_is_immutable_and_pickles():
    backend = ops.load("cpu")
    with pytest.raises(dataclasses.FrozenInstanceError):
        backend.norm = None
    copy = pickle.loads(pickle.dumps(backend))
    assert (copy.name, copy.norm) == ("cpu", backend.norm)
    assert dataclasses.replace(backend, norm=sum).norm is sum


# Context


def stacked(x):
    """x of any backend as an array."""
    return x if isinstance(x, np.ndarray) else x.stacked()


@BACKENDS
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("C", [0, 1, 4])
@pytest.mark.parametrize(("T0", "B", "F"), [(1, 1, 1), (7, 3, 5), (12, 33, 2)])
def test_context_gathers_the_neighbors(backend, C, stride, T0, B, F):
    rng = np.random.default_rng(1)
    frames, lengths = normal(rng, T0, B, F), uneven(rng, T0, B)
    got = stacked(ops.load(backend).context_forward(poisoned(frames, lengths), lengths, C, stride))
    assert got.shape == (math.ceil(T0 / stride), B, (2 * C + 1) * F)
    for t in range(len(got)):
        for b in range(B):
            for c in range(2 * C + 1):
                at = stride * t - C + c
                inside = stride * t < lengths[b] and 0 <= at < lengths[b]
                expected = frames[at, b] if inside else np.zeros(F)
                np.testing.assert_array_equal(got[t, b, c * F : (c + 1) * F], expected)


def test_context_is_written_to_the_workspace():
    workspace, rng = Workspace(REFERENCE.arrays, np.float32), np.random.default_rng(2)
    lengths = np.array([3, 5], np.int32)
    x, y = (
        stacked(ops.load("cpu").context_forward(normal(rng, T, 2, 3), lengths, 1, 1, workspace=workspace))
        for T in (6, 5)
    )
    assert np.shares_memory(x, y)


# A layer of weights


@SHAPES
@pytest.mark.parametrize(("clip", "rate"), [(False, 0.0), (True, 0.0), (True, 0.3)])
def test_affine_on_the_cpu_equals_the_reference(T, B, H, clip, rate):
    rng = np.random.default_rng(2)
    D = 2 * H + 1
    x, W, b, dy = (
        normal(rng, T, B, D),
        normal(rng, H, D, scale=8),
        normal(rng, H, scale=8),
        normal(rng, T, B, H),
    )
    dropout = Dropout(rate, rng.integers(0, 2**32, B, np.uint32)) if rate else None
    cpu = ops.load("cpu")
    y = cpu.affine_forward(x, W, b, clip, dropout)
    x64, W64, b64, dy64, y64 = doubles(x, W, b, dy, y)
    assert_near([y], [REFERENCE.affine_forward(x64, W64, b64, clip, dropout)], FLOAT32_SUM)
    got = cpu.affine_backward(dy, x, W, y, clip, dropout)  # of the same y, so that both see the same gates
    assert_near(got, REFERENCE.affine_backward(dy64, x64, W64, y64, clip, dropout), FLOAT32_SUM)


def test_affine_on_the_cpu_with_wide_and_tall_weights():
    rng = np.random.default_rng(3)
    cpu = ops.load("cpu")
    for H, D in ((3, 40), (40, 3), (1, 9), (9, 1)):
        x, W, dy = normal(rng, 50, 3, D), normal(rng, H, D), normal(rng, 50, 3, H)
        got = cpu.affine_backward(dy, x, W, dy)
        assert_near(got, REFERENCE.affine_backward(*doubles(dy, x, W, dy)), FLOAT32_SUM)


@BACKENDS
def test_affine_omits_the_input_gradient_on_request(backend):
    rng = np.random.default_rng(4)
    x, W, dy = normal(rng, 5, 2, 3), normal(rng, 4, 3), normal(rng, 5, 2, 4)
    grid = ops.load(backend)
    dx, dW, db = grid.affine_backward(dy, x, W, dy, needs_dx=False)
    assert dx is None
    assert_near([dW, db], grid.affine_backward(dy, x, W, dy)[1:], 0)


@BACKENDS
def test_the_gradient_passes_between_the_kinks_only(backend):
    """z = -1, 0, 1, 20, 21: only at 1 the gradient passes."""
    grid = ops.load(backend)
    z = np.array([-1, 0, 1, 20, 21], np.float32)
    x, W = np.ones((1, 1, 1), np.float32), np.zeros((5, 1), np.float32)
    dropout = Dropout(0.05, np.zeros(1, np.uint32))  # drops none of these units
    y = grid.affine_forward(x, W, z, True)
    np.testing.assert_array_equal(y[0, 0], [0, 0, 1, 20, 20])
    np.testing.assert_array_equal(grid.affine_backward(np.ones_like(y), x, W, y, True)[2], [0, 0, 1, 0, 0])
    y = grid.affine_forward(x, W, z, True, dropout)
    db = grid.affine_backward(np.ones_like(y), x, W, y, True, dropout)[2]
    assert db[3] == db[4] == 0, "a clipped unit that dropout has scaled to 20 / (1 - p) is still clipped"


# Dropout


def masks(backend, rate, keys, T, H):
    """Dropout of ones: (T, B, H)."""
    x, W = np.ones((T, len(keys), 1), np.float32), np.ones((H, 1), np.float32)
    dropout = Dropout(rate, np.array(keys, np.uint32))
    return ops.load(backend).affine_forward(x, W, np.zeros(H, np.float32), True, dropout)


@pytest.mark.parametrize("rate", [0.05, 0.5, 0.9])
def test_dropout_drops_the_same_units_on_every_backend(rate):
    keys = [0, 1, 2**31, 2**32 - 1, hash_key(3, 1, 4)]
    expected, cpu = (masks(backend, rate, keys, 301, 7) for backend in ("reference", "cpu"))
    np.testing.assert_array_equal(expected, cpu)
    assert set(np.unique(expected)) == {np.float32(0), np.float32(1 / (1 - rate))}


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.5])
def test_dropped_units_are_independent(rate):
    """The rate, the expectation and pairs of neighbors, within five standard deviations."""
    dropped = masks("reference", rate, [hash_key(7, b) for b in range(8)], 200, 128) == 0  # (T, B, H)

    def assert_rate(fraction, expected, count):
        assert abs(fraction - expected) < 5 * math.sqrt(expected * (1 - expected) / count)

    assert_rate(dropped.mean(), rate, dropped.size)
    for axis in range(3):
        pairs = dropped.take(range(1, dropped.shape[axis]), axis) & dropped.take(
            range(dropped.shape[axis] - 1), axis
        )
        assert_rate(pairs.mean(), rate**2, pairs.size)
    scaled = masks("reference", rate, [hash_key(7, b) for b in range(8)], 200, 128)
    assert abs(scaled.mean() - 1) < 5 * math.sqrt(rate / (1 - rate) / scaled.size)


def test_dropout_does_not_depend_on_the_position_in_the_batch():
    batch, single = masks("cpu", 0.3, [5, 6, 7], 20, 9), masks("cpu", 0.3, [6], 11, 9)
    np.testing.assert_array_equal(batch[:11, 1:2], single)
    assert (batch[:, 0] != batch[:, 1]).any()


def test_keys_depend_on_every_number_and_their_order():
    numbers = [(a, b, c) for a in range(12) for b in range(12) for c in range(12)]
    assert len({hash_key(*n) for n in numbers}) == len(numbers)
    assert all(0 <= hash_key(*n) < 2**32 for n in numbers)
    assert hash_key(2**32 + 1) == hash_key(1), "numbers count modulo 2^32"
    bits = np.array([bin(hash_key(5, n)).count("1") for n in range(2000)])
    assert abs(bits.mean() - 16) < 5 * math.sqrt(8 / 2000)


# The recurrence


@SHAPES
def test_birnn_on_the_cpu_equals_the_reference(T, B, H):
    rng = np.random.default_rng(5)
    lengths = uneven(rng, T, B)
    z, dh = normal(rng, T, B, H, scale=9), normal(rng, T, B, H)
    Wr_f, Wr_b = normal(rng, H, H, scale=0.7 / math.sqrt(H)), normal(rng, H, H, scale=0.7 / math.sqrt(H))
    cpu = ops.load("cpu")
    h, hf, hb = cpu.birnn_forward(poisoned(z, lengths), Wr_f, Wr_b, lengths)
    z64, f64, b64, dh64, hf64, hb64 = doubles(z, Wr_f, Wr_b, dh, hf, hb)
    assert_near((h, hf, hb), REFERENCE.birnn_forward(z64, f64, b64, lengths), FLOAT32_RECURRENCE)
    got = cpu.birnn_backward(poisoned(dh, lengths), hf, hb, Wr_f, Wr_b, lengths)
    expected = REFERENCE.birnn_backward(dh64, hf64, hb64, f64, b64, lengths)
    assert_near(got, expected, FLOAT32_RECURRENCE)


@BACKENDS
def test_birnn_is_zero_past_the_end_for_any_padding(backend):
    rng = np.random.default_rng(6)
    grid, lengths = ops.load(backend), np.array([6, 0, 3, 1], np.int32)
    z, dh = normal(rng, 6, 4, 5, scale=9), normal(rng, 6, 4, 5)
    Wr_f, Wr_b = normal(rng, 5, 5), normal(rng, 5, 5)
    states = grid.birnn_forward(poisoned(z, lengths), Wr_f, Wr_b, lengths)
    gradients = grid.birnn_backward(poisoned(dh, lengths), *states[1:], Wr_f, Wr_b, lengths)
    assert_near(states, grid.birnn_forward(z, Wr_f, Wr_b, lengths), 0)
    assert_near(gradients, grid.birnn_backward(dh, *states[1:], Wr_f, Wr_b, lengths), 0)
    for b, n in enumerate(lengths):
        for x in (*states, gradients[0]):
            assert not x[n:, b].any()
            assert x[:n, b].any() or n == 0


# Log-probabilities, the step, the norm


@BACKENDS
def test_log_softmax_equals_scipy(backend):
    rng = np.random.default_rng(7)
    z = normal(rng, 5, 3, 29, scale=30)
    z[0, 0] = 0
    z[1, 0, :] = [-3e4] * 28 + [3e4]
    z[2, 0, 4] = -np.inf
    got = ops.load(backend).log_softmax_forward(z)
    np.testing.assert_allclose(
        got, log_softmax(z.astype(np.float64), axis=-1), rtol=FLOAT32_SUM, atol=FLOAT32_SUM
    )


@BACKENDS
def test_nesterov_takes_the_gradient_at_the_predicted_point(backend):
    """v ← μ v - ε ∇f(θ + μ v), θ ← θ + v, on f = Σ a θ² / 2; ours stores θ + μ v."""
    a = np.linspace(0.1, 3, 50)
    theta, v, rate, momentum = np.linspace(-1, 1, 50), np.zeros(50), 0.1, 0.9
    params, velocity = theta.astype(np.float32), np.zeros(50, np.float32)
    nesterov = ops.load(backend).nesterov
    for _ in range(30):
        v = momentum * v - rate * a * (theta + momentum * v)
        theta = theta + v
        # half the rate, twice the gradient's scale: the same step
        nesterov(params, (a * params).astype(np.float32), velocity, rate / 2, momentum, scale=2.0)
        np.testing.assert_allclose(params, theta + momentum * v, atol=FLOAT32_SUM)
        np.testing.assert_allclose(velocity, v, atol=FLOAT32_SUM)


@BACKENDS
def test_axpby_is_a_weighted_sum_and_a_copy_of_every_bit(backend):
    """With b = 0, y is not read, and -0.0 stays -0.0."""
    axpby, rng = ops.load(backend).axpby, np.random.default_rng(0)
    x, y = rng.normal(size=(2, 100)).astype(np.float32)
    expected = 0.25 * x.astype(np.float64) + 0.75 * y
    axpby(0.25, x, 0.75, y)
    np.testing.assert_allclose(y, expected, atol=FLOAT32_SUM)
    x[:2], y[:] = (-0.0, np.inf), np.nan
    axpby(1, x, 0, y)
    assert y.tobytes() == x.tobytes()


@BACKENDS
def test_norm_is_summed_in_double_precision(backend):
    norm = ops.load(backend).norm
    assert norm(np.array([3, 4], np.float32)) == 5
    assert norm(np.zeros(0, np.float32)) == 0
    x = np.full(1_000_001, 1e-3, np.float32)
    x[0] = 1e25  # its square is beyond float32
    assert norm(x) == pytest.approx(1e25, rel=1e-7)
    x[0] = 1e-3
    assert norm(x) == pytest.approx(float(np.float32(1e-3)) * math.sqrt(len(x)), rel=1e-12)
    assert math.isnan(norm(np.array([1, np.nan], np.float32)))


@BACKENDS
def test_nan_propagates(backend):
    """A clip must not turn NaN into 0 or 20: training would continue with a broken network."""
    grid, nan, ones = ops.load(backend), np.full((2, 1, 3), np.nan, np.float32), np.ones((3, 3), np.float32)
    assert np.isnan(grid.affine_forward(nan, ones, np.zeros(3, np.float32), True)).all()
    assert np.isnan(grid.birnn_forward(nan, ones, ones, np.array([2], np.int32))[0]).all()
    z = np.array([[[0, np.nan, 1]], [[0, np.inf, 1]]], np.float32)
    with np.errstate(invalid="ignore"):
        log_probs = grid.log_softmax_forward(z)
        losses, _ = grid.ctc(log_probs, *(np.array(a, np.int32) for a in ([2], [[1]], [1])))
    assert np.isnan(log_probs).all()
    assert np.isnan(losses).all()


# Output arrays


def calls(grid):
    """Every operation that makes arrays: its arguments, and its outputs and scratch arrays by name."""
    rng = np.random.default_rng(8)
    T, B, H, K, C = 6, 3, 4, 5, 1
    lengths, label_lengths = np.array([6, 2, 4], np.int32), np.array([2, 1, 0], np.int32)
    x, W, b, dy = normal(rng, T, B, H), normal(rng, H, H, scale=9), normal(rng, H), normal(rng, T, B, H)
    y, Wr_f, Wr_b = grid.affine_forward(x, W, b, True), normal(rng, H, H), normal(rng, H, H)
    _, hf, hb = grid.birnn_forward(y, Wr_f, Wr_b, lengths)
    log_probs = grid.log_softmax_forward(normal(rng, T, B, K))
    labels, full, square = np.array([[1, 2], [3, 0], [0, 0]], np.int32), (T, B, H), (H, H)
    deltas = dict.fromkeys(("delta_f", "delta_b", "dz"), full)
    return {
        "context_forward": ((x, lengths, C, 2), {}),  # takes its memory from a workspace
        "affine_forward": ((x, W, b, True, None), {"out": full}),
        "affine_backward": (
            (dy, x, W, y, True, None, True),
            {"dz": full, "dx": full, "dW": square, "db": (H,)},
        ),
        "birnn_forward": ((y, Wr_f, Wr_b, lengths), dict.fromkeys(("h", "hf", "hb"), full)),
        "birnn_backward": ((dy, hf, hb, Wr_f, Wr_b, lengths), deltas | {"dWr_f": square, "dWr_b": square}),
        "log_softmax_forward": ((log_probs,), {"out": (T, B, K)}),
        "ctc": ((log_probs, lengths, labels, label_lengths), {"losses": (B,), "dlogits": (T, B, K)}),
    }


@BACKENDS
@pytest.mark.parametrize("name", [name for name, (_, outputs) in calls(REFERENCE).items() if outputs])
def test_outputs_are_written_to_the_given_arrays(backend, name):
    grid = ops.load(backend)
    arguments, shapes = calls(grid)[name]
    before = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
    expected = getattr(grid, name)(*arguments)
    outputs = {output: np.full(shape, np.float32(1e9)) for output, shape in shapes.items()}
    returned = getattr(grid, name)(*arguments, **outputs)
    if not isinstance(expected, tuple):
        expected, returned = (expected,), (returned,)
    for result, other in zip(returned, expected, strict=True):
        assert any(result is output for output in outputs.values())
        np.testing.assert_array_equal(result, other)
    for original, argument in zip(before, arguments, strict=True):
        np.testing.assert_array_equal(original, argument)


@BACKENDS
def test_gradients_may_overwrite_the_incoming_gradient(backend):
    """As the model does, to need three buffers instead of eight."""
    grid = ops.load(backend)
    (dy, x, W, y, *options), _ = calls(grid)["affine_backward"]
    buffer = dy.copy()
    in_place = grid.affine_backward(buffer, x, W, y, *options, dz=buffer)
    assert_near(in_place, grid.affine_backward(dy, x, W, y, *options), 0)
    arguments, outputs = calls(grid)["birnn_backward"]
    buffer = np.empty(outputs["dz"], np.float32)
    in_place = grid.birnn_backward(*arguments, delta_f=buffer, dz=buffer)
    assert_near(in_place, grid.birnn_backward(*arguments), 0)


def test_a_workspace_reuses_its_buffers():
    workspace = Workspace(REFERENCE.arrays, np.float32)
    large = workspace("a", 4, 5)
    large[...] = 1
    small = workspace("a", 3)
    assert np.shares_memory(large, small)
    assert (small == 1).all()
    assert not np.shares_memory(large, workspace("b", 4, 5))
    assert not np.shares_memory(large, workspace("a", 5, 5)), "a larger one is new"
    assert workspace("i", 2, dtype=np.int32).dtype == np.int32


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "5", "9"])
def test_results_for_any_number_of_threads(threads):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            __file__,
            "-k",
            "equals_the_reference",
        ],
        env=os.environ | {"NUMBA_NUM_THREADS": threads},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


# Lengths


def test_frames_after_the_stride_and_frames_for_a_text():
    for T0 in range(12):
        for stride in (1, 2, 3, 4):
            assert output_length(T0, stride) == len(range(0, T0, stride))
    np.testing.assert_array_equal(output_length(np.array([0, 1, 5]), 2), [0, 1, 3])
    for label, frames in (([], 0), ([1], 1), ([1, 2], 2), ([1, 1], 3), ([1, 1, 1], 5), ([1, 1, 2, 2, 1], 7)):
        assert min_frames(label) == frames
    assert CLIP == 20


def test_the_reference_needs_no_compiler():
    """It is to be read and stepped through: plain NumPy."""
    script = "import sys; from minids import ops; ops.load('reference'); sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


# Arguments that compiled code would misread


def change(arguments, position, function):
    arguments = list(arguments)
    arguments[position] = function(arguments[position])
    return arguments


@pytest.mark.parametrize("name", calls(REFERENCE))
@pytest.mark.parametrize(
    ("kind", "function", "message"),
    [
        ("f", lambda a: a.astype(np.float64), "float64"),
        ("f", lambda a: a.astype(">f4"), ">f4"),
        ("f", lambda a: np.repeat(a, 2, -1)[..., ::2], "must be C-contiguous"),
        ("i", lambda a: a.astype(np.int64), "int64"),
        ("i", lambda a: np.repeat(a, 2, -1)[..., ::2], "must be C-contiguous"),
    ],
    ids=["float64", "big endian", "strided", "int64", "strided integers"],
)
def test_arrays_of_other_types_and_layouts_are_refused(name, kind, function, message):
    arguments, _ = calls(REFERENCE)[name]
    operation = getattr(ops.load("cpu"), name)
    for i, argument in enumerate(arguments):
        if isinstance(argument, np.ndarray) and argument.dtype.kind == kind:
            with pytest.raises(ValueError, match=message):
                operation(*change(arguments, i, function))


@pytest.mark.parametrize("name", calls(REFERENCE))
def test_arrays_of_other_shapes_are_refused(name):
    """Each argument in turn one longer, and each output; the first argument defines the sizes."""
    arguments, outputs = calls(REFERENCE)[name]
    operation = getattr(ops.load("cpu"), name)
    for i, argument in enumerate(arguments[1:], 1):
        if isinstance(argument, np.ndarray) and not (name == "ctc" and argument.ndim == 2):
            with pytest.raises(ValueError, match=r"has the shape|must be"):
                operation(*change(arguments, i, lambda a: np.concatenate([a, a[:1]])))
    for output, shape in outputs.items():
        with pytest.raises(ValueError, match=f"{output} has the shape|Wr has the shape"):
            operation(*arguments, **{output: np.empty((shape[0] + 1, *shape[1:]), np.float32)})
        read_only = np.empty(shape, np.float32)
        read_only.flags.writeable = False
        with pytest.raises(ValueError, match=f"{output} is read-only"):
            operation(*arguments, **{output: read_only})


@BACKENDS
@pytest.mark.parametrize(
    ("position", "values", "message"),
    [
        (1, [7, 2, 4], r"lengths must be from 0 to 6"),
        (1, [-1, 2, 4], r"lengths must be from 0 to 6"),
        (2, [[1, 5], [3, 0], [0, 0]], r"labels must be from 1 to 4, not 1 … 5"),
        (2, [[1, 0], [3, 0], [0, 0]], r"labels must be from 1 to 4"),
        (2, [[1, -1], [3, 0], [0, 0]], r"labels must be from 1 to 4"),
        (3, [3, 1, 0], r"label_lengths must be from 0 to 2"),
        (3, [-2, 1, 0], r"label_lengths must be from 0 to 2"),
    ],
)
def test_ctc_refuses_what_is_outside_its_arrays(backend, position, values, message):
    arguments, _ = calls(REFERENCE)["ctc"]
    with pytest.raises(ValueError, match=message):
        ops.load(backend).ctc(*change(arguments, position, lambda _: np.array(values, np.int32)))


@pytest.mark.parametrize("name", ["context_forward", "birnn_forward"])
def test_lengths_beyond_the_frames_are_refused(name):
    arguments, _ = calls(REFERENCE)[name]
    position = 1 if name == "context_forward" else 3
    for values in ([7, 2, 4], [6, -1, 4]):
        with pytest.raises(ValueError, match="lengths must be from 0 to 6"):
            getattr(ops.load("cpu"), name)(
                *change(arguments, position, lambda _, v=values: np.array(v, np.int32))
            )


def test_read_only_inputs_are_read():
    arguments, _ = calls(REFERENCE)["affine_forward"]
    expected = ops.load("cpu").affine_forward(*arguments)
    for argument in arguments:
        if isinstance(argument, np.ndarray):
            argument.flags.writeable = False
    np.testing.assert_array_equal(ops.load("cpu").affine_forward(*arguments), expected)


def test_dropout_goes_with_the_clip():
    (x, W, b, *_), _ = calls(REFERENCE)["affine_forward"]
    dropout = Dropout(0.5, np.arange(3, dtype=np.uint32))
    with pytest.raises(ValueError, match="dropout requires clip=True"):
        ops.load("cpu").affine_forward(x, W, b, False, dropout)
    with pytest.raises(ValueError, match="dropout keys have the type int64"):
        ops.load("cpu").affine_forward(x, W, b, True, Dropout(0.5, np.arange(3)))
    with pytest.raises(ValueError, match=r"dropout_keys has the shape \(2,\)"):
        ops.load("cpu").affine_forward(x, W, b, True, Dropout(0.5, np.arange(2, dtype=np.uint32)))

"""The recurrence in both directions: no gates, clipped, the same input z for both, their sum (§2).

There are two implementations:

    graph         one launch per frame, recorded as a CUDA graph: the host starts 32 frames with one call
    persistent    one launch for all frames; the weights stay in registers and shared memory, and a barrier of
                  all blocks of a direction separates the frames

The kernels are in birnn_kernels.py. "auto" chooses persistent if it fits: all blocks of its grid must be on
the GPU at once, one per multiprocessor, with all of their weights.
"""

import numpy as np
from numba import float32, int32, int64

from minids._utils.errors import InputError
from minids.ops import driver
from minids.ops.common import check_shapes
from minids.ops.cuda import arrays, matmul
from minids.ops.cuda.birnn_kernels import BlockShape, kernels
from minids.ops.cuda.device import cuda, per_device
from minids.ops.cuda.launch import capture, launch
from minids.ops.cuda.limits import limits
from minids.ops.cuda.registry import Registered
from minids.ops.cuda.vector_io import address, aligned

RECURRENCES = "auto", "graph", "persistent"
GRAPH_FRAMES = 2 if driver.simulated() else 32
MAX_GRAPHS = 32

_THREADS = 256

# One launch per frame: small blocks, so that any GPU has work for all multiprocessors.
FRAME = BlockShape(units=16, utterances=32, warps=8, depth=16, register_chunks=0)
# All frames: the fewest units per block that still fit, so that every multiprocessor has its share. Up to 96
# registers of a thread hold weights.
ALL_FRAMES: tuple[BlockShape, ...] = (
    BlockShape(8, 32, 8, 32, 2),
    BlockShape(16, 32, 8, 16, 6),
    BlockShape(32, 32, 8, 16, 3),
)
if driver.simulated():
    FRAME, ALL_FRAMES = BlockShape(32, 8, 2, 16, 0), (BlockShape(32, 8, 2, 16, 1),)


def check_recurrence(recurrence: str) -> None:
    """Raises InputError for an unknown implementation."""
    if recurrence not in RECURRENCES:
        raise InputError(f"recurrence = {recurrence!r} must be one of {', '.join(RECURRENCES)}")


def birnn_forward(z, Wr_f, Wr_b, lengths, h=None, hf=None, hb=None, workspace=None, recurrence="auto"):
    """hf_t = g(z_t + Wr_f hf_{t-1}),  hb_t = g(z_t + Wr_b hb_{t+1}),  h = hf + hb, as in the reference."""
    _check(z, (Wr_f, Wr_b), lengths, h=h, hf=hf, hb=hb)
    hf, hb, h = (arrays.empty(z.shape, np.float32) if a is None else a for a in (hf, hb, h))
    _scan(False, z, Wr_f, Wr_b, lengths, hf, hb, hf, hb, recurrence)
    _add(hf, hb, h)
    return h, hf, hb


def birnn_backward(
    dh,
    hf,
    hb,
    Wr_f,
    Wr_b,
    lengths,
    delta_f=None,
    delta_b=None,
    dz=None,
    dWr_f=None,
    dWr_b=None,
    workspace=None,
    recurrence="auto",
    gemm="fp32",
):
    """δf, δb back through time; then dWr_f, dWr_b, one product each over all frames, and dz = δf + δb."""
    T, B, H = dh.shape
    _check(dh, (Wr_f, Wr_b, dWr_f, dWr_b), lengths, hf=hf, hb=hb, delta_f=delta_f, delta_b=delta_b, dz=dz)
    delta_f, delta_b, dz = (
        arrays.empty(dh.shape, np.float32) if a is None else a for a in (delta_f, delta_b, dz)
    )
    dWr_f, dWr_b = (arrays.empty((H, H), np.float32) if a is None else a for a in (dWr_f, dWr_b))
    _scan(True, dh, Wr_f, Wr_b, lengths, hf, hb, delta_f, delta_b, recurrence)
    later = int(T > 1)  # δf_t belongs to hf_{t-1}: frames 2 … T and 1 … T-1
    rows = max(0, T - 1) * B
    matmul.weight_gradient(delta_f[later:], hf[: T - later], dWr_f, rows, gemm)
    matmul.weight_gradient(delta_b[: T - later], hb[later:], dWr_b, rows, gemm)
    _add(delta_f, delta_b, dz)
    return dz, dWr_f, dWr_b


def _check(x, weights, lengths, **arrays_like_x):
    """Raises ValueError unless all arrays fit x (T, B, H)."""
    _, B, H = x.shape
    check_shapes(lengths=(lengths, (B,)), **{name: (array, x.shape) for name, array in arrays_like_x.items()})
    for W in weights:
        check_shapes(Wr=(W, (H, H)))


def _scan(backward, inputs, W_f, W_b, lengths, h_f, h_b, out_f, out_b, recurrence):
    """All frames of one pass, in both directions: see birnn_kernels.py."""
    T, B, H = inputs.shape
    vectorized = aligned(inputs, W_f, W_b, h_f, h_b, out_f, out_b)
    flat = [a.reshape(-1) for a in (inputs, W_f, W_b, lengths, h_f, h_b, out_f, out_b)]
    if not T * B:
        return
    persistent = _persistent_shape(H)
    if recurrence == "persistent" and not persistent:
        raise InputError(
            f"the weights of {H} units do not fit on this GPU: choose recurrence = graph or auto"
        )
    progress = _progress()
    launch(begin, 1, 1, progress, T)
    if persistent and recurrence != "graph":
        shape, directions = persistent  # of which one launch computes one, or both
        kernel, blocks = kernels(shape, backward, vectorized)[1], (-(-H // shape.units), directions)
        for first in range(0, 2, directions):
            arguments, shared = (*flat, progress, first, B, H), shape.shared_bytes(H, True)
            launch(kernel, blocks, shape.threads, *arguments, shared=shared, cooperative=True)
    else:
        _launch_graph(kernels(FRAME, backward, vectorized)[0], flat, progress, T, B, H)


@per_device
def _progress():
    """What the kernels of one pass share: the next step, T, and the arrivals of blocks of each direction."""
    return arrays.empty((4,), np.int32)


@per_device
def _graphs() -> dict:
    """(frames, graph) by arguments; the most recently used ones, last."""
    return {}


def _launch_graph(kernel, flat, progress, T, B, H):
    """Launch the kernel for each frame, in both directions at once, by a graph of GRAPH_FRAMES frames.

    The kernel reads the step from the GPU's memory, so the graph serves any number of frames, up to as many
    as the arrays had when it was recorded.
    """

    def frames():
        for number in range(GRAPH_FRAMES):
            shared = FRAME.shared_bytes(H, False)
            launch(kernel, blocks, FRAME.threads, *flat, progress, number, B, H, shared=shared)
        launch(advance, 1, 1, progress)

    blocks, count = (-(-H // FRAME.units), 2), -(-T // GRAPH_FRAMES)
    graphs, key = _graphs(), (kernel, B, H, *(address(a) for a in flat))
    recorded, graph = graphs.pop(key, (0, None))
    if recorded < T:
        recorded, graph, count = T, capture(frames), count - 1  # capture has computed the first frames
    for _ in range(count):
        graph.launch()
    graphs[key] = recorded, graph
    if len(graphs) > MAX_GRAPHS:
        del graphs[next(iter(graphs))]


@per_device
def _persistent_shape(H):
    """The block shape of a persistent grid, and the directions at a time; None if the grid does not fit."""
    gpu = limits()
    for directions in (2, 1):
        for shape in ALL_FRAMES:
            blocks = -(-H // shape.units) * directions
            fits = blocks <= gpu.multiprocessors and shape.shared_bytes(H, True) <= gpu.shared_bytes
            if gpu.cooperative and fits:
                return shape, directions
    return None


def _add(a, b, out):
    launch(add, -(-a.size // _THREADS), _THREADS, a.reshape(-1), b.reshape(-1), out.reshape(-1))


@cuda.jit
def add(a, b, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = a[i] + b[i]


@cuda.jit
def begin(progress, T):
    """No step is done, and no block has arrived at a barrier."""
    progress[0], progress[1], progress[2], progress[3] = 0, T, 0, 0


@cuda.jit
def advance(progress):
    progress[0] += GRAPH_FRAMES


def _kernels():
    vector, integers = float32[::1], int32[::1]
    yield "add", Registered(add, (vector, vector, vector), 24)
    yield "begin", Registered(begin, (integers, int64), 24)
    yield "advance", Registered(advance, (integers,), 24)
    signature = (vector, vector, vector, integers, *(vector,) * 4, integers, *(int64,) * 3)
    for backward in (False, True):
        for vectorized in (True, False):
            name = f"{'vectorized' if vectorized else 'scalar'} {'backward' if backward else 'forward'}"
            yield f"one_frame {name}", Registered(kernels(FRAME, backward, vectorized)[0], signature, 255)
            for shape in ALL_FRAMES:
                kernel = kernels(shape, backward, vectorized)[1]
                yield f"all_frames {shape.units} {name}", Registered(kernel, signature, 255)


KERNELS = dict(_kernels())

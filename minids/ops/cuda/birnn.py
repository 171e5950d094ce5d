"""The recurrence in both directions: no gates, clipped, the same input z for both, their sum (§2).

There are three implementations:

    launches      one launch per frame, started by the host: the GPU may have to wait for the host
    graph         the same launches, recorded as a CUDA graph and started together
    persistent    one launch for all frames; the weights stay in registers and shared memory, and a barrier of
                  the whole grid separates the frames

The kernels are in birnn_kernels.py and compute the same sums in each. "auto" chooses the fastest that fits:
all blocks of a persistent grid must be on the GPU at once, one per multiprocessor, with all of their weights.
"""

import numpy as np
from numba import float32, int32, int64

from minids._utils.errors import InputError
from minids.ops import driver
from minids.ops.common import Workspace, check_shapes
from minids.ops.cuda import arrays, matmul
from minids.ops.cuda.birnn_kernels import BlockShape, kernels
from minids.ops.cuda.device import cuda, per_device
from minids.ops.cuda.launch import capture, launch
from minids.ops.cuda.limits import limits
from minids.ops.cuda.registry import Registered
from minids.ops.cuda.vector_io import address, aligned

RECURRENCES = "auto", "launches", "graph", "persistent"
MAX_GRAPHS = 32

_THREADS = 256
_TILE = 8 if driver.simulated() else 32  # of a matrix that is transposed
_TILE_ROWS = _TILE // 4  # that a block handles at once
_TILE_PITCH = _TILE + 1  # so that the elements of a column are in different banks

# One launch per frame: so little shared memory that any GPU has it.
FRAME = BlockShape(units=16, utterances=32, threads=128, depth=64, utterance_threads=4, unit_threads=4)
# All frames: the fewest units per block that still fit, so that every multiprocessor has its share. Chunks
# are as deep as registers allow, 32 of which hold a thread's weights of the first chunk.
ALL_FRAMES: tuple[BlockShape, ...] = (
    BlockShape(8, 32, 256, 256, 4, 2),
    BlockShape(16, 32, 256, 128, 4, 2),
    BlockShape(32, 32, 256, 64, 4, 4),
)
if driver.simulated():
    FRAME, ALL_FRAMES = BlockShape(8, 4, 8, 16, 2, 2), (BlockShape(8, 4, 8, 16, 2, 2),)

_graphs: dict = {}  # the most recently used ones, last; None for arguments that were seen once


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
    """δf, δb back through time; then dWr_f, dWr_b, one product each over all frames, and dz = δf + δb.

    A block needs columns of Wr, whose elements are far apart, so the kernels read a transposed copy.
    """
    T, B, H = dh.shape
    _check(dh, (Wr_f, Wr_b, dWr_f, dWr_b), lengths, hf=hf, hb=hb, delta_f=delta_f, delta_b=delta_b, dz=dz)
    delta_f, delta_b, dz = (
        arrays.empty(dh.shape, np.float32) if a is None else a for a in (delta_f, delta_b, dz)
    )
    dWr_f, dWr_b = (arrays.empty((H, H), np.float32) if a is None else a for a in (dWr_f, dWr_b))
    workspace = workspace or Workspace(arrays, np.float32)
    transposed = workspace("birnn", 2, H, H)
    for Wr, copy in ((Wr_f, transposed[0]), (Wr_b, transposed[1])):
        launch(transpose, (-(-H // _TILE), -(-H // _TILE)), (_TILE, _TILE_ROWS), Wr, copy)
    _scan(True, dh, transposed[0], transposed[1], lengths, hf, hb, delta_f, delta_b, recurrence)
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
    if persistent and recurrence in ("auto", "persistent"):
        shape, directions = persistent
        _launch_persistent(kernels(shape, backward, vectorized)[1], shape, directions, flat, T, B, H)
        return
    launches = _frame_launches(kernels(FRAME, backward, vectorized)[0], flat, T, B, H)
    if recurrence == "launches":
        launches()
    else:
        _launch_graph((backward, vectorized, T, B, H, *(address(a) for a in flat)), launches)


def _frame_launches(kernel, flat, T, B, H):
    """A function that launches the kernel for each frame, in both directions at once."""
    blocks = (-(-H // FRAME.units), 2)

    def launches():
        for step in range(T):
            launch(kernel, blocks, FRAME.threads, *flat, step, T, B, H, shared=FRAME.shared_bytes(H, False))

    return launches


def _launch_graph(key, launches):
    """Run the launches as one graph, which is valid for these arrays, T and B only.

    Recording a graph costs the host as much as the launches do, and in training nearly every batch has
    another T. So a graph is recorded only when its arguments are seen for the second time.
    """
    seen, graph = key in _graphs, _graphs.pop(key, None)
    if graph:
        graph.launch()
    elif seen:
        graph = capture(launches)  # which runs them, too
    else:
        launches()
    _graphs[key] = graph
    if len(_graphs) > MAX_GRAPHS:
        del _graphs[next(iter(_graphs))]


def _launch_persistent(kernel, shape, directions, flat, T, B, H):
    """One launch for all frames of both directions, or one for each direction."""
    blocks, shared = (-(-H // shape.units), directions), shape.shared_bytes(H, True)
    for first_direction in range(0, 2, directions):
        launch(kernel, blocks, shape.threads, *flat, first_direction, T, B, H, shared=shared)


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
def transpose(W, out):
    """out = Wᵀ, one block per tile, through shared memory: global memory is read and written along rows."""
    tile = cuda.shared.array((_TILE, _TILE_PITCH), float32)
    row, column = cuda.blockIdx.y * _TILE, cuda.blockIdx.x * _TILE
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    for i in range(y, _TILE, _TILE_ROWS):
        if row + i < W.shape[0] and column + x < W.shape[1]:
            tile[i, x] = W[row + i, column + x]
    cuda.syncthreads()
    for i in range(y, _TILE, _TILE_ROWS):
        if column + i < W.shape[1] and row + x < W.shape[0]:
            out[column + i, row + x] = tile[x, i]


def _kernels():
    vector, matrix = float32[::1], float32[:, ::1]
    yield "add", Registered(add, (vector, vector, vector), 24)
    yield "transpose", Registered(transpose, (matrix, matrix), 40)
    signature = (vector, vector, vector, int32[::1], *(vector,) * 4, *(int64,) * 4)
    for backward in (False, True):
        for vectorized in (True, False):
            name = f"{'vectorized' if vectorized else 'scalar'} {'backward' if backward else 'forward'}"
            yield f"one_frame {name}", Registered(kernels(FRAME, backward, vectorized)[0], signature, 224)
            for shape in ALL_FRAMES:  # more shared memory than Turing has
                kernel = kernels(shape, backward, vectorized)[1]
                yield (
                    f"all_frames {shape.units} {name}",
                    Registered(kernel, signature, 255, min_architecture=80),
                )


KERNELS = dict(_kernels())

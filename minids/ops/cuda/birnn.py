"""The recurrence in both directions: plain, clipped, fed by the same z, summed (§2). Three ways to run it.

    launches      a launch for each frame, asked for by the host: at H = 2048 the GPU waits for the host
    graph         the same launches, recorded as a CUDA graph and started together: no host between
    persistent    one launch for all frames; the weights stay in registers and shared memory, a barrier of the
                  whole grid stands between the frames

The kernels are in recurrence.py, and do the same sums in each. The fastest way that fits is chosen: all of a
persistent grid must be on the GPU at once, a block to a multiprocessor, with all of its weights.
"""

from functools import cache

import numpy as np
from numba import cuda, float32, int32, int64

from minids._utils.errors import InputError
from minids.ops import driver
from minids.ops.cuda import arrays, matmul
from minids.ops.cuda.birnn_kernels import Shape, kernels
from minids.ops.cuda.launch import capture, launch
from minids.ops.cuda.limits import limits
from minids.ops.cuda.registry import Registered
from minids.ops.cuda.vector_io import address, aligned

_THREADS = 256
_TILE = 8 if driver.simulated() else 32  # of a matrix that is transposed
_BELOW = _TILE // 4
_PITCH = _TILE + 1  # so that a column of a tile lies in as many banks as a row
_GRAPHS = 32  # kept at most

# One launch a frame: little shared memory, so that any GPU has it.
FRAME = Shape(units=16, utterances=32, threads=128, depth=64, down=4, across=4)
# All frames: few units to a block if there are blocks enough, so that each multiprocessor has its share.
# Chunks are as deep as registers allow, of which 32 a thread hold the first chunk's weights.
ALL_FRAMES: tuple[Shape, ...] = (
    Shape(8, 32, 256, 256, 4, 2),
    Shape(16, 32, 256, 128, 4, 2),
    Shape(32, 32, 256, 64, 4, 4),
)
if driver.simulated():
    FRAME, ALL_FRAMES = Shape(8, 4, 8, 16, 2, 2), (Shape(8, 4, 8, 16, 2, 2),)

_way: str | None = None
_graphs: dict = {}  # None: seen once


def use(way: str | None) -> None:
    """The way from now on: "launches", "graph", "persistent", or None, the fastest that fits."""
    global _way
    if way not in (None, "launches", "graph", "persistent"):
        raise InputError(f"no way of the recurrence is {way!r}: choose one of launches, graph, persistent")
    _way = way


def birnn_forward(z, Wr_f, Wr_b, lengths, h=None, hf=None, hb=None, room=None):
    """hf_t = g(z_t + Wr_f hf_{t-1}),  hb_t = g(z_t + Wr_b hb_{t+1}),  h = hf + hb, as the reference."""
    hf, hb, h = (arrays.empty(z.shape, np.float32) if a is None else a for a in (hf, hb, h))
    _through_time(False, z, Wr_f, Wr_b, lengths, hf, hb, hf, hb)
    _add(hf, hb, h)
    return h, hf, hb


def birnn_backward(
    dh, hf, hb, Wr_f, Wr_b, lengths, delta_f=None, delta_b=None, dz=None, dWr_f=None, dWr_b=None, room=None
):
    """δf, δb back through time, then dWr_f, dWr_b each as one product over all frames, dz = δf + δb.

    A block needs columns of Wr, which lie far apart: `room` takes a transposed copy.
    """
    T, B, H = dh.shape
    delta_f, delta_b, dz = (
        arrays.empty(dh.shape, np.float32) if a is None else a for a in (delta_f, delta_b, dz)
    )
    dWr_f, dWr_b = (arrays.empty((H, H), np.float32) if a is None else a for a in (dWr_f, dWr_b))
    room = arrays.empty((2, H, H), np.float32) if room is None else room
    transposed = room.reshape(-1)[: 2 * H * H].reshape(2, H, H)
    for Wr, copy in ((Wr_f, transposed[0]), (Wr_b, transposed[1])):
        launch(transpose, (-(-H // _TILE), -(-H // _TILE)), (_TILE, _BELOW), Wr, copy)
    _through_time(True, dh, transposed[0], transposed[1], lengths, hf, hb, delta_f, delta_b)
    later = int(T > 1)  # δf_t meets hf_{t-1}: frames 2 … T and 1 … T-1
    matmul.weight_gradient(delta_f[later:], hf[: T - later], dWr_f, max(0, T - 1) * B)
    matmul.weight_gradient(delta_b[: T - later], hb[later:], dWr_b, max(0, T - 1) * B)
    _add(delta_f, delta_b, dz)
    return dz, dWr_f, dWr_b


def _through_time(backward, given, W_f, W_b, lengths, h_f, h_b, out_f, out_b):
    T, B, H = given.shape
    wide = aligned(given, W_f, W_b, h_f, h_b, out_f, out_b)
    flat = [a.reshape(-1) for a in (given, W_f, W_b, lengths, h_f, h_b, out_f, out_b)]
    if not T * B:
        return
    fits = _resident(H)
    if _way == "persistent" and not fits:
        raise InputError(
            f"the weights of {H} units do not fit on this GPU at once: use('graph') or use(None)"
        )
    if fits and _way in (None, "persistent"):
        shape, directions = fits
        _persistent(kernels(shape, backward, wide)[1], shape, directions, flat, T, B, H)
        return
    launches = _launches(kernels(FRAME, backward, wide)[0], flat, T, B, H)
    if _way == "launches":
        launches()
    else:
        _graph((backward, wide, T, B, H, *(address(a) for a in flat)), launches)


def _launches(kernel, flat, T, B, H):
    """A launch for each frame; both directions in each."""
    blocks = (-(-H // FRAME.units), 2)

    def launches():
        for step in range(T):
            launch(kernel, blocks, FRAME.threads, *flat, step, T, B, H, shared=FRAME.shared(H, False))

    return launches


def _graph(key, launches):
    """The launches as one graph, which belongs to its arrays and its T, B.

    To record costs the host as much as the launches. In training nearly every batch has its own T: only what
    comes a second time is recorded.
    """
    seen, graph = key in _graphs, _graphs.pop(key, None)
    if graph:
        graph.launch()
    elif seen:
        graph = capture(launches)  # which runs them, too
    else:
        launches()
    _graphs[key] = graph  # as the last; the first one is the longest unused
    if len(_graphs) > _GRAPHS:
        del _graphs[next(iter(_graphs))]


def _persistent(kernel, shape, directions, flat, T, B, H):
    """A launch for all frames of both directions, or of one after the other."""
    blocks = (-(-H // shape.units), directions)
    for first in range(0, 2, directions):
        launch(kernel, blocks, shape.threads, *flat, first, T, B, H, shared=shape.shared(H, True))


@cache
def _resident(H):
    """The shape of a persistent block, and how many directions at a time; None if the grid does not fit."""
    gpu = limits()
    for directions in (2, 1):
        for shape in ALL_FRAMES:
            blocks = -(-H // shape.units) * directions
            if gpu.cooperative and blocks <= gpu.multiprocessors and shape.shared(H, True) <= gpu.shared:
                return shape, directions
    return None


def _add(a, b, out):
    launch(add, -(-a.size // _THREADS), _THREADS, a.reshape(-1), b.reshape(-1), out.reshape(-1))


@cuda.jit(cache=True)
def add(a, b, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = a[i] + b[i]


@cuda.jit(cache=True)
def transpose(W, out):
    """out = Wᵀ, a block to a tile, through shared memory: read along rows, written along rows."""
    tile = cuda.shared.array((_TILE, _PITCH), float32)
    row, column = cuda.blockIdx.y * _TILE, cuda.blockIdx.x * _TILE
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    for i in range(y, _TILE, _BELOW):
        if row + i < W.shape[0] and column + x < W.shape[1]:
            tile[i, x] = W[row + i, column + x]
    cuda.syncthreads()
    for i in range(y, _TILE, _BELOW):
        if column + i < W.shape[1] and row + x < W.shape[0]:
            out[column + i, row + x] = tile[x, i]


def _registered():
    flat, square = float32[::1], float32[:, ::1]
    yield "add", Registered(add, (flat, flat, flat), 24)
    yield "transpose", Registered(transpose, (square, square), 40)
    arguments = (flat, flat, flat, int32[::1], *(flat,) * 4, *(int64,) * 4)
    for backward, which in ((False, "forward"), (True, "backward")):
        for wide in (True, False):
            name = f"{'wide' if wide else 'narrow'} {which}"
            yield f"frame {name}", Registered(kernels(FRAME, backward, wide)[0], arguments, 224)
        for shape in ALL_FRAMES:  # more shared memory than Turing has
            for wide in (True, False):
                kernel = kernels(shape, backward, wide)[1]
                name = f"all_frames {shape.units} {'wide' if wide else 'narrow'} {which}"
                yield name, Registered(kernel, arguments, 255, least=80)


KERNELS = dict(_registered())

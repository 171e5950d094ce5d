"""The three products of a layer with weights W (H, D), over all T B rows of a batch at once.

    y  = g(x Wᵀ + b) ⊙ m / (1-p)    layer            x (rows, D), W (H, D), b (H,) -> y (rows, H)
    dx = dz W                       input_gradient   dz (rows, H), W (H, D)        -> dx (rows, D)
    dW = dzᵀ x                      weight_gradient  dz (rows, H), x (rows, D)     -> dW (H, D)

All of them use the tiled product in gemm_tile.py and differ in the axis of each operand that is summed over.
The layer applies bias, clip and dropout to its tile while it is still in registers (the epilogue), which
saves a pass through memory. Kernels take flat arrays and the sizes M, N and K. The rows of x may overlap, as
those of frames with their context do: see Rows.

`gemm` is the implementation: "fp32"; "tf32", tensor cores, which round the factors to 10 bits of mantissa; or
"3xtf32", three such products, whose sum is almost as exact as "fp32".
"""

from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numba import float32, int64, uint32

from minids._utils.errors import InputError
from minids.ops import common, driver
from minids.ops.cuda import arrays
from minids.ops.cuda.device import cuda, per_device
from minids.ops.cuda.gemm_tile import DEPTH, Access, TileShape, tile
from minids.ops.cuda.launch import launch
from minids.ops.cuda.limits import limits
from minids.ops.cuda.registry import Registered
from minids.ops.cuda.vector_io import aligned

_ZERO, _CLIP, _INF = np.float32(0), np.float32(common.CLIP), np.float32(np.inf)
_hash32 = cuda.jit(device=True)(common.hash32)

# The tile that is fastest where it fills the GPU, and a smaller one for other products.
TILES = {
    "fp32": (TileShape(128, 128), TileShape(64, 64)),
    "tf32": (TileShape(128, 128, 64, 32), TileShape(64, 64, 32, 32)),
    "3xtf32": (TileShape(128, 128, 64, 32, split=True), TileShape(64, 64, 32, 32, split=True)),
}
_AMPERE = 8, 0  # the compute capability of the first GPUs with TF32 and with asynchronous copies
_MIN_SPLIT = 512  # the shortest part of k that is worth a block
if driver.simulated():  # tiles for two warps
    _MIN_SPLIT = 16
    TILES = {
        "fp32": (TileShape(64, 64),) * 2,
        "tf32": (TileShape(64, 32, 32, 32),) * 2,
        "3xtf32": (TileShape(64, 32, 32, 32, split=True),) * 2,
    }


class Rows(NamedTuple):
    """A matrix whose row r lies at any place in an array: array.reshape(-1)[starts[r] : starts[r] + width].

    `starts` is a device array of int64; starts and `width` are multiples of the array's last dimension.
    """

    array: Any
    starts: Any
    width: int


def check_gemm(gemm: str) -> None:
    """Raises InputError for an unknown implementation, and for one that this machine does not support."""
    if gemm not in TILES:
        raise InputError(f"gemm = {gemm!r} must be one of {', '.join(TILES)}")
    if gemm != "fp32" and not _is_ampere():
        raise InputError(f"gemm = {gemm} needs a GPU of compute capability 8.0 or newer; choose gemm = fp32")


def _is_ampere() -> bool:
    """Whether the GPU is an Ampere or newer."""
    return driver.simulated() or cuda.get_current_device().compute_capability >= _AMPERE


def layer(x, W, b, y, rows, clip, dropout, gemm):
    """y ← g(x Wᵀ + b), with clip and dropout as options. x: a matrix, or Rows."""
    H, D = W.shape
    if rows:
        low, high = (_ZERO, _CLIP) if clip else (-_INF, _INF)
        shape, _ = _tile_and_splits(rows, H, 0, gemm)
        x, starts, access = _storage(x, W)
        operands = x.reshape(-1), W.reshape(-1), y.reshape(-1), starts
        epilogue = b, low, high, *_dropout_arguments(dropout)
        kernel = layer_kernel(shape, access)
        launch(kernel, _grid(shape, rows, H), shape.threads, *operands, rows, H, D, *epilogue)


def input_gradient(dz, W, dx, rows, gemm):
    """dx ← dz W."""
    H, D = W.shape
    _product(dz, False, W, dx, rows, D, H, gemm)


def weight_gradient(dz, x, dW, rows, gemm):
    """dW ← dzᵀ x, a sum over all rows. x: as for `layer`."""
    H, D = dW.shape
    _product(dz, True, x, dW, H, D, rows, gemm)


def _product(A, a_transposed, B, C, M, N, K, gemm):
    """C (M, N) ← A B; `a_transposed`: A is stored as (K, M). B may be Rows."""
    if M and N:
        shape, splits = _tile_and_splits(M, N, K, gemm)
        depth = -(-K // (splits * DEPTH)) * DEPTH
        out = C.reshape(-1) if splits == 1 else split_buffer()[: splits * M * N]
        B, starts, access = _storage(B, A)
        kernel = product_kernel(shape, not a_transposed, access)
        blocks = (*_grid(shape, M, N), splits)
        launch(kernel, blocks, shape.threads, A.reshape(-1), B.reshape(-1), out, starts, M, N, K, depth)
        if splits > 1:
            sum_splits(out, C.reshape(-1), splits)


def _storage(x, other):
    """The array of operand x, the starts of its rows, and how a kernel reads it and the other operand."""
    array, starts = (x.array, x.starts) if isinstance(x, Rows) else (x, no_starts())
    return array, starts, Access(aligned(array, other), _is_ampere(), isinstance(x, Rows))


@per_device
def no_starts():
    return arrays.empty((0,), np.int64)


def sum_splits(partial, out, splits):
    """out ← Σ partial (splits, size of out), in a fixed order."""
    launch(add_splits, -(-out.size // 256), 256, partial, out, splits)


def _tile_and_splits(M, N, K, gemm):
    """The shape of the tiles, and the number of parts into which the sum over k is divided (split-K).

    dW of a narrow layer has few tiles and a sum over thousands of rows, and would leave most of the GPU idle.
    So several blocks share a tile, each with a part of the rows, and `add_splits` adds their results, always
    in the same order.
    """
    multiprocessors = limits().multiprocessors
    for shape in TILES[gemm]:
        x, y = _grid(shape, M, N)
        splits = max(1, min(2 * multiprocessors // (x * y), K // _MIN_SPLIT))
        if x * y * splits >= multiprocessors:
            break
    return shape, splits


@per_device
def split_buffer():
    """Scratch memory for partial sums: two tiles per multiprocessor, the most that products need."""
    largest = max(shape.rows * shape.columns for shapes in TILES.values() for shape in shapes)
    return arrays.empty((2 * limits().multiprocessors * largest,), np.float32)


def _dropout_arguments(dropout):
    """keys, threshold, scale; without dropout the threshold 0 keeps every unit."""
    if dropout is None:
        return _no_keys(), np.uint32(0), np.float32(1)
    return dropout.keys, dropout.threshold, np.float32(dropout.scale)


@per_device
def _no_keys():
    return arrays.from_host(np.zeros(0, np.uint32))


def _grid(shape, M, N):
    return -(-N // shape.columns), -(-M // shape.rows)


@cache
def layer_kernel(shape: TileShape, access: Access):
    """y = x Wᵀ and its epilogue; one block per tile of y."""
    multiply, row_of, column_of, PART = tile(shape, True, True, access)
    ROWS, COLUMNS = PART

    @cuda.jit(launch_bounds=shape.launch_bounds)
    def layer_tile(x, W, y, starts, M, N, K, b, low, high, keys, threshold, scale):
        part = cuda.local.array(PART, float32)
        bias = cuda.local.array(COLUMNS, float32)
        first = cuda.local.array(ROWS, uint32)
        multiply(x, W, starts, M, N, K, 0, K, part)
        for j in range(COLUMNS):
            bias[j] = b[column_of(j)] if column_of(j) < N else _ZERO
        for i in range(ROWS):
            first[i] = _first_hash_input(row_of(i), N, keys)
        for i in range(ROWS):  # short enough to be unrolled: `part` lies in registers, which have no index
            row = row_of(i)
            for j in range(COLUMNS):
                column = column_of(j)
                if row < M and column < N:
                    z = part[i, j] + bias[j]
                    y[row * N + column] = _clip_and_drop(z, first[i], column, low, high, threshold, scale)

    return layer_tile


@cache
def product_kernel(shape: TileShape, a_k_last: bool, access: Access):
    """C (splits, M, N) = A B, with k the first axis of B; one block per tile and `depth` steps of k."""
    multiply, row_of, column_of, PART = tile(shape, a_k_last, False, access)
    ROWS, COLUMNS = PART

    @cuda.jit(launch_bounds=shape.launch_bounds)
    def product_tile(A, B, C, starts, M, N, K, depth):
        part = cuda.local.array(PART, float32)
        first = cuda.blockIdx.z * depth
        multiply(A, B, starts, M, N, K, first, min(first + depth, K), part)
        for i in range(ROWS):
            row = row_of(i)
            for j in range(COLUMNS):
                column = column_of(j)
                if row < M and column < N:
                    C[(cuda.blockIdx.z * M + row) * N + column] = part[i, j]

    return product_tile


@cuda.jit(device=True)
def _first_hash_input(row, H, keys):
    """The hash input of unit 0 in a row: row t B + b of a batch is frame t of utterance b."""
    if len(keys) == 0:
        return uint32(0)
    return uint32(keys[row % len(keys)] + uint32(row // len(keys) * H))


@cuda.jit(device=True)
def _clip_and_drop(z, first, unit, low, high, threshold, scale):
    """z clipped and dropped out. Comparisons, because min and max would replace NaN by a number."""
    y = low if z < low else z
    y = high if y > high else y
    return y * (scale if _hash32(uint32(first + uint32(unit))) >= threshold else _ZERO)


@cuda.jit
def add_splits(partial, C, splits):
    """C = Σ partial (splits, M N); one thread per element."""
    i = cuda.grid(1)
    if i < C.size:
        total = _ZERO
        for p in range(splits):
            total += partial[p * C.size + i]
        C[i] = total


def _kernels():
    """Every tile with every kind of access. input_gradient does not read x, which may be gathered."""
    matrices, sizes = (*(float32[::1],) * 3, int64[::1]), (int64,) * 3
    ending, dropout = (float32[::1], float32, float32), (uint32[::1], uint32, float32)
    layer_types, product_types = (*matrices, *sizes, *ending, *dropout), (*matrices, *sizes, int64)
    for gemm, flags in product(TILES, product((True, False), repeat=3)):
        access = Access(*flags)
        if not access.asynchronous and gemm != "fp32":
            continue  # GPUs that have TF32 have asynchronous copies
        for shape in TILES[gemm]:
            name = f"{gemm} {shape.rows} {'vectorized' if access.vectorized else 'scalar'}"
            name += " gathered" * access.gathered + " synchronous" * (not access.asynchronous)
            threads, blocks = shape.launch_bounds
            registers = min(65_536 // (threads * blocks), 255)  # so that as many blocks fit
            limits = registers, *((80, 120) if access.asynchronous else (70, 75))
            yield f"{name} layer", Registered(layer_kernel(shape, access), layer_types, *limits)
            kernel = product_kernel(shape, False, access)
            yield f"{name} weight_gradient", Registered(kernel, product_types, *limits)
            if not access.gathered:
                kernel = product_kernel(shape, True, access)
                yield f"{name} input_gradient", Registered(kernel, product_types, *limits)
    yield "add_splits", Registered(add_splits, (float32[::1], float32[::1], int64), 40)


KERNELS = dict(_kernels())

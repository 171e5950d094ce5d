"""The three products of a layer of weights W (H, D), over all rows (T B) of a batch at once.

    y  = g(x Wᵀ + b) ⊙ m / (1-p)    layer            x (rows, D), W (H, D), b (H,) -> y (rows, H)
    dx = dz W                       input_gradient   dz (rows, H), W (H, D)        -> dx (rows, D)
    dW = dzᵀ x                      weight_gradient  dz (rows, H), x (rows, D)     -> dW (H, D)

The same tile product (tiles.py) is in all of them; they differ in which axis of an operand is summed, and the
layer finishes its tile while it is still in registers: bias, clip and dropout cost no further pass through
memory. Arrays come flat: a kernel that is told M, N and K needs no shapes.

`use` chooses who multiplies: "fp32", the default; "tf32", the tensor cores, numbers rounded to 10 bits of
mantissa; "cublas", NVIDIA's library, which is here to be compared with.
"""

from functools import cache

import numpy as np
from numba import cuda, float32, int64, uint32

from minids._utils.errors import InputError
from minids.ops import common, driver
from minids.ops.cuda import arrays, cublas
from minids.ops.cuda.gemm_tile import Shape, tile
from minids.ops.cuda.launch import launch
from minids.ops.cuda.limits import limits
from minids.ops.cuda.registry import Registered
from minids.ops.cuda.vector_io import aligned

_ZERO, _CLIP, _INF = np.float32(0), np.float32(common.CLIP), np.float32(np.inf)
_mix = cuda.jit(device=True)(common.mix)

# The tile that is fastest where it fills the GPU, and a smaller one for where it does not.
TILES = {
    "fp32": (Shape(128, 128, 8), Shape(64, 64, 8)),
    "tf32": (Shape(128, 128, 16, 64, 32), Shape(64, 64, 16, 32, 32)),
}
_TF32 = 8, 0  # Ampere: the first tensor cores that take it
_LEAST_PART = 512  # of k, that is worth a block of its own
if driver.simulated():  # four threads, or two warps
    _LEAST_PART = 16
    TILES = {"fp32": (Shape(16, 16, 8),) * 2, "tf32": (Shape(32, 16, 16, 16, 16),) * 2}

_gemm = "fp32"


def use(gemm: str) -> None:
    """Who multiplies from now on: "fp32", "tf32" or "cublas". Raises InputError where it cannot be had."""
    global _gemm
    if gemm not in (*TILES, "cublas"):
        raise InputError(f"gemm = {gemm!r}: choose one of fp32, tf32, cublas")
    if gemm == "cublas":
        cublas.load()
    if gemm == "tf32" and not driver.simulated() and driver.capability() < _TF32:
        raise InputError("gemm = tf32 needs a GPU of compute capability 8.0 or newer; take gemm = fp32")
    _gemm = gemm


def layer(x, W, b, y, rows, clip, dropout):
    """y ← g(x Wᵀ + b), clipped and dropped where asked for."""
    H, D = W.shape
    low, high = (_ZERO, _CLIP) if clip else (-_INF, _INF)
    sizes, ending = (rows, H, D), (b, low, high, *_parts(dropout))
    if _gemm == "cublas":
        cublas.product(x, False, W, True, y, *sizes)
        launch(finish, -(-rows * H // 256), 256, y.reshape(-1), rows, H, *ending)
    elif rows:
        shape, _ = _plan(rows, H, 0)
        kernel = layer_kernel(shape, aligned(x, W))
        launch(kernel, _grid(shape, rows, H), shape.threads, *_flat(x, W, y), *sizes, *ending)


def input_gradient(dz, W, dx, rows):
    """dx ← dz W."""
    H, D = W.shape
    _product(dz, False, W, dx, rows, D, H)


def weight_gradient(dz, x, dW, rows):
    """dW ← dzᵀ x, a sum over all rows."""
    H, D = dW.shape
    _product(dz, True, x, dW, H, D, rows)


def _product(A, a_first, B, C, M, N, K):
    """C ← A B; `a_first`: whether k is the first axis of A, as it is of B."""
    if _gemm == "cublas":
        cublas.product(A, a_first, B, False, C, M, N, K)
    elif M and N:
        shape, parts = _plan(M, N, K)
        depth = -(-K // (parts * shape.depth)) * shape.depth
        target = C.reshape(-1) if parts == 1 else room()[: parts * M * N]
        kernel, blocks = product_kernel(shape, not a_first, aligned(A, B)), (*_grid(shape, M, N), parts)
        launch(kernel, blocks, shape.threads, A.reshape(-1), B.reshape(-1), target, M, N, K, depth)
        if parts > 1:
            add_up(target, C.reshape(-1), parts)


def add_up(parts, out, count):
    """out ← Σ parts (count, size of out), in their order."""
    launch(add_parts, -(-out.size // 256), 256, parts, out, count)


def _plan(M, N, K):
    """The tile, and how many parts the sum over k is cut into.

    dW of a narrow layer is a few tiles and a sum over thousands of rows: most of the GPU would look on. Then
    each tile is given to several blocks, each with its part of the rows, and `add_parts` adds what they find,
    always in the same order.
    """
    most = limits().multiprocessors
    for shape in TILES[_gemm]:
        across, down = _grid(shape, M, N)
        parts = max(1, min(2 * most // (across * down), K // _LEAST_PART))
        if across * down * parts >= most:
            break
    return shape, parts


@cache
def room():
    """For the parts of one sum: two tiles for each multiprocessor, which is the most that products need."""
    largest = max(shape.rows * shape.columns for shapes in TILES.values() for shape in shapes)
    return arrays.empty((2 * limits().multiprocessors * largest,), np.float32)


def _parts(dropout):
    """keys, threshold, scale; without dropout every unit is kept."""
    if dropout is None:
        return _no_keys(), np.uint32(0), np.float32(1)
    return dropout.keys, dropout.threshold, np.float32(dropout.scale)


@cache
def _no_keys():
    return arrays.from_host(np.zeros(0, np.uint32))


def _grid(shape, M, N):
    return -(-N // shape.columns), -(-M // shape.rows)


def _flat(*arrays):
    return [a.reshape(-1) for a in arrays]


@cache
def layer_kernel(shape: Shape, wide: bool):
    """y = x Wᵀ and what follows: a block owns a tile of y, as tiles.py has it."""
    _, multiply, row_of, column_of, PART = tile(shape, True, True, wide)
    ROWS, COLUMNS = PART

    @cuda.jit(launch_bounds=shape.bounds, cache=True)
    def layer_tile(x, W, y, M, N, K, b, low, high, keys, threshold, scale):
        part = cuda.local.array(PART, float32)
        bias = cuda.local.array(COLUMNS, float32)
        first = cuda.local.array(ROWS, uint32)
        multiply(x, W, M, N, K, 0, K, part)
        for j in range(COLUMNS):
            bias[j] = b[column_of(j)] if column_of(j) < N else _ZERO
        for i in range(ROWS):
            first[i] = _first_unit(row_of(i), N, keys)
        for i in range(ROWS):  # a body short enough to be unrolled: `part` is registers, which have no index
            row = row_of(i)
            for j in range(COLUMNS):
                column = column_of(j)
                if row < M and column < N:
                    z = part[i, j] + bias[j]
                    y[row * N + column] = _finished(z, first[i], column, low, high, threshold, scale)

    return layer_tile


@cache
def product_kernel(shape: Shape, a_k_last: bool, wide: bool):
    """C = A B with k first in B, a block to a tile and `depth` of k; C (parts, M, N)."""
    _, multiply, row_of, column_of, PART = tile(shape, a_k_last, False, wide)
    ROWS, COLUMNS = PART

    @cuda.jit(launch_bounds=shape.bounds, cache=True)
    def product_tile(A, B, C, M, N, K, depth):
        part = cuda.local.array(PART, float32)
        first = cuda.blockIdx.z * depth
        multiply(A, B, M, N, K, first, min(first + depth, K), part)
        for i in range(ROWS):
            row = row_of(i)
            for j in range(COLUMNS):
                column = column_of(j)
                if row < M and column < N:
                    C[(cuda.blockIdx.z * M + row) * N + column] = part[i, j]

    return product_tile


@cuda.jit(device=True)
def _first_unit(row, H, keys):
    """The number that the hash begins a row with: row t B + b of a batch is frame t of utterance b."""
    if len(keys) == 0:
        return uint32(0)
    return uint32(keys[row % len(keys)] + uint32(row // len(keys) * H))


@cuda.jit(device=True)
def _finished(z, first, unit, low, high, threshold, scale):
    """z clipped, dropped; by comparisons, not min and max, which would turn NaN into a number."""
    y = low if z < low else z
    y = high if y > high else y
    return y * (scale if _mix(uint32(first + uint32(unit))) >= threshold else _ZERO)


@cuda.jit(cache=True)
def add_parts(parts, C, count):
    """C = Σ parts (count, M N); a thread to an entry."""
    i = cuda.grid(1)
    if i < C.size:
        total = _ZERO
        for p in range(count):
            total += parts[p * C.size + i]
        C[i] = total


@cuda.jit(cache=True)
def finish(y, rows, H, b, low, high, keys, threshold, scale):
    """What a product of cuBLAS's still needs; a thread to a unit."""
    i = cuda.grid(1)
    if i < rows * H:
        first = _first_unit(i // H, H, keys)
        y[i] = _finished(y[i] + b[i % H], first, i % H, low, high, threshold, scale)


def _registered():
    """Every tile, where rows are read in fours and where they are not."""
    matrices, sizes, ending = (float32[::1],) * 3, (int64,) * 3, (float32[::1], float32, float32)
    drop = (uint32[::1], uint32, float32)
    for gemm, budgets, least in (("fp32", (128, 168), 75), ("tf32", (224, 168), 80)):
        for shape, budget in zip(TILES[gemm], budgets, strict=True):
            for wide in (True, False):
                name = f"{gemm} {shape.rows} {'wide' if wide else 'narrow'}"
                kernel = layer_kernel(shape, wide)
                yield f"{name} layer", Registered(kernel, matrices + sizes + ending + drop, budget, least)
                for a_k_last, which in ((True, "input_gradient"), (False, "weight_gradient")):
                    kernel = product_kernel(shape, a_k_last, wide)
                    yield f"{name} {which}", Registered(kernel, (*matrices, *sizes, int64), budget, least)
    yield "add_parts", Registered(add_parts, (float32[::1], float32[::1], int64), 32)
    yield "finish", Registered(finish, (float32[::1], int64, int64, *ending, *drop), 40)


KERNELS = dict(_registered())

"""Products x W with a matrix that is packed once, for all steps of a recurrence and all rows of a layer.

BLAS copies the matrix into an order of its own in each call, which for the 8 or 16 rows of a recurrence's
step takes as long as the product itself. Here `pack` does it once: it cuts the matrix into panels of _PANEL
columns, each of them contiguous memory. The innermost loop keeps _ROWS x _PANEL sums in registers; in each
step it loads one row of the panel and one number of each row of x:

                     W[k, panel]
                  ┌─────────────────
    x[0, k]       │  y[0, panel]
    x[1, k]       │  y[1, panel]            y[r, panel] += x[r, k] W[k, panel],   k = 0, 1, 2, …
    x[2, k]       │  y[2, panel]
    x[3, k]       │  y[3, panel]

A compiler would keep an array of sums in memory, so the loop is written with vectors of _PANEL numbers. The
order of the additions does not depend on how many rows there are: sums of _DEPTH products, then the sum of
these.
"""

import numpy as np
from numba import prange
from numba.core.registry import cpu_target

from minids._utils.vectors import operations
from minids.ops.cpu.blas import njit

# Sums for half of the registers: AVX-512 has 32 of 16 numbers, AVX2 16 of 8, Arm's NEON 32 of 4. What counts
# is Numba's target, which may be older than this machine; compiled code is stored by target.
_TARGET = cpu_target.target_context.codegen().magic_tuple()
_ROWS, _PANEL = 4, 64 if "+avx512f" in _TARGET[-1] else 16
_DEPTH = 256  # products of one sum: in float32, long sums of positive numbers lose digits
_BLOCK = 16  # rows of a panel that are filled together from a transposed matrix: they stay in the cache
_splat, _load, _store = operations(_PANEL)


def packed_shape(rows: int, columns: int) -> tuple[int, int, int]:
    """(panels, rows, columns of a panel) of a packed matrix."""
    return -(-columns // _PANEL), rows, _PANEL


@njit(parallel=True, nogil=True)
def pack(W, transposed, packed):
    """`packed` ← W or its transpose, filled up with zeros to whole panels."""
    for p in prange(len(packed)):
        panel, first = packed[p], p * _PANEL
        columns = min(_PANEL, (W.shape[0] if transposed else W.shape[1]) - first)
        panel[:, columns:] = 0
        if transposed:
            for k in range(0, len(panel), _BLOCK):
                for j in range(columns):
                    for i in range(k, min(k + _BLOCK, len(panel))):
                        panel[i, j] = W[first + j, i]
        else:
            panel[:, :columns] = W[:, first : first + columns]


@njit()
def multiply(x, packed, y):
    """y ← x W.  x (B, rows of W), y (B, columns of W)"""
    full, last = np.divmod(y.shape[1], _PANEL)
    for p in range(full):
        _multiply_panel(x, packed[p], y, p * _PANEL)
    if last:
        tile = np.empty((_ROWS, _PANEL), np.float32)
        for b in range(0, len(x), _ROWS):
            rows = x[b : b + _ROWS]
            _multiply_panel(rows, packed[full], tile, 0)
            y[b : b + _ROWS, full * _PANEL :] = tile[: len(rows), :last]


@njit()
def _multiply_panel(x, panel, y, column):
    width, tiles = y.strides[0] // 4, len(x) - len(x) % _ROWS
    for b in range(0, tiles, _ROWS):
        _tile(x, b, panel, y, b * width + column, width)
    for b in range(tiles, len(x)):
        _row(x, b, panel, y, b * width + column)


@njit()
def _tile(x, b, panel, y, first, width):
    """_ROWS rows of a panel of y, which begins at number `first` of the array, from row b of x on."""
    y0 = y1 = y2 = y3 = _splat(np.float32(0))
    for start in range(0, len(panel), _DEPTH):
        sum0 = sum1 = sum2 = sum3 = _splat(np.float32(0))
        for k in range(start, min(start + _DEPTH, len(panel))):
            w = _load(panel, k * _PANEL)
            sum0 = sum0 + _splat(x[b, k]) * w
            sum1 = sum1 + _splat(x[b + 1, k]) * w
            sum2 = sum2 + _splat(x[b + 2, k]) * w
            sum3 = sum3 + _splat(x[b + 3, k]) * w
        y0, y1, y2, y3 = y0 + sum0, y1 + sum1, y2 + sum2, y3 + sum3
    _store(y, first, y0)
    _store(y, first + width, y1)
    _store(y, first + 2 * width, y2)
    _store(y, first + 3 * width, y3)


@njit()
def _row(x, b, panel, y, first):
    """The same of one row."""
    y0 = _splat(np.float32(0))
    for start in range(0, len(panel), _DEPTH):
        sum0 = _splat(np.float32(0))
        for k in range(start, min(start + _DEPTH, len(panel))):
            sum0 = sum0 + _splat(x[b, k]) * _load(panel, k * _PANEL)
        y0 = y0 + sum0
    _store(y, first, y0)

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

A compiler of loops would keep these sums in memory, so this one is written in LLVM's own language, in
vectors of _PANEL numbers; LLVM makes them of the machine's registers. The order of the additions does not
depend on how many rows there are.
"""

import numpy as np
from llvmlite import binding, ir
from numba import prange, types
from numba.extending import intrinsic

from minids.ops.cpu.blas import njit

# Sums for half of the machine's registers: AVX-512 has 32 of 16 numbers, AVX2 16 of 8, Arm's NEON 32 of 4.
_ROWS, _PANEL = 4, 64 if binding.get_host_cpu_features().get("avx512f") else 16
_BLOCK = 16  # rows of a panel that are filled together from a transposed matrix: they stay in the cache


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
        _multiply_panel(x, packed[p], y[:, p * _PANEL :])
    if last:
        tile = np.empty((_ROWS, _PANEL), np.float32)
        for b in range(0, len(x), _ROWS):
            rows = x[b : b + _ROWS]
            _multiply_panel(rows, packed[full], tile)
            y[b : b + _ROWS, full * _PANEL :] = tile[: len(rows), :last]


@njit()
def _multiply_panel(x, panel, y):
    depth, width = x.shape[1], y.strides[0] // 4
    tiles = len(x) - len(x) % _ROWS
    for b in range(0, tiles, _ROWS):
        _tile(x[b:].ctypes, depth, panel.ctypes, y[b:].ctypes, width)
    for b in range(tiles, len(x)):
        _row(x[b:].ctypes, depth, panel.ctypes, y[b:].ctypes, width)


def _kernel(rows):
    """The innermost loop for so many rows: y[r] ← Σ_k x[r, k] panel[k], where x has rows of `depth` numbers
    and y of `width`.
    """
    i64, vector = ir.IntType(64), ir.VectorType(ir.FloatType(), _PANEL)
    same = ir.Constant(ir.VectorType(ir.IntType(32), _PANEL), None)  # indices 0: all take the first

    def generate(context, builder, signature, arguments):
        x, depth, panel, y, width = arguments

        def at(matrix, row, row_size, column):
            return builder.gep(matrix, [builder.add(builder.mul(row, row_size), column)])

        def vector_at(*position):
            return builder.bitcast(at(*position), vector.as_pointer())

        before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
        builder.branch(loop)
        builder.position_at_end(loop)
        k, *sums = builder.phi(i64), *(builder.phi(vector) for _ in range(rows))
        w, next_sums = builder.load(vector_at(panel, k, i64(_PANEL), i64(0)), align=4), []
        for r in range(rows):
            number = builder.load(at(x, i64(r), depth, k))
            number = builder.insert_element(ir.Constant(vector, ir.Undefined), number, ir.IntType(32)(0))
            product = builder.fmul(builder.shuffle_vector(number, number, same), w, flags=("contract",))
            next_sums.append(builder.fadd(sums[r], product, flags=("contract",)))
        next_k = builder.add(k, i64(1))
        for phi, value in zip((k, *sums), (next_k, *next_sums), strict=True):
            phi.add_incoming(ir.Constant(phi.type, None), before)
            phi.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed("<", next_k, depth), loop, after)
        builder.position_at_end(after)
        for r in range(rows):
            builder.store(next_sums[r], vector_at(y, i64(r), width, i64(0)), align=4)
        return context.get_dummy_value()

    def typed(typing, x, depth, panel, y, width):
        pointer, integer = types.CPointer(types.float32), types.intp
        return types.void(pointer, integer, pointer, pointer, integer), generate

    return intrinsic(typed)


_tile, _row = _kernel(_ROWS), _kernel(1)

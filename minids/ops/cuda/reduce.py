"""Reductions over the 32 threads of a warp, without memory: each lane reads a register of another.

The lanes exchange values at distances 16, 8, 4, 2, 1, and then all of them have the result:

    lane                  0     1     2     3
    value                 a     b     c     d
    plus lane ^ 2        a+c   b+d   c+a   d+b
    plus lane ^ 1        the sum of all four, in each lane

All 32 threads of the warp must take part.
"""

from minids.ops.cuda.device import cuda

WARP_SIZE = 32
ALL_LANES = 0xFFFFFFFF  # one bit for each


@cuda.jit(device=True)
def warp_sum(value):
    """Σ over the lanes, the same in each of them; the order of the additions is fixed."""
    distance = WARP_SIZE // 2
    while distance > 0:
        value += cuda.shfl_xor_sync(ALL_LANES, value, distance)
        distance //= 2
    return value


@cuda.jit(device=True)
def warp_max(value):
    """The largest value of the lanes; NaN is ignored."""
    distance = WARP_SIZE // 2
    while distance > 0:
        value = max(value, cuda.shfl_xor_sync(ALL_LANES, value, distance))
        distance //= 2
    return value

"""What the 32 threads of a warp know together, without memory: each reads a number in another's register.

The exchange goes over 16, 8, 4, 2, 1 lanes, and after it every lane has the result:

    lane      0   1   2   3                   0   1   2   3
    value     a   b   c   d    over 2: lane ^ 2    a+c b+d c+a d+b    over 1: lane ^ 1    all a+b+c+d

All 32 threads of the warp must take part.
"""

from numba import cuda

WARP = 32
ALL = 0xFFFFFFFF  # the lanes that take part, one bit each


@cuda.jit(device=True)
def warp_sum(value):
    """Σ over the lanes, the same in each, added in the same order."""
    lanes = WARP // 2
    while lanes > 0:
        value += cuda.shfl_xor_sync(ALL, value, lanes)
        lanes //= 2
    return value


@cuda.jit(device=True)
def warp_max(value):
    """The largest over the lanes; NaN is passed over."""
    lanes = WARP // 2
    while lanes > 0:
        value = max(value, cuda.shfl_xor_sync(ALL, value, lanes))
        lanes //= 2
    return value

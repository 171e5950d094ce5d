"""Small launches are what these tests consist of: Numba need not warn about them, as in a backend."""

from minids.ops.cuda import _silence_small_launches

_silence_small_launches()

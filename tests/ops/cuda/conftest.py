"""Small launches are what these tests consist of: Numba need not warn about them, as in a backend."""

from minids.ops.cuda import _configure_numba

_configure_numba()

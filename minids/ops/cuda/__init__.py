"""The same operations on the GPU, in float32: Numba CUDA kernels."""

from minids.ops import driver

if driver.simulated():
    from minids.ops.cuda import simulator

    simulator.install()

from minids.ops.cuda import arrays

__all__ = ["arrays"]

"""`cuda` for kernels and launches: `numba.cuda`, or the simulator with MINIDS_SIM=1."""

from minids.ops import driver

if not driver.simulated():
    from numba import cuda
else:
    from minids.cuda_simulator import cuda  # type: ignore[assignment]

__all__ = ["cuda"]

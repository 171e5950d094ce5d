"""Stochastic gradient descent with Nesterov's accelerated gradient (§5)."""

import numpy as np
from numba import prange

from minids.ops.common import check_shapes
from minids.ops.cpu.pool import njit, on_all_cores


@on_all_cores
def nesterov(params, grads, velocity, rate, momentum, scale=1.0):
    """As the reference: v ← μ v - ε s g;   θ ← θ + μ v - ε s g, in one pass over memory."""
    check_shapes(grads=(grads, params.shape), velocity=(velocity, params.shape))
    _update(params, grads, velocity, np.float32(rate * scale), np.float32(momentum))


@njit(parallel=True, nogil=True)
def _update(params, grads, velocity, rate, momentum):
    for i in prange(len(params)):
        step = rate * grads[i]
        velocity[i] = momentum * velocity[i] - step
        params[i] += momentum * velocity[i] - step

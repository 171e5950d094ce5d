"""Stochastic gradient descent with Nesterov's accelerated gradient (§5)."""

import numpy as np
from numba import cuda, float32

from minids.ops.cuda.launch import launch
from minids.ops.cuda.registry import Registered

THREADS = 256  # of a block


def nesterov(params, grads, velocity, rate, momentum, scale=1.0):
    """As the reference: v ← μ v - ε s g;   θ ← θ + μ v - ε s g, in one pass over memory."""
    blocks = -(-params.size // THREADS)
    launch(update, blocks, THREADS, params, grads, velocity, np.float32(rate * scale), np.float32(momentum))


@cuda.jit(cache=True)
def update(params, grads, velocity, rate, momentum):
    """One thread an element."""
    i = cuda.grid(1)
    if i < params.size:
        step = rate * grads[i]
        v = momentum * velocity[i] - step
        velocity[i] = v
        params[i] += momentum * v - step


_flat = float32[::1]
KERNELS = {"update": Registered(update, (_flat, _flat, _flat, float32, float32), registers=32)}

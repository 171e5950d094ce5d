"""Stochastic gradient descent with Nesterov's accelerated gradient (§5)."""

import numpy as np
from numba import float32

from minids.ops.common import check_shapes
from minids.ops.cuda.device import cuda
from minids.ops.cuda.launch import launch
from minids.ops.cuda.registry import Registered

THREADS = 256  # per block


def nesterov(params, grads, velocity, rate, momentum, scale=1.0):
    """As in the reference: v ← μ v - ε s g;   θ ← θ + μ v - ε s g, in one pass over memory."""
    check_shapes(
        params=(params, (params.size,)), grads=(grads, params.shape), velocity=(velocity, params.shape)
    )
    blocks = -(-params.size // THREADS)
    launch(update, blocks, THREADS, params, grads, velocity, np.float32(rate * scale), np.float32(momentum))


@cuda.jit
def update(params, grads, velocity, rate, momentum):
    """One thread per parameter."""
    i = cuda.grid(1)
    if i < params.size:
        step = rate * grads[i]
        v = momentum * velocity[i] - step
        velocity[i] = v
        params[i] += momentum * v - step


_vector = float32[::1]
_signature = _vector, _vector, _vector, float32, float32
KERNELS = {"update": Registered(update, _signature, max_registers=32)}

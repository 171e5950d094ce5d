"""Instructions of a GPU that Numba has no function for, as the simulator executes them.

The compiled ones are inline assembly in minids.ops.cuda: vector_io.py and tensor_core.py.
"""

import numpy as np

from minids.cuda_simulator.api import cuda


def load4(a, i):
    """a[i], a[i+1], a[i+2], a[i+3] of a flat array; a[i] is at a multiple of 16 bytes."""
    return a.load4(i)


def store4(a, i, values):
    """a[i : i+4] = values, four of them; a[i] is at a multiple of 16 bytes."""
    a.store4(i, values)


def copy_async(shared, i, source, j, valid, count):
    """Start to copy source[j : j + count] to shared[i : i + count], or zeros if `valid` is not positive.

    `count` is a constant: 4, at multiples of 16 bytes, or 1.
    """
    shared.copy_async(i, source, j, valid, count)


def commit_copies():
    """Make a group of the copies that this thread has started since the last commit."""
    cuda.commit_copies()


def wait_copies(n):
    """Wait until at most n of this thread's groups, the last ones, are under way; n is a constant."""
    cuda.wait_copies(n)


def address(a) -> int:
    """The address of a device array's first element."""
    return a._array.ctypes.data


def tf32(x):
    """x rounded to 10 bits of mantissa, ties away from zero."""
    bits = np.float32(x).view(np.uint32)
    return np.uint32((int(bits) + 0x1000) & 0xFFFFE000).view(np.float32)


def multiply_add(a, b, c):
    """C + A B, computed by a whole warp: A (16, 8), B (8, 8), C (16, 8), distributed over the 32 lanes.

    With g = lane // 4 and t = lane % 4, a lane holds
        a = A[g, t], A[g+8, t], A[g, t+4], A[g+8, t+4]      b = B[t, g], B[t+4, g]
        c = C[g, 2t], C[g, 2t+1], C[g+8, 2t], C[g+8, 2t+1]
    and gets the same elements of C + A B, cut off to float32.
    """
    A, B = np.zeros((16, 8)), np.zeros((8, 8))
    for lane, (a_values, b_values) in cuda.exchange((a, b)).items():
        g, t = divmod(lane, 4)
        A[g, t], A[g + 8, t], A[g, t + 4], A[g + 8, t + 4] = a_values
        B[t, g], B[t + 4, g] = b_values
    g, t = divmod(cuda.laneid, 4)
    D = A @ B
    products = (D[g, 2 * t], D[g, 2 * t + 1], D[g + 8, 2 * t], D[g + 8, 2 * t + 1])
    return tuple(_toward_zero(x + y) for x, y in zip(c, products, strict=True))


def _toward_zero(exact):
    """As float32, cut off: tensor cores do not round to the nearest."""
    x = np.float32(exact)
    return np.nextafter(x, np.float32(0)) if abs(x) > abs(exact) else x


def load_matrices(shared, i):
    """Four matrices (8, 4) from shared memory, read by a whole warp: a lane gets [g, t] of each.

    The rows of a matrix are quads that may lie anywhere: lane 8 m + r passes the index of row r of matrix m.
    """
    g, t = divmod(cuda.laneid, 4)
    starts = cuda.exchange(i)
    for start in starts.values():
        shared.check_alignment(start)
    return tuple(shared[starts[8 * m + g] + t] for m in range(4))


# What the functions below mean is said in minids.ops.cuda.barrier.


def arrive(arrivals, i):
    """Nothing: blocks meet where they wait."""


def wait(arrivals, i, count):
    cuda.cg.this_grid().sync()


def narrow(x):
    return int(np.uint32(x))


def thread_index():
    return cuda.threadIdx.x


class global_from:
    def __init__(self, array, start):
        self._array, self._start = array, start

    def __getitem__(self, i):
        return self._array[self._start + int(i)]

    def load4(self, i):
        return self._array.load4(self._start + int(i))

"""What stands for minids.ops.cuda.barrier: its functions have the same names and meanings."""

import numpy as np

from minids.cuda_simulator.api import cuda


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

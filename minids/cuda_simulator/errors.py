"""What a kernel can do wrong."""


class KernelError(RuntimeError):
    """A kernel did something that a GPU would not have reported."""


class Race(KernelError):
    """Two threads accessed one element, one of them wrote to it, and no barrier orders the two accesses."""


class DivergentBarrier(KernelError):
    """Some of the threads that a barrier waits for never reach it."""


class Uninitialized(KernelError):
    """Shared memory was read before any thread had written to it."""


class Misaligned(KernelError):
    """A vectorized access at an address that is not a multiple of its size."""


class OutOfBounds(KernelError):
    """An index lies outside its array."""

"""The number of threads that a lesson computes with."""


def one_thread() -> None:
    """Compute in one thread from now on: faster for matrix products as small as those of the lessons."""
    import numba
    from threadpoolctl import threadpool_limits

    numba.set_num_threads(1)
    threadpool_limits(1)

"""The cache of compiled kernels: how it recognizes a kernel, and that a run does not depend on it."""

import pytest

pytest.importorskip("numba_cuda")

from numba import cuda
from numba.cuda import dispatcher

from minids._utils.compile_cache import warn_without_cache
from minids.ops.cuda import kernel_cache
from minids.ops.cuda.kernel_cache import KernelCache, enable_caching, identity


def make(size):
    @cuda.jit(device=True)
    def double(x):
        return size * x

    @cuda.jit
    def kernel(x):
        x[0] = double(x[0])

    kernel.py_func.__module__ = "minids.ops.cuda.test"
    return kernel


def test_a_kernel_of_a_factory_is_recognized_by_its_constants():
    assert identity(make(2).py_func) == identity(make(2).py_func)
    assert identity(make(2).py_func) != identity(make(3).py_func)


def test_without_a_cache_folder_kernels_are_compiled_without_a_cache(monkeypatch):
    def fail(function):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr(kernel_cache, "KernelCache", fail)
    warn_without_cache.cache_clear()
    kernel = make(2)
    with pytest.warns(UserWarning, match="set NUMBA_CACHE_DIR"):
        enable_caching(kernel)
    assert isinstance(kernel._cache, dispatcher.NullCache)


def test_kernels_of_users_are_not_cached():
    kernel = make(2)
    kernel.py_func.__module__ = "__main__"
    enable_caching(kernel)
    assert isinstance(kernel._cache, dispatcher.NullCache)


def test_a_damaged_cache_counts_as_empty(monkeypatch):
    def fail(*_):
        raise EOFError

    monkeypatch.setattr(dispatcher.CUDACache, "load_overload", fail)
    assert KernelCache.load_overload(object.__new__(KernelCache), (), None) is None


def test_a_full_disk_does_not_stop_a_run(monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(dispatcher.CUDACache, "save_overload", fail)
    KernelCache.save_overload(object.__new__(KernelCache), (), None)

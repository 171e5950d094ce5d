"""The pool of threads that runs the cpu operations, and the limits on BLAS."""

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_limits

from minids import ops
from minids.ops.cpu import pool
from tests import ROOT


def scipy_threads():
    """Threads of SciPy's BLAS, or of the one that it shares with NumPy."""
    libraries = ThreadpoolController().select(user_api="blas").info()
    threads = [lib["num_threads"] for lib in libraries if "numpy" not in lib["filepath"]]
    return threads or [lib["num_threads"] for lib in libraries]


def test_blas_has_one_thread_while_an_operation_runs_and_its_own_limit_after_it():
    ops.load("cpu").norm(np.ones(3, np.float32))
    observe = pool.on_all_cores(scipy_threads)
    with threadpool_limits(3, user_api="blas"):
        assert set(observe()) == {1}
        assert set(scipy_threads()) == {3}
    assert set(scipy_threads()) != {3}


def test_blas_has_one_thread_in_an_operation_of_any_thread():
    """Two threads of BLAS add in another order than one."""
    observe = pool.on_all_cores(scipy_threads)
    with ThreadPoolExecutor(2) as threads:
        assert set(observe()) == {1}
        assert [set(future.result()) for future in [threads.submit(observe) for _ in range(8)]] == [{1}] * 8
    rng = np.random.default_rng(0)
    x, W = rng.normal(size=(300, 1, 860)).astype(np.float32), rng.normal(size=(512, 860)).astype(np.float32)
    forward, b = ops.load("cpu").affine_forward, np.zeros(512, np.float32)
    with ThreadPoolExecutor(1) as threads:
        np.testing.assert_array_equal(threads.submit(forward, x, W, b).result(), forward(x, W, b))


def test_the_limit_is_restored_after_an_error():
    def fail():
        raise ZeroDivisionError

    before = scipy_threads()
    with pytest.raises(ZeroDivisionError):
        pool.on_all_cores(fail)()
    assert scipy_threads() == before


def test_a_threading_layer_that_is_not_installed_is_an_error_in_one_line():
    script = """
import sys, numpy as np
from numba.np.ufunc import parallel
from minids import ops
from minids._utils.errors import InputError
sys.modules["numba.np.ufunc.tbbpool"] = None
try:
    ops.load("cpu").norm(np.ones(3, np.float32))
except InputError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"NUMBA_THREADING_LAYER": "tbb", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("Numba starts no threads (No threading layer could be loaded.")
    assert done.stdout.endswith("unset NUMBA_THREADING_LAYER\n")
    assert done.stdout.count("\n") == 1


def test_the_first_operation_leaves_the_environment_as_it_was():
    script = """
import os
before = dict(os.environ)
import numpy as np
from minids import ops
ops.load("cpu").norm(np.ones(3, np.float32))
assert dict(os.environ) == before
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


NORM_IN_A_FORK = """
import os, sys, warnings
import numpy as np
from minids import ops

warnings.simplefilter("ignore")
norm, x = ops.load("cpu").norm, np.array([3, 4], np.float32)
if sys.argv[1] == "used":
    norm(x)
child = os.fork()
if not child:
    try:
        print(norm(x), flush=True)
    except RuntimeError as error:
        print(error, flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(norm(x))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize(
    ("layer", "used", "expected"),
    [
        ("omp", "used", "this process was forked after its parent had used minids"),
        ("omp", "unused", "5.0"),
        ("workqueue", "used", "5.0"),
        ("workqueue", "unused", "5.0"),
    ],
)
def test_a_forked_process_computes_or_says_why_not(layer, used, expected):
    done = subprocess.run(
        [sys.executable, "-c", NORM_IN_A_FORK, used],
        env=os.environ | {"NUMBA_THREADING_LAYER": layer},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    child, parent = done.stdout.splitlines()
    assert child.startswith(expected)
    assert parent == "5.0"


def test_a_spawned_process_computes():
    with multiprocessing.get_context("spawn").Pool(1) as processes:
        assert processes.apply(ops.load("cpu").norm, [np.array([3, 4], np.float32)]) == 5

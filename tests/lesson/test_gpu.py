"""lesson/gpu: kernels run on copies, in every order, and their reads are counted."""

import os
import subprocess
import sys

import numpy as np
import pytest

from minids.lesson import folder, running
from minids.ops import driver

pytest.importorskip("greenlet", reason="the simulator runs on greenlets: pip install greenlet")
if not driver.simulated():
    pytest.skip("there is a GPU; MINIDS_SIM=1 tests the simulator", allow_module_level=True)

from minids.lesson import gpu
from minids.lesson.gpu import KernelError, cuda, empty, float32, run


def reverse(x, y):
    tile = cuda.shared.array(4, float32)
    i = cuda.threadIdx.x
    tile[i] = x[i]
    cuda.syncthreads()
    y[i] = tile[3 - i]


def racing(x, y):
    y[0] = x[cuda.threadIdx.x]


@pytest.mark.parametrize("kernel", [reverse, cuda.jit(reverse)])
def test_a_kernel_runs_on_copies(kernel):
    x, y = np.arange(4.0), empty(4)
    x_after, y_after = run(kernel, 1, 4, x, y)
    np.testing.assert_array_equal(y_after, [3, 2, 1, 0])
    np.testing.assert_array_equal(x_after, x)
    assert np.isnan(y).all()
    assert y_after.dtype == np.float32


def test_a_kernel_runs_in_three_orders():
    seen = []

    def record(x, y):
        seen.append(cuda.threadIdx.x)

    got, expected = gpu.in_every_order(np.ones(2), record, 1, 3, np.zeros(1), np.ones(2))
    assert [*map(tuple, got)] == [(1, 1)] * 3
    assert [*expected] == ["threads in order", "threads in reverse", "threads at random"]
    assert seen[:6] == [0, 1, 2, 2, 1, 0]
    assert sorted(seen[6:]) == [0, 1, 2]


def first_two(x, y):
    if cuda.threadIdx.x < 2:
        y[2 * cuda.blockIdx.x + cuda.threadIdx.x] = x[0]


def test_elements_that_are_not_written_are_named():
    with pytest.raises(KernelError, match=r"y\[6\] is not written by any thread"):
        gpu.in_every_order(np.zeros(7), first_two, 3, 4, np.zeros(1), empty(7))
    with pytest.raises(KernelError, match=r"y\[5\] must not be written"):
        gpu.in_every_order(np.array([0, 0, 0, 0, 0, np.nan]), first_two, 3, 4, np.zeros(1), empty(6))


def test_far_reads_are_counted_and_explained():
    launched = reverse, 1, 4, np.zeros(4), empty(4)
    assert gpu.few_far_reads(4, "", *launched)[1:3] == (4, 4)
    description, got, expected, words = gpu.few_far_reads(
        2, "use a tile", first_two, 3, 4, np.zeros(1), empty(6)
    )
    assert (got, expected) == (6, 2)
    assert description == "far reads (reads of x, in global memory)"
    assert words == "6, where 2 are enough, and x[0] alone is read 6 times; use a tile"


def test_threads_at_work_are_counted():
    _, got, expected, words = gpu.many_threads(1, 12, first_two, 3, 4, np.zeros(1), empty(6))
    assert (got, expected) == (6, 12)
    assert words.startswith("6 access y, where 12 could")


def test_a_race_is_raised_or_reported(capsys):
    with pytest.raises(KernelError, match=r"y\[0\]"):
        run(racing, 1, 4, np.zeros(4), empty(1))
    gpu.report(racing, 1, 4, np.zeros(4), empty(1))
    gpu.report(reverse, 1, 4, np.arange(4.0), empty(4))
    raced, reversed_ = capsys.readouterr().out.splitlines()
    assert raced.startswith("racing: Race: y[0] is written by thread (1, 0, 0)")
    assert reversed_ == "reverse: [3. 2. 1. 0.]"


def test_each_barrier_is_removed_in_turn():
    (found,) = gpu.without_each_barrier(reverse, 1, 4, np.arange(4.0), empty(4))
    assert found.startswith("Uninitialized, tile[3] is read before any thread has written it")


def test_the_cost_of_a_launch():
    assert gpu.cost(reverse, 1, 4, np.arange(4.0), empty(4)) == (4, 2, 2, 2)


def test_numbers_that_were_never_set_are_told_from_elements_that_were_not_written():
    def sum_of_nothing(x, y):
        total = cuda.local.array(1, float32)
        total[0] += x[0]
        y[0] = total[0]

    with pytest.raises(
        KernelError, match=r"y\[0\] is NaN: it was computed from an array that was never filled"
    ):
        gpu.in_every_order(np.zeros(1), sum_of_nothing, 1, 1, np.zeros(1), empty(1))


def test_it_is_known_whose_a_function_is():
    assert gpu.whose(reverse) == "your"
    assert gpu.whose(folder.answers(18).bias) == "our"


@pytest.mark.parametrize(
    ("lesson", "exercise", "mistake", "message"),
    [
        (18, "bias", "no_guard", "OutOfBounds: z[1, 0] is outside the shape (1, 4)"),
        (18, "bias", "x_along_the_rows", "Unwritten: y[0, 4] is not written by any thread"),
        (
            18,
            "column_sum",
            "no_barrier",
            "Uninitialized: partial[1] is read before any thread has written it",
        ),
        (18, "column_sum", "all_add_to_one_number", "Race: sums[0] is read by thread (1, 0, 0)"),
        (
            18,
            "column_sum",
            "every_thread_adds_everything",
            "far reads (reads of x, in global memory): 64, where 8",
        ),
        (18, "column_sum", "uses_atomics", "AttributeError: the simulator has no atomics: "),
        (
            18,
            "column_sums",
            "leaves_before_the_barrier",
            "DivergentBarrier: block (1, 0, 0): 24 threads wait",
        ),
    ],
)
def test_a_mistake_is_named(lesson, exercise, mistake, message):
    tests = vars(folder.load("checks", lesson)).values()
    (test,) = (test for test in tests if isinstance(test, running.Check) and test.name == exercise)
    result = running.run_check(test, getattr(folder.answers(lesson), mistake))
    assert result.message.startswith(f"[✗] {message}")


def test_a_process_that_uses_a_gpu_cannot_use_the_simulator():
    native = "import sys, types; sys.modules['minids.ops.cuda.device'] = types.ModuleType('device')"
    environment = {name: value for name, value in os.environ.items() if name != "MINIDS_SIM"}
    command = [sys.executable, "-c", f"{native}; import minids.lesson.gpu"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert "InputError: this Python process already uses a GPU" in done.stderr


def test_without_greenlet_the_lessons_say_what_to_install():
    absent = "import sys; sys.modules['greenlet'] = None; import importlib.util as u; f = u.find_spec"
    absent += "; u.find_spec = lambda n, *a: None if n == 'greenlet' else f(n, *a)"
    command = [sys.executable, "-c", f"{absent}; import minids.lesson.gpu"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("The GPU lessons cannot run here: ")
    assert "pip install greenlet" in done.stderr

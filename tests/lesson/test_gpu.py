"""lesson/gpu: a kernel is run on copies, in any order, its reads counted."""

import os
import subprocess
import sys

import numpy as np
import pytest

from minids.lesson import folder, source
from minids.lesson.checking import examine
from minids.ops import driver

pytest.importorskip("greenlet", reason="the simulator runs on greenlets: pip install greenlet")
if not driver.simulated():
    pytest.skip("there is a GPU; MINIDS_SIM=1 tests the simulator", allow_module_level=True)

from minids.lesson.gpu import KernelError, at_work, cuda, far_reads, float32, in_any_order, room, run


def turn_round(x, y):
    tile = cuda.shared.array(4, float32)
    i = cuda.threadIdx.x
    tile[i] = x[i]
    cuda.syncthreads()
    y[i] = tile[3 - i]


def racing(x, y):
    y[0] = x[cuda.threadIdx.x]


@pytest.mark.parametrize("kernel", [turn_round, cuda.jit(turn_round)])
def test_a_kernel_leaves_its_numbers_in_copies(kernel):
    x, y = np.arange(4.0), room(4)
    same, turned = run(kernel, 1, 4, x, y)
    np.testing.assert_array_equal(turned, [3, 2, 1, 0])
    np.testing.assert_array_equal(same, x)
    assert np.isnan(y).all()
    assert turned.dtype == np.float32


def test_a_kernel_is_run_in_three_orders():
    seen = []

    def note(x, y):
        seen.append(cuda.threadIdx.x)

    results = in_any_order(note, 1, 3, np.zeros(1), np.ones(2))
    assert [*map(tuple, results)] == [(1, 1)] * 3
    assert seen[:6] == [0, 1, 2, 2, 1, 0]
    assert sorted(seen[6:]) == [0, 1, 2]


def test_reads_of_arguments_are_far_and_those_of_shared_memory_are_not():
    assert far_reads(turn_round, 1, 4, np.zeros(4), room(4)) == 4


def test_threads_that_touch_it_are_at_work():
    def first_two(x, y):
        if cuda.threadIdx.x < 2:
            y[2 * cuda.blockIdx.x + cuda.threadIdx.x] = x[0]

    assert at_work("y", first_two, 3, 4, np.zeros(1), room(6)) == 6


def test_what_a_gpu_would_do_in_silence_is_raised():
    with pytest.raises(KernelError, match=r"y\[0\]"):
        run(racing, 1, 4, np.zeros(4), room(1))


@pytest.mark.parametrize(
    ("lesson", "exercise", "mistake", "told"),
    [
        (13, "bias", "no_guard", "OutOfBounds"),
        (13, "column_sum", "no_barrier", "Uninitialized"),
        (13, "column_sum", "all_add_to_one", "Race"),
        (13, "tiled", "leaves_early", "DivergentBarrier"),
        (13, "tiled", "without_tiles", "far reads"),
        (14, "walk", "no_barrier", "Race"),
        (14, "walk", "barrier_for_those_who_work", "DivergentBarrier"),
    ],
)
def test_a_mistake_is_called_by_its_name(lesson, exercise, mistake, told):
    (path,) = (path for path in folder.lessons() if path.name.startswith(f"{lesson}_"))
    answers = folder.answers(lesson)
    trial = source.trials(path, answers)[exercise]
    verdict = examine(exercise, getattr(answers, mistake), trial.check, **trial.tolerances)
    assert verdict.words.startswith(f"[✗] {told}")


def test_a_python_that_computes_on_a_gpu_is_told_to_begin_anew():
    native = "import sys, types; sys.modules['minids.ops.cuda'] = types.ModuleType('native')"
    environment = {name: value for name, value in os.environ.items() if name != "MINIDS_SIM"}
    command = [sys.executable, "-c", f"{native}; import minids.lesson.gpu"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert "InputError: this Python already computes on a GPU" in done.stderr

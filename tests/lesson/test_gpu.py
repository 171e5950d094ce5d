"""lesson/gpu: kernels run on copies, in every order, and their reads are counted."""

import os
import subprocess
import sys

import numpy as np
import pytest

from minids.lesson import folder, source
from minids.lesson.checking import run_check
from minids.ops import driver

pytest.importorskip("greenlet", reason="the simulator runs on greenlets: pip install greenlet")
if not driver.simulated():
    pytest.skip("there is a GPU; MINIDS_SIM=1 tests the simulator", allow_module_level=True)

from minids.lesson.gpu import (
    KernelError,
    active_threads,
    cuda,
    empty,
    float32,
    global_reads,
    run,
    run_in_every_order,
)


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

    results = run_in_every_order(record, 1, 3, np.zeros(1), np.ones(2))
    assert [*map(tuple, results)] == [(1, 1)] * 3
    assert seen[:6] == [0, 1, 2, 2, 1, 0]
    assert sorted(seen[6:]) == [0, 1, 2]


def test_reads_of_global_memory_are_counted():
    assert global_reads(reverse, 1, 4, np.zeros(4), empty(4)) == 4


def test_threads_that_touch_it_are_active_threads():
    def first_two(x, y):
        if cuda.threadIdx.x < 2:
            y[2 * cuda.blockIdx.x + cuda.threadIdx.x] = x[0]

    assert active_threads("y", first_two, 3, 4, np.zeros(1), empty(6)) == 6


def test_a_race_is_raised():
    with pytest.raises(KernelError, match=r"y\[0\]"):
        run(racing, 1, 4, np.zeros(4), empty(1))


@pytest.mark.parametrize(
    ("lesson", "exercise", "mistake", "message"),
    [
        (13, "bias", "no_guard", "OutOfBounds"),
        (13, "column_sum", "no_barrier", "Uninitialized"),
        (13, "column_sum", "all_add_to_one_number", "Race"),
        (13, "tiled", "returns_early", "DivergentBarrier"),
        (13, "tiled", "without_tiles", "reads of global memory"),
        (14, "walk", "no_barrier", "Race"),
        (14, "walk", "barrier_inside_the_guard", "DivergentBarrier"),
    ],
)
def test_a_mistake_is_named(lesson, exercise, mistake, message):
    (path,) = (path for path in folder.lessons() if path.name.startswith(f"{lesson}_"))
    answers = folder.answers(lesson)
    trial = source.trials(path, answers)[exercise]
    verdict = run_check(exercise, getattr(answers, mistake), trial.check, **trial.options)
    assert verdict.message.startswith(f"[✗] {message}")


def contiguous_chunks(x, sums):
    """Each thread adds up adjacent rows: another correct answer to 13.2."""
    partial = cuda.shared.array(8, float32)
    h, i = cuda.blockIdx.x, cuda.threadIdx.x
    chunk = (x.shape[0] + 7) // 8
    total = np.float32(0)
    for r in range(i * chunk, min((i + 1) * chunk, x.shape[0])):
        total += x[r, h]
    partial[i] = total
    cuda.syncthreads()
    if i == 0:
        for other in range(1, 8):
            total += partial[other]
        sums[h] = total


def writes_outside_the_lattice(log_probs, lengths, states, sizes, alpha):
    alpha[cuda.blockIdx.x, log_probs.shape[0] - 1, cuda.threadIdx.x] = np.float32(0)


@pytest.mark.parametrize(
    ("lesson", "exercise", "answer", "message"),
    [
        (13, "column_sum", contiguous_chunks, "[✓] right"),
        (14, "walk", writes_outside_the_lattice, "[✗] elements outside a lattice that were written"),
    ],
)
def test_answers_of_readers(lesson, exercise, answer, message):
    (path,) = (path for path in folder.lessons() if path.name.startswith(f"{lesson}_"))
    trial = source.trials(path, folder.answers(lesson))[exercise]
    assert run_check(exercise, answer, trial.check, **trial.options).message.startswith(message)


def test_a_process_that_uses_a_gpu_cannot_use_the_simulator():
    native = "import sys, types; sys.modules['minids.ops.cuda.device'] = types.ModuleType('device')"
    environment = {name: value for name, value in os.environ.items() if name != "MINIDS_SIM"}
    command = [sys.executable, "-c", f"{native}; import minids.lesson.gpu"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert "InputError: this Python process already uses a GPU" in done.stderr

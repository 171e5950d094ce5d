"""Background work in order, and the number of cores."""

import os
import subprocess
import sys
import threading
import time

import pytest

from minids._utils.threads import available_cores, ordered_map


def test_results_come_in_the_order_of_the_items():
    def slow_first(i):
        time.sleep(0.02 * (i % 3 == 0))
        return i * i

    assert list(ordered_map(slow_first, range(30))) == [(i, i * i) for i in range(30)]
    assert list(ordered_map(slow_first, [])) == []


def test_items_are_read_only_a_little_ahead():
    read = []

    def items():
        for i in range(1000):
            read.append(i)
            yield i

    results = ordered_map(str, items(), ahead=4)
    assert next(results) == (0, "0")
    assert len(read) == 5
    results.close()


def test_a_closed_generator_leaves_nothing_running():
    running, before = threading.Event(), threading.active_count()
    results = ordered_map(lambda i: running.wait(0.05) or i, range(100))
    next(results)
    results.close()
    assert threading.active_count() == before


def test_an_error_reaches_the_caller_at_its_item():
    results = ordered_map(lambda i: 1 / (i - 2), range(5))
    assert [i for i, _ in (next(results), next(results))] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity on this system")
def test_cores_are_those_of_the_affinity():
    core = min(os.sched_getaffinity(0))
    script = "from minids._utils.threads import available_cores; print(available_cores())"
    script = f"import os; os.sched_setaffinity(0, [{core}]); {script}"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "1\n"
    assert available_cores() == len(os.sched_getaffinity(0))

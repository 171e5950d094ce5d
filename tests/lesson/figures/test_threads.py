"""Figures of threads, wavefronts and times show which thread accessed what, and what it cost."""

import numpy as np
import pytest

from minids.lesson.figures.threads import caption, exchange, memory, moments, sectors
from minids.lesson.figures.times import bars
from minids.lesson.figures.wavefront import occupancy, wavefront
from tests.svg import texts

pytest.importorskip("greenlet", reason="the simulator runs on greenlets")
from minids.cuda_simulator import Access


def access(thread, array, element, kind, epoch=1, block=0):
    return Access((block, 0, 0), (thread, 0, 0), array, element, kind, epoch)


def reversal(n):
    """The accesses of n threads that copy x to a shared tile, and after a barrier in reverse to y."""
    first = [access(i, a, (i,), kind) for i in range(n) for a, kind in (("x", "read"), ("tile", "write"))]
    second = [
        access(i, a, (e,), kind, epoch=2)
        for i in range(n)
        for a, e, kind in (("tile", n - 1 - i, "read"), ("y", i, "write"))
    ]
    return first + second


def test_moments_are_separated_by_barriers():
    steps = moments(reversal(3))
    assert [{(a.array, a.kind) for a in step} for step in steps] == [
        {("x", "read")},
        {("tile", "write")},
        {("tile", "read")},
        {("y", "write")},
    ]
    assert all(len(step) == 3 for step in steps)
    assert caption(steps[1]) == "3 threads write tile"
    assert caption(steps[2][:1]) == "after 1 barrier: 1 thread reads tile"


def test_a_value_appears_when_it_is_written():
    arrays = {"x": np.array([7.0, 8, 9]), "tile": np.full(3, np.nan), "y": np.array([91.0, 82, 73])}
    shown = [texts(exchange(reversal(3), arrays, threads=3, blocks=1, upto=n)) for n in range(4)]
    assert all({"7", "8", "9", "x", "tile", "y", "block 0"} <= set(now) for now in shown)
    assert [now.count("t1") for now in shown] == [1, 2, 2, 2]  # the thread, and the cell it has written
    assert [{"91", "82", "73"} <= set(now) for now in shown] == [False, False, False, True]
    assert not {"91", "82", "73"} & set(shown[2])


def test_adjacent_elements_share_sectors():
    row = [access(i, "x", (0, i), "read") for i in range(16)]
    column = [access(i, "x", (i, 3), "read") for i in range(16)]
    assert sectors(row, (16, 32)) == {0, 1}
    assert sectors(column, (16, 32)) == {4 * i for i in range(16)}
    assert "x: 64 bytes used, 64 bytes transferred" in texts(memory(row, "x", (16, 32), "x"))
    assert "x: 64 bytes used, 512 bytes transferred" in texts(memory(column, "x", (16, 32), "x"))


def test_memory_shows_the_first_access_of_the_first_block():
    other = [access(0, "y", (0, 0), "read"), access(0, "x", (0, 0), "read", epoch=2)]
    first = [access(i, "x", (0, i), "read", block=b) for b in (0, 1) for i in (2, 3)]
    assert {"2", "3"} <= set(texts(memory(other + first, "x", (1, 16), "x")))


def walk(T, S):
    for t in range(T):
        for s in range(S):
            if t:
                yield access(s, "alpha", (0, t - 1, s), "read", t + 1)
            yield access(s, "alpha", (0, t, s), "write", t + 1)


def test_a_lattice_is_filled_frame_by_frame():
    alpha = np.array([[-1.0, -1e30], [-3.25, -2.0], [-5.0, -6.0]])
    for upto, values in enumerate(
        [["−1.0", "−∞"], ["−1.0", "−∞", "−3.2", "−2.0"], ["−1.0", "−∞", "−3.2", "−2.0", "−5.0", "−6.0"]]
    ):
        shown = texts(wavefront([*walk(3, 2)], alpha, "–a", upto=upto))
        assert [text for text in shown if text.startswith("−")] == values
        assert {"thread 0: –", "thread 1: a", "t = 0", "t = 2"} <= set(shown)


def test_a_phone_shows_the_last_four_frames():
    shown = texts(wavefront([*walk(7, 1)], np.arange(7.0)[:, None], "–", upto=5).narrow)
    assert [text for text in shown if text.startswith("t = ")] == ["t = 2", "t = 3", "t = 4", "t = 5"]
    assert {"2.0", "5.0"} <= set(shown)
    assert not {"1.0", "6.0"} & set(shown)


def test_used_and_idle_time_is_counted():
    accesses = [access(0, "x", (0,), "write", epoch) for epoch in (1, 2)] + [access(1, "x", (1,), "write", 1)]
    assert "75% of the threads' time is used" in texts(occupancy(accesses, blocks=1, threads=2))


def test_bars_show_their_values():
    shown = texts(bars(["ctc", "norm"], {"reference": [12.34, 0.5], "cpu": [1.0, 2500.0]}, "ms"))
    assert {"12.3", "0.5", "1", "2,500", "ms", "ctc", "norm", "reference", "cpu"} <= set(shown)

"""draw/threads, draw/wavefront, draw/times: a picture shows who touched what, and what it cost."""

import numpy as np
import pytest

from minids.lesson.figures.threads import caption, exchange, memory, moments, reads, sectors
from minids.lesson.figures.times import bars
from minids.lesson.figures.wavefront import shifts, wavefront

pytest.importorskip("greenlet", reason="the simulator runs on greenlets")
from minids.cuda_simulator import Access


def access(thread, array, element, kind, epoch=1, block=0):
    return Access((block, 0, 0), (thread, 0, 0), array, element, kind, epoch)


def turned_round(n):
    """What n threads do that write x to a shared tile, wait, and write it turned round to y."""
    first = [access(i, a, (i,), kind) for i in range(n) for a, kind in (("x", "read"), ("tile", "write"))]
    second = [
        access(i, a, (e,), kind, epoch=2)
        for i in range(n)
        for a, e, kind in (("tile", n - 1 - i, "read"), ("y", i, "write"))
    ]
    return first + second


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_threads_act_abreast_and_barriers_part_them():
    steps = moments(turned_round(3))
    assert [{(a.array, a.kind) for a in step} for step in steps] == [
        {("x", "read")},
        {("tile", "write")},
        {("tile", "read")},
        {("y", "write")},
    ]
    assert all(len(step) == 3 for step in steps)
    assert caption(steps[1]) == "3 threads write tile"
    assert caption(steps[2][:1]) == "after 1 barrier: 1 thread reads tile"


def test_what_is_written_appears_when_it_is_written():
    arrays = {"x": np.array([7.0, 8, 9]), "tile": np.full(3, np.nan), "y": np.array([91.0, 82, 73])}
    shown = [texts(exchange(turned_round(3), arrays, threads=3, blocks=1, upto=n)) for n in range(4)]
    assert all({"7", "8", "9", "x", "tile", "y", "block 0"} <= set(now) for now in shown)
    assert [now.count("t1") for now in shown] == [1, 2, 2, 2]  # the thread, and the cell it has written
    assert [{"91", "82", "73"} <= set(now) for now in shown] == [False, False, False, True]
    assert not {"91", "82", "73"} & set(shown[2])


def test_neighbors_share_a_piece_of_memory():
    along = [access(i, "x", (0, i), "read") for i in range(16)]
    across = [access(i, "x", (i, 3), "read") for i in range(16)]
    assert sectors(along, (16, 32)) == {0, 1}
    assert sectors(across, (16, 32)) == {4 * row for row in range(16)}
    assert memory(along, (16, 32), "x").axes[0].get_title() == "x: 64 bytes wanted, 64 bytes fetched"
    assert memory(across, (16, 32), "x").axes[0].get_title() == "x: 64 bytes wanted, 512 bytes fetched"


def test_reads_are_counted_where_they_happen():
    twice = [access(i, "x", (0, 1), "read") for i in range(2)] + [access(0, "x", (1, 0), "write")]
    figure = reads({"two": twice, "one": twice[:1]}, {"x": (2, 2)})
    assert [axes.get_title() for axes in figure.axes] == ["two", "one"]
    counts = [[text.get_text() for text in axes.texts] for axes in figure.axes]
    assert [c[:4] for c in counts] == [["0", "2", "0", "0"], ["0", "1", "0", "0"]]


def walk(T, S):
    for t in range(T):
        for s in range(S):
            if t:
                yield access(s, "alpha", (0, t - 1, s), "read", t + 1)
            yield access(s, "alpha", (0, t, s), "write", t + 1)


def test_a_lattice_fills_frame_by_frame():
    alpha = np.array([[-1.0, -1e30], [-3.25, -2.0], [-5.0, -6.0]])
    shown = [texts(wavefront([*walk(3, 2)], alpha, "–a", upto=t)) for t in range(3)]
    assert [[text for text in now if text] for now in shown] == [
        ["−1.0", "−∞"],
        ["−1.0", "−∞", "−3.2", "−2.0"],
        ["−1.0", "−∞", "−3.2", "−2.0", "−5.0", "−6.0"],
    ]
    assert [now.count("") for now in shown] == [0, 2, 2]  # arrows: the reads of the last frame
    labels = wavefront([*walk(3, 2)], alpha, "–a", upto=0).axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == ["thread 0: –", "thread 1: a"]


def test_idle_threads_are_counted():
    some = [access(0, "x", (0,), "write", epoch) for epoch in (1, 2)] + [access(1, "x", (1,), "write", 1)]
    axes = shifts(some, blocks=1, threads=2).axes[0]
    assert axes.get_title() == "75% of the threads' time is work"
    drawn = {
        tuple(map(float, (*line.get_xdata(), *line.get_ydata())))
        for line in axes.lines
        if line.get_marker() == "s"
    }
    assert drawn == {(0, 0), (1, 0), (0, 1)}


def test_bars_say_their_numbers():
    figure = bars(["ctc", "norm"], {"reference": [12.34, 0.5], "cpu": [1.0, 2500.0]}, "ms")
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["12.3", "0.5", "1", "2,500"]
    assert [bar.get_width() for bar in axes.patches] == [12.34, 0.5, 1.0, 2500.0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["reference", "cpu"]
    assert axes.get_xscale() == "log"

"""A collection of recordings, the progress of a training, and the collapse of a path."""

import numpy as np

from minids.lesson.figures.collapse import collapse
from minids.lesson.figures.progress import collection, progress
from minids.lesson.sounds import RATE, Recording
from tests.svg import texts


def test_a_path_collapses_in_four_steps():
    shown = [[text for text in texts(collapse("aa-ab", step)) if len(text) == 1] for step in range(4)]
    assert shown[0] == list("aa–ab")
    assert shown[1] == [*shown[0], *"a–ab"]
    assert shown[2] == [*shown[1], *"aab"] == shown[3]
    assert "“aab”" in texts(collapse("aa-ab", 3))
    assert "“”" in texts(collapse("--", 3))


def test_all_steps_have_the_same_axes():
    axes = [collapse("ab-a", step).axes[0] for step in range(4)]
    assert len({(a.get_xlim(), a.get_ylim()) for a in axes}) == 1


def test_every_recording_is_a_dot_in_the_row_of_its_voice():
    recordings = [Recording(voice, "one", np.zeros(n * RATE)) for voice, n in (("a", 1), ("b", 2), ("a", 3))]
    figure = collection({"for training": recordings, "for the test": [Recording("c", "", np.zeros(RATE))]})
    (axes,) = figure.axes
    dots = [list(zip(*line.get_data(), strict=True)) for line in axes.lines]
    assert dots == [[(1, 0), (2, 1), (3, 0)], [(1, 2)]]
    assert {"a", "b", "c", "for training", "for the test"} <= set(texts(figure))


def test_progress_starts_before_the_first_epoch_and_marks_the_best():
    figure = progress([20.0, 9.0, 4.5], {"dev": [0.9, 0.5, 0.25, 0.5]}, best=2)
    losses, rates = (axes.lines[0] for axes in figure.axes)
    assert losses.get_xdata().tolist() == [1, 2, 3], "the first loss is that of epoch 1"
    assert (rates.get_xdata().tolist(), rates.get_ydata().tolist()) == ([0, 1, 2, 3], [90, 50, 25, 50])
    assert figure.axes[1].lines[1].get_xdata()[0] == 2
    assert "dev" in texts(figure)

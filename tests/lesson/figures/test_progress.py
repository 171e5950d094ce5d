"""The collapse of a path, and the progress of a training."""

from minids.lesson.figures.collapse import collapse
from minids.lesson.figures.progress import progress
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


def test_progress_labels_the_first_and_the_last_values():
    figure = progress([20.0, 9.0, 4.5], [0.9, 0.5, 0.25, 0.1])
    assert {"20.0", "4.5", "90%", "10%"} <= set(texts(figure))
    x = [axes.lines[0].get_xdata().tolist() for axes in figure.axes]
    assert x == [[1, 2, 3], [0, 1, 2, 3]], "the first loss is that of epoch 1"

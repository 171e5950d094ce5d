"""draw/collapse.py and draw/progress.py: what is in the pictures."""

import pytest

from minids.lesson.figures.collapse import collapse
from minids.lesson.figures.progress import progress


def test_a_path_collapses_in_four_stages():
    path = "aa-ab"
    shown = [
        [t.get_text() for t in collapse(path, stage).axes[0].texts if len(t.get_text()) == 1]
        for stage in range(4)
    ]
    assert shown[0] == list("aa–ab")
    assert shown[1] == [*shown[0], *"a–ab"]
    assert shown[2] == [*shown[1], *"aab"] == shown[3]
    assert "“aab”" in [t.get_text() for t in collapse(path, 3).axes[0].texts]


def test_a_merged_run_is_as_wide_as_its_frames_and_the_blank_leaves_a_gap():
    boxes = collapse("aa-ab", 2).axes[0].patches
    spans = [(round(box.get_x() - 0.05, 6), round(box.get_width() + 0.1, 6)) for box in boxes]
    assert spans[5:9] == [(0, 2), (2, 1), (3, 1), (4, 1)]
    assert spans[9:] == [(0, 2), (3, 1), (4, 1)]


def test_equal_letters_have_equal_colors_and_the_blank_is_none_of_them():
    colors = [text.get_color() for text in collapse("ab-a", 0).axes[0].texts[1:]]
    assert colors[0] == colors[3]
    assert len(set(colors)) == 3


def test_the_empty_text_is_read_too():
    assert "“”" in [text.get_text() for text in collapse("--", 3).axes[0].texts]


def test_progress_shows_where_it_begins_and_ends():
    figure = progress([20.0, 9.0, 4.5], [0.9, 0.5, 0.25, 0.1])
    assert [text.get_text() for text in figure.axes[0].texts] == ["20.0", "4.5"]
    assert [text.get_text() for text in figure.axes[1].texts] == ["90%", "10%"]
    assert list(figure.axes[0].lines[0].get_xdata()) == [1, 2, 3], "the first loss belongs to the first round"
    assert list(figure.axes[1].lines[0].get_xdata()) == [0, 1, 2, 3]


@pytest.mark.parametrize("stage", range(4))
def test_all_stages_have_the_same_axes(stage):
    axes = collapse("ab-a", stage).axes[0]
    assert (axes.get_xlim(), axes.get_ylim()) == (collapse("ab-a", 3).axes[0].get_xlim(), (-6.6, 0.1))

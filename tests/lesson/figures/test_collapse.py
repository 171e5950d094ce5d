"""The figure of a collapsing path shows one more row in each step."""

import pytest

from minids.lesson.figures.collapse import ROWS, collapse
from tests.svg import texts

PATH = "too--o-n"
LETTERS = list("too––o–n"), list("to–o–n"), list("toon"), ["“toon”"]  # of each row


@pytest.mark.parametrize("step", range(4))
def test_a_step_adds_a_row(step):
    for figure in (collapse(PATH, step), collapse(PATH, step).narrow):
        shown = texts(figure)
        expected = [*ROWS[: step + 1], *(letter for row in LETTERS[: step + 1] for letter in row)]
        assert sorted(shown) == sorted(expected)


def test_a_letter_has_the_same_color_in_every_row_and_the_blank_is_gray():
    colors = {}
    for text in collapse(PATH, 2).axes[0].texts[len(ROWS) - 1 :]:
        colors.setdefault(text.get_text(), set()).add(text.get_color())
    assert {len(found) for found in colors.values()} == {1}
    assert len(set(map(tuple, colors.values()))) == len(colors) == 4

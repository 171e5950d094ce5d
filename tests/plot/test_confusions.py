"""The matrix of character confusions."""

from collections import Counter

from minids.plot.confusions import confusions


def test_each_confusion_has_its_cell():
    (axes,) = confusions(Counter({("a", "a"): 120, ("a", "b"): 3, ("", " "): 2, ("c", ""): 1})).axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["␣", "a", "b", "c", "∅"]
    cells = {text.get_text(): tuple(names[i] for i in text.get_position()) for text in axes.texts}
    assert cells == {"120": ("a", "a"), "3": ("b", "a"), "2": ("␣", "∅"), "1": ("∅", "c")}


def test_the_rarest_of_many_characters_are_left_out():
    (axes,) = confusions(Counter({(c, c): n for n, c in enumerate("edcba", start=1)}), max_characters=4).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [*"abcd", "∅"]

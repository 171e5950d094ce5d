"""The SVG of a figure: accessible, in the colors of its page, and the same every time."""

import re
from xml.etree import ElementTree

import numpy as np

from minids.plot import ACCENT, FAINT, GRAY, INK, PALETTE, PAPER, SIGNAL, subplots
from minids.plot.svg import DARK_COLORS, svg
from tests.svg import texts


def figure_of(t=0):
    figure, axes = subplots(6, 2)
    axes.plot(np.arange(9), color=SIGNAL)
    axes.axvline(t, color=FAINT)
    axes.text(4, 4, f"t = {t}", color=INK, bbox={"facecolor": PAPER})
    axes.set(title="A line", xlabel="frame <t>", xlim=(0, 8))
    axes.plot([1, 2], [20, 30], "o", clip_on=True)
    return figure


def test_the_svg_is_xml_with_a_name_and_texts():
    root = ElementTree.fromstring(svg(figure_of(), "a <b> & 'c'", "x"))
    assert root.get("viewBox") == "0 0 432 144"
    assert (root.get("role"), root.get("aria-label")) == ("img", "a <b> & 'c'")
    assert {"t = 0.205", "A line", "frame <t>"} <= set(texts(figure_of(0.205)))


def test_the_svg_takes_the_colors_of_its_page():
    text = svg(figure_of(), "", "x")
    for color in INK, PAPER, FAINT, "#000000", "#ffffff":
        assert color not in text
    assert "fill: currentColor" in text
    assert f"stroke: var(--c{SIGNAL[1:]}, {SIGNAL})" in text
    assert "var(--paper" in text
    assert set(DARK_COLORS) == {SIGNAL, ACCENT, GRAY, *PALETTE}


def test_ids_depend_on_the_salt_alone():
    def ids(salt):
        return set(re.findall(r' id="([^"]+)"', svg(figure_of(), "", salt)))

    assert svg(figure_of(), "", "a") == svg(figure_of(), "", "a")
    assert ids("a")  # of clip paths and markers
    assert ids("a").isdisjoint(ids("b"))
    references = set(re.findall(r'(?:href="|url\()#([\w-]+)', svg(figure_of(), "", "a")))
    assert references == ids("a")

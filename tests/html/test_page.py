"""Pages that are one file: what their SVG says, in whose colors, and whether these can be read."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from minids.html.page import asset, page
from minids.plot import ACCENT, FAINT, GRAY, INK, PALETTE, PAPER, SIGNAL, subplots
from minids.plot.svg import DARK_COLORS, svg

LIGHT, DARK = (re.findall(r"--paper: (#\w+)[^}]*--ink: (#\w+)", asset("page.css"))[i] for i in (0, 1))


def picture(t=0):
    figure, axes = subplots(6, 2)
    axes.plot(np.arange(9), color=SIGNAL)
    axes.axvline(t, color=FAINT)
    axes.text(4, 4, f"t = {t}", color=INK, bbox={"facecolor": PAPER})
    axes.set(title="A line", xlabel="frame <t>", xlim=(0, 8))
    axes.plot([1, 2], [20, 30], "o", clip_on=True)
    return figure


def test_the_svg_is_xml_with_its_numbers_as_text():
    root = ElementTree.fromstring(svg(picture(0.205), "a <b> & 'c'", "x"))
    assert root.get("viewBox") == "0 0 432 144"
    assert root.get("role") == "img"
    assert root.get("aria-label") == "a <b> & 'c'"
    texts = {node.text for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"t = 0.205", "A line", "frame <t>"} <= texts


def test_the_svg_takes_the_colors_of_its_page():
    text = svg(picture(), "", "x")
    for color in INK, PAPER, FAINT, "#000000", "#ffffff":
        assert color not in text
    assert "fill: currentColor" in text
    assert f"stroke: var(--c{SIGNAL[1:]}, {SIGNAL})" in text
    assert "var(--paper" in text
    assert set(DARK_COLORS) == {SIGNAL, ACCENT, GRAY, *PALETTE}


def test_ids_are_apart_on_a_page_and_the_same_every_time():
    def ids(salt):
        return set(re.findall(r' id="([^"]+)"', svg(picture(), "", salt)))

    assert ids("a")  # of clip paths and markers
    assert ids("a") == ids("a")
    assert ids("a").isdisjoint(ids("b"))
    assert svg(picture(), "", "a") == svg(picture(), "", "a")
    used = set(re.findall(r'(?:href="|url\()#([\w-]+)', svg(picture(), "", "a")))
    assert used == ids("a")


def luminance(color):
    channels = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(one, other):
    """WCAG 2.2: 1 of the same color, 21 of black and white; text needs 4.5, what is drawn 3."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_measured_rightly():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_and_code_of_a_page_can_be_read(scheme):
    block = re.findall(r":root \{(.*?)\}", asset("page.css"), re.DOTALL)[scheme]
    colors = dict(re.findall(r"--(\w+): (#\w+)", block))
    for name in "ink", "faint", "link", "key", "text", "number", "name":
        for ground in "paper", "box":
            assert contrast(colors[name], colors[ground]) >= 4.5, f"{name} on {ground}"


@pytest.mark.parametrize("color", DARK_COLORS)
def test_colors_of_data_can_be_seen_on_both_grounds(color):
    assert contrast(color, LIGHT[0]) >= (2.7 if color in (GRAY, "#e07b00") else 3)
    assert contrast(DARK_COLORS[color], DARK[0]) >= 5


def test_a_page_escapes_its_title():
    assert "<title>a &lt; b</title>" in page("a < b", "")

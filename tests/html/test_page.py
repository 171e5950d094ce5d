"""Pages that are one file: their texts are escaped and their colors have enough contrast."""

import re

import numpy as np
import pytest
from markupsafe import Markup

from minids.html.page import asset, fragment, notebook_fragment, page
from minids.plot import GRAY, subplots
from minids.plot.svg import DARK_COLORS

LIGHT, DARK = (re.findall(r"--paper: (#\w+)[^}]*--ink: (#\w+)", asset("page.css"))[i] for i in (0, 1))


def luminance(color):
    channels = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(*colors):
    """The contrast of WCAG 2.2, from 1 to 21: text needs 4.5, graphics need 3."""
    dark, light = sorted(map(luminance, colors))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_and_code_have_enough_contrast(scheme):
    block = re.findall(r":root \{(.*?)\}", asset("page.css"), re.DOTALL)[scheme]
    colors = dict(re.findall(r"--(\w+): (#\w+)", block))
    for name in "ink", "faint", "link", "key", "text", "number", "name":
        for background in "paper", "box":
            assert contrast(colors[name], colors[background]) >= 4.5, f"{name} on {background}"


@pytest.mark.parametrize("color", DARK_COLORS)
def test_colors_of_data_have_enough_contrast(color):
    assert contrast(color, LIGHT[0]) >= (2.7 if color in (GRAY, "#e07b00") else 3)
    assert contrast(DARK_COLORS[color], DARK[0]) >= 5


def test_texts_are_escaped():
    assert "<title>a &lt; b</title>" in page("a < b", "")
    assert "<p>a &lt; b</p>" in page("", Markup("<p>{}</p>").format("a < b"))
    figure, _ = subplots(2, 2)
    html = fragment([figure, figure], ["a < b", "c"], title='"d"', salt="x")
    assert "<figcaption>a &lt; b</figcaption>" in html
    assert 'aria-label="&#34;d&#34;"' in html
    assert "<b>bold</b>" in notebook_fragment(Markup("<b>bold</b>"))

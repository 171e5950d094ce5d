"""Pages that are one file: their texts are escaped and their colors have enough contrast."""

import re

import numpy as np
import pytest
from markupsafe import Markup

from minids.html.page import asset, fragment, notebook_fragment, page
from minids.plot import GRAY, NARROW, is_narrow, subplots, two_widths
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


@two_widths
def two():
    figure, axes = subplots(8, 4, narrow_height=3)
    axes.set(title="narrow" if is_narrow() else "wide")
    return figure


def test_a_figure_is_drawn_at_two_widths():
    figure = two()
    assert figure.get_size_inches().tolist() == [8, 4]
    assert figure.narrow.get_size_inches().tolist() == [NARROW, 3]
    assert not is_narrow()

    @two_widths
    def outer():
        return two()

    assert outer().narrow.get_size_inches().tolist() == [NARROW, 3]

    @two_widths
    def failing():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert not is_narrow()


@pytest.mark.parametrize(("width", "title"), [(390, "narrow"), (768, "wide"), (1280, "wide")])
def test_a_page_shows_the_figure_that_fits(browser, tmp_path, width, title):
    html = fragment([two(), two()], (), title="A & B", salt="x")
    assert len(set(re.findall(r'id="([^"]+)"', html))) == len(re.findall(r'id="([^"]+)"', html))
    (tmp_path / "page.html").write_text(page("", html))
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get((tmp_path / "page.html").as_uri())
    (figure,) = (svg for svg in browser.find_elements("css selector", ".minids svg") if svg.is_displayed())
    assert title in figure.text
    assert figure.size["width"] <= width
    sizes = browser.execute_script(
        "return [...arguments[0].querySelectorAll('text')].map((text) =>"
        " parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a)",
        figure,
    )
    assert min(sizes) >= 10, "pixels"


@pytest.mark.parametrize(("opens_at", "count"), [(None, "3 / 3"), (0, "1 / 3"), (1, "2 / 3")])
def test_steps_open_on_the_last_or_on_a_given_one(browser, tmp_path, opens_at, count):
    html = fragment([two(), two(), two()], (), title="", salt="x", opens_at=opens_at)
    (tmp_path / "page.html").write_text(page("", html))
    browser.get((tmp_path / "page.html").as_uri())
    assert browser.find_element("css selector", "minids-steps output").text == count

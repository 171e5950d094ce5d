"""The SVG of a figure: accessible, in the colors of its page, and the same every time."""

import io
import re
from base64 import b64decode
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.patches import Ellipse
from PIL import Image

from minids.plot import ACCENT, FAINT, GRAY, INK, PALETTE, PAPER, SIGNAL, subplots
from minids.plot.svg import DARK_COLORS, _relative, svg
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


@pytest.mark.parametrize("closed", [False, True])
def test_relative_paths_have_the_same_points(closed):
    points = np.random.default_rng(0).uniform(-300, 300, (200, 2)).round(6)
    points[50:60] = np.arange(10)[:, None] / 10  # 0.1 and the like
    path = " \n".join(f"{'ML'[0 < i != 120]} {x} {y}" for i, (x, y) in enumerate(points)) + " z" * closed
    short = _relative(path)
    assert len(short) < len(path) / 2
    assert short.endswith("z") is closed
    place, drawn = np.zeros(2), []
    for command, x, y in re.findall(r"([Ml]?) ?(-?[\d.]+) ?(-?\d*\.?\d+)", short):
        place = np.array([float(x), float(y)]) + (0 if command == "M" else place)
        drawn.append(place)
    np.testing.assert_allclose(drawn, points, atol=0.051)


def test_curves_keep_their_path():
    path = "M 0 1.5 C 0.397805 1.5 0.77937 1.341951 1.06066 1.06066 z"
    assert _relative(path) == path


def test_an_image_of_few_colors_has_a_palette_and_the_same_pixels():
    values = np.random.default_rng(0).normal(size=(20, 30))
    values[:, 20:] = np.nan  # transparent
    figure, axes = subplots(6, 2)
    axes.imshow(values, cmap="magma", interpolation="none")
    (content,) = re.findall('href="data:image/png;base64,([^"]*)"', svg(figure, "", "x"))
    image = Image.open(io.BytesIO(b64decode(content)))
    assert image.mode == "P"
    expected = axes.images[0].to_rgba(values, bytes=True)
    shown = np.asarray(image.convert("RGBA"))
    assert shown.shape == expected.shape
    opaque = expected[..., 3] > 0
    assert (shown[..., 3] > 0).tolist() == opaque.tolist()
    assert (shown[opaque] == expected[opaque]).all()


def test_an_ellipse_is_two_arcs_where_it_was_drawn(tmp_path):
    figure, axes = subplots(3, 3)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    patches = [Ellipse((0.5, 0.5), 0.4, 0.2), Ellipse((0.7, 0.7), 0.2, 0.1, angle=30)]
    for patch in patches:
        axes.add_patch(patch)
    straight, rotated = (d for d in re.findall(r' d="([^"]*)"', svg(figure, "", "x")) if "a" in d or "C" in d)
    assert rotated.count("C") == 8
    x, y, rx, ry, width = map(
        float, re.fullmatch(r"M(\S+) (\S+)a(\S+) (\S+) 0 1 0 (\S+) 0a.*z", straight).groups()
    )
    box = patches[0].get_window_extent()
    scale = 72 / figure.dpi
    assert [x, x + width, 2 * rx, 2 * ry] == pytest.approx(
        [box.x0 * scale, box.x1 * scale, box.width * scale, box.height * scale], abs=0.02
    )
    assert 216 - y == pytest.approx((box.y0 + box.y1) / 2 * scale, abs=0.02)


def test_a_user_who_sets_usetex_sees_figures_too():
    with rc_context({"text.usetex": True}):
        text = svg(figure_of(), "", "x")
    assert "A line" in text

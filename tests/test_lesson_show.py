"""Pictures of lessons: what their SVG says, in whose colours, and where they are shown."""

import re
import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

from minids.draw import ACCENT, FAINT, GREY, INK, LETTERS, PAPER, SIGNAL, canvas
from minids.errors import InputError
from minids.lesson import show, showing
from minids.lesson.page import asset, page
from minids.lesson.svg import ON_DARK, svg

LIGHT, DARK = (re.findall(r"--paper: (#\w+)[^}]*--ink: (#\w+)", asset("page.css"))[i] for i in (0, 1))


def picture(t=0):
    figure, axes = canvas(6, 2)
    axes.plot(np.arange(9), color=SIGNAL)
    axes.axvline(t, color=FAINT)
    axes.text(4, 4, f"t = {t}", color=INK, bbox={"facecolor": PAPER})
    axes.set(title="A line", xlabel="frame <t>", xlim=(0, 8))
    axes.plot([1, 2], [20, 30], "o", clip_on=True)
    return figure


def test_a_canvas_is_transparent_and_of_the_size_asked_for():
    figure, axes = canvas(6, 2, ncols=2, sharey=True)
    assert tuple(figure.get_size_inches()) == (6, 2)
    assert axes.shape == (2,)
    assert figure.patch.get_alpha() == 0
    assert {spine.get_edgecolor()[:3] for spine in axes[0].spines.values()} == {
        (26 / 255, 27 / 255, 28 / 255)
    }


def test_the_svg_is_xml_with_its_numbers_as_text():
    root = ElementTree.fromstring(svg(picture(0.205), "a <b> & 'c'", "x"))
    assert root.get("viewBox") == "0 0 432 144"
    assert root.get("role") == "img"
    assert root.get("aria-label") == "a <b> & 'c'"
    texts = {node.text for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"t = 0.205", "A line", "frame <t>"} <= texts


def test_the_svg_takes_the_colours_of_its_page():
    text = svg(picture(), "", "x")
    for colour in INK, PAPER, FAINT, "#000000", "#ffffff":
        assert colour not in text
    assert "fill: currentColor" in text
    assert f"stroke: var(--c{SIGNAL[1:]}, {SIGNAL})" in text
    assert "var(--paper" in text
    assert set(ON_DARK) == {SIGNAL, ACCENT, GREY, *LETTERS}


def test_ids_are_apart_on_a_page_and_the_same_every_time():
    def ids(salt):
        return set(re.findall(r' id="([^"]+)"', svg(picture(), "", salt)))

    assert ids("a")  # of clip paths and markers
    assert ids("a") == ids("a")
    assert ids("a").isdisjoint(ids("b"))
    assert svg(picture(), "", "a") == svg(picture(), "", "a")
    used = set(re.findall(r'(?:href="|url\()#([\w-]+)', svg(picture(), "", "a")))
    assert used == ids("a")


def luminance(colour):
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(one, other):
    """WCAG 2.2: 1 of the same colour, 21 of black and white; text needs 4.5, what is drawn 3."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_measured_rightly():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_and_code_of_a_page_can_be_read(scheme):
    block = re.findall(r":root \{(.*?)\}", asset("page.css"), re.DOTALL)[scheme]
    colours = dict(re.findall(r"--(\w+): (#\w+)", block))
    for name in "ink", "faint", "link", "key", "text", "number", "name":
        for ground in "paper", "box":
            assert contrast(colours[name], colours[ground]) >= 4.5, f"{name} on {ground}"


@pytest.mark.parametrize("colour", ON_DARK)
def test_colours_of_data_can_be_seen_on_both_grounds(colour):
    assert contrast(colour, LIGHT[0]) >= (2.7 if colour in (GREY, "#e07b00") else 3)
    assert contrast(ON_DARK[colour], DARK[0]) >= 5


def test_a_script_writes_a_page_for_each_picture_and_says_where(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    space = {"__file__": "/else/where/05_align.py", "show": show, "picture": picture}
    exec("show(picture())\nshow([picture(0), picture(1)], ['zero', 'one & more'], title='Lines')", space)
    assert capsys.readouterr().out == "picture: out/lessons/05-1.html\npicture: out/lessons/05-2.html\n"
    text = (tmp_path / "out/lessons/05-2.html").read_text()
    assert text.count("<svg") == 2
    assert '<minids-steps class="minids" role="group" aria-label="Lines">' in text
    assert "<figcaption>one &amp; more</figcaption>" in text
    assert "<title>Lines</title>" in text
    assert 'aria-label="A line; frame &lt;t&gt;"' in (tmp_path / "out/lessons/05-1.html").read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', text)


def test_where_no_picture_can_be_written_is_said_in_a_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").write_text("a file of the user's")
    with pytest.raises(InputError, match=r"cannot write out/lessons/.*; start in a folder"):
        show(picture())


def test_captions_are_one_for_each_figure():
    with pytest.raises(ValueError, match="2 figures, but 1 captions"):
        show([picture(), picture()], captions=["one"])


def test_in_a_notebook_it_stands_inline(monkeypatch):
    shown = []
    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=None))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(HTML=str, display=shown.append))
    show([picture(0), picture(1)], title="Lines")
    (html,) = shown
    assert html.startswith("<style>")
    assert html.endswith("</script>")
    assert html.count("<svg") == 2
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace()))
    assert not showing.in_notebook()  # IPython in a terminal


def test_a_page_escapes_its_title():
    assert "<title>a &lt; b</title>" in page("a < b", "")

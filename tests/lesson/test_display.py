"""Pictures, sounds and the collapse field: in scripts, in notebooks, and in headless Chromium."""

import random
import re
import sys
from base64 import b64decode
from types import SimpleNamespace

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.html.page import page, unpacked
from minids.lesson import collapse_field, data, display, listen, player, show
from minids.plot import subplots
from minids.text import Alphabet, collapse


def picture(t=0):
    figure, axes = subplots(6, 2)
    axes.axvline(t)
    axes.set(title="A line", xlabel="frame <t>")
    return figure


@pytest.fixture
def notebook(monkeypatch):
    """What a notebook displays: a list of {MIME type: content}."""
    displayed = []
    shell = SimpleNamespace(kernel=None)
    ipython = SimpleNamespace(get_ipython=lambda: shell, version_info=(9, 0))
    display_ = SimpleNamespace(display=lambda bundle, raw: displayed.append(bundle))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display_)
    return displayed


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A script in an empty folder, whose pages start anew."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(display, "_pages", {})
    return {"__name__": "__main__", "__file__": "/else/where/05_align.py", "show": show, "picture": picture}


def test_a_script_collects_its_pictures_on_one_page(script, tmp_path, capsys):
    exec("show(picture())\nshow([picture(0), picture(1)], ['zero', 'one & more'], title='Lines')", script)
    listen(np.zeros(100), 8000)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "picture: out/lessons/05.html#1",
        "picture: out/lessons/05.html#2",
        "sound: out/lessons/test_display.html#1",
    ]
    text = (tmp_path / "out/lessons/05.html").read_text()
    assert text.count("<svg") == 3
    assert re.findall('<section id="(.)">', text) == ["1", "2"]
    assert '<minids-steps class="minids" role="group" aria-label="Lines">' in text
    assert "<figcaption>one &amp; more</figcaption>" in text
    assert "<title>Lesson 05</title>" in text
    assert 'aria-label="A line; frame &lt;t&gt;"' in text
    assert "minids-player" not in text
    assert not re.search(r'(src|href)="(?!data:|#)', text)


def test_a_picture_that_cannot_be_written_is_an_error_in_one_line(script, tmp_path):
    (tmp_path / "out").write_text("a file of the user's")
    with pytest.raises(InputError, match=r"cannot write out/lessons/.*; start in a folder"):
        show(picture())


def test_there_is_one_caption_for_each_figure():
    with pytest.raises(ValueError, match="2 figures, but 1 captions"):
        show([picture(), picture()], captions=["one"])


def test_in_a_notebook_pictures_are_inline(notebook, monkeypatch):
    show([picture(0), picture(1)], title="Lines")
    (bundle,) = notebook
    assert bundle["text/html"].count("<svg") == 2
    assert b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert bundle["text/plain"] == "Lines"
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace()))
    assert not display.in_notebook()  # IPython in a terminal


def test_a_notebook_that_is_not_trusted_shows_a_picture_and_no_stray_text(notebook):
    show([picture(0), picture(1)], title="Lines")
    html = re.sub(r"<(style|script)\b.*?</\1>", "", notebook[0]["text/html"], flags=re.DOTALL)
    assert not re.sub(r"<[^>]*>", "", html).strip()
    assert re.fullmatch(
        r'<img src="data:image/png;base64,[^"]*" alt="Lines">', re.search("<img[^>]*>", html)[0]
    )


def test_a_trusted_notebook_shows_the_steps(browser, notebook, tmp_path):
    show([picture(0), picture(1)], title="Lines")
    html = notebook[0]["text/html"]
    (tmp_path / "page.html").write_text(f'<!doctype html><meta charset="utf-8">{html}')
    browser.get((tmp_path / "page.html").as_uri())
    assert not browser.find_elements("css selector", "minids-packed img")
    assert browser.find_element("css selector", "minids-packed minids-steps .bar").is_displayed()


def test_an_exported_notebook_shows_every_picture_and_sound(browser, notebook, tmp_path):
    """There, the scripts of the first output run before the next ones are parsed."""
    for _ in range(2):
        show([picture(0), picture(1)], title="Lines")
        listen(np.zeros(1000), 8000)
    html = "".join(bundle["text/html"] + "<p>text</p>" * 2000 for bundle in notebook)
    (tmp_path / "page.html").write_text(f'<!doctype html><meta charset="utf-8">{html}')
    browser.get_log("browser")
    browser.get((tmp_path / "page.html").as_uri())
    assert len(browser.find_elements("css selector", "minids-packed minids-steps .bar")) == 2
    assert len(browser.find_elements("css selector", "minids-player .controls")) == 2
    assert browser.get_log("browser") == []


def test_in_a_notebook_a_sound_has_its_player(notebook):
    listen(data("seven.flac"))
    html = notebook[0]["text/html"]
    assert '<audio controls preload="metadata" src="data:audio/wav;base64,' in html
    assert 'customElements.define("minids-player"' in html


def test_assets_are_included_once_and_come_back_unpacked(notebook):
    for _ in range(2):
        listen(np.zeros(100), 8000)
    body, styles, scripts = unpacked(notebook[0]["text/html"])
    assert body.startswith("<minids-player")
    assert "<script" not in body
    assert player.ASSETS[0].read_text() in styles
    assert player.ASSETS[1].read_text() in scripts
    assert page("", body, [*player.ASSETS, *player.ASSETS]).count('define("minids-player"') == 1


def test_a_script_prints_the_collapsed_text(script, capsys):
    collapse_field("--ss-ee-e")
    collapse_field("--")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1::2] == ["--ss-ee-e -> see", "-- -> "]
    assert lines[0] == "live: out/lessons/test_display.html#1"


def test_the_field_collapses_as_the_package_does(browser, notebook, tmp_path):
    collapse_field('a"<b>')
    html = notebook[0]["text/html"]
    (tmp_path / "page.html").write_text(f'<!doctype html><meta charset="utf-8">{html}')
    alphabet, rng = Alphabet("ab"), random.Random(0)
    browser.get((tmp_path / "page.html").as_uri())
    field = browser.find_element("css selector", "minids-collapse input")
    assert field.get_attribute("value") == 'a"<b>', "the path is text, not HTML"
    for _ in range(10):
        path = rng.choices(range(3), k=rng.randint(1, 8))
        field.clear()
        field.send_keys("".join("-ab"[k] for k in path))
        rows = [row.text for row in browser.find_elements("css selector", "minids-collapse strong")]
        assert rows[-1] == alphabet.decode(collapse(path))

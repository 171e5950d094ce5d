"""Pictures, sounds and the collapse field: in scripts, in notebooks, and in headless Chromium."""

import random
import re
import sys
from base64 import b64decode
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.audio import load_audio
from minids.lesson import collapse_field, data, display, listen, show
from minids.plot import subplots
from minids.text import Alphabet, collapse


def picture(t=0):
    figure, axes = subplots(6, 2)
    axes.axvline(t)
    axes.set(title="A line", xlabel="frame <t>")
    return figure


@pytest.fixture
def notebook(monkeypatch):
    """The HTML that a notebook displays, as a list."""
    displayed = []
    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=None))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(HTML=str, display=displayed.append))
    return displayed


def test_a_script_writes_a_page_for_each_picture(tmp_path, monkeypatch, capsys):
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


def test_a_picture_that_cannot_be_written_is_an_error_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").write_text("a file of the user's")
    with pytest.raises(InputError, match=r"cannot write out/lessons/.*; start in a folder"):
        show(picture())


def test_there_is_one_caption_for_each_figure():
    with pytest.raises(ValueError, match="2 figures, but 1 captions"):
        show([picture(), picture()], captions=["one"])


def test_in_a_notebook_pictures_are_inline(notebook, monkeypatch):
    show([picture(0), picture(1)], title="Lines")
    (html,) = notebook
    assert html.count("<svg") == 2
    assert "<style>" in html
    assert "<script>" in html
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace()))
    assert not display.in_notebook()  # IPython in a terminal


def test_a_player_contains_the_sound(notebook, tmp_path):
    listen(data("seven.flac"))
    listen(np.array([0.0, 0.5, -0.5]), 8000)
    players = [re.search(r'src="data:(.*);base64,(.*)"', html).groups() for html in notebook]
    assert [kind for kind, _ in players] == ["audio/flac", "audio/wav"]
    assert b64decode(players[0][1]) == data("seven.flac").read_bytes()
    (tmp_path / "noise.wav").write_bytes(b64decode(players[1][1]))
    samples, rate = load_audio(tmp_path / "noise.wav")
    assert rate == 8000
    np.testing.assert_allclose(samples, [0, 0.5, -0.5], atol=1e-4)


def test_a_script_prints_the_paths_of_sounds_and_the_collapsed_text(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    listen(data("seven.flac"))
    listen(np.zeros(10), 8000)
    collapse_field("--ss-ee-e")
    collapse_field("--")
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert first == f"sound: {data('seven.flac')}"
    assert Path(second.removeprefix("sound: ")).stat().st_size > 20
    assert rest == ["--ss-ee-e -> see", "-- -> "]


def test_the_field_collapses_as_the_package_does(browser, notebook, tmp_path):
    collapse_field('a"<b>')
    (tmp_path / "page.html").write_text(f'<!doctype html><meta charset="utf-8">{notebook[0]}')
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

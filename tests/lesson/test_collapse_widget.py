"""What lessons play and let type: as a script, in a notebook, and the typed path in headless Chromium."""

import random
import re
import sys
from base64 import b64decode
from types import SimpleNamespace

import pytest

from minids.lesson import data
from minids.lesson.collapse_widget import collapsing
from minids.lesson.listening import listen
from minids.text import Alphabet, collapse


@pytest.fixture
def notebook(monkeypatch):
    """What a notebook would show, as a list of HTML."""
    shown = []
    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=None))
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(HTML=str, display=shown.append))
    return shown


def test_a_player_carries_the_recording(notebook):
    listen(data("seven.flac"))
    (html,) = notebook
    kind, sound = re.search(r'src="data:(.*);base64,(.*)"', html).groups()
    assert kind == "audio/flac"
    assert b64decode(sound) == data("seven.flac").read_bytes()


def test_a_script_names_the_recording_and_collapses_the_path(capsys):
    listen(data("seven.flac"))
    collapsing("--ss-ee-e")
    collapsing("--")
    assert capsys.readouterr().out == f"sound: {data('seven.flac')}\n--ss-ee-e -> see\n-- -> \n"


def test_what_is_typed_collapses_as_in_the_package(browser, notebook, tmp_path):
    collapsing('a"<b>')
    (tmp_path / "page.html").write_text(f'<!doctype html><meta charset="utf-8">{notebook[0]}')
    alphabet, drawn = Alphabet("ab"), random.Random(0)
    browser.get((tmp_path / "page.html").as_uri())
    field = browser.find_element("css selector", "minids-collapse input")
    assert field.get_attribute("value") == 'a"<b>', "what was given is text, not HTML"
    for _ in range(10):
        path = drawn.choices(range(3), k=drawn.randint(1, 8))
        field.clear()
        field.send_keys("".join("-ab"[k] for k in path))
        read = [row.text for row in browser.find_elements("css selector", "minids-collapse strong")]
        assert read[-1] == alphabet.decode(collapse(path))

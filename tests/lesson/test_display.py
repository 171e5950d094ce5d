"""Pictures of lessons: where they are shown, and as what."""

import re
import sys
from types import SimpleNamespace

import pytest

from minids._utils.errors import InputError
from minids.lesson import display, show
from minids.plot import subplots


def picture(t=0):
    figure, axes = subplots(6, 2)
    axes.axvline(t)
    axes.set(title="A line", xlabel="frame <t>")
    return figure


def test_a_canvas_is_transparent_and_of_the_size_asked_for():
    figure, axes = subplots(6, 2, ncols=2, sharey=True)
    assert tuple(figure.get_size_inches()) == (6, 2)
    assert axes.shape == (2,)
    assert figure.patch.get_alpha() == 0
    assert {spine.get_edgecolor()[:3] for spine in axes[0].spines.values()} == {
        (26 / 255, 27 / 255, 28 / 255)
    }


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
    assert not display.in_notebook()  # IPython in a terminal

"""A page with components, in headless Chromium."""

import pytest

from minids.lesson import display


@pytest.fixture
def visit(visit, tmp_path, monkeypatch, capsys):
    """Show components with a function, as a script does, and open their page at a width, light or dark."""
    monkeypatch.chdir(tmp_path)

    def show_and_open(show, width=1280, scheme="light"):
        monkeypatch.setattr(display, "_pages", {})
        capsys.readouterr()
        show()
        path = capsys.readouterr().out.splitlines()[-1].removeprefix("live: ").split("#")[0]
        return visit(tmp_path / path, width, scheme)

    return show_and_open

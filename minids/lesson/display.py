"""Pictures where the reader is: inline in a notebook or on a page; as a script, in a file of its own."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from minids._utils.errors import InputError, reason
from minids._utils.page import asset, bright_themes, fragment, page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OUT = Path("out/lessons")  # of a script, below the folder it is started in
_shown: Counter[str] = Counter()


def show(figures: "Figure | Sequence[Figure]", captions: Sequence[str] = (), title: str = "") -> None:
    """Show a figure, or a list of figures as steps: with buttons, a slider and the arrow keys.

    `captions`, one for each figure, stand below it and are read aloud; `title` names the whole. In Jupyter,
    VS Code and on the built pages the pictures stand inline, in the page's own colors. As a script this
    writes out/lessons/NN-k.html and prints its path. Raises ValueError for another number of captions,
    InputError where nothing can be written.
    """
    from matplotlib.figure import Figure

    steps = [figures] if isinstance(figures, Figure) else list(figures)
    if captions and len(captions) != len(steps):
        raise ValueError(f"{len(steps)} figures, but {len(captions)} captions")
    name = Path(sys._getframe(1).f_globals.get("__file__", "picture")).stem[:2]
    _shown[name] += 1
    html = fragment(steps, captions, title, f"{name}-{_shown[name]}")
    if in_notebook():
        from IPython.display import HTML, display

        display(
            HTML(
                f"<style>{asset('picture.css')}{bright_themes()}</style>{html}<script>{asset('steps.js')}</script>"
            )
        )
    else:
        path = OUT / f"{name}-{_shown[name]}.html"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(page(title or path.stem, html), encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"cannot write {path}: {reason(error)}; start in a folder you can write to"
            ) from error
        print(f"picture: {path}")


def in_notebook() -> bool:
    """Whether a notebook's kernel runs us; IPython in a terminal shows no HTML."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")

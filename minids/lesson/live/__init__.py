"""Components to touch, in plain JavaScript: one custom element per file, which needs no network.

    from minids.lesson import live
    live.lattice("hi", 4)

Jupyter, VS Code and the lesson pages show them inline. A script writes out/lessons/NN-k.html and prints its
path. Each file defines <minids-NAME>, if the page has not defined it already, with its style in a shadow tree.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from minids.html.page import notebook_fragment, page
from minids.lesson import display

HERE = Path(__file__).parent


def lattice(word: str, frames: int, y: np.ndarray | None = None) -> None:
    """The CTC lattice of a word over some frames, whose probabilities can be dragged.

    `y` (frames, 1 + distinct letters of the word): the first probabilities, of the blank and of the letters in
    the order of their first occurrence; equal ones if it is None.
    """
    values = {} if y is None else {"probabilities": json.dumps(np.asarray(y).tolist())}
    show_component("lattice", f"The lattice of “{word}”", word=word, frames=frames, **values)


def show_component(name: str, title: str, **attributes: Any) -> None:
    """Show <minids-NAME> with its attributes; NAME.js is in this folder. `title` is that of a script's page.

    To be called by the functions of this module only: the lesson is the caller of the caller.
    """
    from markupsafe import Markup, escape

    script = (HERE / f"{name}.js").read_text(encoding="utf-8")
    listed = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
    html = Markup(
        f'<div class="minids"><minids-{name}{listed}>{escape(title)}: needs JavaScript, in a trusted notebook.'
        f"</minids-{name}><script>{script}</script></div>"
    )
    if display.in_notebook():
        display._display_html(notebook_fragment(html))
    else:
        lesson = Path(sys._getframe(2).f_globals.get("__file__", "live")).stem[:2]
        display._file_counts[lesson] += 1
        path = f"{lesson}-{display._file_counts[lesson]}.html"
        print(f"live: {display._write(path, page(title, html).encode())}")

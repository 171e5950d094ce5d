"""Components to touch, in plain JavaScript: one custom element per file, which needs no network.

    from minids.lesson import live
    live.lattice("hi", 4)

Jupyter, VS Code and the lesson pages show them inline; a script writes a page and prints its path. Each file
defines <minids-NAME>, unless the page has defined it already, with its style in a shadow tree.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from minids.lesson.display import show_html

HERE = Path(__file__).parent


def lattice(word: str, frames: int, y: np.ndarray | None = None, nodes: str = "alpha") -> None:
    """The CTC lattice of a word (at most 8 letters) over at most 12 frames; its probabilities can be dragged.

    `y` (frames, K): the first probabilities, of the blank and of the distinct letters in the order in which
    they occur; None: those of a network that has learned a little. `nodes`: "alpha", "beta" or "gamma", the
    numbers in the nodes. Raises ValueError if `y` has another shape.
    """
    attributes: dict[str, Any] = {"word": word, "frames": frames, "quantity": nodes}
    if y is not None:
        if np.shape(y) != (frames, 1 + len(set(word))):
            raise ValueError(f"y has the shape {np.shape(y)}, not ({frames}, {1 + len(set(word))})")
        attributes["probabilities"] = json.dumps(np.asarray(y).tolist())
    show_component("lattice", f"the lattice of “{word}”", **attributes)


def show_component(name: str, title: str, **attributes: Any) -> None:
    """Show <minids-NAME> of NAME.js with these attributes; `title` says what it is if no script runs."""
    from markupsafe import Markup

    listed = Markup("").join(Markup(' {}="{}"').format(*item) for item in attributes.items())
    inside = Markup("<p>Here is {}, in a trusted notebook or in a browser with JavaScript.</p>").format(title)
    tag = Markup("minids-{}").format(name)
    html = Markup('<div class="minids"><{}{}>{}</{}></div>').format(tag, listed, inside, tag)
    show_html(html, HERE / f"{name}.js", title=title)

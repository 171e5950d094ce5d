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

from minids.audio import load_audio
from minids.features import Features
from minids.lesson.display import show_html
from minids.lesson.folder import data

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
    show_component("lattice", f"the lattice of “{word}”", "parts", "ctc", **attributes)


def layer() -> None:
    """Gradient descent on one small layer: from a frame of "two five" it predicts the next frame.

    Features are 8 bands and the energy; the loss is ½ Σ (h − target)², averaged over frames. W starts at 0, b
    at 5. Lesson 3 goes on with the same task and 80 bands.
    """
    samples, rate = load_audio(data("two_five.flac"))
    features = Features(rate=rate, bands=8, normalize="utterance", floor_db=-70)
    x, log_powers = features(samples)[:-1], features.log_powers(samples)
    targets = (log_powers - log_powers.min())[1:]
    rounded = {
        name: json.dumps(np.asarray(values, float).round(2).tolist(), separators=(",", ":"))
        for name, values in {"inputs": x, "targets": targets}.items()
    }
    show_component("layer", "a layer while it learns", "parts", **rounded)


def descent() -> None:
    """Gradient descent, momentum and Nesterov's variant in a narrow valley.

    The loss is ½ (0.4 u² + 20 w²), with u along the valley, which is turned by 20°, and w across it.
    """
    show_component("descent", "gradient descent in a narrow valley", "parts")


def show_component(name: str, title: str, *needs: str, **attributes: Any) -> None:
    """Show <minids-NAME> of NAME.js with these attributes; `title` says what it is if no script runs.

    `needs` are other files in this folder, without .js, that come first.
    """
    from markupsafe import Markup

    listed = Markup("").join(Markup(' {}="{}"').format(*item) for item in attributes.items())
    inside = Markup("<p>Here is {}, in a trusted notebook or in a browser with JavaScript.</p>").format(title)
    tag = Markup("minids-{}").format(name)
    html = Markup('<div class="minids"><{}{}>{}</{}></div>').format(tag, listed, inside, tag)
    show_html(html, *(HERE / f"{file}.js" for file in (*needs, name)), title=title)

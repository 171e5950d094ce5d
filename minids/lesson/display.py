"""Pictures, sounds and the collapse field: inline in notebooks and on lesson pages; in scripts, as files."""

import io
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minids._utils.errors import InputError, reason
from minids.html.page import fragment, notebook_fragment, page
from minids.text import Alphabet, collapse

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OUTPUT_FOLDER = Path("out/lessons")  # of scripts, below the current folder
_file_counts: Counter[str] = Counter()


def show(figures: "Figure | Sequence[Figure]", captions: Sequence[str] = (), title: str = "") -> None:
    """Show a figure, or a sequence of figures as steps, with buttons, a slider and the arrow keys.

    `captions`, one per figure, are shown below it and read aloud by screen readers; `title` names the whole.
    Jupyter, VS Code and the lesson pages show the figures inline, in the colors of the page. A script writes
    out/lessons/NN-k.html and prints its path. Raises ValueError if the number of captions is not the number
    of figures, InputError if the file cannot be written.
    """
    from matplotlib.figure import Figure

    steps = [figures] if isinstance(figures, Figure) else list(figures)
    if captions and len(captions) != len(steps):
        raise ValueError(f"{len(steps)} figures, but {len(captions)} captions")
    name = _next_name()
    html = fragment(steps, captions, title, name)
    if in_notebook():
        _display_html(notebook_fragment(html))
    else:
        print(f"picture: {_write(f'{name}.html', page(title or name, html).encode())}")


def listen(sound: Path | np.ndarray, rate: int | None = None) -> None:
    """Play a FLAC or WAV file, or samples (N,) at `rate` Hz: an audio player in notebooks and on pages.

    A script prints the path of the file; samples are written to out/lessons/NN-k.wav first.
    """
    if isinstance(sound, Path):
        content, name = sound.read_bytes(), sound.name
    else:
        content, name = _wav(sound, rate), f"{_next_name()}.wav"
    if in_notebook():
        encoded = b64encode(content).decode()
        kind = Path(name).suffix[1:].lower()
        _display_html(
            f'<p><audio controls preload="none" aria-label="{escape(Path(name).stem)}"'
            f' src="data:audio/{kind};base64,{encoded}"></audio></p>'
        )
    else:
        print(f"sound: {sound if isinstance(sound, Path) else _write(name, content)}")


def collapse_field(path: str) -> None:
    """Show an input field with a path, "-" being the blank, and the text that it collapses to.

    A script prints the path and its text.
    """
    if in_notebook():
        field = f'<minids-collapse path="{escape(path)}"></minids-collapse>'
        script = Path(__file__).with_name("collapse_widget.js").read_text(encoding="utf-8")
        _display_html(f'<div class="minids">{field}<script>{script}</script></div>')
    else:
        alphabet = Alphabet(sorted(set(path) - {"-"}) or "-")
        labels = [0 if symbol == "-" else int(alphabet.encode(symbol)[0]) for symbol in path]
        print(f"{path} -> {alphabet.decode(collapse(labels))}")


def in_notebook() -> bool:
    """Whether this runs in a notebook kernel; IPython in a terminal shows no HTML."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")


def _next_name() -> str:
    """NN-k for the k-th picture or sound of lesson NN, which called our caller."""
    lesson = Path(sys._getframe(2).f_globals.get("__file__", "picture")).stem[:2]
    _file_counts[lesson] += 1
    return f"{lesson}-{_file_counts[lesson]}"


def _display_html(html: str) -> None:
    from IPython.display import HTML, display

    display(HTML(html))


def _wav(samples: np.ndarray, rate: int | None) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.asarray(samples, np.float32), rate, format="wav")
    return file.getvalue()


def _write(name: str, content: bytes) -> Path:
    path = OUTPUT_FOLDER / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {reason(error)}; start in a folder you can write to"
        ) from error
    return path

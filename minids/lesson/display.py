"""Pictures, sounds and the collapse field: inline in notebooks and on lesson pages; in scripts, as files."""

import io
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from minids._utils.errors import InputError, reason
from minids._utils.files import atomic_write
from minids.html.page import fragment, notebook_fragment, page
from minids.lesson import folder, player
from minids.text import Alphabet, collapse

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OUTPUT_FOLDER = Path("out/lessons")  # of scripts, below the current folder
_figure_counts: Counter[str] = Counter()
_pages: dict[str, tuple[list[Markup], list[Path]]] = {}  # of each lesson: what it has shown, and its assets


def show(
    figures: "Figure | Sequence[Figure]",
    captions: Sequence[str] = (),
    title: str = "",
    opens_at: int | None = None,
) -> None:
    """Show a figure, or a sequence of figures as steps, with buttons, a slider and the arrow keys.

    `captions`, one per figure, are shown below it and read aloud by screen readers; `title` names the whole.
    Steps open on the last figure, or on figures[opens_at].
    Jupyter, VS Code and the lesson pages show the figures inline, in the colors of the page. A script adds
    them to out/lessons/NN.html, the page of lesson NN, and prints its path. Raises ValueError if the number
    of captions is not that of the figures, InputError if the file cannot be written.
    """
    from matplotlib.figure import Figure

    steps = [figures] if isinstance(figures, Figure) else list(figures)
    if captions and len(captions) != len(steps):
        raise ValueError(f"{len(steps)} figures, but {len(captions)} captions")
    html = fragment(steps, captions, title, _next_salt(), opens_at)
    still = steps[-1 if opens_at is None else opens_at]
    show_html(html, title=title, kind="picture", still=still)


def listen(
    sound: Path | np.ndarray | None,
    rate: int | None = None,
    *,
    log_probs: player.Letters | None = None,
    alphabet: Alphabet | str | None = None,
    versions: Mapping[str, Any] | None = None,
    by: str = "version",
    title: str = "",
) -> None:
    """Play a sound: its waveform, its spectrogram and its letters, under a playhead that can be moved.

    `sound` is a FLAC or WAV file, or samples (N,) at `rate` Hz; a peak above 1 is scaled to 1. `log_probs`
    (T, K) with their `alphabet` show the most probable character of each frame, as high as its probability;
    instead, they may be timed texts, (text, start s, end s[, probability]).

    `versions` of one sound, {name: version}, are chosen by buttons, or by a slider if there are more than
    four; `by` says what they differ in: if in "training" or "epoch", the last is shown first. A version
    is a sound, or (sound, log_probs or timed texts), in which None stands for `sound`. A script adds the
    player to out/lessons/NN.html and prints its path.
    """
    if isinstance(alphabet, str):
        alphabet = Alphabet(alphabet)
    name = title or (sound.stem.replace("_", " ") if isinstance(sound, Path) else "a sound")
    html = player.player(sound, rate, log_probs, alphabet, versions, by, name)
    show_html(html, *player.ASSETS, title=name, kind="sound")


def show_html(
    html: Markup, *assets: Path, title: str = "", kind: str = "live", still: "Figure | None" = None
) -> None:
    """Show HTML with the style sheets (.css) and scripts (.js) that it needs, as `show` shows figures.

    A page includes each of the `assets` once. `still` is for notebooks that are not trusted, which show
    neither SVG nor script. A script prints "<kind>: <path of the page>".
    """
    if in_notebook():
        url = f"data:image/png;base64,{b64encode(_png(still)).decode()}" if still else ""
        bundle = {"text/html": notebook_fragment(html, assets, url, title), "text/plain": title or kind}
        if still:
            bundle["image/png"] = url.split(",")[1]
        _display(bundle)
        return
    lesson = _lesson()
    bodies, needed = _pages.setdefault(lesson, ([], []))
    needed += assets
    bodies.append(Markup('<section id="{}">{}</section>').format(len(bodies) + 1, html))
    path = write_output(
        f"{lesson}.html", page(f"Lesson {lesson}", Markup("\n").join(bodies), needed).encode()
    )
    print(f"{kind}: {path}#{len(bodies)}")


def collapse_field(path: str) -> None:
    """Show an input field with a path, "-" being the blank, and the text that it collapses to.

    A script prints both as well.
    """
    field = Markup('<div class="minids"><minids-collapse path="{}"></minids-collapse></div>')
    show_html(field.format(path), Path(__file__).with_name("collapse_widget.js"), title="Collapse a path")
    if not in_notebook():
        alphabet = Alphabet(sorted(set(path) - {"-"}) or "-")
        labels = [0 if symbol == "-" else int(alphabet.encode(symbol)[0]) for symbol in path]
        print(f"{path} -> {alphabet.decode(collapse(labels))}")


def in_notebook() -> bool:
    """Whether this runs in a notebook kernel; IPython in a terminal shows no HTML."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")


def _lesson() -> str:
    """The number, or else the name, of the file that called us from outside this package."""
    stem = folder.calling_file("picture").stem
    return stem[:2] if stem[:2].isdigit() else stem


def _next_salt() -> str:
    """NN-k for the k-th picture of lesson NN."""
    lesson = _lesson()
    _figure_counts[lesson] += 1
    return f"{lesson}-{_figure_counts[lesson]}"


def _display(bundle: dict[str, str]) -> None:
    from IPython.display import display

    display(bundle, raw=True)


def _png(figure: "Figure") -> bytes:
    """A figure as PNG, on white, with colors that are few and therefore small."""
    from matplotlib import rc_context
    from PIL import Image

    file, reduced = io.BytesIO(), io.BytesIO()
    with rc_context({"savefig.facecolor": "white"}):
        figure.savefig(file, format="png", dpi=100, facecolor="white")
    Image.open(file).convert("RGB").quantize(64).save(reduced, "PNG", optimize=True)
    return reduced.getvalue()


def write_output(name: str, content: bytes) -> Path:
    """Write a file in out/lessons; returns its path. Raises InputError if it cannot be written."""
    path = OUTPUT_FOLDER / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(content)
    except (OSError, InputError) as error:
        cause = reason(error.__cause__ or error)
        raise InputError(f"cannot write {path}: {cause}; start in a folder you can write to") from error
    return path

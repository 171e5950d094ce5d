"""A path that the reader types, and its collapse as he types: in a notebook and on a page."""

from html import escape
from pathlib import Path

from minids.lesson.display import in_notebook
from minids.text import Alphabet, collapse


def collapsing(path: str) -> None:
    """Offer a field with a path in it, "-" being the blank; below stands what is left of it at every stroke.

    As a script this prints the path and its text.
    """
    if in_notebook():
        from IPython.display import HTML, display

        field = f'<minids-collapse path="{escape(path)}"></minids-collapse>'
        script = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
        display(HTML(f'<div class="minids">{field}<script>{script}</script></div>'))
    else:
        alphabet = Alphabet(sorted(set(path) - {"-"}) or "-")
        text = alphabet.decode(collapse(0 if c == "-" else int(alphabet.encode(c)[0]) for c in path))
        print(f"{path} -> {text}")

"""Sound where the reader is: a player in a notebook and on a page; as a script, the path to play."""

from base64 import b64encode
from pathlib import Path

from minids.lesson.display import in_notebook


def listen(path: Path) -> None:
    """Offer to play a FLAC or WAV file. On a page the player carries the sound in it."""
    if in_notebook():
        from IPython.display import HTML, display

        sound = b64encode(path.read_bytes()).decode()
        kind = path.suffix[1:].lower()
        display(
            HTML(
                f'<p><audio controls preload="none" aria-label="{path.stem}"'
                f' src="data:audio/{kind};base64,{sound}"></audio></p>'
            )
        )
    else:
        print(f"sound: {path}")

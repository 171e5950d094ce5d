"""mine.py as a file: sections, each with a marker and the checksum of the text that the lessons wrote.

    # %% imports (8d1ab24c)
    # %% shift, for 5.1 (32f0e1aa)   a function, class or constant that the function of exercise 5.1 uses
    # %% 5.1 skips (91c02b7e)        an accepted function
    # %% 5.2 lattice, our answer (…) to an exercise that is not done yet and that another function uses

A section whose text has another checksum, or none, has been written or changed by the reader.
"""

import ast
import inspect
import io
import re
import tokenize
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from zlib import crc32

from minids._utils.errors import reason
from minids.lesson.names import bound_names, used_names
from minids.lesson.notebooks import read_python

FILE = "mine.py"
OURS = ", our answer"
HEAD = '''"""What I wrote in the lessons, function by function. Later lessons run on it.

The lessons write this file. You can change it: they do not overwrite a section that you have changed. They
recognize it by the number in parentheses, the checksum of what they wrote.
"""
'''
_MARKER = re.compile(r"# %% (.+?)(?: \(([0-9a-f]{8})\))?\s*")


class NotKeptError(Exception):
    """A function that cannot be kept; the message says why."""


@dataclass(eq=False)
class Section:
    title: str
    text: str
    written: str | None = None  # the checksum of what the lessons wrote

    @property
    def order(self) -> tuple[int, ...]:
        """(lesson, exercise, 0 for what the exercise needs or 1 for itself); () if the reader added it."""
        if self.title == "imports":
            return (0, 0, 0)
        match = re.fullmatch(rf"(\w+, for )?(\d+)\.(\d+)( \w+({OURS})?)?", self.title)
        return (int(match[2]), int(match[3]), 0 if match[1] else 1) if match else ()

    @property
    def exercise(self) -> tuple[str, str] | None:
        """The number and the name of the exercise whose accepted function this is."""
        if self.order[2:] == (1,) and not self.title.endswith(OURS):
            number, _, name = self.title.partition(" ")
            return number, name
        return None

    @property
    def is_edited(self) -> bool:
        return self.written != _checksum(self.text)

    @cached_property
    def binds(self) -> set[str]:
        return set().union(*map(bound_names, ast.parse(self.text).body))

    @cached_property
    def uses(self) -> set[str]:
        return used_names(self.text)

    def write(self, text: str) -> None:
        self.text, self.written = text, _checksum(text)
        vars(self).pop("binds", None), vars(self).pop("uses", None)


def _checksum(text: str) -> str:
    return f"{crc32(text.encode()):08x}"


def read(path: Path) -> str:
    """The text of mine.py, which an editor may have saved with a byte order mark. Raises NotKeptError."""
    try:
        return read_python(path)
    except (OSError, SyntaxError, ValueError) as error:
        raise NotKeptError(f"{path}: {reason(error)}") from None


def encode(text: str) -> bytes:
    """The text as its line "coding: …" says, else in UTF-8."""
    return text.encode(tokenize.detect_encoding(io.BytesIO(text.encode()).readline)[0])


def split(text: str, path: Path) -> tuple[str, list[Section]]:
    """What is before the first section, and the sections. Raises NotKeptError if it is not Python.

    A marker is a line of its own, not part of a text or of a function.
    """
    try:
        statements = ast.parse(text).body
    except Exception as error:
        raise NotKeptError(describe(error, path)) from None
    lines = text.split("\n")
    inside: set[int] = set()
    for node in statements:
        first = min(n.lineno for n in (node, *getattr(node, "decorator_list", ())))
        inside.update(range(first, (node.end_lineno or first) + 1))
    starts = [i for i, line in enumerate(lines) if i + 1 not in inside and _MARKER.fullmatch(line)]
    sections = []
    for start, end in pairwise([*starts, len(lines)]):
        match = _MARKER.fullmatch(lines[start])
        assert match
        sections.append(Section(match[1], "\n".join(lines[start + 1 : end]).strip("\n"), match[2]))
    return "\n".join(lines[: starts[0]] if starts else lines), sections


def join(head: str, sections: list[Section]) -> str:
    parts = [head.rstrip()]
    for section in sections:
        mark = f" ({section.written})" if section.written else ""
        parts.append(f"# %% {section.title}{mark}\n{section.text}\n")
    return "\n\n".join(parts)


def needed_by(section: Section, sections: list[Section]) -> list[Section]:
    """The section, and all that bind a name that it or what it needs uses."""
    found = [section]
    for user in found:
        found += [
            other for other in sections if other not in found and other.binds & (user.uses | user.binds)
        ]
    return found


def describe(error: BaseException, path: Path) -> str:
    """An error of the code of mine.py: "mine.py, line 7: KeyError: 'gone'"."""
    frames = inspect.getinnerframes(error.__traceback__) if error.__traceback__ else []
    numbers = [frame.lineno for frame in frames if frame.filename == str(path)]
    line = getattr(error, "lineno", None) or (numbers[-1] if numbers else None)
    place = f", line {line}" if line else ""
    return f"{FILE}{place}: {type(error).__name__}: {getattr(error, 'msg', None) or reason(error)}"

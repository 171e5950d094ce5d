"""Lessons as notebooks: from the percent format to .ipynb, and the code of either."""

import ast
import json
import linecache
import re
import tokenize
from pathlib import Path
from typing import Any

from minids._utils.errors import InputError, reason

_MARKER = re.compile(r"^# %%(.*)\n", re.MULTILINE)
# a line of IPython: !ls, %time x, ?x, x?, x = !ls
_COMMAND = re.compile(r"(\s*)((?:[\w, ]+=\s*)?[%!?].*|.*\?\s*)")
_OTHER_CELL = re.compile(r"\s*%%(?!time|capture|prun)")  # a cell that is not Python: %%bash, %%html
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def from_percent(text: str) -> bytes:
    """The notebook (nbformat 4.5) of a file in percent format; the same text gives the same bytes."""
    _, *parts = _MARKER.split(text)
    cells: list[dict[str, Any]] = []
    for kind, source in zip(parts[::2], parts[1::2], strict=True):
        cell: dict[str, Any] = {"cell_type": "code", "id": f"cell-{len(cells)}", "metadata": {}}
        if kind.strip() == "[markdown]":
            cell["cell_type"] = "markdown"
            source = re.sub(r"^# ?", "", source, flags=re.MULTILINE)
        else:
            cell |= {"execution_count": None, "outputs": []}
        cell["source"] = source.strip("\n").splitlines(keepends=True)
        cells.append(cell)
    notebook = {"cells": cells, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def read_python(path: Path) -> str:
    """The text of a Python file, without a byte order mark, decoded as its line "coding: …" says.

    Raises OSError, and SyntaxError or ValueError if it cannot be decoded.
    """
    with tokenize.open(path) as file:
        return file.read()


def code_of(path: Path, number: str) -> tuple[str, str]:
    """The Python code of a lesson, .py or .ipynb, and the file name with which to compile it.

    The code cells of a notebook become one text, in which commands of IPython are comments, and cells that
    are not Python. Its lines can be looked up under that file name. Raises InputError if the file cannot be
    read, and SyntaxError if the cell that checks the exercise `number` is not Python.
    """
    try:
        if path.suffix != ".ipynb":
            return read_python(path), str(path)
        notebook = json.loads(path.read_text(encoding="utf-8-sig"))
        cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    except (OSError, SyntaxError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from error
    text = "\n\n".join(_python(cell, number) for cell in cells)
    name = f"{path} (code)"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    return text, name


def _python(cell: str, number: str) -> str:
    """The cell with the commands of IPython as comments, or all of it if the rest is not Python."""
    lines = cell.split("\n")
    while not _OTHER_CELL.match(cell):
        try:
            ast.parse("\n".join(lines))
            return "\n".join(lines)
        except (SyntaxError, ValueError) as error:
            i = (getattr(error, "lineno", None) or 1) - 1
            command = _COMMAND.fullmatch(lines[i]) if i < len(lines) else None
            if command:
                lines[i] = f"{command[1]}pass  # {command[2]}"
            elif re.search(rf"\bcheck\(\s*[\"']{re.escape(number)}[\"']", cell):
                first = next(line for line in lines if line.strip())
                raise SyntaxError(f"{reason(error)} (the cell that begins with {first!r})") from error
            else:
                break
    return "\n".join(f"# {line}" for line in cell.split("\n"))

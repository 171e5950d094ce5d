"""Lessons as notebooks: from the percent format to .ipynb, and the code of either."""

import json
import linecache
import re
from pathlib import Path
from typing import Any

from minids._utils.errors import InputError, reason

_MARKER = re.compile(r"^# %%(.*)\n", re.MULTILINE)
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


def code_of(path: Path) -> tuple[str, str]:
    """The Python code of a lesson, .py or .ipynb, and the file name with which to compile it.

    The code cells of a notebook become one text, in which commands of IPython are comments. Its lines can be
    looked up under that file name. Raises InputError if the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix != ".ipynb":
            return text, str(path)
        cells = ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read: {reason(error)}") from error
    text = re.sub(r"^(\s*)([%!])", r"\1pass  # \2", "\n\n".join(cells), flags=re.MULTILINE)
    name = f"{path} (code)"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    return text, name

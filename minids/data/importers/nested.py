"""JSON and JSON Lines with objects, at any depth, that name a recording and its text; NeMo's manifests, too.

{"data": [{"file": "1.wav", "speaker": "ann", "parts": [{"text": "hello", "start": 0.5, "end": 1.25}]}]}

Fields are named by paths such as data[].parts[].text. [] stands for each element of a list, or each value of
an object such as {"1": {"file": ...}, "2": {"file": ...}}, whose keys are then fields `key`.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

from minids._utils.errors import InputError
from minids.data.importers.common import Corpus, Recordings, list_files, numbered_lines, text_lines
from minids.data.importers.tables import SAMPLE, NoColumn, Rows, find_columns, is_usual, read_files

Fields = dict[str, Any]


def read_json(root: Path, options: Mapping[str, str]) -> Corpus:
    """One file, or all of a folder and those below it. The name of the file is the split.

    The fields with usual names are used, also those of the objects around a text. An object without a path
    belongs to the recording that is named as its file. Without options, files in which no path or text is
    found are left out and listed.
    """
    recordings = Recordings(root, options.get("audio"))
    files = list_files(root, ".json", ".jsonl", below=True)
    beside = recordings.beside(files)

    def open_json(path: Path) -> Rows:
        own = beside.get(path)
        fields: Fields = {"path": str(own)} if own else {}
        documents = _documents(path)
        at, columns = _columns([node for _, node in documents], fields, recordings, options)
        rows = (
            (f"{location}: {at} {number}" if at else location, row)
            for location, node in documents
            for number, row in enumerate(_rows(node, "", fields, at), start=1)
        )
        return columns, recordings, root.name if own else path.stem, rows

    return read_files(files, open_json, strict=bool(options))


def _documents(path: Path) -> list[tuple[str, Any]]:
    """The values of a file with their locations: one, or one for each line."""
    try:
        return [(str(path), json.loads("".join(text_lines(path))))]
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        problem, number = error, getattr(error, "lineno", 1)
    documents = []
    for line, text in numbered_lines(path):
        try:
            documents.append((f"{path}: line {line}", json.loads(text)))
        except ValueError as error:
            if documents:  # else it is one value, and its first error counts
                problem, number = error, line
            message = getattr(problem, "msg", problem)
            raise InputError(f"{path}: line {number} is not JSON ({message}); correct it") from None
    return documents


def _columns(
    nodes: list[Any], outer: Fields, recordings: Recordings, options: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """The path of the objects that are utterances, such as data[].parts[], and the field of each role.

    The objects nearest to the root that have a recording and a text with a usual name, or else with any.
    """
    fixed = [name[: name.rindex("[]") + 2] for name in options.values() if "[]" in name]
    found, problem = [], NoColumn("it has no objects")
    for at in [max(fixed, key=len)] if fixed else sorted(_lists(nodes, ""), key=lambda at: at.count("[]")):
        rows = [*islice(chain.from_iterable(_rows(node, "", outer, at) for node in nodes), SAMPLE)]
        try:
            found.append((at, find_columns(rows, recordings, options)))
        except NoColumn as error:
            problem = error if any(rows) else problem
    if not found:
        raise problem
    return next((one for one in found if is_usual(one[1]["text"], "text")), found[0])


def _lists(nodes: list[Any], at: str) -> set[str]:
    """The paths of all lists of objects below some objects at the path `at`, with it."""
    contents = chain.from_iterable(_contents(node, at) for node in nodes[:SAMPLE])
    return {at}.union(*(_lists(value, name) for name, value in contents if isinstance(value, list)))


def _rows(node: Any, at: str, outer: Fields, target: str) -> Iterator[Fields]:
    """The fields of each object at the path `target`, and of the objects around it, by their paths."""
    contents = [*_contents(node, at)]
    fields = outer | {name: value for name, value in contents if not isinstance(value, list)}
    if at == target:
        yield fields
    for name, value in contents:
        if isinstance(value, list) and target.startswith(name):
            for element in value:
                yield from _rows(element, name, fields, target)


def _contents(node: Any, at: str) -> Iterator[tuple[str, Any]]:
    """The fields of an object by their paths: values, and lists of objects."""
    values = [*node.values()] if isinstance(node, dict) else []
    keys = [{*value} if isinstance(value, dict) else set() for value in values] or [set()]
    if isinstance(node, list):
        yield f"{at}[]", [element for element in node if isinstance(element, dict)]
    elif len(values) > 1 and 2 * len(set.intersection(*keys)) > len(set.union(*keys)):  # about the same
        yield f"{at}[]", [{"key": key} | value for key, value in node.items()]
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from _contents(value, f"{at}.{key}" if at else key)
    else:
        yield at, node

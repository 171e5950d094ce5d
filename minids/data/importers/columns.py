"""What the columns of a table or the fields of JSON objects mean, by their names or their contents."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minids._utils.errors import InputError
from minids.data.importers import ROLES
from minids.data.importers.common import SPLITS, Corpus, Recordings, is_sound
from minids.data.manifest import MAX_CHANNELS, Utterance, parse_part

SAMPLE = 50  # rows


class NoColumn(InputError):
    """There is no column for paths or texts. The message has no location."""


def find_columns(
    names: Sequence[str],
    sample: Sequence[Mapping[str, Any]],
    recordings: Recordings,
    options: Mapping[str, str],
) -> dict[str, str]:
    """The column or field of each of ROLES that there is; `options` fix some of them, "" means none.

    The path is the first column, those with usual names before others, with recordings in the `sample`. Texts
    are in a column with a usual name, or in the one with the most words of those whose values differ and,
    unless the table has no header, have several words. Raises NoColumn.
    """
    columns = {role: name for role, name in options.items() if role in ROLES}
    has = f"it has {', '.join(map(repr, names))[:200] or 'none'}"
    for name in columns.values():
        if name and name not in names:
            raise NoColumn(f"no column {name!r} ({has}); is it the right file?")
    values = {name: [str(row[name]) for row in sample if row.get(name) not in (None, "")] for name in names}
    for role in ROLES:
        if role in columns:
            continue
        free = [name for name in names if name not in columns.values()]
        simple = {_simple(name): name for name in reversed(free)}
        found = [simple[name] for name in ROLES[role].split() if name in simple]
        if role == "path":
            free.sort(key=lambda name: not any(is_sound(Path(value)) for value in values[name]))
            found = [name for name in [*found, *free] if any(map(recordings.has, values[name]))] or found
        elif role == "split":
            found = [name for name in found if all(value.lower() in SPLITS for value in values[name])]
        elif role == "text" and not found:
            differ = {n: "".join(values[n]) for n in free if 2 * len({*values[n]}) > len(values[n])}
            found = [n for n in differ if n.isdecimal() or " " in differ[n]]
            found = [name for name in found if re.search(r"[^\W\d_]", differ[name])]
            found.sort(key=lambda name: differ[name].count(" "), reverse=True)
        if found:
            columns[role] = found[0]
        elif role in ("path", "text"):
            what = "recordings that are there" if role == "path" else "texts"
            raise NoColumn(f"no column has {what} ({has}); name it by --{role}")
    return {role: name for role, name in columns.items() if name}


def is_usual(name: str, role: str) -> bool:
    """Whether a column has a usual name for the role."""
    return _simple(name) in ROLES[role].split()


def describe(columns: Mapping[str, str]) -> str:
    """ "path 'file', text 'sentence'": the columns that are used."""
    return ", ".join(f"{role} {columns[role]!r}" for role in ROLES if role in columns)


def add_utterance(
    corpus: Corpus, row: Mapping[str, Any], columns: Mapping[str, str], recordings: Recordings, location: str,
    split: str,
) -> None:  # fmt: skip
    """Add the utterance of a row to its split, by default `split`; fields without a role are kept.

    A row without a path or text is left out and listed. Raises InputError with the location for numbers that
    are none.
    """
    values = {role: row[name] for role, name in columns.items() if row.get(name) not in (None, "")}
    path, text, channel = values.get("path"), row.get(columns["text"]), values.get("channel")
    if not isinstance(path, str | int) or not isinstance(text, str | int | float):
        wanted = "text" if isinstance(path, str | int) else "path"
        corpus.missing.append(f"{location} has no {columns[wanted]!r}")
        return
    if channel is not None and not (str(channel).isdecimal() and int(channel) < MAX_CHANNELS):
        raise InputError(f'{location}: channel {channel!r} is not a number from 0; or give --channel ""')
    start, end, duration = 0.0, None, None
    try:
        times = {role: float(v) for role, v in values.items() if role in ("start", "end", "duration")}
        start, end, duration = parse_part(times)
    except (ValueError, TypeError) as error:
        if "start" in values or "end" in values:  # the duration of a whole recording only serves as a check
            raise InputError(f"{location}: the part of {path}: {error}; correct it") from None
    name = str(values.get("split", split))
    name = SPLITS.get(name.lower(), re.sub(r"[^\w.-]+", "_", name).strip(".") or "all")
    used = {*columns.values()}
    utterance = Utterance(
        recordings.find(str(path)) or recordings.folder / str(path),
        str(text).strip(),
        duration or 0.0,
        str(values["speaker"]) if "speaker" in values else None,
        extra={_last(name): v for name, v in row.items() if name not in used and v not in (None, "")},
        start=start,
        end=end,
        channel=None if channel is None else int(channel),
    )
    corpus.splits.setdefault(name, []).append(utterance)


def _last(name: str) -> str:
    """The last part of a path such as data[].info.age."""
    return name.rpartition(".")[2] or name


def _simple(name: str) -> str:
    return re.sub(r"[\W_]+", "", _last(name)).casefold()

"""Any corpus in the manifests of NVIDIA NeMo.

train.json      {"audio_filepath": "clips/0001.wav", "duration": 1.5, "text": "turn on the light"}
"""

import json
from pathlib import Path
from typing import Any

from minids._utils.errors import InputError
from minids.data.importers.common import ImportResult, numbered_lines, table_files, write_splits
from minids.data.manifest import MAX_SECONDS, Utterance

EXAMPLE_LINE = '{"audio_filepath": "a.wav", "text": "hello"}'


def import_nemo(root: str | Path, out: str | Path, progress: bool = False) -> ImportResult:
    """Write NAME.jsonl to the folder `out` for every NAME.json of the folder `root`, or for the one file.

    Paths are relative to the manifest's folder; offset and duration select a part of a recording; other
    fields are kept. Recordings that are missing or damaged are left out and listed in the result. InputError:
    no such manifest, or a broken line.
    """
    splits: dict[str, list[Utterance]] = {}
    for manifest in table_files(root, ".json"):
        splits[manifest.stem] = []
        for number, line in numbered_lines(manifest):
            fields = _fields(manifest, number, line)
            path = (manifest.parent / fields.pop("audio_filepath")).absolute()
            text, speaker = fields.pop("text"), fields.pop("speaker", None)
            duration = _seconds(fields, "duration", manifest, number)
            start = _seconds(fields, "offset", manifest, number)
            end = None if start is None or not duration else start + duration
            speaker = None if speaker is None else str(speaker)
            utterance = Utterance(
                path, text, duration or 0.0, speaker, extra=fields, start=start or 0.0, end=end
            )
            splits[manifest.stem].append(utterance)
    return write_splits(root, splits, out, [], progress)


def _seconds(fields: dict[str, Any], name: str, manifest: Path, number: int) -> float | None:
    value = fields.pop(name, None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_SECONDS:
        raise InputError(
            f"{manifest}: line {number}: {name} = {value!r} is not a number of seconds; correct it"
        )
    return float(value)


def _fields(manifest: Path, number: int, line: str) -> dict[str, Any]:
    try:
        fields = json.loads(line)
        if isinstance(fields["audio_filepath"], str) and isinstance(fields["text"], str):
            return fields
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    raise InputError(
        f"{manifest}: line {number} is not a line of a NeMo manifest; write it like {EXAMPLE_LINE}"
    )

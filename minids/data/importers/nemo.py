"""Any corpus in the manifests of NVIDIA NeMo.

train.json      {"audio_filepath": "clips/0001.wav", "duration": 1.5, "text": "turn on the light"}
"""

import json
from pathlib import Path
from typing import Any

from minids._utils.errors import InputError
from minids.data.importers.common import ImportResult, read_lines, table_files, write_splits
from minids.data.manifest import Utterance

EXAMPLE_LINE = '{"audio_filepath": "a.wav", "text": "hello"}'


def import_nemo(root: str | Path, out: str | Path, progress: bool = False) -> ImportResult:
    """Write NAME.jsonl to the folder `out` for every NAME.json of the folder `root`, or for the one file.

    Paths are relative to the manifest's folder; other fields are kept. Lines for a part of a recording, and
    recordings that are missing or damaged, are left out and listed in the result. InputError: no such
    manifest, or a broken line.
    """
    missing: list[str] = []
    splits: dict[str, list[Utterance]] = {}
    for manifest in table_files(root, ".json"):
        splits[manifest.stem] = []
        for number, line in enumerate(read_lines(manifest), start=1):
            fields = _fields(manifest, number, line)
            path = (manifest.parent / fields.pop("audio_filepath")).absolute()
            text, speaker = fields.pop("text"), fields.pop("speaker", None)
            duration = fields.pop("duration", 0.0)
            duration = duration if isinstance(duration, int | float) else 0.0
            if fields.pop("offset", 0):
                missing.append(f"{path}: {manifest}:{number} is a part of it; cut it into a file of its own")
                continue
            speaker = None if speaker is None else str(speaker)
            splits[manifest.stem].append(Utterance(path, text, duration, speaker, extra=fields))
    return write_splits(splits, out, missing, progress)


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

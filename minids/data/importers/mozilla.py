"""Any corpus in the CSV files of Mozilla DeepSpeech and Coqui STT.

train.csv       wav_filename,wav_filesize,transcript
                clips/0001.wav,123456,turn on the light
"""

from pathlib import Path

from minids._utils.errors import InputError
from minids.data.importers.common import ImportResult, read_table, table_files, write_splits
from minids.data.manifest import Utterance, parse_part

REQUIRED = ("wav_filename", "transcript")


def import_mozilla(root: str | Path, out: str | Path, progress: bool = False) -> ImportResult:
    """Write NAME.jsonl to the folder `out` for every NAME.csv of the folder `root`, or for the one file.

    Paths are relative to the CSV's folder. Columns start and end, or offset and duration (seconds), select a
    part of a recording; other columns become fields. Recordings that are missing or damaged are left out and
    listed in the result. InputError: no such CSV, or a broken one.
    """
    splits = {
        table.stem: [_utterance(table, row) for row in read_table(table, REQUIRED)]
        for table in table_files(root, ".csv")
    }
    return write_splits(root, splits, out, [], progress)


def _utterance(table: Path, row: dict[str, str]) -> Utterance:
    path = (table.parent / row.pop("wav_filename")).absolute()
    text, speaker = row.pop("transcript"), row.pop("speaker", "") or None
    row.pop("wav_filesize", None)
    start, end = 0.0, None
    if any(row.get(name) for name in ("start", "end", "offset")):
        try:
            names = ("start", "end", "offset", "duration")
            start, end, _ = parse_part({name: float(row[name]) for name in names if row.get(name)})
        except ValueError as error:
            raise InputError(f"{table}: the part of {path.name}: {error}; correct it") from error
    return Utterance(path, text, 0.0, speaker, extra=dict(row), start=start, end=end)

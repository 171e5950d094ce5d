"""The CSV files of Mozilla DeepSpeech and Coqui STT: any corpus prepared for these.

train.csv       wav_filename,wav_filesize,transcript
                clips/0001.wav,123456,turn on the light
"""

from pathlib import Path

from minids.data.importers.common import Imported, read_table, tables, write_splits
from minids.data.manifest import Utterance


def import_mozilla(root: str | Path, out: str | Path, progress: bool = False) -> Imported:
    """Write NAME.jsonl to the folder `out` for every NAME.csv of the folder `root`, or for the one file.

    Paths count from the CSV's folder; columns besides wav_filename and transcript become fields, but for
    those that a manifest has itself (path, text, duration). Recordings that are missing or damaged are left
    out and named in the result. InputError: no such CSV, or a broken one.
    """
    needed = ("wav_filename", "transcript")
    splits = {
        table.stem: [
            Utterance(
                (table.parent / row.pop("wav_filename")).absolute(),
                row.pop("transcript"),
                0.0,
                row.pop("speaker", "") or None,
                extra={name: value for name, value in row.items() if name != "wav_filesize"},
            )
            for row in read_table(table, needed)
        ]
        for table in tables(root, ".csv")
    }
    return write_splits(splits, out, [], progress)

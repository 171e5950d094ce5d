"""Any corpus in the CSV files of Mozilla DeepSpeech and Coqui STT.

train.csv       wav_filename,wav_filesize,transcript
                clips/0001.wav,123456,turn on the light
"""

from pathlib import Path

from minids.data.importers.common import ImportResult, read_table, table_files, write_splits
from minids.data.manifest import Utterance


def import_mozilla(root: str | Path, out: str | Path, progress: bool = False) -> ImportResult:
    """Write NAME.jsonl to the folder `out` for every NAME.csv of the folder `root`, or for the one file.

    Paths are relative to the CSV's folder. Columns besides wav_filename and transcript become fields, except
    those that every manifest has (path, text, duration). Recordings that are missing or damaged are left
    out and listed in the result. InputError: no such CSV, or a broken one.
    """
    required = ("wav_filename", "transcript")
    splits = {
        table.stem: [
            Utterance(
                (table.parent / row.pop("wav_filename")).absolute(),
                row.pop("transcript"),
                0.0,
                row.pop("speaker", "") or None,
                extra={name: value for name, value in row.items() if name != "wav_filesize"},
            )
            for row in read_table(table, required)
        ]
        for table in table_files(root, ".csv")
    }
    return write_splits(splits, out, [], progress)

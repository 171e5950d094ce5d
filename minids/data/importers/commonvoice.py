"""Mozilla Common Voice: sentences read by volunteers in many languages, MP3.

cv-corpus-17.0/en/train.tsv       client_id  path                  sentence   …  gender  accents  …
cv-corpus-17.0/en/clips/          common_voice_en_17.mp3
"""

from pathlib import Path

from minids.data.importers.common import (
    ImportResult,
    find_corpus,
    normalize_transcript,
    read_table,
    write_splits,
)
from minids.data.manifest import Utterance

SPLITS = ("train", "dev", "test")
OPTIONAL_FIELDS = ("gender", "age", "accents", "locale")


def import_commonvoice(root: str | Path, out: str | Path, progress: bool = False) -> ImportResult:
    """Write train, dev and test.jsonl to the folder `out`; `root` is a language's folder, such as …/en.

    Texts are lower case without punctuation; the field `sentence` keeps the original.
    Fields: speaker (the first 16 digits of client_id), sentence, gender, age, accents, locale. Recordings
    that are missing or damaged are left out and listed in the result. InputError: no Common Voice there, or a
    broken table.
    """
    folder = find_corpus(root, ["en"], "train.tsv")
    splits: dict[str, list[Utterance]] = {}
    for name in SPLITS:
        table = folder / f"{name}.tsv"
        splits[name] = [
            Utterance(
                folder / "clips" / _file_name(row["path"]),
                normalize_transcript(row["sentence"], row.get("locale") or folder.name),
                0.0,
                row["client_id"][:16],
                extra={"sentence": row["sentence"]}
                | {key: row[key] for key in OPTIONAL_FIELDS if row.get(key)},
            )
            for row in read_table(table, ("client_id", "path", "sentence"), tabs=True)
        ]
    return write_splits(root, splits, out, [], progress)


def _file_name(path: str) -> str:
    """The name of a clip; tables of the first releases leave out its suffix."""
    return path if Path(path).suffix else f"{path}.mp3"

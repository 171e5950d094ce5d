"""Mozilla Common Voice: sentences read by volunteers in many languages, MP3.

cv-corpus-17.0/en/train.tsv       client_id  path                  sentence   …  gender  accents  …
cv-corpus-17.0/en/clips/          common_voice_en_17.mp3
"""

from pathlib import Path

from minids.data.importers.common import Imported, find, read_table, spoken, write_splits
from minids.data.manifest import Utterance

SPLITS = ("train", "dev", "test")
KEPT = ("gender", "age", "accents", "locale")  # where the row has them


def import_commonvoice(root: str | Path, out: str | Path, progress: bool = False) -> Imported:
    """Write train, dev and test.jsonl to the folder `out`; `root` is a language's folder, such as …/en.

    Punctuation goes and letters become small; the sentence as it was printed is kept in the field `sentence`.
    Fields: speaker (the first 16 digits of client_id), sentence, gender, age, accents, locale. Recordings
    that are missing or damaged are left out and named in the result. InputError: no Common Voice there, or a
    table that is broken.
    """
    folder = find(root, ["en"], "train.tsv")
    splits: dict[str, list[Utterance]] = {}
    for name in SPLITS:
        table = folder / f"{name}.tsv"
        splits[name] = [
            Utterance(
                folder / "clips" / row["path"],
                spoken(row["sentence"]),
                0.0,
                row["client_id"][:16],
                extra={"sentence": row["sentence"]} | {key: row[key] for key in KEPT if row.get(key)},
            )
            for row in read_table(table, ("client_id", "path", "sentence"), tabs=True)
        ]
    return write_splits(splits, out, [], progress)

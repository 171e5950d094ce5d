"""Speech Commands (Warden 2018): one of 35 words per recording, one second, 16 kHz.

speech_commands_v0.02/left/0b40aa8e_nohash_0.wav        {word}/{speaker}_nohash_{time}.wav
speech_commands_v0.02/validation_list.txt               left/0b40aa8e_nohash_0.wav
speech_commands_v0.02/_background_noise_/               noise, for [noise] in the settings of training
"""

from pathlib import Path

from minids.data.importers.common import ImportResult, find_corpus, read_lines, write_splits
from minids.data.manifest import Utterance


def import_speechcommands(root: str | Path, out: str | Path, progress: bool = False) -> ImportResult:
    """Write train, dev and test.jsonl to the folder `out`; `root` is the unpacked folder or its parent.

    dev and test are the official lists, with each speaker in one split. Field: speaker. Recordings that
    are missing or damaged are left out and listed in the result. InputError: no Speech Commands there.
    """
    folder = find_corpus(root, ["speech_commands_v0.02", "speech_commands_v0.01"], "validation_list.txt")
    split_of = dict.fromkeys(read_lines(folder / "validation_list.txt"), "dev")
    split_of |= dict.fromkeys(read_lines(folder / "testing_list.txt"), "test")
    splits: dict[str, list[Utterance]] = {"train": [], "dev": [], "test": []}
    for path in sorted(folder.glob("[!_.]*/[!.]*.wav")):
        word, speaker = path.parent.name, path.stem.partition("_nohash_")[0]
        splits[split_of.get(f"{word}/{path.name}", "train")].append(Utterance(path, word, 0.0, speaker))
    return write_splits(root, splits, out, [], progress)

"""Published corpora with a layout of their own.

AN4 (CMU 1991): spelled words, numbers, dates and commands, 948 recordings of 74 people at 16 kHz.
    an4/etc/an4_train.fileids            an4_clstk/fash/an251-fash-b
    an4/etc/an4_train.transcription      <s> YES </s> (an251-fash-b)
    an4/wav/an4_clstk/fash/an251-fash-b.sph      or .wav or .flac, where they have been converted
FSDD, the Free Spoken Digit Dataset: single digits in English, 8 kHz.
    free-spoken-digit-dataset/recordings/7_jackson_32.wav        {digit}_{speaker}_{index}
LibriSpeech (Panayotov et al. 2015) and corpora with its layout: read books, 16 kHz.
    LibriSpeech/SPEAKERS.TXT                             14   | F | train-clean-360 | 25.03 | Kristin LeMoine
    LibriSpeech/train-clean-100/19/198/19-198.trans.txt  19-198-0000 NORTHANGER ABBEY
    LibriSpeech/train-clean-100/19/198/19-198-0000.flac
Speech Commands (Warden 2018): one of 35 words per recording, one second, 16 kHz.
    speech_commands_v0.02/left/0b40aa8e_nohash_0.wav         {word}/{speaker}_nohash_{time}.wav
    speech_commands_v0.02/validation_list.txt                left/0b40aa8e_nohash_0.wav
"""

import re
from collections.abc import Mapping
from pathlib import Path

from minids._utils.errors import InputError
from minids.data.importers.common import Corpus, Recordings, read_lines
from minids.data.manifest import Utterance

HELD_OUT = slice(3, None, 8)  # every eighth person of AN4's sorted list (women, then men)
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
DIGIT_SPLITS = {index: "test" if index < 5 else "dev" for index in range(10)}  # the test set is official
SPEAKER_SPLITS = {"george": "speaker_dev", "theo": "speaker_test"}  # the others: speaker_train


def find_corpus(root: Path, names: tuple[str, ...], pattern: str) -> Path:
    """The folder that contains a file like `pattern`: `root` or one of `names` in it. Or InputError."""
    for folder in (root, *(root / name for name in names)):
        if any(folder.glob(pattern)):
            return folder
    problem = f"it contains no {pattern}" if root.is_dir() else "no such folder"
    raise InputError(f"{root}: {problem}; give the folder that the corpus was unpacked to")


def read_an4(root: Path, options: Mapping[str, str]) -> Corpus:
    """The official test set; dev is every eighth person of the official training set, about 13 % of it.

    So no speaker is in two sets. Fields: speaker, gender.
    """
    folder = find_corpus(root, ("an4",), "etc/an4_train.fileids")
    corpus, recordings = Corpus(source="AN4"), Recordings(folder)
    for split in ("train", "test"):
        transcription = folder / "etc" / f"an4_{split}.transcription"
        texts = {}
        for line in read_lines(transcription):
            match = re.fullmatch(r"(.*)\(([^()]+)\)", line)
            if not match:
                raise InputError(f"{transcription}: {line!r} does not end with (file id); unpack it again")
            words = re.sub(r"<[^>]*>", " ", match[1]).lower().split()  # the test set has no <s> </s>
            texts[match[2].strip()] = " ".join(words)
        ids = [line.split("/") for line in read_lines(folder / "etc" / f"an4_{split}.fileids")]
        held_out = sorted({_person(names) for names in ids})[HELD_OUT] if split == "train" else ()
        for names in ids:
            if names[-1] not in texts:
                corpus.missing.append(f"{transcription}: no line for ({names[-1]})")
                continue
            speaker = names[-2] if names[1:] else ""
            extra = {"gender": speaker[0]} if speaker[:1] in ("f", "m") else {}
            path = recordings.find("/".join(names)) or folder / "wav" / f"{'/'.join(names)}.sph"
            utterance = Utterance(path, texts[names[-1]], 0.0, speaker, extra=extra)
            corpus.add("dev" if _person(names) in held_out else split, utterance)
    return corpus


def _person(names: list[str]) -> str:
    """The speaker of a path without a number: mdcs and mdcs2 are two sessions of one man."""
    return "".join(names[-2:-1]).rstrip("0123456789")


def read_fsdd(root: Path, options: Mapping[str, str]) -> Corpus:
    """train, dev, test with the same speakers: index 0-4 is the official test set, 5-9 is dev.

    speaker_train, speaker_dev, speaker_test: all recordings again, with a test speaker and a dev speaker who
    are not in training. Fields: speaker, digit, index. Recordings with other names are left out.
    """
    folder = find_corpus(root, ("free-spoken-digit-dataset",), "recordings/*.wav") / "recordings"
    corpus = Corpus(source="FSDD")
    for path in sorted(folder.glob("[!.]*.wav")):
        match = re.fullmatch(r"(\d)_(.+)_(\d+)", path.stem, re.ASCII)
        if not match:
            corpus.missing.append(f"{path}: file name is not digit_speaker_index.wav")
            continue
        digit, speaker, index = int(match[1]), match[2], int(match[3])
        extra = {"digit": digit, "index": index}
        utterance = Utterance(path, DIGITS[digit], 0.0, speaker, extra=extra)
        for split in DIGIT_SPLITS.get(index, "train"), SPEAKER_SPLITS.get(speaker, "speaker_train"):
            corpus.add(split, utterance)
    return corpus


def read_librispeech(root: Path, options: Mapping[str, str]) -> Corpus:
    """The subsets that exist: train contains train-clean-100, train-clean-360, ...

    The field `subset` tells them apart (`minids evaluate --by subset`). Other fields: speaker, gender.
    """
    folder = find_corpus(root, ("LibriSpeech",), "*-*/*/*/*.trans.txt")
    people = folder / "SPEAKERS.TXT"
    rows = [line.split("|") for line in read_lines(people) if line[0] != ";"] if people.is_file() else []
    if any(len(row) < 3 for row in rows):
        raise InputError(f"{people}: a line is not ID | SEX | SUBSET; unpack the corpus again")
    genders = {row[0].strip(): row[1].strip().lower() for row in rows}
    corpus = Corpus(source="LibriSpeech")
    for transcript in sorted(folder.glob("*-*/*/*/[!.]*.trans.txt")):
        subset, speaker = transcript.parts[-4], transcript.parts[-3]
        split = subset.split("-")[0]
        extra = {"subset": subset} | ({"gender": genders[speaker]} if speaker in genders else {})
        for line in read_lines(transcript) if split in ("train", "dev", "test") else ():
            name, _, text = line.partition(" ")
            utterance = Utterance(transcript.parent / f"{name}.flac", text.lower(), 0.0, speaker, extra=extra)
            corpus.add(split, utterance)
    return corpus


def read_speechcommands(root: Path, options: Mapping[str, str]) -> Corpus:
    """dev and test are the official lists, with each speaker in one split. Field: speaker."""
    folder = find_corpus(root, ("speech_commands_v0.02", "speech_commands_v0.01"), "validation_list.txt")
    split_of = dict.fromkeys(read_lines(folder / "validation_list.txt"), "dev")
    split_of |= dict.fromkeys(read_lines(folder / "testing_list.txt"), "test")
    corpus = Corpus(source="Speech Commands")
    for path in sorted(folder.glob("[!_.]*/[!.]*.wav")):  # not _background_noise_
        word, speaker = path.parent.name, path.stem.partition("_nohash_")[0]
        split = split_of.get(f"{word}/{path.name}", "train")
        corpus.add(split, Utterance(path, word, 0.0, speaker))
    return corpus

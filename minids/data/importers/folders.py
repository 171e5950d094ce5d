"""Folders of recordings with their texts in files of other formats.

ann/1.wav, ann/1.txt           `folder`: a text beside each recording, also .lab, .trn and others
ann/1.wav, prompts.txt         or a list: `1 good morning`, `ann/1.wav|good morning` or `good morning (1)`
ann/1.wav, ann/1.TextGrid      `textgrid`: intervals with texts, in Praat's long or short text format
data/train/wav.scp             `kaldi`: 1 /corpus/1.wav
data/train/text                         ann-1 good morning
data/train/segments                     ann-1 1 2.50 4.75       (optional) utterance, recording, start, end
data/train/utt2spk                      ann-1 ann               (optional)
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from minids._utils.errors import InputError
from minids.data.importers import common
from minids.data.importers.common import SPLITS, Corpus, Recordings
from minids.data.importers.tables import SAMPLE, add_utterance
from minids.data.manifest import Utterance
from minids.text import MARKUP

TEXT_SUFFIXES = (".txt", ".lab", ".trn", ".text", ".transcription", ".transcript", ".prompts", "")
# Programs in wav.scp that change only the container, or also choose a channel; Lhotse writes the last.
UNPACKER = re.compile(
    r"(\S*/)?(cat|flac( -[cds]+)+|sph2pipe( -f wav| -p| -c (?P<number>[12]))+|sox|ffmpeg( -threads 1)? -i)"
    r" (?P<file>[^\s-]\S*)( -ar (?P<rate>\d+) -map_channel 0\.0\.(?P<index>\d))?"
    r"( -[tf] wav( -threads 1)? (-|pipe:1))? ?\|"
)
SIDES = {"1": "0", "2": "1"}  # channels of sph2pipe -> ours
# All that counts in a TextGrid: strings, and numbers between spaces. The rest, such as `xmin =`, is comment.
TOKEN = re.compile(r'"(?P<text>(?:[^"]|"")*)"|(?<!\S)(?P<number>-?\d[\d.]*(?:[eE][-+]?\d+)?)(?!\S)|!.*')
OPTIONS = {"folder": ("audio",), "kaldi": ("audio",), "textgrid": ("audio", "tier")}
SILENCES = ("", "sil", "sp", "spn", "#")


def read_folder(root: Path, options: Mapping[str, str]) -> Corpus:
    """All recordings in a folder and those below it that have a text; others are listed."""
    recordings = Recordings(options.get("audio") or root)
    texts, missing, sources = dict[Path, str](), list[str](), dict[str, None]()
    for path in common.list_files(root, *TEXT_SUFFIXES, below=True):
        try:
            if own := recordings.beside(path):
                texts.setdefault(own, " ".join("".join(common.text_lines(path)).split()))
                sources["beside recordings"] = None
                continue
            lines = common.numbered_lines(path)
            entries = ((number, *_entry(line, path, recordings)) for number, line in lines)
            sample = [*islice(entries, SAMPLE)]
            if not any(recording for _, recording, _ in sample):
                continue  # not a list
            sources[f"in {path.name}"] = None
            for number, recording, text in chain(sample, entries):
                if recording:
                    texts.setdefault(recording, text)
                else:
                    missing.append(f"{path}: line {number} names no recording: {text[:40]}")
        except InputError as error:  # not UTF-8
            missing.append(str(error))
    missing += [f"{path}: no text" for path in chain(*recordings.by_stem.values()) if path not in texts]
    corpus = Corpus({}, missing, f"folder with texts {', '.join(sources)}")
    _add(corpus, recordings.folder, [Utterance(path, text, 0.0) for path, text in texts.items()])
    return corpus


def _entry(line: str, path: Path, recordings: Recordings) -> tuple[Path | None, str]:
    """The recording and the text of a list's line, or None and the line."""
    for pattern in (
        r"(?P<name>[^\t|]+)[\t|](?:.*\|)?(?P<text>.*)",
        r"(?P<name>\S+)\s+(?P<text>.*)",
        r"(?P<text>.*)\((?P<name>\S+)\)",
    ):
        match = re.fullmatch(pattern, line)
        if match and (recording := recordings.find(match["name"].strip(), path)):
            return recording, " ".join(re.sub(r"</?s>", " ", match["text"]).split())
    return None, line


def _add(corpus: Corpus, root: Path, utterances: list[Utterance]) -> None:
    """Add utterances; folders named train, dev, test are splits, others speakers if there are several."""
    folders = {u.path: u.path.parent.parts[len(root.parts) :] for u in utterances}
    splits = {path: [SPLITS[n.lower()] for n in of if n.lower() in SPLITS] for path, of in folders.items()}
    speakers = {path: of[-1] for path, of in folders.items() if of and of[-1].lower() not in SPLITS}
    has_splits, has_speakers = ["train"] in splits.values(), len({*speakers.values()}) > 1
    for u in utterances:
        split = splits[u.path][0] if has_splits and splits[u.path] else root.name
        corpus.add(split, replace(u, speaker=speakers.get(u.path) if has_speakers else None))


def read_textgrid(root: Path, options: Mapping[str, str]) -> Corpus:
    """The intervals with texts of one TextGrid, or of all in a folder and those below it.

    They are those of the tier `tier`, by default of the one with the longest texts. Silences are skipped.
    """
    files = common.list_files(root, ".textgrid", below=True)
    recordings = Recordings(options.get("audio") or (root.parent if root.is_file() else root))
    corpus, used, utterances = Corpus(), dict[str, None](), []
    for path in files:
        grid = _tiers(path)
        lengths = {name: sum(len(text) for *_, text in of) / len(of) for name, of in grid.items()}
        tier = options.get("tier") or max(lengths, key=lambda name: lengths[name], default="")
        if tier not in grid:
            corpus.missing.append(f"{path}: no tier {tier!r} of texts (it has {', '.join(grid) or 'none'})")
            continue
        used[repr(tier)] = None
        sound = recordings.beside(path) or path.with_suffix(".wav")
        utterances += [Utterance(sound, text, 0.0, start=start, end=end) for start, end, text in grid[tier]]
    _add(corpus, recordings.folder, utterances)
    corpus.source = f"TextGrids, tier {', '.join(used)}"
    return corpus


def _tiers(path: Path) -> dict[str, list[tuple[float, float, str]]]:
    """The start and end in seconds and the text of each interval of each tier of intervals."""
    matches = TOKEN.finditer("".join(common.text_lines(path)))
    tokens = (m["number"] or m["text"].replace('""', '"') for m in matches if not m[0].startswith("!"))
    tiers: dict[str, list[tuple[float, float, str]]] = {}
    try:
        _, kind, _, _, count = islice(tokens, 5)  # of the format, TextGrid, start, end, number of tiers
        if kind != "TextGrid":
            raise ValueError("no TextGrid")
        for _ in range(int(count)):
            kind, name, _, _, size = islice(tokens, 5)
            for _ in range(int(size)):
                *times, text = islice(tokens, 3 if kind == "IntervalTier" else 2)
                start, end = [float(time) for time in times] if kind == "IntervalTier" else (0.0, 0.0)
                text = " ".join(text.split())
                if 0 <= start < end and MARKUP.sub("", text).strip() not in SILENCES:
                    tiers.setdefault(name, []).append((start, end, text))
    except ValueError as error:
        raise InputError(f"{path}: not a TextGrid saved as a text file ({error}); save it again") from None
    return tiers


def read_kaldi(root: Path, options: Mapping[str, str]) -> Corpus:
    """One data folder of Kaldi, ESPnet or others, or all below a folder; its name is the split.

    Paths are relative to the folder or one of the three above it, or the end of a path below it. No program
    runs: recordings that wav.scp makes by more than unpacking are left out and listed.
    """
    folders: list[Path] = []
    for path in common.list_files(root, ".scp", below=True):
        if path.name == "wav.scp" and not any(map(path.is_relative_to, folders)):  # not train/split4/1
            folders.append(path.parent)
    corpus = Corpus(source=f"Kaldi: {', '.join(str(folder.relative_to(root.parent)) for folder in folders)}")
    recordings = Recordings(options.get("audio") or root)
    for folder in folders:
        sounds, speakers, parts = (_pairs(folder / name) for name in ("wav.scp", "utt2spk", "segments"))
        for utterance, text in _pairs(folder / "text").items():
            fields = [*parts[utterance].split(), "?", "?", "?"] if utterance in parts else [utterance, "", ""]
            key, start, end, *_ = fields
            sound, channel = sounds.get(key, ""), None
            if match := UNPACKER.fullmatch(" ".join(sound.split())):
                file, rate = recordings.find(match["file"]), match["rate"]
                if not rate or (file and getattr(common.header(file), "rate", 0) == int(rate)):
                    sound, channel = match["file"], match["index"] or SIDES.get(match["number"])
            if not sound or sound.endswith("|"):
                made = f"{sound[:80]} is not run; write the path of its result there" if sound else "no line"
                corpus.missing.append(f"{folder / 'wav.scp'}: {key}: {made}")
                continue
            end = "" if end == "-1" else end  # that of the recording
            values = (sound, text, speakers.get(utterance), start, end, channel)
            row = dict(zip(("path", "text", "speaker", "start", "end", "channel"), values, strict=True))
            location = f"{folder / 'segments'}: {utterance}"
            add_utterance(corpus, row, {name: name for name in row}, recordings, location, folder.name)
    return corpus


def _pairs(path: Path) -> dict[str, str]:
    """The lines of a file, if there is one, split after the first word."""
    lines = (line.split(maxsplit=1) for _, line in common.numbered_lines(path)) if path.is_file() else ()
    return {key: "".join(rest) for key, *rest in lines}

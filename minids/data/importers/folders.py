"""Folders of recordings with their texts in files of other formats.

ann/1.wav, ann/1.txt           `folder`: a text beside each recording, also .lab, .trn and others
ann/1.wav, prompts.txt         or a list: `1 good morning`, `ann/1.wav|good morning` or `good morning (1)`
ann/1.wav, ann/1.TextGrid      `textgrid`: intervals with texts, in Praat's long or short text format
data/train/wav.scp             `kaldi`: 1 /corpus/1.wav
data/train/text                         ann-1 good morning
data/train/segments                     ann-1 1 2.50 4.75       (optional) utterance, recording, start, end
data/train/utt2spk                      ann-1 ann               (optional)
"""

import fnmatch
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain, islice, zip_longest
from pathlib import Path

from minids._utils.errors import InputError
from minids.data.importers import common
from minids.data.importers.common import SPLITS, Corpus, Recordings
from minids.data.importers.tables import SAMPLE, add_utterance
from minids.data.manifest import Utterance
from minids.text import MARKUP

TEXT_SUFFIXES = (".txt", ".lst", ".lab", ".trn", ".text", ".transcription", ".transcript", ".prompts", "")
# Programs in wav.scp that change only the container, or also choose a channel; Lhotse writes the last.
UNPACKER = re.compile(
    r"(\S*/)?(cat|flac( -[cds]+)+|sph2pipe( -f wav| -p| -c (?P<number>[12]))+|sox|ffmpeg( -threads 1)? -i)"
    r" (?P<file>[^\s-]\S*)( -ar (?P<rate>\d+) -map_channel 0\.0\.(?P<index>\d))?"
    r"( -[tf] wav( -threads 1)? (-|pipe:1))? ?\|"
)
SIDES = {"1": "0", "2": "1"}  # channels of sph2pipe -> ours
# All that counts in a TextGrid: strings, and numbers between spaces. The rest, such as `xmin =`, is comment.
TOKEN = re.compile(r'"(?P<text>(?:[^"]|"")*)"|(?<!\S)(?P<number>-?\d[\d.]*(?:[eE][-+]?\d+)?)(?!\S)|!.*')
SILENCES = ("", "sil", "sp", "spn", "#")


def read_folder(root: Path, options: Mapping[str, str]) -> Corpus:
    """All recordings in a folder and those below it that have a text; others are listed."""
    recordings = Recordings(root, options.get("audio"))
    texts, missing, sources = dict[Path, str](), list[str](), dict[str, None]()
    files = common.list_files(root, *TEXT_SUFFIXES, below=True)
    beside = recordings.beside(files)

    def add(recording: Path, text: str, location: str) -> None:
        if texts.setdefault(recording, text) != text:
            missing.append(f"{location}: {recording.name} has another text already: {texts[recording][:40]}")

    for path in files:
        try:
            if own := beside.get(path):
                add(own, " ".join("".join(common.text_lines(path)).split()), str(path))
                sources["beside recordings"] = None
                continue
            lines = common.numbered_lines(path)
            entries = ((number, *_entry(line, path, recordings)) for number, line in lines)
            sample = [*islice(entries, SAMPLE)]
            if not any(recording for _, recording, _ in sample):
                missing.append(f"{path}: names no recording")
                continue
            sources[f"in {path.name}"] = None
            for number, recording, text in chain(sample, entries):
                if recording:
                    add(recording, text, f"{path}: line {number}")
                else:
                    missing.append(f"{path}: line {number} names no recording: {text[:40]}")
        except InputError as error:  # not UTF-8
            missing.append(str(error))
    missing += [f"{path}: no text" for path in chain(*recordings.by_stem.values()) if path not in texts]
    if all(re.match(r"\d+ \d+ \D", text) for text in texts.values()):  # TIMIT: first and last sample
        texts = {path: text.split(" ", 2)[2] for path, text in texts.items()}
    corpus = Corpus({}, missing, f"folder with texts {', '.join(sources)}")
    _add(corpus, recordings.folder, [Utterance(path, texts[path], 0.0) for path in sorted(texts)])
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
    """Add utterances; folders named train, dev, test are splits, the first others that differ speakers."""
    folders = {u.path: u.path.parent.parts[len(root.parts) :] for u in utterances}
    splits = {path: [SPLITS[n.lower()] for n in of if n.lower() in SPLITS] for path, of in folders.items()}
    others = {path: [n for n in of if n.lower() not in SPLITS] for path, of in folders.items()}
    levels = zip_longest(*others.values())
    level = next((i for i, names in enumerate(levels) if len({*names} - {None}) > 1), -1)
    for u in utterances:
        split = splits[u.path][0] if ["train"] in splits.values() and splits[u.path] else root.name
        speaker = others[u.path][level] if 0 <= level < len(others[u.path]) else None
        corpus.add(split, replace(u, speaker=u.speaker or speaker))


def read_textgrid(root: Path, options: Mapping[str, str]) -> Corpus:
    """The intervals with texts of one TextGrid, or of all in a folder and those below it.

    They are those of the tier `tier`, by default of the one in most files, or with the longest texts. Several
    tiers, as of "*" or "*words", belong to speakers of their names. Silences are skipped.
    """
    files = common.list_files(root, ".textgrid", below=True)
    recordings = Recordings(root, options.get("audio"))
    corpus, used, unused, utterances = Corpus(), Counter[str](), Counter[str](), []
    grids, beside = {path: _tiers(path) for path in files}, recordings.beside(files)
    lengths = defaultdict(list)
    for name, parts in chain.from_iterable(grid.items() for grid in grids.values()):
        lengths[name].append(sum(len(text) for *_, text in parts) / len(parts))
    for path, grid in grids.items():
        usual = max(grid, key=lambda name: (len(lengths[name]), sum(lengths[name])), default="")
        tier = options.get("tier") or usual
        tiers = [tier] if tier in grid else fnmatch.filter(grid, tier)
        if not tiers:
            corpus.missing.append(f"{path}: no tier {tier!r} of texts (it has {', '.join(grid) or 'none'})")
        sound = beside.get(path) or path.with_suffix(".wav")
        for name, parts in grid.items():
            (used if name in tiers else unused)[name] += len(parts)
            speaker = name if len(tiers) > 1 else None
            for start, end, text in parts if name in tiers else ():
                utterances.append(Utterance(sound, text, 0.0, speaker, start=start, end=end))
    _add(corpus, recordings.folder, utterances)
    read, left = (", ".join(f"{name!r} ({n})" for name, n in of.most_common(5)) for of in (used, unused))
    corpus.source = f"TextGrids, tier {read}" + f", not {left}: --tier NAME or '*' reads these" * bool(left)
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
    recordings = Recordings(root, options.get("audio"))
    for folder in folders:
        lists = ("text", "wav.scp", "utt2spk", "segments")
        texts, sounds, speakers, parts = (_pairs(folder / name) for name in lists)
        parts = parts or {name: f"{name} 0 -1" for name in (*sounds, *texts)}
        for utterance in dict.fromkeys((*texts, *parts)):
            fields = zip(("key", "start", "end", "channel"), parts.get(utterance, "").split(), strict=False)
            row: dict[str, str | None] = {"start": "?", "end": "?", **dict(fields)}
            sound = sounds.get(key := row.pop("key", "") or "", "")
            if match := UNPACKER.fullmatch(" ".join(sound.split())):
                file, rate = recordings.find(match["file"]), match["rate"]
                if not rate or (file and getattr(common.header(file), "rate", 0) == int(rate)):
                    sound = match["file"]
                    row["channel"] = match["index"] or SIDES.get(match["number"], row.get("channel"))
            needed = ("text", utterance, texts), ("segments", utterance, parts), ("wav.scp", key, sounds)
            if problems := [f"{name}: no line for {word}" for name, word, of in needed if word not in of]:
                corpus.missing.append(f"{folder / problems[0]}")
            elif not sound or sound.endswith("|"):
                made = f"{sound[:80]} is not run; write the path of its result there"
                corpus.missing.append(f"{folder / 'wav.scp'}: {key}: {made}")
            else:
                row |= {"path": sound, "text": texts[utterance], "speaker": speakers.get(utterance)}
                if row["end"] == "-1":  # that of the recording
                    del row["end"]
                location = f"{folder / 'segments'}: {utterance}"
                add_utterance(corpus, row, {name: name for name in row}, recordings, location, folder.name)
    return corpus


def _pairs(path: Path) -> dict[str, str]:
    """The lines of a file, if there is one, split after the first word. InputError if two begin equally."""
    pairs: dict[str, str] = {}
    for number, line in common.numbered_lines(path) if path.is_file() else ():
        key, *rest = line.split(maxsplit=1)
        if key in pairs:
            raise InputError(f"{path}: line {number}: {key} has two lines; keep one")
        pairs[key] = "".join(rest)
    return pairs

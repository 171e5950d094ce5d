"""From recordings in any layout to manifests, an alphabet and settings for training (`minids init`)."""

import math
import os
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from shlex import quote
from typing import Any

from minids import ops
from minids._utils.errors import InputError
from minids._utils.files import atomic_write
from minids._utils.strict_json import to_json
from minids.data import importers
from minids.data.doctor import validate_dataset
from minids.data.findings import ValidationReport
from minids.data.importers.common import SPLITS as FOLDERS
from minids.data.manifest import Utterance
from minids.features import Features
from minids.model import ModelSettings
from minids.text import ENGLISH, Alphabet, normalize
from minids.training.resources import available_memory, flops_per_frame, matmul_rate, max_batch_size

SPLITS = "train", "dev", "test"
HELD_OUT, MAX_SECONDS = 0.1, 7200.0  # of the speech, at most, for each of dev and test
MAX_UNIT = 2.05  # times that share: a speaker or a recording with more is for training
RARE, MAX_LISTED = 5, 40  # a symbol in fewer texts is hardly learned; so many are listed, if not English
FEW_MINUTES, FEW_EPOCHS = 30, 60  # with fewer minutes, training starts from the included model
STEPS, EPOCHS = 10_000, (20, 200)  # of a training, as in examples/*.toml, within these limits
LAST_RATE = 1 / 8  # the learning rate of the last epoch, relative to the first
SIZES = (50, 1024, 7), (10, 512, 7), (1.5, 384, 7), (0, 256, 5)  # from these hours on: hidden, context
MAX_HOURS = 12.0  # of training on this machine: a smaller network where it would take longer
EFFICIENCY = 0.4  # of training, relative to a large matrix product; measured with examples/*.toml


@dataclass
class Prepared:
    """What `prepare` has written, and what it noticed."""

    settings: str  # the file
    layout: str  # how recordings and texts were recognized
    symbols: str  # their number, and the rare ones with the number of their texts
    time: str  # that training takes, roughly
    report: ValidationReport
    notes: list[str]
    left_out: list[str]  # a message for each recording or text


def prepare(
    source: str | Path, out: str | Path | None = None, jamo: bool = False, progress: bool = False
) -> Prepared:
    """Write train.jsonl, dev.jsonl, test.jsonl and settings.toml for the recordings of a folder or a table.

    `out` is by default the source's name in the current folder. `jamo`: see `Alphabet.from_texts`. Left out
    are texts that the alphabet cannot write, such as those with digits, and second texts of a recording.

    Raises InputError where one of the files exists, no layout is recognized, or too few texts remain.
    """
    source = Path(source).absolute()
    folder, name = (source, source.name) if source.is_dir() else (source.parent, source.stem)
    out = Path(out or (name if source != Path.cwd() else "."))
    manifests, settings = [out / f"{name}.jsonl" for name in SPLITS], out / "settings.toml"
    if present := [str(path) for path in (*manifests, settings) if path.exists()]:
        raise InputError(f"delete {', '.join(present)}, or give another folder with --out")
    corpus = importers.guess(source)[1].measured(source, progress)
    notes: list[str] = []
    alphabet = _alphabet([u.text for us in corpus.splits.values() for u in us], jamo, notes)
    left_out, counts, used = list(corpus.missing), Counter[str](), dict[tuple, str]()

    def is_usable(utterance: Utterance) -> bool:
        text = normalize(utterance.text, alphabet)
        part = os.path.realpath(utterance.path), utterance.start, utterance.channel
        if missing := alphabet.missing(text):
            left_out.append(f"{utterance.name}: the alphabet has no {missing[0]!r}; write words")
        elif not text:
            left_out.append(f"{utterance.name}: the text is empty")
        elif part in used:
            problem = "it is listed twice" if used[part] == text else "it has another text"
            left_out.append(f"{utterance.name}: {problem}")
        else:
            counts.update(set(alphabet.split(text)))
            used[part] = text
            return True
        return False

    # The first text of a recording counts: a list of all recordings may lie beside those of the splits.
    names = sorted(corpus.splits, key=lambda name: (split_name(name) == "train", "train" not in name))
    corpus.splits = split({n: [*filter(is_usable, corpus.splits[n])] for n in names}, folder, notes)
    corpus.write(out)
    rare = [f"{c!r} in {counts[c]}" for c in alphabet.symbols if c not in ENGLISH and counts[c] < RARE]
    symbols = f"{len(alphabet.symbols)} symbols" + ", some in too few texts to be learned: " * bool(rare)
    symbols += f"{', '.join(rare[:MAX_LISTED])}{', …' * (len(rare) > MAX_LISTED)}"
    try:
        report = validate_dataset(manifests, alphabet, Features(8000), progress=progress)
        text, time = _settings(report, alphabet, symbols, settings, notes)
        with atomic_write(settings) as file:
            file.write(text.encode())
    except BaseException:  # also Ctrl-C: the same command starts again
        for path in manifests:
            path.unlink(missing_ok=True)
        raise
    return Prepared(str(settings), corpus.source, symbols, time, report, notes, left_out)


def _alphabet(texts: list[str], jamo: bool, notes: list[str]) -> Alphabet:
    """That of the texts, with all of English if it is similar; with digits if most texts have some."""
    digits = sum(any(map(str.isdecimal, text)) for text in texts) > len(texts) / 2
    try:
        alphabet = Alphabet.from_texts(texts, jamo, digits)
    except ValueError as error:
        raise InputError(f"{error}; a text is what is said in a recording") from None
    if digits:
        notes.append("digits are symbols, because most texts have some; numbers in words are easier to learn")
    if syllables := sum("가" <= symbol <= "힣" for symbol in alphabet.symbols):
        notes.append(f"{syllables} symbols are Hangul syllables; --jamo writes them with at most 67 letters")
    others = {*alphabet.symbols} - {*ENGLISH}
    return Alphabet(sorted(others | {*ENGLISH})) if len(others) < len(alphabet.symbols) / 2 else alphabet


def split_name(name: str) -> str:
    """train, dev or test, for the name of a split, such as train_nodev, train_dev, valid, eval2000, all."""
    words = {"dev": "dev|devel|development|val|valid|validation", "test": "test|tst|testing|eval|evaluation"}
    for split in words:
        if re.search(rf"(?<![a-z])({words[split]})(set|[a-z])?(?![a-z])", name.lower()):
            return split
    return "train"


def split(splits: dict[str, list[Utterance]], root: Path, notes: list[str]) -> dict[str, list[Utterance]]:
    """train, dev and test: those of the corpus, and a tenth of train for each that it lacks.

    Held out are whole speakers, with all who speak in the same recordings, where these are known and enough;
    otherwise whole recordings, or parts where there are too few of these. Hashes of names relative to `root`
    decide, so that a copy of the data has the same splits.
    """
    named: dict[str, list[Utterance]] = {name: [] for name in SPLITS}
    if len(splits) == 1:  # perhaps a table of recordings in folders with names of splits
        [us] = splits.values()
        parts = [[p for p in u.path.parent.parts[len(root.parts) :] if p.lower() in FOLDERS] for u in us]
        if all(parts) and len(labels := {p[0] for p in parts}) > 1:
            splits = {label: [u for u, p in zip(us, parts, strict=True) if p[0] == label] for label in labels}
            notes.append(f"the splits are those of the recordings' folders {', '.join(sorted(labels))}")
    for label, us in splits.items():
        named[split_name(label)] += us
        if us and len(splits) > 1 and split_name(label) == "train" and "train" not in label.lower():
            notes.append(f"the {len(us)} texts of {label!r} are for training")
    if splits and not named["train"]:
        notes.append(f"no texts are for training, so those of {', '.join(splits)} are divided again")
        named = {"train": [u for us in splits.values() for u in us], "dev": [], "test": []}
    train, lacking = named["train"], [name for name in SPLITS if not named[name]]
    linked: dict[tuple[str, str], tuple[str, str]] = {}  # speakers and recordings, each to a smaller one

    def path(u: Utterance) -> str:
        return str(u.path).removeprefix(str(root))

    def smallest(key: tuple[str, str]) -> tuple[str, str]:
        while linked.setdefault(key, key) != key:
            key = linked[key]
        return key

    for u in train:
        low, high = sorted((smallest(("recording", path(u))), smallest(("speaker", u.speaker or path(u)))))
        linked[high] = low
    units: list[Callable[[Utterance], Any]] = [path]
    if any(u.speaker for u in train):
        units = [lambda u: smallest(("recording", path(u))), path, lambda u: u.speaker or path(u)]
    if any(u.is_part for u in train):
        units.append(lambda u: (path(u), u.start))
    for key in units:
        groups = _hold_out(train, lacking, key, math.inf if key is units[-1] else MAX_UNIT)
        if all(groups.values()):
            for name, value in ("speakers", lambda u: u.speaker), ("recordings", path):
                values = [{value(u) for u in us if value(u)} for us in groups.values()]
                if len(set.union(*values)) < sum(map(len, values)):
                    notes.append(f"the {name} are too few to hold some out: the splits have {name} in common")
            return named | groups
    raise InputError(
        f"{root}: {len(train)} texts are too few to train and to evaluate; add some,"
        " or cut a long recording with its text into parts by `minids align`"
    )


def _hold_out(
    utterances: list[Utterance], names: list[str], key: Callable[[Utterance], Any], max_unit: float
) -> dict[str, list[Utterance]]:
    """For each name, units (by `key`) with HELD_OUT of the speech, in the order of hashes; else train."""
    seconds = dict.fromkeys(map(key, utterances), 0.0)
    for u in utterances:
        seconds[key(u)] += u.duration
    target = min(HELD_OUT * sum(seconds.values()), MAX_SECONDS)
    order = sorted(seconds, key=lambda unit: blake2b(repr(unit).encode()).digest())
    owners: dict[Any, str] = {}
    for name in names:
        total = 0.0
        for unit in order:
            if unit not in owners and total < target and total + seconds[unit] <= max_unit * target:
                owners[unit] = name
                total += seconds[unit]
    return {n: [u for u in utterances if owners.get(key(u), "train") == n] for n in ("train", *names)}


def _settings(
    report: ValidationReport, alphabet: Alphabet, symbols: str, path: Path, notes: list[str]
) -> tuple[str, str]:
    """The settings file, with sizes for these hours and this machine, and the time that training takes."""
    backend = ops.load("cpu")
    speed, free = EFFICIENCY * matmul_rate(backend), available_memory(backend) or 10**10
    train, seconds = report.summaries[0], report.summaries[0].seconds
    rate = max(8000, min(16000, *(rate for summary in report.summaries for rate in summary.rates)))
    few = seconds < 60 * FEW_MINUTES
    if few and rate < 16000:
        notes.append(f"{rate} Hz: the included model expects 16000; without `init`, set `rate` in [features]")
    features = Features(bands=40)  # as many frames at any rate
    longest = features.length(int(1.1 * features.rate * min(120.0, max(s.longest for s in report.summaries))))
    for least, hidden, context in SIZES:
        model = ModelSettings(features.size, len(alphabet), hidden, context, stride=2)
        batch_size = 16 if seconds > 36000 else 8
        batch_size = max(1, min(batch_size, max_batch_size(model, longest, free // 2)))
        epochs = FEW_EPOCHS if few else sorted((*EPOCHS, STEPS * batch_size // train.utterances))[1]
        frames = epochs * features.length(int(seconds * features.rate)) / model.stride
        needed = frames * flops_per_frame(model) / speed
        if seconds >= 3600 * least and (needed <= 3600 * MAX_HOURS or not least):
            break
    sizes = f"""
[features]
rate = {rate}  # Hz: the lowest of the recordings, from 8000 to 16000
bands = 40

[model]
hidden = {hidden}  # units in a layer; more for more hours, or on a GPU
context = {context}
"""
    few_init = 'init = "shipped"  # start from the included English model, with its features and sizes\n'
    text = f"""\
# Written by `minids init` for {seconds / 3600:.2f} hours; examples/an4.toml documents all settings.
#   minids train {quote(str(path))}

[data]
train = "train.jsonl"
dev = "dev.jsonl"
alphabet = {to_json(alphabet.definition)}
# {symbols}
{"" if few else sizes}
[train]
{few_init if few else ""}epochs = {epochs}
batch_size = {batch_size}
lr_decay = {LAST_RATE ** (-1 / epochs):.3f}
# minutes = 60.0  # then training stops; the same command continues it
"""
    return text, f"{needed / 3600:.1f} hours" if needed > 5400 else f"{math.ceil(needed / 60)} min"

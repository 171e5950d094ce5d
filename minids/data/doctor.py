"""The data doctor: looks in every line and every recording for what would stop or spoil training.

Recordings are decoded in threads, a few at a time: memory holds a line's few numbers, never its audio.
"""

import math
import os
from array import array
from collections.abc import Callable, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import NamedTuple
from unicodedata import category

import numpy as np

from minids._utils.errors import InputError, reason
from minids._utils.files import open_file
from minids._utils.threads import ordered_map
from minids.audio import audio_info, load_audio
from minids.data.findings import Finding, Report, Summary, describe
from minids.data.manifest import LONGEST_LINE, BrokenLine, Utterance, scan
from minids.features import Features
from minids.text import Alphabet, normalize

SILENT = -60.0  # dB, root mean square against full scale: the quietest of 5467 good recordings has -53
CLIPPED = 0.002  # share of samples in flat tops: the worst of the good recordings has 0.0014
LONG = 30.0  # seconds
UNDECODED = 600.0  # seconds: longer ones are not decoded, for a thread would hold them whole
DURATION_SLACK = 0.05  # seconds, or 1 % of the duration: manifests round
PACE = 5.0  # robust standard deviations of log(seconds per character)
LEAST_PACE_SPREAD = 0.1  # of a corpus spoken by a machine
PACE_NEEDS = 20  # utterances, to know what is usual


class Sound(NamedTuple):
    """What is kept of a recording. `trouble`: (kind, message), or None."""

    duration: float  # seconds
    rate: int
    samples: int
    trouble: tuple[str, str] | None


def examine(
    manifests: str | Path | Sequence[str | Path],
    alphabet: Alphabet | None = None,
    features: Features | None = None,
    stride: int = 2,
    progress: bool = False,
) -> Report:
    """Examine manifests, the splits of one corpus together, for a model of this alphabet, features, stride.

    Goes on after every finding; see `findings.KINDS` for what is looked for. A text is too short of time when
    T = ceil(T0 / stride) < U + adjacent equal characters: CTC needs a blank between the two of "ll" (§2).
    Raises InputError only when a manifest itself cannot be read.
    """
    from tqdm import tqdm

    if isinstance(manifests, str | Path):
        manifests = [manifests]
    alphabet, features = alphabet or Alphabet(), features or Features()
    examination = _Examination(alphabet, features, stride)
    lines = [_look_at_file(Path(manifest), examination.report) for manifest in manifests]
    with tqdm(total=sum(lines), desc="examined", unit=" lines", disable=None if progress else True) as bar:
        for manifest in manifests:
            examination.report.summaries.append(Summary(str(manifest)))
            for line, sound in ordered_map(_listen, scan(manifest)):
                examination.take(line, sound)
                bar.update()
    examination.whole()
    order = {str(manifest): place for place, manifest in enumerate(manifests)}
    examination.report.findings.sort(key=lambda finding: (order[finding.manifest], finding.line))
    return examination.report


def _look_at_file(manifest: Path, report: Report) -> int:
    """The manifest's number of lines; reports a byte-order mark and CRLF line ends."""
    lines = crlf = 0
    try:
        with open_file(manifest) as file:
            for lines, raw in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), start=1):
                crlf += raw.endswith(b"\r\n")
                if lines == 1 and raw.startswith(b"\xef\xbb\xbf"):
                    report.findings.append(Finding("byte-order mark", str(manifest), 1, "", "EF BB BF"))
    except OSError as error:
        raise InputError(f"cannot read the manifest {manifest}: {reason(error)}; check the path") from error
    if crlf:
        report.findings.append(Finding("CRLF", str(manifest), 0, "", f"{crlf} of {lines} lines"))
    return lines


def _listen(line: Utterance | BrokenLine) -> Sound:
    if isinstance(line, BrokenLine):
        return Sound(0.0, 0, 0, ("broken line", line.problem))
    path = line.path
    try:
        if not os.path.exists(path):  # the method raises for names too long
            return Sound(0.0, 0, 0, ("missing", ""))
        info = audio_info(path)
        if info.duration > UNDECODED:
            return Sound(info.duration, info.rate, round(info.duration * info.rate), None)
        samples, rate = load_audio(path)
    except InputError as error:
        return Sound(0.0, 0, 0, ("unreadable", str(error).removeprefix(f"{path}: ")))
    return Sound(len(samples) / rate, rate, len(samples), _level_trouble(samples))


def _level_trouble(samples: np.ndarray) -> tuple[str, str] | None:
    rms = 20 * math.log10(max(float(np.std(samples)), 1e-10))  # dB; the deviation is deaf to an offset
    if rms < SILENT:
        return "silent", f"{rms:.0f} dB of full scale" if rms > -199 else "no sound at all"
    loud = np.abs(samples)
    top = loud >= min(0.999, 0.9999 * loud.max())  # flat tops lie lower after a later attenuation
    share = np.mean(top[2:] & top[1:-1] & top[:-2]) if len(top) > 2 else 0.0
    return ("clipped", f"{share:.1%} of the samples") if share > CLIPPED else None


class _Examination:
    """The findings as they come in, and the little that has to be remembered of each line."""

    def __init__(self, alphabet: Alphabet, features: Features, stride: int):
        self.report = Report()
        self.alphabet = alphabet
        self.features = features
        self.stride = stride
        self.seen: dict[str, tuple[str, int]] = {}  # recording -> manifest, line
        self.paces = array("d")  # log(seconds per character)
        self.paced: list[tuple[str, int, str]] = []  # manifest, line, recording of each

    def take(self, line: Utterance | BrokenLine, sound: Sound) -> None:
        """Take in one line of the manifest whose summary was begun last."""
        summary = self.report.summaries[-1]
        path = "" if isinstance(line, BrokenLine) else str(line.path)

        def find(kind: str, message: str) -> None:
            self.report.findings.append(Finding(kind, summary.manifest, line.line, path, message))

        if sound.trouble:
            find(*sound.trouble)
        if isinstance(line, BrokenLine):
            return
        summary.utterances += 1
        if line.speaker is not None:
            summary.speakers.add(line.speaker)
        manifest, first = self.seen.setdefault(path, (summary.manifest, line.line))
        if (manifest, first) != (summary.manifest, line.line):
            find("duplicate", f"also in {manifest}:{first}")
        units = self._text(line.text, find)
        if sound.rate:
            summary.add(sound.duration, sound.rate)
            self._sound(line.duration, sound, find)
        if sound.rate and units:
            self._pace(units, sound, find)
            self.paces.append(math.log(sound.duration / len(units)))
            self.paced.append((summary.manifest, line.line, path))

    def _text(self, text: str, find: Callable[[str, str], None]) -> list[int]:
        """The characters' indices; none when there is anything to find."""
        controls = {character for character in text if category(character) == "Cc" and character.isspace()}
        if controls:
            find("control character", ", ".join(f"U+{ord(character):04X}" for character in sorted(controls)))
        text = normalize(text, self.alphabet)
        if not text:
            find("empty text", "")
            return []
        missing = self.alphabet.missing(text)
        if missing:
            self.report.outside.update(missing)
            find("characters", "; ".join(map(describe, missing)))
            return []
        return self.alphabet.encode(text).tolist()

    def _sound(self, noted: float, sound: Sound, find: Callable[[str, str], None]) -> None:
        if sound.rate < self.features.rate:
            find("low rate", f"{sound.rate} Hz, the features want {self.features.rate}")
        if abs(noted - sound.duration) > max(DURATION_SLACK, 0.01 * sound.duration):
            find("duration", f"{sound.duration:.2f} s, the manifest says {noted:.2f}")
        if sound.duration > LONG:
            find("very long", f"{sound.duration:.0f} s")

    def _pace(self, units: list[int], sound: Sound, find: Callable[[str, str], None]) -> None:
        frames = self.features.length(math.ceil(sound.samples * self.features.rate / sound.rate))
        steps = math.ceil(frames / self.stride)
        repeats = sum(a == b for a, b in pairwise(units))
        if steps < len(units) + repeats:
            needs = f"{len(units)} characters with {repeats} equal neighbors need {len(units) + repeats}"
            find("too short", f"{sound.duration:.2f} s are {steps} steps, {needs}")

    def whole(self) -> None:
        """What only the whole can tell: empty sets, unusual paces, speakers in two sets."""
        for summary in self.report.summaries:
            if not summary.utterances:
                self.report.findings.append(Finding("no utterances", summary.manifest, 0, "", ""))
        paces = np.frombuffer(self.paces)
        if len(paces) >= PACE_NEEDS:
            usual = np.median(paces)
            spread = max(1.4826 * float(np.median(np.abs(paces - usual))), LEAST_PACE_SPREAD)
            for i in np.flatnonzero(np.abs(paces - usual) > PACE * spread):
                message = f"{math.exp(paces[i]):.3g} seconds a character, usual are {math.exp(usual):.3g}"
                self.report.findings.append(Finding("unusual pace", *self.paced[i], message))
        for one, other in combinations(self.report.summaries, 2):
            both = sorted(one.speakers & other.speakers)
            if both:
                names = ", ".join(both[:5]) + (", …" if len(both) > 5 else "")
                message = f"{len(both)} speakers also in {one.manifest}: {names}"
                self.report.findings.append(Finding("speaker overlap", other.manifest, 0, "", message))

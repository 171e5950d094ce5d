"""Dataset validation (`minids data doctor`): finds lines and recordings that would stop or spoil training.

Recordings are decoded in threads, a few at a time; only a few numbers of each are kept in memory.
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
from minids.data.findings import Finding, ManifestSummary, ValidationReport, describe_character
from minids.data.manifest import MAX_LINE_BYTES, InvalidLine, Utterance, scan
from minids.features import Features
from minids.text import Alphabet, normalize

SILENCE_DB = -60.0  # root mean square relative to full scale; the quietest of 5467 good recordings has -53
MAX_CLIPPED = 0.002  # fraction of samples in flat tops; the worst of the good recordings has 0.0014
MAX_RECOMMENDED_SECONDS = 30.0
MAX_DECODED_SECONDS = 600.0  # longer recordings are not decoded: a thread would hold all of their samples
MAX_DURATION_ERROR = 0.05  # seconds, or 1 % of the duration: manifests round
MAX_PACE_DEVIATION = 5.0  # robust standard deviations of log(seconds per character)
MIN_PACE_SPREAD = 0.1  # synthetic speech may have no spread
MIN_PACE_UTTERANCES = 20  # to estimate the usual speaking rate


class Recording(NamedTuple):
    """Measurements of a recording. `problem`: (kind, message), or None."""

    duration: float  # seconds
    rate: int
    samples: int
    problem: tuple[str, str] | None


def validate_dataset(
    manifests: str | Path | Sequence[str | Path],
    alphabet: Alphabet | None = None,
    features: Features | None = None,
    stride: int = 2,
    progress: bool = False,
) -> ValidationReport:
    """Validate manifests, the splits of one dataset together, for this alphabet, features and stride.

    Reports every finding (see `findings.KINDS`). A recording is too short for its text if
    T = ceil(T0 / stride) < U + number of repeated characters: CTC needs a blank between the two of "ll" (§2).
    Raises InputError only if a manifest itself cannot be read.
    """
    from tqdm import tqdm

    if isinstance(manifests, str | Path):
        manifests = [manifests]
    validator = _Validator(alphabet or Alphabet(), features or Features(), stride)
    report = validator.report
    lines = [_check_encoding(Path(manifest), report) for manifest in manifests]
    with tqdm(total=sum(lines), desc="checked", unit=" lines", disable=None if progress else True) as bar:
        for manifest in manifests:
            report.summaries.append(ManifestSummary(str(manifest)))
            for line, recording in ordered_map(_measure, scan(manifest)):
                validator.add(line, recording)
                bar.update()
    validator.finish()
    order = {str(manifest): position for position, manifest in enumerate(manifests)}
    report.findings.sort(key=lambda finding: (order[finding.manifest], finding.line))
    return report


def _check_encoding(manifest: Path, report: ValidationReport) -> int:
    """Report a byte-order mark and CRLF line ends. Returns the number of lines."""
    lines = crlf = 0
    try:
        with open_file(manifest) as file:
            for lines, raw in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), start=1):
                crlf += raw.endswith(b"\r\n")
                if lines == 1 and raw.startswith(b"\xef\xbb\xbf"):
                    report.findings.append(Finding("byte-order mark", str(manifest), 1, "", "EF BB BF"))
    except OSError as error:
        raise InputError(f"cannot read the manifest {manifest}: {reason(error)}; check the path") from error
    if crlf:
        report.findings.append(Finding("CRLF", str(manifest), 0, "", f"{crlf} of {lines} lines"))
    return lines


def _measure(line: Utterance | InvalidLine) -> Recording:
    if isinstance(line, InvalidLine):
        return Recording(0.0, 0, 0, ("invalid line", line.problem))
    path = line.path
    try:
        if not os.path.exists(path):  # Path.exists raises OSError for a name that is too long
            return Recording(0.0, 0, 0, ("missing", ""))
        info = audio_info(path)
        if info.duration > MAX_DECODED_SECONDS:
            return Recording(info.duration, info.rate, round(info.duration * info.rate), None)
        samples, rate = load_audio(path)
    except InputError as error:
        return Recording(0.0, 0, 0, ("unreadable", str(error).removeprefix(f"{path}: ")))
    return Recording(len(samples) / rate, rate, len(samples), _volume_problem(samples))


def _volume_problem(samples: np.ndarray) -> tuple[str, str] | None:
    rms = 20 * math.log10(max(float(np.std(samples)), 1e-10))  # dB; std ignores a constant offset
    if rms < SILENCE_DB:
        return "silent", f"{rms:.0f} dB of full scale" if rms > -199 else "all samples are equal"
    magnitude = np.abs(samples)
    top = magnitude >= min(0.999, 0.9999 * magnitude.max())  # below full scale if attenuated after clipping
    clipped = np.mean(top[2:] & top[1:-1] & top[:-2]) if len(top) > 2 else 0.0
    return ("clipped", f"{clipped:.1%} of the samples") if clipped > MAX_CLIPPED else None


class _Validator:
    """Collects findings line by line, and the few numbers of each line that later checks need."""

    def __init__(self, alphabet: Alphabet, features: Features, stride: int):
        self.report = ValidationReport()
        self.alphabet = alphabet
        self.features = features
        self.stride = stride
        self.first_use: dict[str, tuple[str, int]] = {}  # recording -> manifest, line
        self.log_paces = array("d")  # log(seconds per character) of each utterance
        self.pace_lines: list[tuple[str, int, str]] = []  # and its manifest, line, recording

    def add(self, line: Utterance | InvalidLine, recording: Recording) -> None:
        """Check one line of the current manifest."""
        summary = self.report.summaries[-1]
        path = "" if isinstance(line, InvalidLine) else str(line.path)

        def report(kind: str, message: str) -> None:
            self.report.findings.append(Finding(kind, summary.manifest, line.line, path, message))

        if recording.problem:
            report(*recording.problem)
        if isinstance(line, InvalidLine):
            return
        summary.utterances += 1
        if line.speaker is not None:
            summary.speakers.add(line.speaker)
        manifest, first = self.first_use.setdefault(path, (summary.manifest, line.line))
        if (manifest, first) != (summary.manifest, line.line):
            report("duplicate", f"also in {manifest}:{first}")
        labels = self._check_text(line.text, report)
        if recording.rate:
            summary.add(recording.duration, recording.rate)
            self._check_recording(line.duration, recording, report)
        if recording.rate and labels:
            self._check_length(labels, recording, report)
            self.log_paces.append(math.log(recording.duration / len(labels)))
            self.pace_lines.append((summary.manifest, line.line, path))

    def _check_text(self, text: str, report: Callable[[str, str], None]) -> list[int]:
        """The labels of the text; empty if there is a finding."""
        controls = {character for character in text if category(character) == "Cc" and character.isspace()}
        if controls:
            report("control character", ", ".join(f"U+{ord(control):04X}" for control in sorted(controls)))
        text = normalize(text, self.alphabet)
        if not text:
            report("empty text", "")
            return []
        missing = self.alphabet.missing(text)
        if missing:
            self.report.outside.update(missing)
            report("characters", "; ".join(map(describe_character, missing)))
            return []
        return self.alphabet.encode(text).tolist()

    def _check_recording(
        self, stated: float, recording: Recording, report: Callable[[str, str], None]
    ) -> None:
        duration = recording.duration
        if recording.rate < self.features.rate:
            report("low rate", f"{recording.rate} Hz, the features need {self.features.rate}")
        if abs(stated - duration) > max(MAX_DURATION_ERROR, 0.01 * duration):
            report("duration", f"{duration:.2f} s, the manifest says {stated:.2f}")
        if duration > MAX_RECOMMENDED_SECONDS:
            report("very long", f"{duration:.0f} s")

    def _check_length(
        self, labels: list[int], recording: Recording, report: Callable[[str, str], None]
    ) -> None:
        frames = self.features.length(math.ceil(recording.samples * self.features.rate / recording.rate))
        steps = math.ceil(frames / self.stride)
        repeats = sum(a == b for a, b in pairwise(labels))
        required = len(labels) + repeats
        if steps < required:
            need = f"{len(labels)} characters, {repeats} of them repeated, need {required}"
            report("too short", f"{recording.duration:.2f} s are {steps} frames, {need}")

    def finish(self) -> None:
        """Check what depends on all lines: empty manifests, unusual speaking rates, overlapping splits."""
        for summary in self.report.summaries:
            if not summary.utterances:
                self.report.findings.append(Finding("no utterances", summary.manifest, 0, "", ""))
        log_paces = np.frombuffer(self.log_paces)
        if len(log_paces) >= MIN_PACE_UTTERANCES:
            median = np.median(log_paces)
            spread = max(1.4826 * float(np.median(np.abs(log_paces - median))), MIN_PACE_SPREAD)
            for i in np.flatnonzero(np.abs(log_paces - median) > MAX_PACE_DEVIATION * spread):
                message = (
                    f"{math.exp(log_paces[i]):.3g} s per character, the median is {math.exp(median):.3g}"
                )
                self.report.findings.append(Finding("unusual pace", *self.pace_lines[i], message))
        for first, second in combinations(self.report.summaries, 2):
            common = sorted(first.speakers & second.speakers)
            if common:
                names = ", ".join(common[:5]) + (", …" if len(common) > 5 else "")
                message = f"{len(common)} speakers also in {first.manifest}: {names}"
                self.report.findings.append(Finding("speaker overlap", second.manifest, 0, "", message))

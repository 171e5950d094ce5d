"""Dataset validation (`minids data doctor`): finds what would abort training or degrade the model.

Recordings are decoded in threads, a few at a time; only a few numbers of each are kept in memory.
"""

import math
import os
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import combinations, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minids._utils.errors import InputError
from minids._utils.threads import ordered_map
from minids.audio.files import TooLongError, read_info, read_sound
from minids.audio.reading import Note
from minids.data.findings import Finding, ManifestSummary, ValidationReport, describe_character
from minids.data.manifest import InvalidLine, Utterance, scan
from minids.features import Features
from minids.text import Alphabet, TextReport

SILENCE_DB = -60.0  # root mean square relative to full scale; the quietest of 5467 good recordings has -53
MAX_CLIPPED = 0.002  # fraction of samples in flat tops; the worst of the good recordings has 0.0014
MAX_RECOMMENDED_SECONDS = 30.0
MAX_DECODED_SAMPLES = 30_000_000  # of a recording; longer ones are not decoded: several are held in memory
MAX_DURATION_ERROR = 0.05  # seconds, or 1 % of the duration: manifests round
MAX_PACE_DEVIATION = 5.0  # robust standard deviations of log(seconds per character)
MIN_PACE_SPREAD = 0.1  # synthetic speech may have no spread
MIN_PACE_UTTERANCES = 20  # to estimate the usual speaking rate
MAX_OVERLAP = 0.1  # seconds that parts of a recording in two splits may have in common
PART_FIELDS = {  # other programs' names of the start and end of a part; ours are start, end, offset
    *("start_time", "end_time", "begin", "begin_time", "start_ms", "end_ms", "offset_ms", "duration_ms"),
    *("segment_start", "segment_end", "audio_start", "audio_end", "start_sec", "end_sec", "from", "to"),
    *("t_start", "t_end", "onset", "stime", "etime", "start_seconds", "end_seconds", "channel_selector"),
}


class Recording(NamedTuple):
    """Measurements of a recording, or of the part that an utterance uses."""

    duration: float = 0.0  # seconds
    rate: int = 0  # 0: unreadable
    notes: Sequence[Note] = ()
    file: object = None  # identifies the file, whatever its path


class Location(NamedTuple):
    """A line of the manifest with this number, and its recording."""

    manifest: int
    line: int
    path: str


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
    lines = sum(1 for manifest in manifests for _ in scan(manifest, measure=False))
    with tqdm(total=lines, desc="checked", unit=" lines", disable=None if progress else True) as bar:
        for manifest in manifests:
            report.summaries.append(ManifestSummary(str(manifest)))
            for line, recording in ordered_map(_measure, scan(manifest)):
                validator.add(line, recording)
                bar.update()
    validator.finish()
    order = {str(manifest): position for position, manifest in enumerate(manifests)}
    report.findings.sort(key=lambda finding: (order[finding.manifest], finding.line))
    return report


def _measure(line: Utterance | InvalidLine) -> Recording:
    if isinstance(line, InvalidLine):
        return Recording(notes=[Note("invalid line", line.problem)])
    path = line.path
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return Recording(notes=[Note("missing", "")], file=str(path))
    file = (status.st_dev, status.st_ino) if status.st_ino else str(path)
    try:
        header = read_info(path)
        limit = MAX_DECODED_SAMPLES / header.rate
        sound = read_sound(path, None, line.start, line.end, line.channel, limit)
        duration = len(sound.samples) / sound.rate
        return Recording(duration, sound.rate, [*sound.notes, *_volume_notes(sound.samples)], file)
    except TooLongError as error:
        return Recording(error.seconds, header.rate, header.notes, file)
    except InputError as error:
        return Recording(notes=[Note("unreadable", str(error).removeprefix(f"{path}: "))], file=file)


def _volume_notes(samples: np.ndarray) -> list[Note]:
    rms = 20 * math.log10(max(float(np.std(samples)), 1e-10))  # dB; std ignores a constant offset
    if rms < SILENCE_DB:
        return [Note("silent", f"{rms:.0f} dB of full scale" if rms > -199 else "all samples are equal")]
    magnitude = np.abs(samples)
    top = magnitude >= min(0.999, 0.9999 * magnitude.max())  # below full scale if attenuated after clipping
    clipped = np.mean(top[2:] & top[1:-1] & top[:-2]) if len(top) > 2 else 0.0
    return [Note("clipped", f"{clipped:.1%} of the samples")] if clipped > MAX_CLIPPED else []


class _Validator:
    """Collects findings line by line, and the few numbers of each line that later checks need."""

    def __init__(self, alphabet: Alphabet, features: Features, stride: int):
        self.report = ValidationReport()
        self.alphabet = alphabet
        self.features = features
        self.stride = stride
        # file -> part (start, end, channel) -> the first line that uses it
        self.uses: dict[object, dict[tuple[float, float, int | None], Location]] = {}
        self.log_paces = array("d")  # log(seconds per character) of each utterance
        self.pace_lines: list[tuple[str, int, str]] = []  # and its manifest, line, recording

    def add(self, line: Utterance | InvalidLine, recording: Recording) -> None:
        """Check one line of the current manifest."""
        summary = self.report.summaries[-1]
        path = "" if isinstance(line, InvalidLine) else str(line.path)

        def report(kind: str, message: str) -> None:
            self.report.findings.append(Finding(kind, summary.manifest, line.line, path, message))

        for note in recording.notes:
            report(*note)
        if isinstance(line, InvalidLine):
            return
        summary.utterances += 1
        if line.speaker is not None:
            summary.speakers.add(line.speaker)
        ignored = sorted(PART_FIELDS & line.extra.keys())
        if ignored:
            report("ignored field", ", ".join(ignored))
        self._check_use(line, recording.file, report)
        labels = self._check_text(line.text, report)
        if recording.rate:
            summary.add(recording.duration, recording.rate)
            self._check_recording(line.duration, labels, recording, report)
        if recording.rate and labels:
            self.log_paces.append(math.log(recording.duration / len(labels)))
            self.pace_lines.append((summary.manifest, line.line, path))

    def _check_use(self, line: Utterance, file: object, report: Callable[[str, str], None]) -> None:
        """Report a recording, or the same part of one, that another line uses."""
        use = line.start, math.inf if line.end is None else line.end, line.channel
        location = Location(len(self.report.summaries) - 1, line.line, str(line.path))
        first = self.uses.setdefault(file, {}).setdefault(use, location)
        if first is not location:
            report("duplicate", f"also in {self.report.summaries[first.manifest].manifest}:{first.line}")

    def _check_overlaps(self) -> None:
        """Report parts of a recording that overlap with a part in another manifest."""
        for uses in self.uses.values():
            latest: dict[int, tuple[float, int | None, Location]] = {}  # of each manifest, what ends last
            for (start, end, channel), location in sorted(uses.items(), key=lambda item: item[0][:2]):
                for number, (other_end, other, place) in latest.items():
                    common = min(end, other_end) - start
                    alike = channel == other or None in (channel, other)
                    if number != location.manifest and common > MAX_OVERLAP and alike:
                        summaries = self.report.summaries
                        message = f"overlaps by {common:.2f} s with {summaries[number].manifest}:{place.line}"
                        manifest = summaries[location.manifest].manifest
                        finding = Finding("duplicate", manifest, location.line, location.path, message)
                        self.report.findings.append(finding)
                        break
                if location.manifest not in latest or latest[location.manifest][0] < end:
                    latest[location.manifest] = end, channel, location

    def _check_text(self, text: str, report: Callable[[str, str], None]) -> list[int]:
        """The labels of the text; empty if there is a finding."""
        changes = TextReport(self.alphabet)
        text = changes.normalize(text)
        self.report.outside.update(changes.missing)
        self.report.removed.update(changes.removed)
        if changes.missing:
            report("characters", "; ".join(map(describe_character, changes.missing)))
            return []
        if not text:
            report("empty text", "")
            return []
        if changes.removed:
            report("removed characters", "; ".join(map(describe_character, changes.removed)))
        return self.alphabet.encode(text).tolist()

    def _check_recording(
        self, stated: float, labels: list[int], recording: Recording, report: Callable[[str, str], None]
    ) -> None:
        duration = recording.duration
        if recording.rate < self.features.rate:
            report("low rate", f"{recording.rate} Hz, the features need {self.features.rate}")
        if abs(stated - duration) > max(MAX_DURATION_ERROR, 0.01 * duration):
            report("duration", f"{duration:.2f} s, the manifest says {stated:.2f}")
        if duration > MAX_RECOMMENDED_SECONDS:
            report("very long", f"{duration:.0f} s")
        frames = self.features.length(math.ceil(round(duration * self.features.rate, 3)))
        steps = math.ceil(frames / self.stride)
        repeats = sum(a == b for a, b in pairwise(labels))
        required = len(labels) + repeats
        if steps < required:
            need = f"{len(labels)} characters, {repeats} of them repeated, need {required}"
            report("too short", f"{duration:.2f} s are {steps} frames, {need}")

    def finish(self) -> None:
        """Check what depends on all lines: empty manifests, unusual speaking rates, overlapping splits."""
        for summary in self.report.summaries:
            if not summary.utterances:
                self.report.findings.append(Finding("no utterances", summary.manifest, 0, "", ""))
        self._check_overlaps()
        with suppress(ValueError):  # no letters
            missing = Alphabet.from_texts(self.report.outside).symbols
            self.report.alphabet = Alphabet(sorted({*self.alphabet.symbols, *missing})).definition
        log_paces = np.frombuffer(self.log_paces)
        if len(log_paces) >= MIN_PACE_UTTERANCES:
            median = np.median(log_paces)
            spread = max(1.4826 * float(np.median(np.abs(log_paces - median))), MIN_PACE_SPREAD)
            for i in np.flatnonzero(np.abs(log_paces - median) > MAX_PACE_DEVIATION * spread):
                pace, usual = math.exp(log_paces[i]), math.exp(median)
                message = f"{pace:.3g} s per character, the median is {usual:.3g}"
                self.report.findings.append(Finding("unusual pace", *self.pace_lines[i], message))
        for first, second in combinations(self.report.summaries, 2):
            common = sorted(first.speakers & second.speakers)
            if common:
                names = ", ".join(common[:5]) + (", …" if len(common) > 5 else "")
                message = f"{len(common)} speakers also in {first.manifest}: {names}"
                self.report.findings.append(Finding("speaker overlap", second.manifest, 0, "", message))

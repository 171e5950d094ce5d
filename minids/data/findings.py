"""Findings of dataset validation: their kinds with remedies, and the report."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unicodedata import name

from minids._utils.strict_json import to_json


@dataclass(frozen=True)
class FindingKind:
    """A kind of finding. An error would abort training or degrade the model; anything else is a note."""

    is_error: bool
    remedy: str


KINDS = {
    "invalid line": FindingKind(True, 'write one JSON object per line: {"path": "a.wav", "text": "hello"}'),
    "no utterances": FindingKind(True, "add at least one line to the manifest"),
    "missing": FindingKind(True, "correct the path (relative to the manifest's folder), or delete the line"),
    "unreadable": FindingKind(True, "copy or record it again, or delete the line"),
    "silent": FindingKind(True, "record it again, or delete the line"),
    "characters": FindingKind(True, "add the characters to the alphabet, or spell the words without them"),
    "empty text": FindingKind(True, "write what is spoken, or delete the line"),
    "ignored field": FindingKind(True, "name the part by start and end, or by offset and duration"),
    "too short": FindingKind(True, "correct the text, delete the line, or use a smaller stride or hop"),
    "duration": FindingKind(True, "write the duration of the file, or remove the field"),
    "duplicate": FindingKind(True, "delete one of the lines: a recording belongs in one split, once"),
    "channels": FindingKind(False, 'none needed; choose another with "channel" in the manifest'),
    "header": FindingKind(False, "none needed: all of it is read; other programs may read less"),
    "low rate": FindingKind(False, "lower `rate` in [features] (doctor: --rate): the high bands are empty"),
    "clipped": FindingKind(False, "record with less gain; a few such recordings are harmless"),
    "very long": FindingKind(False, "split at pauses: the longest recording determines the memory"),
    "unusual pace": FindingKind(False, "listen: the text may belong to another recording, or be incomplete"),
    "speaker overlap": FindingKind(False, "keep a speaker in one split, to know the errors of new speakers"),
    "removed characters": FindingKind(False, "write in words what is spoken, such as % or &"),
}

MAX_LISTED_CHARACTERS = 20  # outside the alphabet, in the table
MAX_EXAMPLES = 3  # of one kind of finding


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding in a line of a manifest (line 0: in the manifest as a whole)."""

    kind: str
    manifest: str
    line: int
    path: str  # the recording; empty if the finding is about the manifest
    message: str

    @property
    def remedy(self) -> str:
        return KINDS[self.kind].remedy

    def __str__(self) -> str:
        location = f"{self.manifest}:{self.line}" if self.line else self.manifest
        line = ": ".join(filter(None, (location, self.kind, self.path, self.message)))
        return line if line.isprintable() else line.encode("unicode_escape").decode()  # stays one line


@dataclass
class ManifestSummary:
    """Counts of a manifest. Durations are those of the recordings that can be read, in seconds."""

    manifest: str
    utterances: int = 0
    seconds: float = 0.0
    shortest: float = 0.0
    longest: float = 0.0
    speakers: set[str] = field(default_factory=set)
    rates: Counter[int] = field(default_factory=Counter)

    def add(self, seconds: float, rate: int) -> None:
        """Count a readable recording."""
        self.shortest = min(self.shortest, seconds) if self.rates else seconds
        self.longest = max(self.longest, seconds)
        self.seconds += seconds
        self.rates[rate] += 1

    def to_dict(self) -> dict[str, Any]:
        return vars(self) | {"hours": self.seconds / 3600, "speakers": len(self.speakers)}


@dataclass
class ValidationReport:
    """All findings, in the order of the manifests and their lines."""

    summaries: list[ManifestSummary] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    outside: Counter[str] = field(default_factory=Counter)  # character outside the alphabet -> texts with it
    removed: Counter[str] = field(default_factory=Counter)  # likewise, of those that normalization removes
    alphabet: str | list[str] = ""  # the given one with the missing letters

    @property
    def counts(self) -> dict[str, int]:
        """Findings of each kind, in the order of KINDS."""
        count = Counter(finding.kind for finding in self.findings)
        return {kind: count[kind] for kind in KINDS if count[kind]}

    @property
    def errors(self) -> int:
        """Findings that would abort training or degrade the model."""
        return sum(count for kind, count in self.counts.items() if KINDS[kind].is_error)

    @property
    def valid(self) -> bool:
        """Whether nothing would abort training or degrade the model; there may be notes."""
        return not self.errors

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "valid": self.valid,
            "hours": sum(summary.seconds for summary in self.summaries) / 3600,
            "counts": self.counts,
            "characters_outside_alphabet": dict(self.outside.most_common()),
            "characters_removed": dict(self.removed.most_common()),
            "alphabet_of_texts": self.alphabet,
            "manifests": [summary.to_dict() for summary in self.summaries],
            "findings": [asdict(finding) | {"remedy": finding.remedy} for finding in self.findings],
        }

    def table(self) -> str:
        """Counts as text: a row for each manifest, a row for each kind of finding with its remedy."""
        return "\n".join(self._rows())

    def _rows(self) -> Iterator[str]:
        width = max(len(Path(summary.manifest).name) for summary in self.summaries)
        yield f"{'manifest':{width}}  utterances    hours  speakers  seconds        rates"
        for s in self.summaries:
            rates = ", ".join(f"{rate} Hz" for rate in sorted(s.rates)) or "-"
            span = f"{s.shortest:.1f} to {s.longest:.1f}"
            numbers = f"{s.utterances:10}  {s.seconds / 3600:7.2f}  {len(s.speakers):8}  {span:13}  {rates}"
            yield f"{Path(s.manifest).name:{width}}  {numbers}"
        for is_error, title in ((True, "errors"), (False, "notes")):
            counts = {kind: n for kind, n in self.counts.items() if KINDS[kind].is_error == is_error}
            if counts:
                yield f"\ncount  {title:20}  remedy"
                for kind, n in counts.items():
                    yield f"{n:5}  {kind:20}  {KINDS[kind].remedy}"
        if self.outside:
            yield "\ntexts  with a character outside the alphabet"
            for character, n in self.outside.most_common(MAX_LISTED_CHARACTERS):
                yield f"{n:5}  {describe_character(character)}"
            if len(self.outside) > MAX_LISTED_CHARACTERS:
                yield f"       and {len(self.outside) - MAX_LISTED_CHARACTERS} more; --json lists all"
        if self.alphabet:
            yield f"\nThe alphabet with the missing letters:\nalphabet = {to_json(self.alphabet)}"
        examples = [[f for f in self.findings if f.kind == kind][:MAX_EXAMPLES] for kind in self.counts]
        if left := len(self.findings) - sum(map(len, examples)):
            yield f"\nfindings ({left} more: --json lists all)"
        elif examples:
            yield "\nfindings"
        yield from (str(finding) for kind in examples for finding in kind)
        errors = f"{self.errors or 'No'} error{'s' * (self.errors != 1)}"
        yield f"\n{errors} that would abort training or degrade the model."


def describe_character(character: str) -> str:
    """A character with its code points and names: 'é' U+00E9 LATIN SMALL LETTER E WITH ACUTE."""
    points = " ".join(f"U+{ord(point):04X}" for point in character)
    names = " + ".join(name(point, "no name") for point in character)
    return f"{character!r} {points} {names}"

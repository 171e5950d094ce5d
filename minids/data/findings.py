"""What the doctor finds: the kinds of trouble with their remedies, and the report."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unicodedata import name


@dataclass(frozen=True)
class Kind:
    """A kind of trouble. `spoils`: training would stop or learn what is wrong; otherwise it is a note."""

    spoils: bool
    remedy: str


KINDS = {
    "broken line": Kind(True, 'write one JSON object a line: {"path": "a.wav", "text": "hello"}'),
    "no utterances": Kind(True, "give the manifest at least one line"),
    "missing": Kind(True, "correct the path, which counts from the manifest's folder, or delete the line"),
    "unreadable": Kind(True, "copy or record it again, or delete the line"),
    "silent": Kind(True, "record it again, or delete the line"),
    "low rate": Kind(True, "set `rate` of the features to the lowest rate, or record at the higher one"),
    "characters": Kind(True, "add the characters to the alphabet, or write the words in its letters"),
    "empty text": Kind(True, "write what is said, or delete the line"),
    "too short": Kind(True, "correct the text, delete the line, or use a smaller stride or hop"),
    "duration": Kind(True, "write the file's own duration, or leave the field out"),
    "duplicate": Kind(True, "delete one of the lines: no recording belongs in two sets, or twice in one"),
    "clipped": Kind(False, "record with less gain; a few do no harm"),
    "very long": Kind(False, "cut it at pauses: a batch takes the memory of its longest recording"),
    "unusual pace": Kind(False, "listen to it: the text may be another recording's, or only a part of it"),
    "speaker overlap": Kind(
        False, "keep each speaker to one set, or the error rate tells nothing of new voices"
    ),
    "control character": Kind(
        False, "none needed: read as a space; delete them if the file is to serve elsewhere"
    ),
    "byte-order mark": Kind(False, "none needed: it is read past; save as UTF-8 without it to be tidy"),
    "CRLF": Kind(False, "none needed: it is read past; save with LF line ends to be tidy"),
}

MOST_NAMED = 20  # characters outside the alphabet, in the table


@dataclass(frozen=True, slots=True)
class Finding:
    """Trouble of one kind in one line of a manifest (line 0: in the whole manifest)."""

    kind: str
    manifest: str
    line: int
    path: str  # the recording; empty when it is about the manifest
    message: str

    @property
    def remedy(self) -> str:
        return KINDS[self.kind].remedy

    def __str__(self) -> str:
        where = f"{self.manifest}:{self.line}" if self.line else self.manifest
        line = ": ".join(filter(None, (where, self.kind, self.path, self.message)))
        return line if line.isprintable() else line.encode("unicode_escape").decode()  # stays one line


@dataclass
class Summary:
    """One manifest in numbers. Seconds are the recordings' own, where they can be read."""

    manifest: str
    utterances: int = 0
    seconds: float = 0.0
    shortest: float = 0.0
    longest: float = 0.0
    speakers: set[str] = field(default_factory=set)
    rates: Counter[int] = field(default_factory=Counter)

    def add(self, seconds: float, rate: int) -> None:
        """Count a recording that can be read."""
        self.shortest = min(self.shortest, seconds) if self.rates else seconds
        self.longest = max(self.longest, seconds)
        self.seconds += seconds
        self.rates[rate] += 1

    def to_dict(self) -> dict[str, Any]:
        return vars(self) | {"hours": self.seconds / 3600, "speakers": len(self.speakers)}


@dataclass
class Report:
    """All that was found, in the order of the manifests and their lines."""

    summaries: list[Summary] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    outside: Counter[str] = field(default_factory=Counter)  # texts that hold a character the alphabet lacks

    @property
    def counts(self) -> dict[str, int]:
        """Findings of each kind, in the order of KINDS."""
        count = Counter(finding.kind for finding in self.findings)
        return {kind: count[kind] for kind in KINDS if count[kind]}

    @property
    def hours(self) -> float:
        return sum(summary.seconds for summary in self.summaries) / 3600

    @property
    def healthy(self) -> bool:
        """Nothing here would stop or spoil training; there may be notes."""
        return not any(KINDS[kind].spoils for kind in self.counts)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "healthy": self.healthy,
            "hours": self.hours,
            "counts": self.counts,
            "characters_outside_alphabet": dict(self.outside.most_common()),
            "manifests": [summary.to_dict() for summary in self.summaries],
            "findings": [asdict(finding) | {"remedy": finding.remedy} for finding in self.findings],
        }

    def table(self) -> str:
        """The report in numbers, for people: a row per manifest, a row per kind of finding and its remedy."""
        return "\n".join(self._rows())

    def _rows(self) -> Iterator[str]:
        width = max(len(Path(summary.manifest).name) for summary in self.summaries)
        yield f"{'manifest':{width}}  utterances    hours  speakers  seconds        rates"
        for s in self.summaries:
            rates = ", ".join(f"{rate} Hz" for rate in sorted(s.rates)) or "-"
            span = f"{s.shortest:.1f} to {s.longest:.1f}"
            numbers = f"{s.utterances:10}  {s.seconds / 3600:7.2f}  {len(s.speakers):8}  {span:13}  {rates}"
            yield f"{Path(s.manifest).name:{width}}  {numbers}"
        for spoils, title in ((True, "would stop or spoil training"), (False, "worth knowing")):
            counts = {kind: n for kind, n in self.counts.items() if KINDS[kind].spoils == spoils}
            if counts:
                yield f"\nfound  {title:27}  what to do"
                for kind, n in counts.items():
                    yield f"{n:5}  {kind:27}  {KINDS[kind].remedy}"
        if self.outside:
            yield "\ntexts  with a character outside the alphabet"
            for unit, n in self.outside.most_common(MOST_NAMED):
                yield f"{n:5}  {describe(unit)}"
            if len(self.outside) > MOST_NAMED:
                yield f"       and {len(self.outside) - MOST_NAMED} other characters; --json names all"
        spoiling = sum(n for kind, n in self.counts.items() if KINDS[kind].spoils)
        yield f"\n{spoiling or 'Nothing'} found that would stop or spoil training."


def describe(unit: str) -> str:
    """A character so that it can be told from its look-alikes: 'é' U+00E9 LATIN SMALL LETTER E WITH ACUTE."""
    points = " ".join(f"U+{ord(character):04X}" for character in unit)
    names = " + ".join(name(character, "no name") for character in unit)
    return f"{unit!r} {points} {names}"

"""Transcripts in the formats of other programs, for `minids transcribe` and `minids align`.

srt, vtt    subtitles, SubRip and WebVTT: at most two lines of 42 columns, for 0.5 to 7 seconds
ctm         NIST's time-marked words: recording, channel, start, duration, word, confidence
textgrid    Praat's intervals: one tier of words
"""

import html
import math
import os
from collections.abc import Sequence
from itertools import accumulate, pairwise, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from unicodedata import category, normalize

from minids._utils.errors import InputError, reason
from minids._utils.files import atomic_write
from minids._utils.strict_json import to_json
from minids.decode.path import Word
from minids.text import display_width

if TYPE_CHECKING:
    from minids.recognizer import Transcript

FORMATS = ("text", "json", "srt", "vtt", "ctm", "textgrid")
SUFFIXES = {"text": "txt", "textgrid": "TextGrid"}  # of files; the others have the name of the format
ONE_RECORDING = ("srt", "vtt", "textgrid")  # formats of which a file describes one recording
LINE_WIDTH = 42  # columns; East Asian characters take two
MIN_SECONDS, MAX_SECONDS = 0.5, 7.0  # of a subtitle
READING_SPEED = 20.0  # characters per second; a subtitle stays that long if the next one lets it
PAUSE_SECONDS = 1.0  # between the letters of two words; a subtitle always ends at a longer one
TOO_SHORT = 100.0  # the cost of a group below the minimum


class Piece(NamedTuple):
    """What is never divided: a word, or a letter with its marks of a word that is too long for a line."""

    text: str  # with the space before it
    width: int  # columns
    start: float  # seconds
    end: float
    pause: float  # from the last letter before it to its first one


def pieces(words: Sequence[Word], max_width: float, max_seconds: float) -> list[Piece]:
    """The words, those that are wider or longer than the limits letter by letter."""
    result: list[Piece] = []
    last = -math.inf
    for word in words:
        letters = word.characters or (word[:3],)
        divided = display_width(word.text) > max_width or word.end - word.start > max_seconds
        for i, (text, start, end) in enumerate(letters if divided else [word[:3]]):
            pause, last = letters[i][1] - last, letters[i if divided else -1][2]
            within = category(text[0])[0] == "M" or "\u1160" <= text[0] <= "\u11ff"  # a letter or syllable
            if i and within:
                _, _, start, _, pause = before = result.pop()
                text = before.text + text
            text = text if i else f" {text}"
            result.append(Piece(text, display_width(normalize("NFC", text)), start, end, pause))
    return result


def groups(
    pieces: Sequence[Piece], min_seconds: float, max_seconds: float, max_width: float = math.inf
) -> list[Sequence[Piece]]:
    """The pieces in groups that last from `min_seconds` to `max_seconds` and fit in two lines of `max_width`.

    Of all divisions, the one with the lowest sum of PAUSE_SECONDS - pause over its cuts: it cuts at every
    pause longer than that, and otherwise as seldom, and at pauses as long, as the limits allow. A group lasts
    up to the next one, as its subtitle may; only a single piece can exceed the limits.
    """
    best = [(0.0, 0)]  # for the first j pieces: the cost, and where the last group begins
    for j in range(1, len(pieces) + 1):
        candidates = []
        for i in range(j - 1, -1, -1):
            fits = pieces[j - 1].end - pieces[i].start <= max_seconds and lines(pieces[i:j], max_width)
            if i < j - 1 and not fits:
                break
            short = j < len(pieces) and pieces[j].start - pieces[i].start < min_seconds
            cut = PAUSE_SECONDS - pieces[i].pause if i else 0.0
            candidates.append((best[i][0] + cut + TOO_SHORT * short, i))
        best.append(min(candidates))
    result, j = [], len(pieces)
    while j:
        result.append(pieces[best[j][1] : j])
        j = best[j][1]
    return result[::-1]


def text_of(pieces: Sequence[Piece]) -> str:
    return normalize("NFC", "".join(piece.text for piece in pieces)).strip()


def lines(pieces: Sequence[Piece], max_width: float) -> list[str]:
    """The text in one line, or two of similar width; no line if it does not fit in two."""
    ends = list(accumulate(piece.width for piece in pieces))
    if ends[-1] <= max_width:
        return [text_of(pieces)]
    widths = [max(end, ends[-1] - end) for end in ends]
    k = widths.index(min(widths)) + 1
    return [text_of(pieces[:k]), text_of(pieces[k:])] if min(widths) <= max_width else []


def cues(words: Sequence[Word]) -> list[tuple[int, int, list[str]]]:
    """Subtitles: start and end in milliseconds, and one or two lines. None overlaps the next."""
    parts = groups(pieces(words, LINE_WIDTH, MAX_SECONDS), MIN_SECONDS, MAX_SECONDS, LINE_WIDTH)
    result = []
    for part, following in zip_longest(parts, parts[1:]):
        start, limit = part[0].start, following[0].start if following else math.inf
        until = max(part[-1].end, start + MIN_SECONDS, start + len(text_of(part)) / READING_SPEED)
        end = min(until, limit, start + MAX_SECONDS)
        result.append((round(1000 * start), round(1000 * end), lines(part, LINE_WIDTH) or [text_of(part)]))
    return result


def render(kind: str, path: Path, transcript: "Transcript", channel: int | None = None) -> str:
    """The file of a transcript in one of the formats; `path` and `channel` are those of the recording."""
    words, blocks = transcript.words, []
    if kind == "text":
        blocks = [transcript.text]
    elif kind == "json":
        blocks = [to_json({"path": str(path)} | transcript.to_dict())]
    elif kind == "ctm":
        place = f"{ctm_name(path)} {(channel or 0) + 1}"
        for text, start, end, score, _ in words:
            blocks.append(f"{place} {start:.3f} {end - start:.3f} {'_'.join(text.split())} {score:.4f}")
    elif kind == "textgrid":  # Praat's short text format; the intervals between the words are empty
        end = max([transcript.duration, *(word.end for word in words)])
        times = [0.0, *(round(time, 4) for word in words for time in word[1:3]), end]
        texts = ["", *(text for word in words for text in (word.text.replace('"', '""'), ""))]
        intervals = [(a, b, text) for (a, b), text in zip(pairwise(times), texts, strict=True) if a < b]
        blocks = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", f"{end}", "<exists>", "1"]
        blocks += ['"IntervalTier"', '"words"', "0", f"{end}", f"{len(intervals)}"]
        blocks += [f'{a}\n{b}\n"{text}"' for a, b, text in intervals]
    else:
        blocks = ["WEBVTT\n"] if kind == "vtt" else []
        for number, (start_ms, end_ms, shown) in enumerate(cues(words), start=1):
            text = html.escape("\n".join(shown), quote=False) if kind == "vtt" else "\n".join(shown)
            blocks.append(f"{number}\n{_clock(start_ms, kind)} --> {_clock(end_ms, kind)}\n{text}\n")
    return "".join(f"{block}\n" for block in blocks)


def ctm_name(path: Path) -> str:
    """The name of a recording in a CTM, where spaces separate fields."""
    return "stdin" if str(path) == "-" else "_".join(path.stem.split())


def _clock(ms: int, kind: str) -> str:
    """3723004 -> 01:02:03,004, with a point in WebVTT."""
    minutes, seconds = divmod(ms // 1000, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{'.' if kind == 'vtt' else ','}{ms % 1000:03}"


def output_paths(recordings: Sequence[Path], out: Path, kind: str) -> dict[Path, Path]:
    """The file for each recording: the same name below `out` as below the folder that all recordings share.

    Raises InputError if two recordings would have the same file, and for a file that lies beside its
    recording already: it may be its text, or intervals that somebody drew.
    """
    common = os.path.commonpath([os.path.abspath(recording.parent) for recording in recordings])
    owners: dict[Path, Path] = {}
    for recording in recordings:
        name = "stdin" if str(recording) == "-" else os.path.relpath(os.path.abspath(recording), common)
        path = (out / name).with_suffix(f".{SUFFIXES.get(kind, kind)}")
        if owners.setdefault(path, recording) != recording:
            raise InputError(f"{owners[path]} and {recording} would both become {path}; rename one of them")
        if path.exists() and os.path.samefile(path.parent, recording.parent):
            raise InputError(f"{path} lies beside its recording already; give another folder, or remove it")
    return {recording: path for path, recording in owners.items()}


def write(path: Path, content: str) -> None:
    """Write a file, and create its folder. Raises InputError if that is impossible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create {path.parent}: {reason(error)}; choose another folder") from error
    with atomic_write(path) as file:
        file.write(content.encode("utf-8", "backslashreplace"))

"""Subtitles, CTM and TextGrid: strict parsers of the formats, and all divisions of short transcripts."""

import html
import math
import re
from itertools import combinations, pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minids._utils.errors import InputError
from minids.decode.path import Word, lengthened
from minids.text import display_width
from minids.transcript_formats import (
    PAUSE_SECONDS,
    TOO_SHORT,
    Piece,
    groups,
    lines,
    output_paths,
    pieces,
    render,
    write,
)

reproducible = settings(derandomize=True, deadline=None, database=None, max_examples=60)


def words_of(text, seed=0, pause=0.4, letter=0.06):
    """Words with the times that a CTC model gives: a few frames per letter, and pauses of random length."""
    rng, time, words = np.random.default_rng(seed), 0.3, []
    for word in text.split():
        time += rng.exponential(pause)
        letters = tuple((c, time + letter * i, time + letter * i + 0.02) for i, c in enumerate(word))
        words.append(Word(word, letters[0][1], letters[-1][2], 0.9, letters))
        time = letters[-1][2] + 0.02
    return lengthened(words, time)


def transcript(words, duration=0.0):
    return SimpleNamespace(text=" ".join(word.text for word in words), words=words, duration=duration)


def parse_subtitles(content, kind):
    """[(start, end, lines)] in seconds, by the grammar of the format; every line belongs to a cue."""
    mark = "." if kind == "vtt" else ","
    if kind == "vtt":
        assert content.startswith("WEBVTT\n")
        content = content[len("WEBVTT\n") :].lstrip("\n")
    cues = []
    for number, block in enumerate(content.rstrip("\n").split("\n\n") if content else [], start=1):
        head, times, *text = block.split("\n")
        assert head == str(number)
        clock = rf"(\d\d):([0-5]\d):([0-5]\d){re.escape(mark)}(\d\d\d)"
        numbers = [int(n) for n in re.fullmatch(f"{clock} --> {clock}", times).groups()]
        start, end = (3600 * h + 60 * m + s + ms / 1000 for h, m, s, ms in (numbers[:4], numbers[4:]))
        assert text, "a cue without text"
        cues.append((start, end, [html.unescape(line) if kind == "vtt" else line for line in text]))
    return cues


def check_cues(cues, text):
    """What every file of subtitles must keep."""
    for start, end, shown in cues:
        assert 0.4999 <= end - start <= 7.0001
        assert len(shown) <= 2
        assert all(0 < display_width(line) <= 42 and line == line.strip() for line in shown)
    assert all(a[1] <= b[0] for a, b in pairwise(cues))
    assert " ".join(line for *_, shown in cues for line in shown).split() == text.split()


@reproducible
@given(
    st.lists(st.text("abcé", min_size=1, max_size=12), max_size=60),
    st.integers(0, 99),
    st.floats(0, 3),
    st.sampled_from([0.02, 0.06, 0.3]),
)
@example(["abcdefghij"] * 40, 0, 0.0, 0.02)  # faster than anyone reads
def test_subtitles_keep_their_limits_and_every_word(texts, seed, pause, letter):
    words = words_of(" ".join(texts), seed, pause, letter)
    for kind in ("srt", "vtt"):
        check_cues(parse_subtitles(render(kind, Path("a.wav"), transcript(words)), kind), " ".join(texts))


def test_a_subtitle_ends_at_pauses_first():
    words = words_of("turn on the light", pause=0) + [
        w.moved(3.5, 99) for w in words_of("good night", pause=0)
    ]
    cues = parse_subtitles(render("srt", Path("a.wav"), transcript(words)), "srt")
    assert [shown for *_, shown in cues] == [["turn on the light"], ["good night"]]
    assert cues[1][0] == pytest.approx(words[4].start, abs=0.001)


def test_a_word_longer_than_a_line_is_divided_between_its_characters():
    """As in a script without spaces, where a whole recording is one word."""
    text = "안녕하세요" * 30
    (cue, *rest) = parse_subtitles(render("vtt", Path("a"), transcript(words_of(text, letter=0.1))), "vtt")
    shown = [line for *_, block in (cue, *rest) for line in block]
    assert "".join(shown) == text
    assert max(map(display_width, shown)) <= 42
    assert len(rest) >= 2


def test_pauses_are_measured_between_letters():
    """Not between the words, which are lengthened, so that all pauses up to 0.6 s would be equal."""
    words = [
        Word("ab", 0, 1.5, 1, (("a", 0.3, 0.4), ("b", 0.6, 0.7))),
        Word("c", 1.5, 2, 1, (("c", 1.6, 1.8),)),
    ]
    whole = pieces(words, 9, 9)
    assert [(p.text, p.start, p.end) for p in whole] == [(" ab", 0, 1.5), (" c", 1.5, 2)]
    assert whole[1].pause == pytest.approx(0.9)
    assert [(p.text, p.start) for p in pieces(words, 1, 9)] == [(" a", 0.3), ("b", 0.6), (" c", 1.5)]
    np.testing.assert_allclose([p.pause for p in pieces(words, 9, 1)[1:]], (0.2, 0.9))


def test_a_word_of_unknown_letters_is_one_subtitle_of_seven_seconds():
    word = Word("x" * 50, 1.0, 30.0, 1.0)
    ((start, end, shown),) = parse_subtitles(render("srt", Path("a"), transcript([word])), "srt")
    assert (start, end, shown) == (1, 8, [word.text])


def test_markup_in_webvtt_is_escaped():
    content = render("vtt", Path("a"), transcript(words_of("a<b> &c")))
    assert "a&lt;b&gt; &amp;c" in content
    assert parse_subtitles(content, "vtt")[0][2] == ["a<b> &c"]


@reproducible
@given(st.integers(1, 9), st.integers(0, 999), st.sampled_from([0.0, 0.8]), st.sampled_from([5, 9, math.inf]))
def test_groups_are_the_cheapest_of_all_divisions(n, seed, shortest, width):
    rng = np.random.default_rng(seed)
    starts = np.cumsum(rng.uniform(0.3, 1.5, n))
    texts = [f" {'x' * n}" for n in rng.integers(1, 6, n)]
    ends, pauses = starts + rng.uniform(0.1, 0.3, n), rng.exponential(1.0, n)
    parts = [Piece(t, len(t), *times) for t, *times in zip(texts, starts, ends, pauses, strict=True)]

    def cost(cuts):
        total = 0.0
        for i, j in pairwise([0, *cuts, n]):
            if j - i > 1 and (parts[j - 1].end - parts[i].start > 3 or not lines(parts[i:j], width)):
                return math.inf
            total += PAUSE_SECONDS - parts[i].pause if i else 0.0
            total += TOO_SHORT * (j < n and parts[j].start - parts[i].start < shortest)
        return total

    found = groups(parts, shortest, 3, width)
    assert [piece for group in found for piece in group] == parts
    costs = [cost(cuts) for k in range(n) for cuts in combinations(range(1, n), k)]
    assert cost(np.cumsum([len(group) for group in found])[:-1]) == pytest.approx(min(costs))


def test_two_lines_are_of_similar_width():
    parts = pieces(words_of("one two three four five six"), 99, 99)
    assert lines(parts, 14) == ["one two three", "four five six"]
    assert lines(parts, 99) == ["one two three four five six"]
    assert lines(parts, 12) == []


def test_a_ctm_has_six_fields_per_word():
    words = [Word("hello", 0.5, 0.75, 0.25), Word("good —", 1.0, 2.0, 1.0)]
    content = render("ctm", Path("x/my talk.v2.wav"), transcript(words), channel=1)
    assert content == "my_talk.v2 2 0.500 0.250 hello 0.2500\nmy_talk.v2 2 1.000 1.000 good_— 1.0000\n"


def test_a_textgrid_has_intervals_without_gaps(tmp_path):
    words = words_of('one "two" three', seed=3)
    write(tmp_path / "deep" / "a.TextGrid", render("textgrid", Path("a.wav"), transcript(words, 9.5)))
    head, _, rows = (tmp_path / "deep" / "a.TextGrid").read_text().partition('"words"\n0\n9.5\n')
    assert head.split("\n")[:3] == ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    assert head.split("\n")[3:] == ["0", "9.5", "<exists>", "1", '"IntervalTier"', ""]
    count, *rows = rows.splitlines()
    intervals = [(float(a), float(b), text) for a, b, text in zip(*[iter(rows)] * 3, strict=True)]
    assert len(intervals) == int(count)
    assert [text for *_, text in intervals if text != '""'] == ['"one"', '"""two"""', '"three"']
    assert (intervals[0][0], intervals[-1][1]) == (0, 9.5)
    assert all(a[1] == b[0] for a, b in pairwise(intervals))
    assert all(start < end for start, end, _ in intervals)


def test_silence_is_a_file_of_every_format():
    empty = {kind: render(kind, Path("a.wav"), transcript([], 2.0)) for kind in ("text", "srt", "vtt", "ctm")}
    assert empty == {"text": "\n", "srt": "", "vtt": "WEBVTT\n\n", "ctm": ""}
    assert render("textgrid", Path("a.wav"), transcript([], 2.0)).endswith('\n1\n0.0\n2.0\n""\n')


def test_outputs_keep_the_folders_below_the_common_one(tmp_path):
    out = Path("out")
    recordings = [tmp_path / "a" / "1.wav", tmp_path / "b" / "1.wav", tmp_path / "b" / "c.d.flac"]
    assert list(output_paths(recordings, out, "srt").values()) == [
        out / "a" / "1.srt",
        out / "b" / "1.srt",
        out / "b" / "c.d.srt",
    ]
    assert output_paths(recordings[:1] * 2, out, "textgrid") == {recordings[0]: out / "1.TextGrid"}
    assert output_paths([Path("-")], out, "text") == {Path("-"): out / "stdin.txt"}
    with pytest.raises(InputError, match=r"1\.wav and .*1\.mp3 would both become out/1\.srt"):
        output_paths([tmp_path / "1.wav", tmp_path / "1.mp3"], out, "srt")


def test_a_file_beside_its_recording_is_not_replaced(tmp_path):
    (tmp_path / "a.TextGrid").write_text("drawn by hand")
    assert output_paths([tmp_path / "a.wav"], tmp_path, "srt")
    with pytest.raises(InputError, match=r"a\.TextGrid lies beside its recording already"):
        output_paths([tmp_path / "b.wav", tmp_path / "a.wav"], tmp_path, "textgrid")


def test_a_file_in_the_place_of_a_folder_is_an_error(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="cannot create"):
        write(tmp_path / "out" / "a.srt", "")


@pytest.mark.parametrize("letters", [["e\u0301"], ["ก", "\u0e34"], ["\u1112", "\u1161", "\u11ab"]])
def test_a_long_word_is_not_divided_before_a_mark_or_in_a_syllable(letters):
    symbols = tuple((c, 0.1 * i, 0.1 * i + 0.05) for i, c in enumerate("".join(letters) * 60))
    word = Word("".join(letters) * 60, 0, symbols[-1][2], 1.0, symbols)
    parts = pieces([word], 42, 7)
    assert {piece.text.strip() for piece in parts} == {"".join(letters)}
    assert [(piece.start, piece.end) for piece in parts] == [
        (pair[0][1], pair[-1][2]) for pair in zip(*[iter(symbols)] * len("".join(letters)), strict=True)
    ]


def test_times_beyond_a_day():
    content = render("srt", Path("a.wav"), transcript([Word("go", 90_000.5, 90_001, 1.0)]))
    assert content.startswith("1\n25:00:00,500 --> 25:00:01,000\n")

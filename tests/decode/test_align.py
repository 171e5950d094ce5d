"""Forced alignment against all paths of small examples, and against greedy decoding."""

from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

from minids._utils.errors import InputError
from minids.decode.align import align_text, forced_align
from minids.decode.greedy import greedy
from minids.decode.path import word_times
from minids.text import Alphabet, collapse
from tests.decode.test_greedy import peaked
from tests.tolerances import FLOAT64_ORDER

LETTERS = Alphabet(" ab")


def random_log_probs(T, K, seed=0, scale=2.0):
    return log_softmax(np.random.default_rng(seed).normal(0, scale, (T, K)), axis=1)


def best_paths(log_probs):
    """{text: (log-probability, path) of its best path}, from all K^T paths."""
    best = {}
    for path in product(range(log_probs.shape[1]), repeat=len(log_probs)):
        log_prob = sum(log_probs[t, k] for t, k in enumerate(path))
        text = tuple(collapse(path))
        if text not in best or log_prob > best[text][0]:
            best[text] = log_prob, path
    return best


@pytest.mark.parametrize(("T", "K"), [(1, 2), (2, 4), (4, 3), (5, 4), (7, 3)])
def test_the_path_is_the_best_of_all_paths_of_the_text(T, K):
    """For every text: with repeats, empty, with as many letters as frames."""
    log_probs = random_log_probs(T, K, seed=T)
    for text, (log_prob, path) in best_paths(log_probs).items():
        best = forced_align(log_probs, text)
        assert best.labels == list(text)
        assert best.log_prob == pytest.approx(log_prob, rel=FLOAT64_ORDER)
        runs = [(k, [t for t, _ in run]) for k, run in groupby(enumerate(path), key=lambda step: step[1])]
        letters = [(k, frames) for k, frames in runs if k]
        assert best.frames == [(frames[0], frames[-1]) for _, frames in letters]
        peaks = [np.exp(max(log_probs[t, k] for t in frames)) for k, frames in letters]
        np.testing.assert_allclose(best.peaks, peaks, rtol=FLOAT64_ORDER)


@settings(derandomize=True, deadline=None, database=None)
@given(st.integers(0, 40), st.integers(2, 6), st.integers(0, 1000))
def test_the_text_of_the_greedy_path_has_the_greedy_path(T, K, seed):
    log_probs = random_log_probs(T, K, seed)
    expected = greedy(log_probs)
    best = forced_align(log_probs, expected.labels)
    assert best.labels == expected.labels
    assert best.frames == expected.frames
    assert best.peaks == pytest.approx(expected.peaks)
    assert best.log_prob == pytest.approx(expected.log_prob)


def test_a_repeated_letter_has_a_blank_between():
    """Three frames that prefer a: two of them need a blank between."""
    log_probs = np.log([[0.1, 0.1, 0.8], [0.3, 0.1, 0.6], [0.1, 0.1, 0.8]])
    assert forced_align(log_probs, [2, 2]).frames == [(0, 0), (2, 2)]
    assert forced_align(log_probs, [2]).frames == [(0, 2)]


def test_word_times_of_a_text_that_the_model_did_not_recognize():
    """The model recognizes "a", the text is "ab": b is placed where it is likeliest, with a low score."""
    probs = np.full((6, 4), 0.01)
    probs[[0, 1, 2, 3, 4, 5], [0, 2, 2, 0, 0, 0]] = 0.97
    probs[4] = [0.87, 0.01, 0.01, 0.11]
    (word,) = word_times(forced_align(np.log(probs), LETTERS.encode("ab")), LETTERS, frame_seconds=0.02)
    assert (word.text, word.start, word.end) == ("ab", pytest.approx(0.02), pytest.approx(0.1))
    assert word.score == pytest.approx(0.11)


def test_an_empty_text_and_no_frames():
    log_probs = random_log_probs(5, 3)
    assert forced_align(log_probs, [])[:3] == ([], [], [])
    assert forced_align(log_probs, []).log_prob == pytest.approx(log_probs[:, 0].sum())
    assert forced_align(log_probs[:0], []) == ([], [], [], 0.0)


def test_log_probabilities_are_summed_in_float64():
    log_probs = np.full((3000, 3), np.log(1 / 3), np.float32)
    best = forced_align(log_probs, [1, 2] * 500)
    assert best.log_prob == pytest.approx(3000 * np.log(1 / 3))
    assert all(a <= b < c for (a, b), (c, _) in zip(best.frames, best.frames[1:], strict=False))


@pytest.mark.parametrize(("T", "text"), [(0, [1]), (1, [1, 2]), (2, [1, 1]), (4, [1, 1, 1])])
def test_too_few_frames_are_an_error(T, text):
    with pytest.raises(
        InputError, match=f"^{T} frames are too few for the text, whose {len(text)} characters"
    ):
        forced_align(random_log_probs(T, 3), text)
    forced_align(random_log_probs(len(text) + 2, 3), text)


def test_a_text_of_probability_0_is_an_error():
    with np.errstate(divide="ignore"):
        log_probs = np.log([[0.5, 0.5, 0], [0.5, 0.5, 0]])
    assert forced_align(log_probs, [1]).log_prob == pytest.approx(np.log(0.25))
    with pytest.raises(InputError, match="every path of the text"):
        forced_align(log_probs, [2])


@pytest.mark.parametrize("label", [0, 3, -1, 2**32 + 1, 1.0])
def test_invalid_labels_are_rejected(label):
    with pytest.raises(ValueError, match="labels must be integers"):
        forced_align(random_log_probs(3, 3), [label])


@pytest.mark.parametrize("log_probs", [np.zeros(3), np.full((2, 3), np.nan), np.zeros((2, 3), complex)])
def test_invalid_log_probs_are_rejected(log_probs):
    with pytest.raises(ValueError, match="log_probs"):
        forced_align(log_probs, [1])
    with pytest.raises(ValueError, match="log_probs"):
        greedy(log_probs)


def test_extra_spaces_can_count_as_blanks():
    """Frames that are certain of " a  b " have a path of the text "a b"."""
    with np.errstate(divide="ignore"):
        log_probs = np.log(np.eye(4)[[1, 2, 0, 1, 0, 1, 3, 1]])
    labels = LETTERS.encode("a b")
    with pytest.raises(InputError, match="every path"):
        forced_align(log_probs, labels)
    path = forced_align(log_probs, labels, extra_space=1)
    assert (path.frames[0], path.frames[2], path.log_prob) == ((1, 1), (6, 6), 0)


# The text of a long recording

ENGLISH = Alphabet()


def said(words, seed=0):
    """log_probs (T, K) of a recording of these words, and the first frame of each word."""
    rng, path, starts = np.random.default_rng(seed), [0, 0], []
    for word in words:
        starts.append(len(path))
        for label in ENGLISH.encode(word):
            path += [label] * int(rng.integers(1, 3)) + [0] * int(rng.integers(1, 3))
        path += [1] + [0] * int(rng.integers(0, 5))
    probs = np.full((len(path), len(ENGLISH)), 0.2 / len(ENGLISH))
    probs[np.arange(len(path)), path] += 0.8
    return np.log(probs / probs.sum(axis=1, keepdims=True)), starts


def random_words(n, seed=0):
    """Different words, so that a part of a text has one place."""
    letters = np.random.default_rng(seed).choice(list("abcdefghijklmnopqrstuvwxyz"), (n, 5))
    return ["".join(word[: 2 + i % 4]) for i, word in enumerate(letters)]


def check_starts(aligned, words, starts):
    assert [word.text for word in aligned] == words
    np.testing.assert_allclose([word.start for word in aligned], np.array(starts) * 0.1, atol=1e-9)


def test_a_long_text_is_aligned_as_a_whole_is(monkeypatch):
    words = random_words(300)
    log_probs, starts = said(words)
    times = 0.1 * np.arange(len(log_probs) + 1)
    sizes = []
    spy = lambda y, *more: sizes.append(len(y)) or forced_align(y, *more)  # noqa: E731
    monkeypatch.setattr("minids.decode.align.forced_align", spy)
    aligned, unmatched = align_text(log_probs, times, " ".join(words), ENGLISH)
    check_starts(aligned, words, starts)
    assert unmatched == []
    assert (max(sizes) < 0.1 * len(log_probs), sum(sizes)) == (True, len(log_probs)), "part by part"
    path = forced_align(log_probs, ENGLISH.encode(" ".join(words)), extra_space=1)
    whole = word_times(path, ENGLISH, 0.1)
    np.testing.assert_allclose([w[1:4] for w in aligned], [w[1:4] for w in whole])
    letters = [[c for word in words for c in word.characters] for words in (aligned, whole)]
    assert [c for c, *_ in letters[0]] == [c for c, *_ in letters[1]]
    np.testing.assert_allclose([t for _, *t in letters[0]], [t for _, *t in letters[1]])


@pytest.mark.parametrize("seed", range(3))
def test_what_was_not_said_and_what_is_not_in_the_text_is_left_out(seed):
    words = random_words(240, seed)
    log_probs, starts = said(words, seed)
    times = 0.1 * np.arange(len(log_probs) + 1)
    missing = ["zebras", *random_words(8, seed + 9), "cliffs"]
    text = words[:60] + missing + words[60:150] + words[190:]
    aligned, (extra, untold) = align_text(log_probs, times, " ".join(text), ENGLISH)
    check_starts(aligned, words[:150] + words[190:], starts[:150] + starts[190:])
    assert (extra.words, untold.words) == (missing, [])
    np.testing.assert_allclose(untold[:2], (0.1 * starts[150], 0.1 * starts[190]), atol=1)


def test_words_that_agree_by_chance_in_speech_without_text_are_left_out():
    words = random_words(200)
    words[60:63], words[100], words[140] = words[40:43], words[41], words[42]
    log_probs, starts = said(words)
    text = [*words[:40], "ab", "cd", *words[190:]]
    text[40:42] = words[100], words[140]
    aligned, (unmatched,) = align_text(log_probs, np.arange(len(log_probs) + 1.0), " ".join(text), ENGLISH)
    assert [word.text for word in aligned] == [*words[:40], *words[190:]]
    assert unmatched.words == text[40:42]
    np.testing.assert_allclose(unmatched[:2], (starts[40], starts[190]), atol=12)


def test_the_text_of_another_recording_and_speech_without_text_are_left_out():
    words = random_words(12)
    log_probs, _ = said(words[:6])
    times = np.arange(len(log_probs) + 1.0)
    assert len(align_text(4 * log_probs, times, " ".join(words[:6]), ENGLISH)[0]) == 6
    for text, lost in ((" ".join(words[6:]), words[6:]), ("123 456", [])):
        for sharpness in (1, 4):  # of another network, letters are never very improbable
            assert align_text(sharpness * log_probs, times, text, ENGLISH) == (
                [],
                [(0, len(log_probs), lost)],
            )


def test_words_keep_their_spelling_and_what_the_alphabet_lacks():
    log_probs, _ = said(["well", "known", "it", "is", "not"])
    times = np.arange(len(log_probs) + 1.0)
    aligned, _ = align_text(log_probs, times, "– Well-known, 42 it IS — not!", ENGLISH)
    assert [word.text for word in aligned] == ["– Well-known, 42", "it", "IS —", "not!"]
    assert "".join(c for c, *_ in aligned[0].characters) == "wellknown"


def test_a_script_without_spaces_is_one_word_with_characters():
    log_probs = peaked([0, 2, 0, 3, 3, 0, 1], k=4)
    aligned, _ = align_text(log_probs, np.arange(8.0), "나 다, 가", Alphabet("가나다"))
    assert [(word.text, [c[:2] for c in word.characters]) for word in aligned] == [
        ("나다,가", [("나", 1), ("다", 3), ("가", 6)])
    ]


def test_a_text_for_which_there_are_no_frames_is_unmatched():
    aligned, (unmatched,) = align_text(random_log_probs(3, 29), np.arange(4.0), "far too long", ENGLISH)
    assert (aligned, unmatched) == ([], (0.0, 3.0, ["far", "too", "long"]))
    assert align_text(random_log_probs(3, 29), np.arange(4.0), " – ", ENGLISH)[0] == []
    with pytest.raises(InputError, match="the text is of type list; give a string"):
        align_text(random_log_probs(3, 29), np.arange(4.0), ["far"], ENGLISH)

"""Greedy decoding against examples of other projects, the collapse of text.py, and paths built by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minids.decode.greedy import greedy, greedy_text
from minids.decode.path import REACH_SECONDS, Word, lengthened, word_times
from minids.text import Alphabet, collapse

reproducible = settings(derandomize=True, deadline=None, database=None)
LETTERS = Alphabet(" ab")


def peaked(path, k=4, probability=0.7):
    """(T, k) log-probabilities whose best path is `path`, with this probability in every frame."""
    probs = np.full((len(path), k), (1 - probability) / (k - 1))
    probs[np.arange(len(path)), path] = probability
    return np.log(probs)


@pytest.mark.parametrize(
    ("path", "labels"),
    [([1, 2, 2, 0, 0, 0, 2, 1], [1, 2, 2, 1]), ([2, 2, 2], [2]), ([0, 0, 0], []), ([], [])],
)
def test_collapse_of_known_paths(path, labels):
    assert greedy(peaked(path)).labels == labels


@reproducible
@given(st.lists(st.integers(0, 3), max_size=30))
def test_labels_are_the_collapsed_path_and_frames_its_runs(path):
    best = greedy(peaked(path))
    assert best.labels == collapse(path)
    rebuilt = np.zeros(len(path), int)
    for label, (first, last) in zip(best.labels, best.frames, strict=True):
        rebuilt[first : last + 1] = label
    assert rebuilt.tolist() == path
    assert best.log_prob == pytest.approx(len(path) * np.log(0.7))


def test_the_best_path_is_not_the_best_text():
    """Two frames of (blank .6, a .4): the path is blank blank, .36, though the text "a" has .64."""
    log_probs = np.log([[0.6, 0.4, 1e-30]] * 2)
    best = greedy(log_probs)
    assert best.labels == []
    assert np.exp(best.log_prob) == pytest.approx(0.36)


def test_the_log_probability_of_long_silence_is_summed_in_float64():
    log_probs = np.full((200_000, 3), -0.1, np.float32)
    assert greedy(log_probs).log_prob == pytest.approx(np.float32(-0.1) * 200_000.0, rel=1e-9)


def test_greedy_text_has_single_spaces():
    assert greedy_text(peaked([1, 2, 1, 0, 1, 3, 1, 0]), LETTERS) == "a b"


def test_words_have_times_and_the_score_of_their_least_probable_letter():
    probs = np.exp(peaked([0, 2, 2, 0, 3, 1, 1, 0, 2], probability=0.7))
    probs[1] = [0.1, 0, 0.9, 0]  # the first a peaks here; its second frame does not lower it
    probs[4] = [0.2, 0, 0.3, 0.5]
    with np.errstate(divide="ignore"):
        words = word_times(greedy(np.log(probs)), LETTERS, frame_seconds=0.02)
    assert [word.text for word in words] == ["ab", "a"]
    np.testing.assert_allclose([word[1:4] for word in words], [(0.02, 0.1, 0.5), (0.16, 0.18, 0.7)])
    assert [[c for c, *_ in word.characters] for word in words] == [["a", "b"], ["a"]]
    np.testing.assert_allclose([c[1:] for c in words[0].characters], [(0.02, 0.06), (0.08, 0.1)])
    moved = words[0].moved(10, limit=10.09)
    np.testing.assert_allclose((moved[1:3], moved.characters[-1][1:]), [(10.02, 10.09), (10.08, 10.09)])


def test_words_are_lengthened_into_the_pauses_around_them():
    words = [Word(c, start, start + 0.1, 1.0) for c, start in (("a", 0.2), ("b", 0.5), ("c", 2.0))]
    times = [(0, 0.4), (0.4, 0.6 + REACH_SECONDS), (2 - REACH_SECONDS, 2.2)]
    np.testing.assert_allclose([word[1:3] for word in lengthened(words, end=2.2)], times)
    assert lengthened([], end=1.0) == []


def test_without_a_space_in_the_alphabet_a_text_is_one_word():
    (word,) = word_times(greedy(peaked([1, 0, 2])), Alphabet("가나다"), frame_seconds=1.0)
    assert word[:4] == ("가나", 0.0, 3.0, pytest.approx(0.7))


def test_silence_has_no_words():
    assert word_times(greedy(peaked([0, 1, 0])), LETTERS, frame_seconds=0.02) == []

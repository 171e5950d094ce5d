"""align.py against every path written out, and against what is known of the best one."""

from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

from minids._utils.errors import InputError
from minids.decode.align import align
from minids.decode.greedy import greedy, words
from minids.text import Alphabet, collapse
from tests.tolerances import FLOAT64_ORDER

LETTERS = Alphabet(" ab")


def random_log_probs(T, K, seed=0, scale=2.0):
    return log_softmax(np.random.default_rng(seed).normal(0, scale, (T, K)), axis=1)


def best_paths(log_probs):
    """{text: (log-probability, path) of its best path}, by writing out all K^T of them."""
    best = {}
    for path in product(range(log_probs.shape[1]), repeat=len(log_probs)):
        log_prob = sum(log_probs[t, k] for t, k in enumerate(path))
        text = tuple(collapse(path))
        if text not in best or log_prob > best[text][0]:
            best[text] = log_prob, path
    return best


@pytest.mark.parametrize(("T", "K"), [(1, 2), (2, 4), (4, 3), (5, 4), (7, 3)])
def test_the_best_of_all_paths(T, K):
    """Of every text, with repeats, without letters, with as many as there are frames."""
    log_probs = random_log_probs(T, K, seed=T)
    for text, (log_prob, path) in best_paths(log_probs).items():
        found = align(log_probs, text)
        assert found.labels == list(text)
        assert found.log_prob == pytest.approx(log_prob, rel=FLOAT64_ORDER)
        runs = [(k, [t for t, _ in run]) for k, run in groupby(enumerate(path), key=lambda step: step[1])]
        letters = [(k, frames) for k, frames in runs if k]
        assert found.frames == [(frames[0], frames[-1]) for _, frames in letters]
        peaks = [np.exp(max(log_probs[t, k] for t in frames)) for k, frames in letters]
        np.testing.assert_allclose(found.peaks, peaks, rtol=FLOAT64_ORDER)


@settings(derandomize=True, deadline=None, database=None)
@given(st.integers(0, 40), st.integers(2, 6), st.integers(0, 1000))
def test_the_text_of_the_best_path_lies_on_it(T, K, seed):
    log_probs = random_log_probs(T, K, seed)
    expected = greedy(log_probs)
    found = align(log_probs, expected.labels)
    assert found.labels == expected.labels
    assert found.frames == expected.frames
    assert found.peaks == pytest.approx(expected.peaks)
    assert found.log_prob == pytest.approx(expected.log_prob)


def test_a_letter_said_twice_has_a_blank_between():
    """Three frames that all say a: the second a needs the middle one for a blank."""
    log_probs = np.log([[0.1, 0.1, 0.8], [0.3, 0.1, 0.6], [0.1, 0.1, 0.8]])
    assert align(log_probs, [2, 2]).frames == [(0, 0), (2, 2)]
    assert align(log_probs, [2]).frames == [(0, 2)]


def test_words_of_a_text_that_is_not_the_models_own():
    """The model hears "a", "ab" was said: b goes where it is likeliest, and has the score it deserves."""
    probs = np.full((6, 4), 0.01)
    probs[[0, 1, 2, 3, 4, 5], [0, 2, 2, 0, 0, 0]] = 0.97
    probs[4] = [0.87, 0.01, 0.01, 0.11]
    (word,) = words(align(np.log(probs), LETTERS.encode("ab")), LETTERS, hop=0.02)
    assert (word.text, word.start, word.end) == ("ab", pytest.approx(0.02), pytest.approx(0.1))
    assert word.score == pytest.approx(0.11)


def test_no_text_and_no_frames():
    log_probs = random_log_probs(5, 3)
    assert align(log_probs, [])[:3] == ([], [], [])
    assert align(log_probs, []).log_prob == pytest.approx(log_probs[:, 0].sum())
    assert align(log_probs[:0], []) == ([], [], [], 0.0)


def test_float32_of_a_long_recording_adds_up():
    log_probs = np.full((3000, 3), np.log(1 / 3), np.float32)
    found = align(log_probs, [1, 2] * 500)
    assert found.log_prob == pytest.approx(3000 * np.log(1 / 3))
    assert all(a <= b < c for (a, b), (c, _) in zip(found.frames, found.frames[1:], strict=False))


@pytest.mark.parametrize(("T", "text"), [(0, [1]), (1, [1, 2]), (2, [1, 1]), (4, [1, 1, 1])])
def test_too_few_frames_are_said(T, text):
    with pytest.raises(InputError, match=f"^{T} frames cannot spell the {len(text)} characters"):
        align(random_log_probs(T, 3), text)
    align(random_log_probs(len(text) + 2, 3), text)


def test_what_has_no_probability_is_said():
    with np.errstate(divide="ignore"):
        log_probs = np.log([[0.5, 0.5, 0], [0.5, 0.5, 0]])
    assert align(log_probs, [1]).log_prob == pytest.approx(np.log(0.25))
    with pytest.raises(InputError, match="no path"):
        align(log_probs, [2])


@pytest.mark.parametrize("label", [0, 3, -1])
def test_what_is_no_label_is_refused(label):
    with pytest.raises(ValueError, match="outside 1 … 2"):
        align(random_log_probs(3, 3), [label])

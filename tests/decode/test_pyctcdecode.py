"""The published examples of pyctcdecode 0.5.0 (Kensho Technologies, Apache 2.0), with its results.

From its tests (`test_decoder.py`): "bugs" and "bunny" mixed half and half, a bigram model that prefers one
after the other, and hot words. From its tutorial: the output of a network of NeMo, blank last,
for a recording of LibriSpeech; this file of 53 kB is read from pyctcdecode where that is installed.
"""

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest

from minids import BeamSearch, NGram

BLANK = 7
SYMBOLS = [" ", "b", "g", "n", "s", "u", "y"]
PIECES = ["<unk>", "▁", "##b", "##g", "##n", "##s", "##u", "##y"]
BUGS, BUNNY = [1, 5, 2, 4, 7, 7], [1, 5, 3, 7, 3, 6]
# log10 of the probabilities of the example's model
UNIGRAMS = {"<unk>": -10, "<s>": 0, "</s>": 0, "bugs": 0, "bunny": 0}
BIGRAMS = {"bunny </s>": 0, "bugs </s>": -10, "<s> bugs": 0, "<s> bunny": -10, "bugs bunny": 0}


def bugs_or_bunny():
    """log_probs (13, 8) of a word that is "bugs" or, a little rather, "bunny", and of "bunny" after it."""
    probs = np.zeros((13, 8))
    probs[range(6), BUGS] += 0.49
    probs[range(6), BUNNY] += 0.51
    probs[range(6, 13), [0, *BUNNY]] = 1
    return np.log(np.clip(probs, 1e-15, 1))


@pytest.fixture
def lm(tmp_path):
    lines = ["\\data\\", f"ngram 1={len(UNIGRAMS)}", f"ngram 2={len(BIGRAMS)}"]
    for order, grams in enumerate((UNIGRAMS, BIGRAMS), start=1):
        lines += [f"\\{order}-grams:", *(f"{p}\t{gram}" for gram, p in grams.items())]
    (tmp_path / "lm.arpa").write_text("\n".join([*lines, "\\end\\", ""]))
    return NGram.load(tmp_path / "lm.arpa")


@pytest.mark.parametrize("pieces", [False, True])
@pytest.mark.parametrize(
    ("with_lm", "hot_words", "text"),
    [
        (False, None, "bunny bunny"),
        (False, {"bugs": 10}, "bugs bunny"),
        (True, None, "bugs bunny"),
        (True, {"bunny": 20}, "bunny bunny"),
        (True, {"bugs": 20, "bunny": 20}, "bugs bunny"),
        (True, {"bugs bunny": 20}, "bugs bunny"),
    ],
)
def test_bugs_bunny(lm, pieces, with_lm, hot_words, text):
    log_probs = bugs_or_bunny()
    if pieces:  # its way to write an alphabet of letters as word pieces, with a certain blank before
        log_probs = np.hstack([np.full((len(log_probs), 1), -100.0), log_probs])
    search = BeamSearch(
        PIECES if pieces else SYMBOLS, lm if with_lm else None, alpha=0.5, beta=1.5, blank=BLANK + pieces
    )
    best = search.decode(log_probs, hot_words=hot_words)[0]
    assert best.text == text
    # they differ in four frames
    expected = 4 * math.log(0.51) if text == "bunny bunny" else 4 * math.log(0.49)
    assert best.log_prob == pytest.approx(expected, abs=1e-9)


def test_the_tutorial():
    spec = importlib.util.find_spec("pyctcdecode")
    if spec is None or not spec.origin:
        pytest.skip("pyctcdecode, whose wheel has the example, is not installed")
    path = Path(spec.origin).parent / "tests/sample_data/libri_logits.json"
    logits = np.array(json.loads(path.read_text()), float)  # (371, 29)
    log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    search = BeamSearch(" abcdefghijklmnopqrstuvwxyz'", blank=28)
    assert search.decode(log_probs)[0].text == (
        "i have a good deal of will you remember and what i have set my mind upon no doubt i shall some day"
        " achieve"
    )

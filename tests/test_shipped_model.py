"""The included model is what its card says."""

import gzip
import re

import pytest

from minids.data.manifest import read_manifest
from minids.lm.kneser_ney import DiscountWarning
from minids.lm.ngram import NGram
from minids.metrics import Evaluation
from minids.recognizer import Recognizer
from minids.text import Alphabet
from minids.weights import SHIPPED_MODEL
from tests import DATA

CARD = (SHIPPED_MODEL.parent / "README.md").read_text()


def test_the_card_states_the_size():
    recognizer = Recognizer.load()
    assert recognizer.alphabet == Alphabet()
    assert f"{recognizer.model.flat_params.size / 1e6:.2f} M weights" in CARD
    assert f"{recognizer.model.settings.hidden} units" in CARD
    assert SHIPPED_MODEL.stat().st_size < 8_000_000


@pytest.mark.parametrize(("nth", "lm"), [(0, None), (1, "none")])
def test_the_card_states_the_word_error_rate(nth, lm):
    test = DATA / "an4" / "test.jsonl"
    if not test.exists():
        pytest.skip("no real speech here; set MINIDS_DATA to its folder")
    rows, skipped = Recognizer.load(lm=lm).recognize(read_manifest(test))
    stated = re.findall(r"^ +WER ([\d.]+) %", CARD, re.MULTILINE)[nth]
    assert not skipped
    assert 100 * Evaluation(rows).wer.rate == pytest.approx(float(stated), abs=0.5)  # CPUs round differently


def test_the_language_model_is_trained_on_the_training_texts(tmp_path):
    train = DATA / "an4" / "train.jsonl"
    if not train.exists():
        pytest.skip("no real speech here; set MINIDS_DATA to its folder")
    with pytest.warns(DiscountWarning):
        NGram.train(train, order=3).save(tmp_path / "an4.arpa")
    assert (tmp_path / "an4.arpa").read_bytes() == gzip.decompress(
        (SHIPPED_MODEL.parent / "an4.arpa.gz").read_bytes()
    )

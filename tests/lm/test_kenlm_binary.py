"""KenLM's binary files against the ARPA file of the same model."""

import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest

from minids import BeamSearch, InputError, NGram
from minids.text import ENGLISH

DATA = Path(__file__).parent / "data"
BINARY = DATA / "sentences_order4.bin"
INSTALLED = importlib.util.find_spec("kenlm") is not None


@pytest.mark.skipif(INSTALLED, reason="the package is installed")
def test_without_the_package_the_message_says_what_to_do():
    with pytest.raises(InputError, match="binary format: pip install kenlm, or give the ARPA file"):
        NGram.load(BINARY)


@pytest.mark.skipif(not INSTALLED, reason="needs the package kenlm")
def test_a_binary_file_gives_what_its_arpa_file_gives(tmp_path):
    arpa, binary = NGram.load(DATA / "sentences_order4.arpa.gz"), NGram.load(BINARY)
    assert sorted(binary.words) == sorted(arpa.words)
    texts = (DATA / "heldout.txt").read_text().splitlines()
    for text in texts:
        assert binary.log_prob(text) == pytest.approx(arpa.log_prob(text), abs=1e-5)
    assert binary.perplexity(texts).perplexity == pytest.approx(arpa.perplexity(texts).perplexity, rel=1e-5)
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(40, 29)) * 3
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    found, expected = (BeamSearch(ENGLISH, lm, 1.0, 0.5, 50).decode(log_probs) for lm in (binary, arpa))
    assert [h.text for h in found] == [h.text for h in expected]
    assert [h.score for h in found] == pytest.approx([h.score for h in expected], abs=1e-3)
    copy = pickle.loads(pickle.dumps(BeamSearch(ENGLISH, binary, 1.0, 0.5, 50)))
    assert copy.decode_batch([log_probs] * 3)[2] == found
    with pytest.raises(InputError, match="which cannot be converted; give the ARPA file it was made from"):
        binary.save(tmp_path / "lm.arpa")
    (tmp_path / "lm.bin").write_bytes(BINARY.read_bytes().replace(b"\0<unk>\0", b"\0<xxx>\0"))
    with pytest.raises(InputError, match=r"lm\.bin was built without its words"):
        NGram.load(tmp_path / "lm.bin")

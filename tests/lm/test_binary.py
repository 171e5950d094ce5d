"""The binary format: damaged and foreign files are refused."""

import pytest

from minids._utils.errors import InputError
from minids.lm import binary
from minids.lm.arrays import NGramArrays
from minids.lm.binary import read_binary
from minids.lm.ngram import NGram
from tests.lm.dictionary_model import DATA
from tests.lm.test_arrays import FAULTS, GOOD


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "model.ngram"
    NGram.load(DATA / "lmplz.arpa").save(path)
    content = path.read_bytes()
    for bad in (content[:-1], content[:200], content[:1000] + b"!" + content[1001:]):
        path.write_bytes(bad)
        with pytest.raises(InputError, match=r"model\.ngram cannot be read as a language model"):
            NGram.load(path)


def test_weights_are_not_a_language_model(tmp_path):
    from tests import tones

    tones.model(tmp_path / "weights.safetensors")
    with pytest.raises(InputError, match="not an n-gram model"):
        NGram.load(tmp_path / "weights.safetensors")


@pytest.mark.parametrize(
    "name",
    [
        "context of a higher order",
        "word negative",
        "starts beyond the arrays",
        "starts that decrease",
        "a NaN",
    ],
)
def test_arrays_of_no_model_are_refused(tmp_path, name):
    """They have the right checksum; compiled code would read beyond an array, or never end."""
    changes, _ = FAULTS[name]
    path = tmp_path / "bad.ngram"
    binary._write(path, NGramArrays(**{**GOOD._asdict(), **changes}))
    with pytest.raises(InputError, match=r"bad\.ngram cannot be read as a language model"):
        read_binary(path)

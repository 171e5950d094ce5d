"""Random but seeded damage to language models: each file is used or refused in one line, without delay."""

import math
import warnings
from contextlib import suppress
from itertools import islice

import numpy as np
import pytest

from minids.lm import binary
from minids.lm.arpa_reader import ArpaWarning
from minids.lm.arrays import NGramArrays
from minids.lm.binary import DTYPES
from minids.lm.ngram import NGram
from tests.fuzzing import CASES, damage, damage_lines, damaged, fuzz, memory_folder
from tests.lm.dictionary_model import DATA, random_arpa

pytestmark = pytest.mark.slow

ORIGINALS = [
    random_arpa(np.random.default_rng(0), 3, 4, 0.3).encode(),
    b"\n".join((DATA / "lmplz_pruned.arpa").read_bytes().splitlines()),
]


@pytest.fixture
def folder():
    with memory_folder() as folder:
        yield folder


def use(path) -> None:
    """An accepted model can be queried, written and read again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ArpaWarning)
        model = NGram.load(path)
    assert math.isfinite(model.log_prob("the w1 ship w2 left <unk> w1 w0 at"))
    assert model.perplexity(["the w1 ship", "left w0 w2"]).perplexity >= 0
    model.save(path.with_name("again.arpa"))
    again = NGram.load(path.with_name("again.arpa"))
    assert again.words == model.words
    np.testing.assert_array_equal(again.starts, model.starts)
    np.testing.assert_array_equal(again.context, model.context)


def test_damaged_arpa_files(folder):
    def mutations():
        rng = np.random.default_rng(0)
        for i in range(CASES // 2):
            yield damage(ORIGINALS[i % 2], rng)
            yield damage_lines(ORIGINALS[i % 2], rng)

    fuzz("ARPA", folder / "bad.arpa", mutations(), use, 0.02, 0.3)


@pytest.mark.parametrize("name", ["model.arpa.gz", "model.ngram"])
def test_damaged_gzip_and_binary_files(folder, name):
    (folder / "good.arpa").write_bytes(ORIGINALS[0])
    NGram.load(folder / "good.arpa").save(folder / f"good-{name}")
    fuzz(
        f"LM {name}",
        folder / name,
        damaged([(folder / f"good-{name}").read_bytes()], CASES, seed=1),
        use,
        0.0,
        0.5,
    )


def test_binary_files_with_damaged_arrays_and_a_valid_checksum(folder):
    (folder / "good.arpa").write_bytes(ORIGINALS[0])
    good = NGram.load(folder / "good.arpa").arrays._asdict()

    def mutations():
        rng = np.random.default_rng(2)
        while True:
            bad = dict(good)
            name = [*DTYPES][rng.integers(len(DTYPES))]
            array = np.array(bad[name])
            match rng.integers(5):
                case 0:
                    array = np.delete(array, rng.integers(len(array)))
                case 1:
                    array = np.append(array, array[-1:])
                case 2:
                    array[rng.integers(len(array))] = array[rng.integers(len(array))]
                case 3 if name != "words":
                    values = np.array([0, 1, -1, 2**15, 2**31 - 1, -(2**31), 2**40, np.nan, np.inf, -5.5])
                    with np.errstate(invalid="ignore"):
                        array[rng.integers(len(array))] = rng.choice(values).astype(array.dtype)
                case _:
                    array = array[: rng.integers(len(array) + 1)]
            bad[name] = array.tolist() if name == "words" else array
            with suppress(IndexError):  # too few starts to be written
                binary._write(folder / "made.ngram", NGramArrays(**bad))
                yield (folder / "made.ngram").read_bytes()

    fuzz("LM binary, valid checksum", folder / "made-bad.ngram", islice(mutations(), CASES), use, 0.02, 0.5)

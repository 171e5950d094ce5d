"""Random but seeded damage to language models: each file is used or refused in one line, without delay."""

import gzip
import math
import os
import tempfile
import warnings
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from minids.lm import binary
from minids.lm.arpa_reader import ArpaWarning
from minids.lm.arrays import NGramArrays
from minids.lm.binary import DTYPES
from minids.lm.ngram import NGram
from tests.lm.dictionary_model import DATA, random_arpa
from tests.test_fuzz import VALUES, damage, fuzz

pytestmark = pytest.mark.slow

ORIGINALS = [
    random_arpa(np.random.default_rng(0), 3, 4, 0.3).encode(),
    b"\n".join((DATA / "lmplz_pruned.arpa").read_bytes().splitlines()),
]


@pytest.fixture
def folder():
    """A folder in memory if possible: replacing files on a disk takes most of the time."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


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


def damage_lines(original: bytes, rng: np.random.Generator) -> bytes:
    """One or two of: a line removed, repeated, swapped, cut; a field removed or replaced by a wild value."""
    lines = original.split(b"\n")
    for _ in range(rng.integers(1, 3)):
        i, j = rng.integers(len(lines), size=2)
        fields = lines[i].split()
        match rng.integers(6):
            case 0:
                del lines[i]
            case 1:
                lines.insert(j, lines[i])
            case 2:
                lines[i], lines[j] = lines[j], lines[i]
            case 3:
                lines[i] = lines[i][: rng.integers(len(lines[i]) + 1)]
            case 4 if fields:
                del fields[rng.integers(len(fields))]
                lines[i] = b"\t".join(fields)
            case 5 if fields:
                fields[rng.integers(len(fields))] = str(VALUES[rng.integers(len(VALUES))])[:400].encode()
                lines[i] = b"\t".join(fields)
    return b"\n".join(lines)


def test_damaged_arpa_files(folder):
    def mutations():
        rng = np.random.default_rng(0)
        for i in range(5000):
            yield damage(ORIGINALS[i % 2], rng)
            yield damage_lines(ORIGINALS[i % 2], rng)

    fuzz(folder / "bad.arpa", mutations(), use, 0.05, 0.3)


def test_damaged_gzip_and_binary_files(folder):
    model = folder / "good.arpa"
    model.write_bytes(ORIGINALS[0])
    NGram.load(model).save(folder / "good.ngram")
    originals = [gzip.compress(ORIGINALS[0]), (folder / "good.ngram").read_bytes()]

    def mutations():
        rng = np.random.default_rng(1)
        for i in range(4000):
            yield damage(originals[i % 2], rng)

    fuzz(folder / "bad", mutations(), use, 0.0, 0.5)


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

    fuzz(folder / "bad.ngram", islice(mutations(), 6000), use, 0.02, 0.5)

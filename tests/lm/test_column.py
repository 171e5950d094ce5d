"""Columns against arrays, in memory and on disk."""

import os
import tempfile

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.lm import column
from minids.lm.column import Column, blocks


@pytest.fixture
def on_disk(tmp_path, monkeypatch):
    """Every column that is not empty has a file, in a folder of its own."""
    monkeypatch.setattr(column, "MAX_IN_MEMORY", 1)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("dtype", [np.int32, np.float32, float, bool])
@pytest.mark.parametrize("limit", [1, 100, 1 << 20])
def test_a_column_returns_what_was_appended(dtype, limit, monkeypatch):
    monkeypatch.setattr(column, "MAX_IN_MEMORY", limit)
    monkeypatch.setattr(column, "BLOCK_SIZE", 7)
    numbers, other = Column(dtype), Column(np.int32, np.arange(5)[::2])
    expected = np.zeros(0, dtype)
    for n in (0, 5, 14, 30):
        values = np.random.default_rng(n).integers(-9, 9, n)
        numbers.append(values)
        expected = np.append(expected, values.astype(dtype))
        assert numbers.array().dtype == dtype
        np.testing.assert_array_equal(numbers.array(), expected)
    assert other.array().tolist() == [0, 2, 4]
    pieces = [*blocks(numbers, numbers)]
    assert [len(left) for left, _ in pieces] == [7] * 7
    for side in zip(*pieces, strict=True):
        np.testing.assert_array_equal(np.concatenate(side), expected)


def test_integers_wrap_around():
    assert Column(np.int32, np.array([5 << 32 | 7, -1])).array().tolist() == [7, -1]


def test_no_file_has_a_name(on_disk):
    """So none is left after a kill."""
    numbers = Column(float, np.arange(100))
    assert isinstance(numbers._file.fileno(), int)
    assert os.listdir(on_disk) == []
    assert numbers.array()[-1] == 99


def test_a_full_disk_is_reported(on_disk):
    resource = pytest.importorskip("resource", reason="Windows cannot limit the size of files")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5, hard))
        with pytest.raises(InputError, match=r"cannot store the n-grams .*: File too large; set TMPDIR"):
            Column(float, np.arange(100)).array()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_was_cut_off_is_reported(on_disk):
    numbers = Column(float, np.arange(100))
    numbers.array()
    numbers._file.truncate(8)
    with pytest.raises(InputError, match="cut off"):
        numbers.array()


@pytest.mark.parametrize("unusable", ["missing", "file"])
def test_a_tmpdir_that_cannot_be_used_is_reported(unusable, on_disk, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(on_disk / unusable))
    (on_disk / "file").touch()
    with pytest.warns(UserWarning, match=f"TMPDIR = .*{unusable}, so temporary files are in {on_disk}"):
        Column(float, np.arange(100))


def test_numbers_of_two_dimensions_are_refused():
    with pytest.raises(ValueError, match="one dimension, not 2"):
        Column(float, np.zeros((2, 3)))


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_type_that_no_column_can_have_is_refused():
    with pytest.raises(TypeError):
        Column("nothing")


def test_a_missing_folder_is_reported(on_disk):
    on_disk.rmdir()
    with pytest.raises(InputError, match=r"cannot store the n-grams .*: No such file .*; set TMPDIR"):
        Column(float, np.arange(100))

"""ARPA files written, their lines formatted in Numba."""

import gzip
from pathlib import Path
from typing import BinaryIO

import numpy as np

from minids._utils.files import atomic_write
from minids.lm import njit
from minids.lm.arrays import LN10, NGramArrays, validated

NGRAMS_AT_ONCE = 1 << 16
BLOCK_SIZE = 1 << 22  # bytes written at once
GZIP_LEVEL = 6
MAX_NUMBERS_SIZE = 64  # bytes of a line without its words, rounded up
_TAB, _NEWLINE, _SPACE, _MINUS, _POINT, _ZERO = b"\t\n -.0"


def write_arpa(path: str | Path, arrays: NGramArrays) -> None:
    """Write a model atomically, gzipped if the name ends in .gz. Equal models give equal bytes.

    Numbers have seven decimals, the precision of float32. Raises InputError if that fails.
    """
    arrays = validated(arrays)
    with atomic_write(path) as file:
        if str(path).endswith(".gz"):
            with gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0) as compressed:
                _write(compressed, arrays)
        else:
            _write(file, arrays)


def _write(file: BinaryIO | gzip.GzipFile, arrays: NGramArrays) -> None:
    starts = arrays.starts.tolist()
    order = len(starts) - 2
    letters = np.frombuffer(bytearray("\n".join([*arrays.words, ""]).encode()), np.uint8)
    ends = np.flatnonzero(letters == ord("\n"))
    longest = int(np.diff(ends, prepend=-1).max())
    counts = "".join(f"ngram {n}={starts[n + 1] - starts[n]}\n" for n in range(1, order + 1))
    file.write(f"\\data\\\n{counts}".encode())
    buffer = np.empty(BLOCK_SIZE + MAX_NUMBERS_SIZE + order * longest, np.uint8)
    for n in range(1, order + 1):
        file.write(f"\n\\{n}-grams:\n".encode())
        for start in range(starts[n], starts[n + 1], NGRAMS_AT_ONCE):
            ids = slice(start, min(start + NGRAMS_AT_ONCE, starts[n + 1]))
            words = np.empty((ids.stop - start, n), np.int32)
            context = np.arange(start, ids.stop)
            for i in reversed(range(n)):
                words[:, i], context = arrays.word[context], arrays.context[context]
            log_probs, backoff, done = arrays.log_probs[ids], arrays.backoff[ids], 0
            while done < len(words):
                size, done = _format_lines(
                    buffer, BLOCK_SIZE, done, words, log_probs, backoff, n < order, letters, ends
                )
                file.write(buffer[:size].data)
    file.write(b"\n\\end\\\n")


@njit(nogil=True)
def _format_lines(buffer, limit, done, words, log_probs, backoff, has_backoff, letters, ends):
    """The lines of the n-grams from `done` on, until `limit` bytes of the buffer are used or none is left.

    Returns the number of bytes used and of n-grams done.
    """
    count, order = words.shape
    end = 0
    while done < count and end < limit:
        end = _format_number(buffer, end, log_probs[done] / LN10)
        for n in range(order):
            buffer[end] = _TAB if n == 0 else _SPACE
            end += 1
            word = words[done, n]
            for i in range(ends[word - 1] + 1 if word else 0, ends[word]):
                buffer[end] = letters[i]
                end += 1
        if has_backoff:
            buffer[end] = _TAB
            end = _format_number(buffer, end + 1, backoff[done] / LN10)
        buffer[end] = _NEWLINE
        end += 1
        done += 1
    return end, done


@njit(nogil=True)
def _format_number(buffer, end, value):
    """A number with up to seven decimals at buffer[end]. Returns where it ends."""
    units = np.int64(abs(value) * 1e7 + 0.5)
    if value < 0 and units > 0:
        buffer[end] = _MINUS
        end += 1
    integer, fraction = units // 10000000, units % 10000000
    size = 1
    while integer >= 10 * size:
        size *= 10
    while size > 1:
        buffer[end] = _ZERO + integer // size
        end += 1
        integer %= size
        size //= 10
    buffer[end] = _ZERO + integer
    if fraction == 0:
        return end + 1
    buffer[end + 1] = _POINT
    end += 8
    for i in range(7):
        buffer[end - i] = _ZERO + fraction % 10
        fraction //= 10
    while buffer[end] == _ZERO:
        end -= 1
    return end + 1

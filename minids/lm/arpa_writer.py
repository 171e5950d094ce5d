"""ARPA files, written; numbers and words are put together by Numba."""

import gzip
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numba import njit

from minids._utils.files import atomic_write
from minids.lm.arpa_parser import HUGE, LN10, ZERO
from minids.lm.ngram import NGram

BLOCK = 1 << 22  # bytes written at once
LEVEL = 6  # of gzip
LINE = 64  # more than a line has besides its words
_TAB, _NEWLINE, _SPACE, _MINUS, _POINT, _ZERO = b"\t\n -.0"


def write_arpa(path: str | Path, ngram: NGram) -> None:
    """Write a model, whole or not at all; gzip where the name ends so. The same model gives the same bytes.

    Numbers have seven decimals, which float32 needs and no more. Raises InputError when there is no room, no
    folder, no permission.
    """
    with atomic_write(path) as file:
        if str(path).endswith(".gz"):
            with gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as packed:
                _write(packed, ngram)
        else:
            _write(file, ngram)


def _write(file: BinaryIO | gzip.GzipFile, ngram: NGram) -> None:
    starts = ngram.starts.tolist()
    pool = np.frombuffer(bytearray("\n".join([*ngram.words, ""]).encode()), np.uint8)
    ends = np.flatnonzero(pool == ord("\n"))
    longest = int(np.diff(ends, prepend=-1).max())
    counts = "".join(f"ngram {n}={starts[n + 1] - starts[n]}\n" for n in range(1, ngram.order + 1))
    file.write(f"\\data\\\n{counts}".encode())
    buffer = np.empty(BLOCK + LINE + ngram.order * longest, np.uint8)
    words = np.zeros((1, 0), np.int32)
    for n in range(1, ngram.order + 1):
        those = slice(starts[n], starts[n + 1])
        words = np.hstack([words[ngram.context[those] - starts[n - 1]], ngram.word[those, None]])
        log_probs, backoff = ngram.log_probs[those], ngram.backoff[those]
        file.write(f"\n\\{n}-grams:\n".encode())
        made = 0
        while made < len(words):
            size, made = _lines(buffer, BLOCK, made, words, log_probs, backoff, n < ngram.order, pool, ends)
            file.write(buffer[:size].data)
    file.write(b"\n\\end\\\n")


@njit(cache=True, nogil=True)
def _lines(buffer, full, made, words, log_prob, backoff, weights, pool, ends):
    """Lines of the n-grams from `made` on, until `full` bytes of the buffer are used or none is left.

    Returns the bytes used, the n-grams made.
    """
    count, order = words.shape
    put = 0
    while made < count and put < full:
        put = _put_number(buffer, put, log_prob[made] / LN10)
        for n in range(order):
            buffer[put] = _TAB if n == 0 else _SPACE
            put += 1
            word = words[made, n]
            for i in range(ends[word - 1] + 1 if word else 0, ends[word]):
                buffer[put] = pool[i]
                put += 1
        if weights:
            buffer[put] = _TAB
            put = _put_number(buffer, put + 1, backoff[made] / LN10)
        buffer[put] = _NEWLINE
        put += 1
        made += 1
    return put, made


@njit(cache=True, nogil=True)
def _put_number(buffer, put, value):
    """A number with up to seven decimals, ZERO for what no reader takes (-inf). Returns where it ends."""
    if not abs(value) < HUGE:
        value = ZERO
    units = np.int64(abs(value) * 1e7 + 0.5)
    if value < 0 and units > 0:
        buffer[put] = _MINUS
        put += 1
    whole, part = units // 10000000, units % 10000000
    size = 1
    while whole >= 10 * size:
        size *= 10
    while size > 1:
        buffer[put] = _ZERO + whole // size
        put += 1
        whole %= size
        size //= 10
    buffer[put] = _ZERO + whole
    if part == 0:
        return put + 1
    buffer[put + 1] = _POINT
    put += 8
    for i in range(7):
        buffer[put - i] = _ZERO + part % 10
        part //= 10
    while buffer[put] == _ZERO:
        put -= 1
    return put + 1

"""Connectionist temporal classification (Graves 2006): -log of a text's probability over all its alignments.

The recursions of the reference, with changes for speed.

Probabilities instead of their logarithms. Those of a lattice are as small as e^-100000, and may differ by as
much in one frame, so each is a pair (m, e) that means m 2^e: a float32 with an exponent of its own, an int32.
A product takes a product and a sum; a sum takes max and shifts, where log space needs exp and log. It is also
more precise: an operation errs by 6e-8 of the probability however small that is, in log space by 6e-8 of the
logarithm. Every eighth frame m is normalized to 1 … 2, long before float32 overflows: a frame multiplies it
by 0.7 to 4.5. Probability 0 is 2^-2^29, so that no case needs a branch.

Letters and blanks have rows of their own, letter u between blank u and blank u+1. What a frame's blank u and
letter u add up from the frame before shares a sum:

    blank u:  blank u + letter u-1       letter u:  letter u + (the same sum, or only blank u after its equal)

Letters that a frame cannot be in yet, or could not end from any more, are left out. Backward in time it is
the same for the reversed text, read from its end: β_t(s), which does not contain the emission of frame t, are
the sums before they are multiplied by it. β needs no lattice: it is computed one row at a time, and with the
stored α becomes γ at once.
"""

import math

import numpy as np
from numba import prange

from minids._utils.vectors import bits_of, float_of, operations, partial, select, shuffle, total
from minids.ops.common import Workspace, check_ctc, check_shapes
from minids.ops.cpu.pool import get_num_threads, njit, on_all_cores
from minids.ops.cpu.vector_math import exp_parts, power_of_two
from minids.ops.reference import arrays
from minids.text import BLANK

_F, _I = np.float32, np.int32
_ZERO = _I(-(2**29))  # the exponent of probability 0: the sum of four is an int32
_SIZE = 16  # columns of a vector; before the first letter and after the last there is one of zeros
_splat, _load, _store = operations(_SIZE)
_load_until, _store_until = partial(_SIZE)
_reversed = shuffle(range(_SIZE - 1, -1, -1))
_moved = shuffle(range(_SIZE - 1, 2 * _SIZE - 1))  # one to the right: the last of a vector, then the next
_evens, _odds = shuffle(range(0, 2 * _SIZE, 2)), shuffle(range(1, 2 * _SIZE, 2))
_alternating = [i // 2 + i % 2 * _SIZE for i in range(2 * _SIZE)]
_first_pairs, _last_pairs = shuffle(_alternating[:_SIZE]), shuffle(_alternating[_SIZE:])
_BLANKS, _LETTERS = 0, 2  # rows of a frame (4, columns): m and e of blanks, m and e of letters


@on_all_cores
def ctc(log_probs, lengths, labels, label_lengths, losses=None, dlogits=None, workspace=None):
    """losses (B,), dlogits (T, B, K) = ŷ - Σ γ, as in the reference; an impossible text has loss inf, and so
    has one of loss 1.8e8 or more.
    """
    T, B, _ = log_probs.shape
    check_ctc(log_probs, lengths, labels, label_lengths)
    check_shapes(losses=(losses, (B,)), dlogits=(dlogits, log_probs.shape))
    losses = np.empty(B, np.float32) if losses is None else losses
    dlogits = np.empty_like(log_probs) if dlogits is None else dlogits
    workspace = workspace or Workspace(arrays, np.float32)
    columns = _SIZE * (labels.shape[1] // _SIZE + 3)
    alphas = workspace("ctc", min(B, get_num_threads()), T, 4, columns, dtype=np.int32)
    _batch(log_probs, lengths, labels, label_lengths, losses, dlogits, alphas)
    return losses, dlogits


@njit(parallel=True, nogil=True)
def _batch(log_probs, lengths, labels, label_lengths, losses, dlogits, alphas):
    threads, B = len(alphas), log_probs.shape[1]
    for i in prange(threads):
        for b in range(i, B, threads):
            T, label = lengths[b], labels[b, : label_lengths[b]]
            dlogits[T:, b] = 0
            losses[b] = _utterance(log_probs[:T, b], label, dlogits[:T, b], alphas[i])
            if not math.isfinite(losses[b]):
                dlogits[:, b] = 0


@njit()
def _utterance(log_y, label, dlogits, alpha):
    """The loss of an utterance (T, K); its gradient goes to dlogits, its lattice to alpha (T, 4, columns).

    Blank u and letter u are in column u + _SIZE.
    """
    (T, K), U, columns = log_y.shape, len(label), alpha.shape[2]
    min_frames = U
    for u in range(1, U):
        min_frames += label[u] == label[u - 1]
    if min_frames > T:
        return math.inf
    if T == 0:
        return 0.0
    pairs = np.empty((K // _SIZE + 1) * _SIZE, np.int64)  # (m, e) of each character, and one after the last
    emitted_pairs = np.empty(columns, np.int64)  # of each letter
    y, emitted = pairs.view(np.int32), emitted_pairs.view(np.int32)
    rows = np.empty((12, columns), np.int32)
    sums, before, spare = rows[:4], rows[4:8], rows[8:]

    characters, skip = _lattice(label, K, columns)
    _start(rows, before)
    nans = _F(0)
    for t in range(T):
        first, last = _reach(t, T, U)
        nans += _emissions(log_y[t], y)
        _look_up(pairs, characters, first, last, emitted_pairs)
        _step(before, y, emitted, skip, first, last, sums, alpha[t])
        before = alpha[t]
        if t % 8 == 7:
            _normalize(before, first, last)
    if math.isnan(nans):
        return math.nan
    m, e = before.view(np.float32), before[1::2]
    blank, letter = U + _SIZE, U + _SIZE - 1  # both are ends
    p_e = max(e[0, blank], e[1, letter])
    p_m = m[_BLANKS, blank] * 2.0 ** (e[0, blank] - p_e) + m[_LETTERS, letter] * 2.0 ** (e[1, letter] - p_e)
    if p_e < _ZERO // 2:
        return math.inf

    backward_characters, skip = _lattice(label[::-1], K, columns)
    before, now = rows[4:8], spare
    _start(rows, before)
    gamma = np.empty(columns, np.float32)
    for t in range(T - 1, -1, -1):
        first, last = _reach(T - 1 - t, T, U)
        _emissions(log_y[t], y)
        _look_up(pairs, backward_characters, first, last, emitted_pairs)
        _step(before, y, emitted, skip, first, last, sums, now)
        before, now = now, before
        if t % 8 == 7:
            _normalize(before, first, last)
        first, last = _reach(t, T, U)
        blanks, letters = _posterior(alpha[t], sums, U, p_e, first, last, gamma)
        _gradient(y, gamma, characters, first, min(last, U + _SIZE), blanks, letters, dlogits[t])
    return -(math.log(p_m) + p_e * math.log(2))


@njit()
def _lattice(label, K, columns):
    """The letters' characters, K (probability 0) where there is none; whether its blank can be skipped."""
    characters, skip = np.full(columns, K, np.uintp), np.zeros(columns, np.int32)
    for u in range(len(label)):
        characters[u + _SIZE] = label[u]
        skip[u + _SIZE] = u > 0 and label[u] != label[u - 1]
    return characters, skip


@njit()
def _start(rows, before):
    """Before the first frame all are in the first blank."""
    rows[::2], rows[1::2] = _I(127 << 23), _ZERO  # the bits of 1
    before[_BLANKS + 1, _SIZE] = 0


@njit(inline="always")
def _reach(t, T, U):
    """The columns of the letters that frame t can be in and that can still end, in whole vectors.

    Each frame reaches one letter further.
    """
    first, last = max(0, U - (T - t)) // _SIZE, min(U, t + 1) // _SIZE
    return (first + 1) * _SIZE, (last + 2) * _SIZE


@njit(inline="always")
def _get(rows, row, u):
    """A vector of (m, e) from column u on."""
    i = row * rows.shape[1] + u
    return float_of(_load(rows, i)), _load(rows, i + rows.shape[1])


@njit(inline="always")
def _put(rows, row, u, m, e):
    i = row * rows.shape[1] + u
    _store(rows, i, bits_of(m))
    _store(rows, i + rows.shape[1], e)


@njit(inline="always")
def _get_pairs(pairs, i):
    """As _get, of numbers that lie in pairs: a single access finds m and e of a character."""
    low, high = _load(pairs, 2 * i), _load(pairs, 2 * i + _SIZE)
    return float_of(_evens(low, high)), _odds(low, high)


@njit(inline="always")
def _sum(m, e, n, f):
    """m 2^e + n 2^f."""
    highest = max(e, f)
    return m * power_of_two(e - highest) + n * power_of_two(f - highest), highest


@njit(forceinline=True)
def _emissions(log_y, y):
    """y_t,k as pairs; NaN if one of them is, else another number."""
    nans = _splat(_F(0))
    for k in range(0, len(y) // 2, _SIZE):
        m, e = exp_parts(_load_until(log_y, k, len(log_y), _F(-math.inf)))
        nans = nans + m
        _store(y, 2 * k, _first_pairs(bits_of(m), e))
        _store(y, 2 * k + _SIZE, _last_pairs(bits_of(m), e))
    return total(nans)


@njit(forceinline=True)
def _look_up(pairs, characters, first, last, emitted):
    for u in range(np.uintp(first), np.uintp(last)):  # unsigned: an index is not negative
        emitted[u] = pairs[characters[u]]


@njit(forceinline=True)
def _step(before, y, emitted, skip, first, last, sums, now):
    """`sums` of the ways into each state of a frame; with its emission, α_t (or y_t β_t), in `now`."""
    y_m, y_e = float_of(_splat(y[2 * BLANK])), y[2 * BLANK + 1]
    last_m, last_e = _get(before, _LETTERS, first - _SIZE)
    for u in range(first, last, _SIZE):
        blank_m, blank_e = _get(before, _BLANKS, u)
        letter_m, letter_e = _get(before, _LETTERS, u)
        m, e = _sum(blank_m, blank_e, _moved(last_m, letter_m), _moved(last_e, letter_e))
        last_m, last_e = letter_m, letter_e
        _put(sums, _BLANKS, u, m, e)
        _put(now, _BLANKS, u, m * y_m, max(e + y_e, _ZERO))
        can_skip = _load(skip, u)
        m, e = _sum(letter_m, letter_e, select(can_skip, m, blank_m), select(can_skip, e, blank_e))
        _put(sums, _LETTERS, u, m, e)
        emitted_m, emitted_e = _get_pairs(emitted, u)
        _put(now, _LETTERS, u, m * emitted_m, max(e + emitted_e, _ZERO))
    one, zero = _splat(_F(1)), _splat(_ZERO)  # around them, where the next frame may read
    _put(now, _LETTERS, first - _SIZE, one, zero)
    _put(now, _LETTERS, last, one, zero)
    _put(now, _BLANKS, last, one, zero)


@njit(forceinline=True)
def _normalize(rows, first, last):
    """m from 1 to 2, by moving its exponent to e."""
    for row in (_BLANKS, _LETTERS):
        for u in range(first, last, _SIZE):
            m, e = _get(rows, row, u)
            n = (bits_of(m) >> _I(23)) - _I(127)
            _put(rows, row, u, m * power_of_two(_I(0) - n), max(e + n, _ZERO))


@njit(forceinline=True)
def _posterior(alpha, beta, U, p_e, first, last, gamma):
    """γ_t(s) = α_t(s) β_t(s) / 2^p_e of the letters; the sums of all blanks and of all letters."""
    blanks = letters = _splat(_F(0))
    for u in range(first, last, _SIZE):
        for row in (_BLANKS, _LETTERS):
            m, e = _get(alpha, row, u)
            n, f = _get(beta, row, U + _SIZE + (row == _BLANKS) - u)  # of the reversed text
            product = m * _reversed(n, n) * power_of_two(e + _reversed(f, f) - p_e)
            if row == _BLANKS:
                blanks = blanks + product
            else:
                letters = letters + product
                _store(gamma, u, product)
    return total(blanks), total(letters)


@njit(error_model="numpy", forceinline=True)
def _gradient(y, gamma, characters, first, last, blanks, letters, dlogits):
    """dlogits_t,k = ŷ_t,k - Σ_{s: l'_s = k} γ_t(s). A frame's γ sum to 1: that gives their common factor."""
    scale = _F(1) / (blanks + letters)
    for k in range(0, len(dlogits), _SIZE):
        m, e = _get_pairs(y, k)
        _store_until(dlogits, k, len(dlogits), m * power_of_two(e))
    for u in range(np.uintp(first), np.uintp(last)):
        dlogits[characters[u]] -= gamma[u] * scale
    dlogits[BLANK] -= blanks * scale

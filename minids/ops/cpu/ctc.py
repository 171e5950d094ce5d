"""Connectionist temporal classification (Graves 2006): -log of a text's probability over all its alignments.

The recursions of the reference in log space, with changes for speed. Letters and blanks have rows of their
own, letter u between blank u and blank u+1. What a frame's blank u and letter u add up from the frame before
shares a sum:

    blank u:  blank u + letter u-1       letter u:  letter u + (the same sum, or only blank u after its equal)

and backward in time, with u+1 for u-1, it is the same. Each row is a loop without branches, which the
compiler turns into vector instructions: that needs `exp` and `log` written as polynomials, and edges that are
numbers (log 0 ≈ -1e30) instead of conditions. Letters that a frame cannot be in yet, or could not end from
any more, are left out. Every eighth row is rescaled by the largest value of the row before, so that float32
keeps its precision however long the recording; the scales are summed in float64. β needs no lattice: it is
computed one row at a time, and with the stored α becomes γ at once.
"""

import math

import numpy as np
from numba import prange

from minids.ops.common import Workspace, check_ctc, check_shapes
from minids.ops.cpu.pool import get_num_threads, njit, on_all_cores
from minids.ops.cpu.vector_math import exp, log1p
from minids.ops.reference import arrays
from minids.text import BLANK

_LOG0 = np.float32(-1e30)  # finite, so that the difference of two of them is a number
_SIZE = 16  # columns of a vector, enough for any machine
_1, _VECTOR = np.uintp(1), np.uintp(_SIZE)  # unsigned: an index that might be negative prevents vectors
_BLANKS, _LETTERS, _EMISSIONS = range(3)  # rows of a frame: log α of its blanks and letters, log y of these


@on_all_cores
def ctc(log_probs, lengths, labels, label_lengths, losses=None, dlogits=None, workspace=None):
    """losses (B,), dlogits (T, B, K) = ŷ - Σ γ, as in the reference; an impossible text has loss inf."""
    T, B, _ = log_probs.shape
    check_ctc(log_probs, lengths, labels, label_lengths)
    check_shapes(losses=(losses, (B,)), dlogits=(dlogits, log_probs.shape))
    losses = np.empty(B, np.float32) if losses is None else losses
    dlogits = np.empty_like(log_probs) if dlogits is None else dlogits
    workspace = workspace or Workspace(arrays, np.float32)
    columns = _SIZE * (labels.shape[1] // _SIZE + 3)
    alphas = workspace("ctc", min(B, get_num_threads()), T, 3, columns)
    _batch(log_probs, lengths, labels, label_lengths, losses, dlogits, alphas)
    return losses, dlogits


@njit(parallel=True, nogil=True)
def _batch(log_probs, lengths, labels, label_lengths, losses, dlogits, alphas):
    threads, B = len(alphas), log_probs.shape[1]
    for i in prange(threads):
        for b in range(i, B, threads):
            label = labels[b, : label_lengths[b]]
            dlogits[lengths[b] :, b] = 0
            losses[b] = _utterance(log_probs, lengths[b], b, label, dlogits, alphas[i])
            if not math.isfinite(losses[b]):
                dlogits[:, b] = 0


@njit()
def _utterance(log_probs, T, b, label, dlogits, alpha):
    """The loss of utterance b; its gradient goes to dlogits (T, B, K), its lattice to alpha (T, 3, columns).

    Blank u and letter u are in column u + _SIZE. Letters after the last one have probability 0.
    """
    U, columns = len(label), alpha.shape[2]
    characters, forbidden = np.full(columns, BLANK, np.int32), np.full(columns, _LOG0, np.float32)
    skip, min_frames = np.zeros(columns, np.float32), U
    for u in range(U):
        characters[u + _SIZE], forbidden[u + _SIZE] = label[u], 0
        if u > 0:
            skip[u + _SIZE] = label[u] != label[u - 1]  # into letter u from letter u-1
            min_frames += label[u] == label[u - 1]
    if min_frames > T:
        return math.inf
    if T == 0:
        return 0.0

    rows, offset = np.full((8, columns), _LOG0, np.float32), np.empty(T)
    before, sums = rows[:2], rows[2:4]
    before[_BLANKS, _SIZE] = 0  # before the first frame all are in the first blank
    total, reached = 0.0, _reach(0, T, U)[1]
    for t in range(T):
        log_y, now = log_probs[t, b], alpha[t]
        if _has_nan(log_y):
            return math.nan
        first, last = _reach(t, T, U)
        for u in range(reached, last):
            before[_BLANKS, u] = before[_LETTERS, u] = _LOG0
        reached = last
        highest = _highest(before, first, last, t)
        total += highest
        offset[t] = total
        for u in range(first, last):
            now[_EMISSIONS, u] = max(log_y[characters[u]] + forbidden[u], _LOG0)
        _forward(before, skip, sums, first, last, log_y[BLANK], highest, now)
        before = now
    log_p = total + _log_sum(before[_BLANKS, U + _SIZE], before[_LETTERS, U + _SIZE - 1])
    if log_p < _LOG0 / 2:
        return math.inf

    beta, gamma, onward = rows[2:4], rows[4:6], rows[6:]
    beta[...] = _LOG0
    beta[_BLANKS, U + _SIZE] = 0  # the last blank and the last letter are ends
    beta[_LETTERS, U + _SIZE - 1] = 0
    total = -log_p
    for t in range(T - 1, -1, -1):
        log_y, now = log_probs[t, b], alpha[t]
        first, last = _reach(t, T, U)
        if t < T - 1:
            _backward(onward, skip, first, last, beta)
        _posterior(now, beta, np.float32(offset[t] + total), first, last, gamma)
        _gradient(log_y, gamma, characters, first, last, dlogits[t, b])
        highest = _highest(beta, first, last, t)
        total += highest
        _onward(beta, now, first, last, log_y[BLANK], highest, onward)
    return -log_p


@njit()
def _reach(t, T, U):
    """The columns of the letters that frame t can be in and that can still end, in whole vectors.

    Each frame reaches one letter further.
    """
    first, last = max(0, U - (T - t)) // _SIZE, min(U, t + 1) // _SIZE
    return np.uintp((first + 1) * _SIZE), np.uintp((last + 2) * _SIZE)


@njit()
def _has_nan(log_y):
    nans = 0
    for k in range(len(log_y)):
        nans += log_y[k] != log_y[k]
    return nans > 0


@njit(fastmath={"nnan", "nsz", "reassoc"})
def _highest(rows, first, last, t):
    """The rescaling offset of a row: its maximum in every eighth frame, else 0. It need not be exact."""
    highest = _LOG0
    if t % 8:
        return np.float32(0)
    for u in range(first, last):
        highest = max(highest, max(rows[_BLANKS, u], rows[_LETTERS, u]))
    return highest


@njit(fastmath={"contract"})
def _forward(before, skip, sums, first, last, blank, highest, now):
    """log α_t from log α_{t-1}."""
    for u in range(first, last):
        sums[_BLANKS, u] = _log_sum(before[_BLANKS, u], before[_LETTERS, u - _1])
        now[_BLANKS, u] = max(sums[_BLANKS, u] + (blank - highest), _LOG0)
    for u in range(first, last):
        both, alone = sums[_BLANKS, u], before[_BLANKS, u]  # read both: a branch would prevent vectors
        ways = _log_sum(before[_LETTERS, u], both if skip[u] > 0 else alone)
        now[_LETTERS, u] = max(ways + now[_EMISSIONS, u] - highest, _LOG0)
    now[_LETTERS, first - _1] = _LOG0  # the next frame reads it


@njit(fastmath={"contract"})
def _backward(onward, skip, first, last, beta):
    """log β_t from log y_{t+1} β_{t+1}."""
    for u in range(first, last + _VECTOR):
        beta[_BLANKS, u] = _log_sum(onward[_BLANKS, u], onward[_LETTERS, u])
    for u in range(first, last):
        both, alone = beta[_BLANKS, u + _1], onward[_BLANKS, u + _1]
        beta[_LETTERS, u] = _log_sum(onward[_LETTERS, u], both if skip[u + _1] > 0 else alone)


@njit(fastmath={"contract"})
def _posterior(alpha, beta, shift, first, last, gamma):
    """γ_t(s) = α_t(s) β_t(s) / p(l|x)."""
    for u in range(first, last):
        gamma[_BLANKS, u] = exp(min(alpha[_BLANKS, u] + beta[_BLANKS, u] + shift, np.float32(0)))
    for u in range(first, last):
        gamma[_LETTERS, u] = exp(min(alpha[_LETTERS, u] + beta[_LETTERS, u] + shift, np.float32(0)))


@njit()
def _onward(beta, alpha, first, last, blank, highest, onward):
    """log y_t β_t."""
    for u in range(first, last):
        onward[_BLANKS, u] = max(beta[_BLANKS, u] + (blank - highest), _LOG0)
    for u in range(first, last):
        onward[_LETTERS, u] = max(beta[_LETTERS, u] + alpha[_EMISSIONS, u] - highest, _LOG0)


@njit(fastmath={"contract", "reassoc"}, error_model="numpy")
def _gradient(log_y_t, gamma, characters, first, last, dlogits_t):
    """dlogits_t,k = ŷ_t,k - Σ_{s: l'_s = k} γ_t(s).

    A frame's γ sum to 1. After thousands of frames in float32 all may miss that by the same 1 %, which is
    corrected here.
    """
    blanks, letters = np.float32(0), np.float32(0)
    for u in range(first, last):
        blanks += gamma[_BLANKS, u]
        letters += gamma[_LETTERS, u]
    scale = np.float32(1) / (blanks + letters)
    for k in range(len(log_y_t)):
        dlogits_t[k] = exp(log_y_t[k])
    for u in range(first, last):
        dlogits_t[characters[u]] -= gamma[_LETTERS, u] * scale
    dlogits_t[BLANK] -= blanks * scale


@njit(inline="always")
def _log_sum(a, b):
    """log(e^a + e^b) = max(a, b) + log(1 + e^-|a - b|)."""
    return max(a, b) + log1p(exp(min(a, b) - max(a, b)))

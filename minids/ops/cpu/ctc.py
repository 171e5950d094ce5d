"""Connectionist temporal classification (Graves 2006): -log of a text's probability over all its alignments.

The recursions of the reference, with four changes for speed. A frame's states are computed in one loop
without branches, which the compiler turns into vector instructions: that needs `exp` and `log` written as
polynomials, and edges and forbidden skips that are numbers (log 0 ≈ -1e30) instead of conditions. States that
a frame cannot be in yet, or could not end from any more, are left out. Every eighth row of the lattice is
rescaled by the largest value of the row before, so that float32 keeps its precision however long the
recording; the scales are summed in float64. β needs no lattice: it is computed one row at a time, and with
the stored α becomes γ at once.
"""

import math

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.extending import intrinsic

from minids.ops.common import Workspace, check_ctc, check_shapes
from minids.ops.cpu.pool import get_num_threads, njit, on_all_cores
from minids.ops.reference import arrays
from minids.text import BLANK

_LOG0 = np.float32(-1e30)  # finite, so that the difference of two of them is a number
_EDGE = 2  # cells of log 0 on either side of a row, for s-2 and s+2


@on_all_cores
def ctc(log_probs, lengths, labels, label_lengths, losses=None, dlogits=None, workspace=None):
    """losses (B,), dlogits (T, B, K) = ŷ - Σ γ, as in the reference; an impossible text has loss inf."""
    T, B, _ = log_probs.shape
    check_ctc(log_probs, lengths, labels, label_lengths)
    check_shapes(losses=(losses, (B,)), dlogits=(dlogits, log_probs.shape))
    losses = np.empty(B, np.float32) if losses is None else losses
    dlogits = np.empty_like(log_probs) if dlogits is None else dlogits
    workspace = workspace or Workspace(arrays, np.float32)
    alphas = workspace("ctc", min(B, get_num_threads()), T, 2 * labels.shape[1] + 1 + 2 * _EDGE)
    _batch(log_probs, lengths, labels, label_lengths, losses, dlogits, alphas)
    return losses, dlogits


@njit(parallel=True, nogil=True)
def _batch(log_probs, lengths, labels, label_lengths, losses, dlogits, alphas):
    threads, B = len(alphas), log_probs.shape[1]
    for i in prange(threads):
        for b in range(i, B, threads):
            n = lengths[b]
            label = labels[b, : label_lengths[b]]
            dlogits[n:, b] = 0
            losses[b] = _utterance(log_probs[:n, b], label, dlogits[:n, b], alphas[i])
            if not math.isfinite(losses[b]):
                dlogits[:n, b] = 0


@njit()
def _utterance(log_y, label, dlogits, alpha):
    """The loss of one utterance; its gradient goes to dlogits (T, K), log α to alpha (T, S + 4)."""
    T, S = len(log_y), 2 * len(label) + 1
    width = S + 2 * _EDGE
    states, skip, min_frames = np.zeros(S, np.int32), np.full(width, _LOG0, np.float32), len(label)
    for u in range(len(label)):
        states[2 * u + 1] = label[u]
        if u > 0 and label[u] == label[u - 1]:
            min_frames += 1
        elif u > 0:
            skip[2 * u + 1] = 0  # into state 2u+1 from 2u-1
    if min_frames > T:
        return math.inf
    if T == 0:
        return 0.0

    emit, offset = np.empty(S, np.float32), np.empty(T)
    before = np.full(width, _LOG0, np.float32)
    before[_EDGE] = (
        0  # before the first frame all are in the first blank; the first letter is one state further
    )
    total = 0.0
    for t in range(T):
        if math.isnan(log_y[t, BLANK]):
            return math.nan
        highest = _highest(before, t - 1, T, S)
        total += highest
        offset[t] = total
        low, high = _reach(t, T, S)
        _emissions(log_y[t], states[low:high], emit)
        now = alpha[t, :width]
        now[:_EDGE] = _LOG0
        now[high + _EDGE : high + 2 * _EDGE] = _LOG0  # the next frame reaches two states further
        _forward(before[low:], emit, skip[low:], highest, now[low + _EDGE : high + _EDGE])
        before = now
    log_p = total + _log_sum(before[S + 1], before[S], _LOG0)
    if log_p < _LOG0 / 2:
        return math.inf

    gamma, rows = np.empty(S, np.float32), np.full((2, width), _LOG0, np.float32)
    beta, onward = rows[0], rows[1]
    beta[max(S, _EDGE) : S + _EDGE] = 0  # β_T: the last letter and the last blank are ends
    total = -log_p
    for t in range(T - 1, -1, -1):
        low, high = _reach(t, T, S)
        reach = slice(low + _EDGE, high + _EDGE)
        _posterior(alpha[t, reach], beta[reach], np.float32(offset[t] + total), gamma)
        _gradient(log_y[t], gamma, states[low:high], low % 2, dlogits[t])
        if t > 0:
            highest = _highest(beta, t, T, S)
            total += highest
            _emissions(log_y[t], states[low:high], emit)
            _onward(beta[reach], emit, highest, onward[reach])
            low, high = _reach(t - 1, T, S)
            _backward(onward[low + _EDGE :], skip[low + _EDGE :], beta[low + _EDGE : high + _EDGE])
    return -log_p


@njit()
def _reach(t, T, S):
    """The states low … high - 1 that frame t can be in: each frame reaches two states further."""
    return max(0, S - 2 * (T - t)), min(S, 2 * t + 2)


@njit()
def _highest(row, t, T, S):
    """The rescaling offset of a row: its maximum in every eighth row, else 0. It need not be exact."""
    if t < 0 or t % 8 != 7:
        return np.float32(0)
    low, high = _reach(t, T, S)
    return row[low + _EDGE : high + _EDGE].max()


@njit()
def _emissions(log_y_t, states, emit):
    for s in range(len(states)):
        emit[s] = max(log_y_t[states[s]], _LOG0)


# The loops below count from 0 over slices: an index that might be negative would keep the compiler from using
# vectors, and so would a check for division by zero (error_model).
@njit(fastmath={"contract"}, error_model="numpy")
def _forward(before, emit, skip, highest, now):
    """log α_t(s) = log y_t(l'_s) + log[α_{t-1}(s) + α_{t-1}(s-1) + α_{t-1}(s-2) if the skip is allowed]."""
    for s in range(len(now)):
        ways = _log_sum(before[s + 2], before[s + 1], before[s] + skip[s])
        now[s] = max(emit[s] + ways - highest, _LOG0)


@njit()
def _onward(beta, emit, highest, onward):
    """log [y_t(l'_s) β_t(s)]."""
    for s in range(len(onward)):
        onward[s] = max(beta[s] + emit[s] - highest, _LOG0)


@njit(fastmath={"contract"}, error_model="numpy")
def _backward(onward, skip, beta):
    """log β_{t-1}(s) = log[onward(s) + onward(s+1) + onward(s+2) if the skip is allowed]."""
    for s in range(len(beta)):
        beta[s] = _log_sum(onward[s], onward[s + 1], onward[s + 2] + skip[s])


@njit(fastmath={"contract"})
def _posterior(alpha, beta, shift, gamma):
    """γ_t(s) = α_t(s) β_t(s) / p(l|x)."""
    for s in range(len(alpha)):
        gamma[s] = _exp(min(alpha[s] + beta[s] + shift, np.float32(0)))


@njit(fastmath={"contract", "reassoc"}, error_model="numpy")
def _gradient(log_y_t, gamma, states, blank_first, dlogits_t):
    """dlogits_t,k = ŷ_t,k - Σ_{s: l'_s = k} γ_t(s); blanks are every second state.

    A frame's γ sum to 1. After thousands of frames in float32 all may miss that by the same 1 %, which is
    corrected here.
    """
    letters, blanks = np.float32(0), np.float32(0)
    for s in range(1 - blank_first, len(states), 2):
        letters += gamma[s]
    for s in range(blank_first, len(states), 2):
        blanks += gamma[s]
    scale = np.float32(1) / (letters + blanks)
    for k in range(len(log_y_t)):
        dlogits_t[k] = _exp(log_y_t[k])
    for s in range(1 - blank_first, len(states), 2):
        dlogits_t[states[s]] -= gamma[s] * scale
    dlogits_t[BLANK] -= blanks * scale


@njit(inline="always")
def _log_sum(a, b, c):
    """log(exp a + exp b + exp c); relative to the largest, whose own exponential is 1."""
    lower, upper = min(a, b), max(a, b)
    middle, highest = min(upper, c), max(upper, c)
    return highest + _log(np.float32(1) + _exp(lower - highest) + _exp(middle - highest))


@intrinsic
def _float_of_bits(typing, bits):
    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@njit(inline="always")
def _exp(x):
    """e^x for x ≤ 0, relative error 2e-7: 2^n from the exponent's bits, 2^f by Taylor's series, |f| ≤ 1/2."""
    y = max(x, np.float32(-87)) * np.float32(1.44269504)
    n = np.int32(y - np.float32(0.5))
    f = (y - np.float32(n)) * np.float32(0.693147181)
    series = np.float32(1 / 5040)
    series = series * f + np.float32(1 / 720)
    series = series * f + np.float32(1 / 120)
    series = series * f + np.float32(1 / 24)
    series = series * f + np.float32(1 / 6)
    series = series * f + np.float32(1 / 2)
    series = series * f + np.float32(1)
    series = series * f + np.float32(1)
    return series * _float_of_bits(np.int32((n + np.int32(127)) << np.int32(23)))  # type: ignore[call-arg]


@njit(inline="always")
def _log(x):
    """log x for 1 ≤ x ≤ 3, absolute error 1e-7: log √3 + 2 artanh z, z = (x - √3) / (x + √3), |z| < 0.27."""
    z = (x - np.float32(1.7320508)) / (x + np.float32(1.7320508))
    z2 = z * z
    series = np.float32(2 / 11)
    series = series * z2 + np.float32(2 / 9)
    series = series * z2 + np.float32(2 / 7)
    series = series * z2 + np.float32(2 / 5)
    series = series * z2 + np.float32(2 / 3)
    series = series * z2 + np.float32(2)
    return np.float32(0.54930614) + z * series

"""The bidirectional recurrence: plain, clipped, both directions fed by the same z = W4 h3 + b4 and summed
(§2).

The frames of a direction follow one another, so the threads share what is left: the two directions, and with
more than two threads also slices of the batch.
"""

import numpy as np
from numba import get_num_threads, njit, prange

from minids.ops.common import CLIP
from minids.ops.cpu.affine import weight_gradient
from minids.ops.cpu.blas import product

_CLIP = np.float32(CLIP)


def birnn_forward(z, Wr_f, Wr_b, lengths, h=None, hf=None, hb=None):
    """As the reference: hf_t = g(z_t + Wr_f hf_{t-1}),  hb_t = g(z_t + Wr_b hb_{t+1}),  h = hf + hb."""
    hf = np.empty_like(z) if hf is None else hf
    hb = np.empty_like(z) if hb is None else hb
    h = np.empty_like(z) if h is None else h
    _forward(z, Wr_f, Wr_b, lengths, hf, hb, _slices(z.shape[1]))
    _add(hf.reshape(-1), hb.reshape(-1), h.reshape(-1))
    return h, hf, hb


def birnn_backward(dh, hf, hb, Wr_f, Wr_b, lengths, df=None, db=None, dz=None, dWr_f=None, dWr_b=None):
    """As the reference:

    δf, δb through time, then dWr_f, dWr_b each as one product over all frames, dz = δf + δb.
    """
    H = dh.shape[2]
    df = np.empty_like(dh) if df is None else df
    db = np.empty_like(dh) if db is None else db
    dz = np.empty_like(dh) if dz is None else dz
    dWr_f = np.empty_like(Wr_f) if dWr_f is None else dWr_f
    dWr_b = np.empty_like(Wr_b) if dWr_b is None else dWr_b
    _backward(dh, hf, hb, Wr_f, Wr_b, df, db, _slices(dh.shape[1]))
    weight_gradient(df[1:].reshape(-1, H), hf[:-1].reshape(-1, H), dWr_f)
    weight_gradient(db[:-1].reshape(-1, H), hb[1:].reshape(-1, H), dWr_b)
    _add(df.reshape(-1), db.reshape(-1), dz.reshape(-1))
    return dz, dWr_f, dWr_b


@njit(parallel=True, cache=True, nogil=True)
def _forward(z, Wr_f, Wr_b, lengths, hf, hb, slices):
    T, B, _ = z.shape
    size = (B + slices - 1) // slices
    for i in prange(2 * slices):
        first, last = (i // 2) * size, min((i // 2 + 1) * size, B)
        if first < last:
            if i % 2 == 0:
                for t in range(T):
                    _step(z, Wr_f, lengths, hf, t, t - 1, first, last)
            else:
                for t in range(T - 1, -1, -1):
                    _step(z, Wr_b, lengths, hb, t, t + 1, first, last)


@njit(cache=True)
def _step(z, Wr, lengths, h, t, before, first, last):
    """h_t ← g(z_t + Wr h_before) for the utterances first … last; before the first frame is zero."""
    T, _, H = z.shape
    if 0 <= before < T:
        product(h[before, first:last], False, Wr, True, h[t, first:last], 0)
    else:
        h[t, first:last] = 0
    for b in range(first, last):
        if t < lengths[b]:
            for u in range(H):
                h[t, b, u] = min(max(h[t, b, u] + z[t, b, u], np.float32(0)), _CLIP)
        else:
            h[t, b] = 0


@njit(parallel=True, cache=True, nogil=True)
def _backward(dh, hf, hb, Wr_f, Wr_b, df, db, slices):
    T, B, _ = dh.shape
    size = (B + slices - 1) // slices
    for i in prange(2 * slices):
        first, last = (i // 2) * size, min((i // 2 + 1) * size, B)
        if first < last:
            if i % 2 == 0:
                for t in range(T - 1, -1, -1):
                    _step_back(dh, hf, Wr_f, df, t, t + 1, first, last)
            else:
                for t in range(T):
                    _step_back(dh, hb, Wr_b, db, t, t - 1, first, last)


@njit(cache=True)
def _step_back(dh, h, Wr, delta, t, after, first, last):
    """δ_t ← (dh_t + Wrᵀ δ_after) ⊙ g'(z_t), `after` the frame that followed in this direction's time."""
    T, _, H = dh.shape
    if 0 <= after < T:
        product(delta[after, first:last], False, Wr, False, delta[t, first:last], 0)
    else:
        delta[t, first:last] = 0
    for b in range(first, last):
        for u in range(H):
            open_ = h[t, b, u] > 0 and h[t, b, u] < _CLIP
            delta[t, b, u] = delta[t, b, u] + dh[t, b, u] if open_ else np.float32(0)


def _slices(B):
    """How many slices of the batch each direction is cut into: one for every two threads."""
    return max(1, min(B, get_num_threads() // 2))


@njit(parallel=True, cache=True, nogil=True)
def _add(a, b, out):
    for i in prange(len(out)):
        out[i] = a[i] + b[i]

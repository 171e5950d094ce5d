"""The recurrence in both directions: plain, clipped, fed by the same z = W4 h3 + b4, summed (§2)."""

import numpy as np

from minids.ops.common import CLIP
from minids.ops.reference.affine import clipped_relu


def birnn_forward(z, Wr_f, Wr_b, lengths):
    """hf_t = g(z_t + Wr_f hf_{t-1}),  hb_t = g(z_t + Wr_b hb_{t+1}),  h = hf + hb.

    z (T, B, H), Wr (H, H), lengths (B,) -> h, hf, hb (T, B, H). States before the first and after the last
    frame are zero, and so is everything past an utterance's end, whatever z holds there.
    """
    zero = np.zeros(z.shape[1:], z.dtype)  # (B, H)
    hf = rnn_forward(z, Wr_f, lengths, zero)
    hb = rnn_forward(z, Wr_b, lengths, zero, reverse=True)
    return hf + hb, hf, hb


def rnn_forward(z, Wr, lengths, state, reverse=False):
    """One direction: h_t = g(z_t + Wr h_{t-1}), t = 1 … T, and h_0 = state (B, H).

    `reverse`: h_t = g(z_t + Wr h_{t+1}), t = T … 1, and h_{T+1} = state.
    """
    h = np.empty_like(z)
    for t in _frames(z, reverse):
        inside = (t < lengths)[:, None]  # (B, 1)
        state = h[t] = np.where(inside, clipped_relu(z[t] + state @ Wr.T), 0)  # (B, H)
    return h


def birnn_backward(dh, hf, hb, Wr_f, Wr_b, lengths):
    """δf_t = (dh_t + Wr_fᵀ δf_{t+1}) ⊙ g'(zf_t),  t = T … 1;   dWr_f = Σ_{t≥2} δf_t hf_{t-1}ᵀ
    δb_t = (dh_t + Wr_bᵀ δb_{t-1}) ⊙ g'(zb_t),  t = 1 … T;   dWr_b = Σ_{t<T} δb_t hb_{t+1}ᵀ;   dz = δf + δb.

    All (T, B, H). g' = 1 where 0 < h < 20, so δ is zero past the `lengths`, where h is zero.
    Returns dz, dWr_f, dWr_b.
    """
    zero = np.zeros(dh.shape[1:], dh.dtype)  # (B, H)
    delta_f = rnn_backward(dh, hf, Wr_f, zero, reverse=True)
    delta_b = rnn_backward(dh, hb, Wr_b, zero)
    dWr_f = np.tensordot(delta_f[1:], hf[:-1], axes=((0, 1), (0, 1)))  # (H, H)
    dWr_b = np.tensordot(delta_b[:-1], hb[1:], axes=((0, 1), (0, 1)))
    return delta_f + delta_b, dWr_f, dWr_b


def rnn_backward(dh, h, Wr, delta, reverse=False):
    """One direction: δ_t = (dh_t + Wrᵀ δ_{t-1}) ⊙ g'(z_t), t = 1 … T, and δ_0 = delta (B, H).

    `reverse`: δ_{t+1} for δ_{t-1}, t = T … 1, back through the direction that goes forward in time.
    """
    deltas = np.empty_like(dh)
    for t in _frames(dh, reverse):
        inside = (h[t] > 0) & (h[t] < CLIP)  # (B, H)
        delta = deltas[t] = np.where(inside, dh[t] + delta @ Wr, 0)  # (B, H)
    return deltas


def _frames(x, reverse):
    return reversed(range(len(x))) if reverse else range(len(x))

"""The recurrence in both directions: plain, clipped, fed by the same z = W4 h3 + b4, summed (§2)."""

import numpy as np

from minids.ops.common import CLIP


def birnn_forward(z, Wr_f, Wr_b, lengths, h=None, hf=None, hb=None, room=None):
    """hf_t = g(z_t + Wr_f hf_{t-1}),  hb_t = g(z_t + Wr_b hb_{t+1}),  h = hf + hb.

    z (T, B, H), Wr (H, H), lengths (B,) -> h, hf, hb (T, B, H). States before the first and after the last
    frame are zero, and so is everything past an utterance's end, whatever z holds there.
    """
    hf = np.empty_like(z) if hf is None else hf
    hb = np.empty_like(z) if hb is None else hb
    h = np.empty_like(z) if h is None else h
    forward(z, Wr_f, lengths, hf, np.zeros(z.shape[1:], z.dtype))
    forward(z, Wr_b, lengths, hb, np.zeros(z.shape[1:], z.dtype), reverse=True)
    np.add(hf, hb, out=h)
    return h, hf, hb


def forward(z, Wr, lengths, h, state, reverse=False):
    """One direction, from the `state` (B, H) before its first frame on: h_t = g(z_t + Wr state), t = 1 … T.

    `reverse`: t = T … 1.
    """
    T = len(z)
    for t in reversed(range(T)) if reverse else range(T):
        inside = (t < lengths)[:, None]  # (B, 1)
        state = h[t] = np.where(inside, np.clip(z[t] + state @ Wr.T, 0, CLIP), 0)  # (B, H)


def birnn_backward(
    dh, hf, hb, Wr_f, Wr_b, lengths, delta_f=None, delta_b=None, dz=None, dWr_f=None, dWr_b=None, room=None
):
    """δf_t = (dh_t + Wr_fᵀ δf_{t+1}) ⊙ g'(zf_t),  t = T … 1;   dWr_f = Σ_{t≥2} δf_t hf_{t-1}ᵀ
    δb_t = (dh_t + Wr_bᵀ δb_{t-1}) ⊙ g'(zb_t),  t = 1 … T;   dWr_b = Σ_{t<T} δb_t hb_{t+1}ᵀ;   dz = δf + δb.

    All (T, B, H). g' = 1 where 0 < h < 20, so it is zero past an utterance's end, where h is zero.
    Returns dz, dWr_f, dWr_b; delta_f and delta_b are room for δf and δb.
    """
    H = dh.shape[-1]
    delta_f = np.empty_like(dh) if delta_f is None else delta_f
    delta_b = np.empty_like(dh) if delta_b is None else delta_b
    dz = np.empty_like(dh) if dz is None else dz
    dWr_f = np.empty_like(Wr_f) if dWr_f is None else dWr_f
    dWr_b = np.empty_like(Wr_b) if dWr_b is None else dWr_b
    backward(dh, hf, Wr_f, delta_f, np.zeros(dh.shape[1:], dh.dtype), reverse=True)
    backward(dh, hb, Wr_b, delta_b, np.zeros(dh.shape[1:], dh.dtype))
    dWr_f[...] = delta_f[1:].reshape(-1, H).T @ hf[:-1].reshape(-1, H)
    dWr_b[...] = delta_b[:-1].reshape(-1, H).T @ hb[1:].reshape(-1, H)
    np.add(delta_f, delta_b, out=dz)
    return dz, dWr_f, dWr_b


def backward(dh, h, Wr, delta, following, reverse=False):
    """One direction, from the δ (B, H) that follows its last frame: δ_t = (dh_t + Wrᵀ δ) ⊙ g'(z_t), t = 1 …

    `reverse`: t = T … 1, back through the direction that goes on in time.
    """
    T = len(dh)
    for t in reversed(range(T)) if reverse else range(T):
        inside = (h[t] > 0) & (h[t] < CLIP)  # (B, H)
        following = delta[t] = np.where(inside, dh[t] + following @ Wr, 0)  # (B, H)

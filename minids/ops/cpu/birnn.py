"""The bidirectional recurrence: plain, clipped, both directions fed by the same z and summed (§2).

The frames of a direction follow one another, so the threads share what is left: the two directions, and
with more than two threads also slices of the batch. A step is a product of a large matrix and a narrow one,
B columns wide. BLAS does that up to twice as fast as the same numbers lying the other way, so the state is
kept transposed, (H, B), and backward works with a transposed copy of Wr.
"""

import numpy as np
from numba import get_num_threads, njit, prange

from minids.ops.common import CLIP
from minids.ops.cpu.affine import weight_gradient
from minids.ops.cpu.blas import product

_CLIP = np.float32(CLIP)


def birnn_forward(z, Wr_f, Wr_b, lengths, h=None, hf=None, hb=None, room=None):
    """hf_t = g(z_t + Wr_f hf_{t-1}),  hb_t = g(z_t + Wr_b hb_{t+1}),  h = hf + hb, as the reference."""
    _, B, H = z.shape
    hf = np.empty_like(z) if hf is None else hf
    hb = np.empty_like(z) if hb is None else hb
    h = np.empty_like(z) if h is None else h
    room = np.empty((2, H, H + 2 * B), np.float32) if room is None else room
    _forward(z, Wr_f, Wr_b, lengths, hf, hb, room[:, :, H:], _slices(B))
    _add(hf.reshape(-1), hb.reshape(-1), h.reshape(-1))
    return h, hf, hb


def birnn_backward(
    dh, hf, hb, Wr_f, Wr_b, lengths, delta_f=None, delta_b=None, dz=None, dWr_f=None, dWr_b=None, room=None
):
    """δf, δb back through time, then dWr_f, dWr_b each as one product over all frames, dz = δf + δb."""
    _, B, H = dh.shape
    delta_f = np.empty_like(dh) if delta_f is None else delta_f
    delta_b = np.empty_like(dh) if delta_b is None else delta_b
    dz = np.empty_like(dh) if dz is None else dz
    dWr_f = np.empty_like(Wr_f) if dWr_f is None else dWr_f
    dWr_b = np.empty_like(Wr_b) if dWr_b is None else dWr_b
    room = np.empty((2, H, H + 2 * B), np.float32) if room is None else room
    room[0, :, :H], room[1, :, :H] = Wr_f.T, Wr_b.T
    _backward(dh, hf, hb, delta_f, delta_b, room[:, :, :H], room[:, :, H:], _slices(B))
    weight_gradient(delta_f[1:].reshape(-1, H), hf[:-1].reshape(-1, H), dWr_f)
    weight_gradient(delta_b[:-1].reshape(-1, H), hb[1:].reshape(-1, H), dWr_b)
    _add(delta_f.reshape(-1), delta_b.reshape(-1), dz.reshape(-1))
    return dz, dWr_f, dWr_b


def _slices(B):
    """How many slices of the batch each direction is cut into: one for every two threads."""
    return max(1, min(B, get_num_threads() // 2))


def forward(z, Wr, lengths, h, state, reverse=False):
    """One direction, from the `state` (B, H) before its first frame on, as the reference."""
    H, B = Wr.shape[0], z.shape[1]
    room = np.empty((H, 2 * B), np.float32)
    room[:, :B] = state.T
    _run(z, Wr, lengths, h, room, get_num_threads(), reverse)


def backward(dh, h, Wr, delta, following, reverse=False):
    """One direction, from the δ (B, H) that follows its last frame, as the reference."""
    H, B = Wr.shape[0], dh.shape[1]
    room = np.empty((H, 2 * B), np.float32)
    room[:, :B] = following.T
    _run_back(dh, h, np.ascontiguousarray(Wr.T), delta, room, get_num_threads(), reverse)


@njit(parallel=True, cache=True, nogil=True)
def _forward(z, Wr_f, Wr_b, lengths, hf, hb, room, slices):
    B = z.shape[1]
    room[:, :, :B] = 0
    for i in prange(2 * slices):
        own = _own(i // 2, slices, B)
        if i % 2 == 0:
            _frames(z, Wr_f, lengths, hf, room[0], own, False)
        else:
            _frames(z, Wr_b, lengths, hb, room[1], own, True)


@njit(parallel=True, cache=True, nogil=True)
def _run(z, Wr, lengths, h, room, slices, reverse):
    for i in prange(slices):
        _frames(z, Wr, lengths, h, room, _own(i, slices, z.shape[1]), reverse)


@njit(cache=True)
def _own(i, slices, B):
    size = (B + slices - 1) // slices
    return slice(min(i * size, B), min((i + 1) * size, B))


@njit(cache=True)
def _frames(z, Wr, lengths, h, room, own, reverse):
    """A slice of the batch through all frames; its state (H, B) is the first half of `room`."""
    T, B, _ = z.shape
    state, new = room[:, :B][:, own], room[:, B:][:, own]
    for i in range(T):
        t = T - 1 - i if reverse else i
        product(Wr, False, state, False, new, 0)
        _step(z[t, own], new, t, lengths[own], h[t, own], state)


@njit(cache=True)
def _step(z, new, t, lengths, h, state):
    """h_t ← g(z_t + Wr h_{t∓1}), (B, H), and the same as the state for the next step, (H, B)."""
    B, H = z.shape
    for b in range(B):
        for u in range(H):
            h[b, u] = new[u, b]
        if t < lengths[b]:
            for u in range(H):
                h[b, u] = min(max(h[b, u] + z[b, u], np.float32(0)), _CLIP)
        else:
            h[b] = 0
        for u in range(H):
            state[u, b] = h[b, u]


@njit(parallel=True, cache=True, nogil=True)
def _backward(dh, hf, hb, delta_f, delta_b, transposed, room, slices):
    B = dh.shape[1]
    room[:, :, :B] = 0
    for i in prange(2 * slices):
        own = _own(i // 2, slices, B)
        if i % 2 == 0:
            _frames_back(dh, hf, transposed[0], delta_f, room[0], own, True)
        else:
            _frames_back(dh, hb, transposed[1], delta_b, room[1], own, False)


@njit(parallel=True, cache=True, nogil=True)
def _run_back(dh, h, transposed, delta, room, slices, reverse):
    for i in prange(slices):
        _frames_back(dh, h, transposed, delta, room, _own(i, slices, dh.shape[1]), reverse)


@njit(cache=True)
def _frames_back(dh, h, transposed, delta, room, own, reverse):
    T, B, _ = dh.shape
    state, new = room[:, :B][:, own], room[:, B:][:, own]
    for i in range(T):
        t = T - 1 - i if reverse else i
        product(transposed, False, state, False, new, 0)
        _step_back(dh[t, own], new, h[t, own], delta[t, own], state)


@njit(cache=True)
def _step_back(dh, new, h, delta, state):
    """δ_t ← (dh_t + Wrᵀ δ_{t±1}) ⊙ g'(z_t), (B, H), and the same as the state for the next step, (H, B)."""
    B, H = dh.shape
    for b in range(B):
        for u in range(H):
            delta[b, u] = new[u, b]
        for u in range(H):
            d = delta[b, u] + dh[b, u]
            d = d if h[b, u] > np.float32(0) else np.float32(0)
            delta[b, u] = d if h[b, u] < _CLIP else np.float32(0)
        for u in range(H):
            state[u, b] = delta[b, u]


@njit(parallel=True, cache=True, nogil=True)
def _add(a, b, out):
    for i in prange(len(out)):
        out[i] = a[i] + b[i]

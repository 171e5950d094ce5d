"""The bidirectional recurrence: plain, clipped, both directions fed by the same z and summed (§2).

The frames of a direction follow one another, so the threads share what is left: the two directions, and
with more than two threads also slices of the batch. A step is a product of a large matrix and a narrow one,
B columns wide. BLAS does that up to twice as fast as with the same numbers transposed, so the state is kept
as (H, B), and backward works with a transposed copy of Wr.
"""

import numpy as np
from numba import prange

from minids.ops.common import CLIP, Workspace, check_shapes
from minids.ops.cpu.blas import product, weight_gradient
from minids.ops.cpu.pool import check_lengths, get_num_threads, njit, on_all_cores
from minids.ops.reference import arrays

_CLIP = np.float32(CLIP)


@on_all_cores
def birnn_forward(z, Wr_f, Wr_b, lengths, h=None, hf=None, hb=None, workspace=None):
    """hf_t = g(z_t + Wr_f hf_{t-1}),  hb_t = g(z_t + Wr_b hb_{t+1}),  h = hf + hb, as in the reference."""
    _, B, H = z.shape
    _check(z, (Wr_f, Wr_b), lengths, h=h, hf=hf, hb=hb)
    workspace = workspace or Workspace(arrays, np.float32)
    hf = np.empty_like(z) if hf is None else hf
    hb = np.empty_like(z) if hb is None else hb
    h = np.empty_like(z) if h is None else h
    _forward(z, Wr_f, Wr_b, lengths, hf, hb, workspace("birnn states", 2, H, 2 * B), _slices(B))
    _add(hf.reshape(-1), hb.reshape(-1), h.reshape(-1))
    return h, hf, hb


@on_all_cores
def birnn_backward(
    dh,
    hf,
    hb,
    Wr_f,
    Wr_b,
    lengths,
    delta_f=None,
    delta_b=None,
    dz=None,
    dWr_f=None,
    dWr_b=None,
    workspace=None,
):
    """δf, δb back through time, then dWr_f, dWr_b each as one product over all frames, dz = δf + δb.

    dz may be delta_f.
    """
    _, B, H = dh.shape
    _check(dh, (Wr_f, Wr_b, dWr_f, dWr_b), lengths, hf=hf, hb=hb, delta_f=delta_f, delta_b=delta_b, dz=dz)
    workspace = workspace or Workspace(arrays, np.float32)
    delta_f = np.empty_like(dh) if delta_f is None else delta_f
    delta_b = np.empty_like(dh) if delta_b is None else delta_b
    dz = np.empty_like(dh) if dz is None else dz
    dWr_f = np.empty_like(Wr_f) if dWr_f is None else dWr_f
    dWr_b = np.empty_like(Wr_b) if dWr_b is None else dWr_b
    states, transposed = workspace("birnn states", 2, H, 2 * B), workspace("birnn transposed", 2, H, H)
    transposed[0], transposed[1] = Wr_f.T, Wr_b.T
    _backward(dh, hf, hb, delta_f, delta_b, transposed, states, _slices(B))
    weight_gradient(delta_f[1:].reshape(-1, H), hf[:-1].reshape(-1, H), dWr_f)
    weight_gradient(delta_b[:-1].reshape(-1, H), hb[1:].reshape(-1, H), dWr_b)
    _add(delta_f.reshape(-1), delta_b.reshape(-1), dz.reshape(-1))
    return dz, dWr_f, dWr_b


@on_all_cores
def rnn_forward(z, Wr, lengths, state, reverse=False):
    """One direction, from the `state` (B, H) before its first frame, as in the reference."""
    _check(z, (Wr,), lengths)
    check_shapes(state=(state, z.shape[1:]))
    h, states = np.empty_like(z), _states(state)
    _forward_one_way(z, Wr, lengths, h, states, get_num_threads(), reverse)
    return h


@on_all_cores
def rnn_backward(dh, h, Wr, delta, reverse=False):
    """One direction, from the δ (B, H) after its last frame, as in the reference."""
    _check(dh, (Wr,), h=h)
    check_shapes(delta=(delta, dh.shape[1:]))
    deltas, states = np.empty_like(dh), _states(delta)
    _backward_one_way(dh, h, np.ascontiguousarray(Wr.T), deltas, states, get_num_threads(), reverse)
    return deltas


def _check(x, weights, lengths=None, **arrays):
    """Raises ValueError unless all arrays fit x (T, B, H)."""
    T, B, H = x.shape
    check_shapes(lengths=(lengths, (B,)), **{name: (array, (T, B, H)) for name, array in arrays.items()})
    for W in weights:
        check_shapes(Wr=(W, (H, H)))
    if lengths is not None:
        check_lengths("lengths", lengths, T)


def _slices(B):
    """How many slices of the batch each direction is cut into: one for every two threads."""
    return max(1, min(B, get_num_threads() // 2))


def _states(state):
    """The state (B, H) transposed, and as much space for the next one: (H, 2B)."""
    B, H = state.shape
    states = np.empty((H, 2 * B), np.float32)
    states[:, :B] = state.T
    return states


@njit(parallel=True, nogil=True)
def _forward(z, Wr_f, Wr_b, lengths, hf, hb, states, slices):
    B = z.shape[1]
    states[:, :, :B] = 0
    for i in prange(2 * slices):
        utterances = _slice(i // 2, slices, B)
        if i % 2 == 0:
            _frames(z, Wr_f, lengths, hf, states[0], utterances, False)
        else:
            _frames(z, Wr_b, lengths, hb, states[1], utterances, True)


@njit(parallel=True, nogil=True)
def _forward_one_way(z, Wr, lengths, h, states, slices, reverse):
    for i in prange(slices):
        _frames(z, Wr, lengths, h, states, _slice(i, slices, z.shape[1]), reverse)


@njit()
def _slice(i, slices, B):
    """The i-th slice of a batch of B utterances."""
    size = (B + slices - 1) // slices
    return slice(min(i * size, B), min((i + 1) * size, B))


@njit()
def _frames(z, Wr, lengths, h, states, utterances, reverse):
    """Some utterances through all frames; their state (H, B) is in the first half of `states`."""
    T, B, _ = z.shape
    state, Wr_state = states[:, :B][:, utterances], states[:, B:][:, utterances]
    for i in range(T):
        t = T - 1 - i if reverse else i
        product(Wr, False, state, False, Wr_state, 0)
        _step(z[t, utterances], Wr_state, t, lengths[utterances], h[t, utterances], state)


@njit()
def _step(z, Wr_state, t, lengths, h, state):
    """h_t ← g(z_t + Wr h_{t∓1}), (B, H), and the same as the state for the next step, (H, B)."""
    B, H = z.shape
    for b in range(B):
        for u in range(H):
            h[b, u] = Wr_state[u, b]
        if t < lengths[b]:
            for u in range(H):
                h[b, u] = min(max(h[b, u] + z[b, u], np.float32(0)), _CLIP)
        else:
            h[b] = 0
        for u in range(H):
            state[u, b] = h[b, u]


@njit(parallel=True, nogil=True)
def _backward(dh, hf, hb, delta_f, delta_b, transposed, states, slices):
    B = dh.shape[1]
    states[:, :, :B] = 0
    for i in prange(2 * slices):
        utterances = _slice(i // 2, slices, B)
        if i % 2 == 0:
            _frames_backward(dh, hf, transposed[0], delta_f, states[0], utterances, True)
        else:
            _frames_backward(dh, hb, transposed[1], delta_b, states[1], utterances, False)


@njit(parallel=True, nogil=True)
def _backward_one_way(dh, h, transposed, deltas, states, slices, reverse):
    for i in prange(slices):
        _frames_backward(dh, h, transposed, deltas, states, _slice(i, slices, dh.shape[1]), reverse)


@njit()
def _frames_backward(dh, h, transposed, deltas, states, utterances, reverse):
    """As _frames; the state is δ (H, B)."""
    T, B, _ = dh.shape
    state, Wr_state = states[:, :B][:, utterances], states[:, B:][:, utterances]
    for i in range(T):
        t = T - 1 - i if reverse else i
        product(transposed, False, state, False, Wr_state, 0)
        _step_backward(dh[t, utterances], Wr_state, h[t, utterances], deltas[t, utterances], state)


@njit()
def _step_backward(dh, Wr_state, h, delta, state):
    """δ_t ← (dh_t + Wrᵀ δ_{t±1}) ⊙ g'(z_t), (B, H), and the same as the state for the next step, (H, B)."""
    B, H = dh.shape
    for b in range(B):
        for u in range(H):
            delta[b, u] = Wr_state[u, b]
        for u in range(H):
            d = delta[b, u] + dh[b, u]
            d = d if h[b, u] > np.float32(0) else np.float32(0)
            delta[b, u] = d if h[b, u] < _CLIP else np.float32(0)
        for u in range(H):
            state[u, b] = delta[b, u]


@njit(parallel=True, nogil=True)
def _add(a, b, out):
    for i in prange(len(out)):
        out[i] = a[i] + b[i]

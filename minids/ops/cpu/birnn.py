"""The bidirectional recurrence: plain, clipped, both directions fed by the same z and summed (§2).

The frames of a direction follow one another, so the threads share what is left: the two directions, and
with more than two threads also slices of the batch. A step multiplies few rows, a state (B, H), by a large
matrix, which is the same in all steps and is therefore packed once (packed.py).
"""

import numpy as np
from numba import prange

from minids.ops.common import CLIP, Workspace, check_shapes
from minids.ops.cpu.blas import product
from minids.ops.cpu.packed import multiply, pack, packed_shape
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
    _forward(z, Wr_f, Wr_b, lengths, hf, hb, *_scratch(B, H, workspace), _slices(B))
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
    _backward(dh, hf, hb, Wr_f, Wr_b, delta_f, delta_b, *_scratch(B, H, workspace), _slices(B))
    later, earlier = slice(1, None), slice(None, -1)
    _weight_gradients(
        *(x.reshape(-1, H) for x in (delta_f[later], hf[earlier], delta_b[earlier], hb[later])),
        dWr_f,
        dWr_b,
        _slices(H),
    )
    _add(delta_f.reshape(-1), delta_b.reshape(-1), dz.reshape(-1))
    return dz, dWr_f, dWr_b


@on_all_cores
def rnn_forward(z, Wr, lengths, state, reverse=False):
    """One direction, from the `state` (B, H) before its first frame, as in the reference."""
    _check(z, (Wr,), lengths)
    check_shapes(state=(state, z.shape[1:]))
    B, H = state.shape
    h, (_, packed, sums) = np.empty_like(z), _scratch(B, H, Workspace(arrays, np.float32))
    _forward_one_way(z, Wr, lengths, h, state, packed[0], sums[0], get_num_threads(), reverse)
    return h


@on_all_cores
def rnn_backward(dh, h, Wr, delta, reverse=False):
    """One direction, from the δ (B, H) after its last frame, as in the reference."""
    _check(dh, (Wr,), h=h)
    check_shapes(delta=(delta, dh.shape[1:]))
    B, H = delta.shape
    deltas, (_, packed, sums) = np.empty_like(dh), _scratch(B, H, Workspace(arrays, np.float32))
    _backward_one_way(dh, h, Wr, deltas, delta, packed[0], sums[0], get_num_threads(), reverse)
    return deltas


def _check(x, weights, lengths=None, **arrays):
    """Raises ValueError unless all arrays fit x (T, B, H)."""
    T, B, H = x.shape
    check_shapes(lengths=(lengths, (B,)), **{name: (array, (T, B, H)) for name, array in arrays.items()})
    for W in weights:
        check_shapes(Wr=(W, (H, H)))
    if lengths is not None:
        check_lengths("lengths", lengths, T)


def _slices(size):
    """How many slices each direction's batch or units are cut into: one for every two threads."""
    return max(1, min(size, get_num_threads() // 2))


def _scratch(B, H, workspace):
    """State 0 (B, H), and for each direction the packed weights and their products with a state (B, H)."""
    state = workspace("birnn state", B, H)
    state[...] = 0
    return state, workspace("birnn weights", 2, *packed_shape(H, H)), workspace("birnn products", 2, B, H)


@njit(parallel=True, nogil=True)
def _forward(z, Wr_f, Wr_b, lengths, hf, hb, state, packed, sums, slices):
    pack(Wr_f, True, packed[0])
    pack(Wr_b, True, packed[1])
    for i in prange(2 * slices):
        utterances = _slice(i // 2, slices, z.shape[1])
        if i % 2 == 0:
            _frames(z, packed[0], lengths, hf, state, sums[0], utterances, False)
        else:
            _frames(z, packed[1], lengths, hb, state, sums[1], utterances, True)


@njit(parallel=True, nogil=True)
def _forward_one_way(z, Wr, lengths, h, state, packed, sums, slices, reverse):
    pack(Wr, True, packed)
    for i in prange(slices):
        _frames(z, packed, lengths, h, state, sums, _slice(i, slices, z.shape[1]), reverse)


@njit()
def _slice(i, slices, n):
    """The i-th slice of n utterances or units."""
    size = (n + slices - 1) // slices
    return slice(min(i * size, n), min((i + 1) * size, n))


@njit()
def _frames(z, packed, lengths, h, state, sums, utterances, reverse):
    """Some utterances through all frames, from their state (B, H)."""
    T, before = len(z), state[utterances]
    for i in range(T):
        t = T - 1 - i if reverse else i
        multiply(before, packed, sums[utterances])
        before = h[t, utterances]
        _step(z[t, utterances], sums[utterances], t, lengths[utterances], before)


@njit()
def _step(z, Wr_state, t, lengths, h):
    """h_t ← g(z_t + Wr h_{t∓1})."""
    B, H = z.shape
    for b in range(B):
        if t < lengths[b]:
            for u in range(H):
                h[b, u] = min(max(Wr_state[b, u] + z[b, u], np.float32(0)), _CLIP)
        else:
            h[b] = 0


@njit(parallel=True, nogil=True)
def _backward(dh, hf, hb, Wr_f, Wr_b, delta_f, delta_b, state, packed, sums, slices):
    pack(Wr_f, False, packed[0])
    pack(Wr_b, False, packed[1])
    for i in prange(2 * slices):
        utterances = _slice(i // 2, slices, dh.shape[1])
        if i % 2 == 0:
            _frames_backward(dh, hf, packed[0], delta_f, state, sums[0], utterances, True)
        else:
            _frames_backward(dh, hb, packed[1], delta_b, state, sums[1], utterances, False)


@njit(parallel=True, nogil=True)
def _backward_one_way(dh, h, Wr, deltas, state, packed, sums, slices, reverse):
    pack(Wr, False, packed)
    for i in prange(slices):
        _frames_backward(dh, h, packed, deltas, state, sums, _slice(i, slices, dh.shape[1]), reverse)


@njit()
def _frames_backward(dh, h, packed, deltas, state, sums, utterances, reverse):
    """As _frames; the state is δ (B, H)."""
    T, before = len(dh), state[utterances]
    for i in range(T):
        t = T - 1 - i if reverse else i
        multiply(before, packed, sums[utterances])
        before = deltas[t, utterances]
        _step_backward(dh[t, utterances], sums[utterances], h[t, utterances], before)


@njit()
def _step_backward(dh, Wr_delta, h, delta):
    """δ_t ← (dh_t + Wrᵀ δ_{t±1}) ⊙ g'(z_t)."""
    B, H = dh.shape
    for b in range(B):
        for u in range(H):
            d = Wr_delta[b, u] + dh[b, u]
            d = d if h[b, u] > np.float32(0) else np.float32(0)
            delta[b, u] = d if h[b, u] < _CLIP else np.float32(0)


@njit(parallel=True, nogil=True)
def _weight_gradients(delta_f, hf, delta_b, hb, dWr_f, dWr_b, slices):
    """dWr ← Σ δ hᵀ over all rows: each thread has one direction, or some of its units."""
    for i in prange(2 * slices):
        units = _slice(i // 2, slices, len(dWr_f))
        if i % 2 == 0:
            product(delta_f[:, units], True, hf, False, dWr_f[units], 0)
        else:
            product(delta_b[:, units], True, hb, False, dWr_b[units], 0)


@njit(parallel=True, nogil=True)
def _add(a, b, out):
    for i in prange(len(out)):
        out[i] = a[i] + b[i]

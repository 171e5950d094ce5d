"""Our answers to lesson 4, and the usual mistakes."""

import numpy as np

from minids.ops.reference import birnn_backward, birnn_forward


def recur(z, Wr):
    return birnn_forward(z, Wr, Wr, _whole(z))[1]


def birnn(z, Wr_f, Wr_b):
    return birnn_forward(z, Wr_f, Wr_b, _whole(z))[0]


def recur_backward(dh, h, Wr):
    dz, dWr, _ = birnn_backward(dh, h, np.zeros_like(h), Wr, Wr, _whole(h))
    return dz, dWr


def _whole(z):
    return np.full(z.shape[1], len(z))


def forgets_the_ceiling(z, Wr):
    """max{0, z} without the 20."""
    h, state = np.empty_like(z), 0 * z[0]
    for t in range(len(z)):
        state = h[t] = np.maximum(z[t] + state @ Wr.T, 0)
    return h


def hears_the_wrong_unit(z, Wr):
    """W_r transposed."""
    return recur(z, Wr.T)


def adds_after_the_clip(z, Wr):
    """g(z_t) + W_r h_{t-1}: the memory belongs inside g."""
    h, state = np.empty_like(z), 0 * z[0]
    for t in range(len(z)):
        state = h[t] = np.clip(z[t], 0, 20) + state @ Wr.T
    return h


def remembers_what_was_clipped(z, Wr):
    """Clips what it says, but feeds back what it was before."""
    states = 0 * z
    for t in range(len(z)):
        states[t] = z[t] + states[t - 1] @ Wr.T if t else z[t]
    return np.clip(states, 0, 20)


def remembers_z(z, Wr):
    """Feeds back what came in, not what the layer said: it sees one frame back and no more."""
    before = np.concatenate([0 * z[:1], z[:-1]])
    return np.clip(z + before @ Wr.T, 0, 20)


def plays_on(z, Wr_f, Wr_b):
    """Leaves the second direction in its turned order."""
    return recur(z, Wr_f) + recur(z[::-1], Wr_b)


def one_weight(z, Wr_f, Wr_b):
    """W_r^f in both directions."""
    return birnn(z, Wr_f, Wr_f)


def mean_of_both(z, Wr_f, Wr_b):
    """The mean instead of the sum."""
    return birnn(z, Wr_f, Wr_b) / 2


def side_by_side(z, Wr_f, Wr_b):
    """Concatenated, as other networks do it."""
    return np.concatenate([recur(z, Wr_f), recur(z[::-1], Wr_b)[::-1]], axis=-1)


def one_after_the_other(z, Wr_f, Wr_b):
    """Runs the second direction over what the first one said, not over z."""
    hf = recur(z, Wr_f)
    return hf + recur(hf[::-1], Wr_b)[::-1]


def _backward(dh, h, Wr, step):
    """The loop with a mistake in its step: (dh_t, delta, gate) -> delta."""
    dz, delta = np.empty_like(dh), 0 * dh[0]
    for t in reversed(range(len(dh))):
        delta = dz[t] = step(dh[t], delta, (h[t] > 0) & (h[t] < 20))
    H = h.shape[-1]
    return dz, dz[1:].reshape(-1, H).T @ h[:-1].reshape(-1, H)


def forgets_the_future(dh, h, Wr):
    """Each frame by itself: no gradient comes back through time."""
    return _backward(dh, h, Wr, lambda dh_t, delta, gate: dh_t * gate)


def forward_weights(dh, h, Wr):
    """W_r where its transpose belongs."""
    return _backward(dh, h, Wr, lambda dh_t, delta, gate: (dh_t + delta @ Wr.T) * gate)


def gate_on_one_half(dh, h, Wr):
    """Only what comes from above is gated, what comes from the future is not."""
    return _backward(dh, h, Wr, lambda dh_t, delta, gate: dh_t * gate + delta @ Wr)


def future_through_the_ceiling(dh, h, Wr):
    """What comes from the future is gated at 0 only, not at 20."""
    dz, delta = np.empty_like(dh), 0 * dh[0]
    for t in reversed(range(len(dh))):
        below = h[t] < 20
        delta = dz[t] = (dh[t] * below + delta @ Wr) * (h[t] > 0)
    H = h.shape[-1]
    return dz, dz[1:].reshape(-1, H).T @ h[:-1].reshape(-1, H)


def no_gate(dh, h, Wr):
    """As if g were not there."""
    return _backward(dh, h, Wr, lambda dh_t, delta, gate: dh_t + delta @ Wr)


def blames_its_own_state(dh, h, Wr):
    """dW_r = Σ δ_t h_tᵀ: the weight stands before the state of the frame before."""
    dz, _ = recur_backward(dh, h, Wr)
    H = h.shape[-1]
    return dz, dz.reshape(-1, H).T @ h.reshape(-1, H)


def forward_in_time(dh, h, Wr):
    """Runs from the first frame to the last, as the forward pass does."""
    dz, _ = recur_backward(dh[::-1], h[::-1], Wr)
    dz = dz[::-1]
    H = h.shape[-1]
    return dz, dz[1:].reshape(-1, H).T @ h[:-1].reshape(-1, H)


WRONG = {
    "recur": [
        forgets_the_ceiling,
        hears_the_wrong_unit,
        adds_after_the_clip,
        remembers_what_was_clipped,
        remembers_z,
    ],
    "birnn": [plays_on, one_weight, mean_of_both, side_by_side, one_after_the_other],
    "recur_backward": [
        forgets_the_future,
        forward_weights,
        gate_on_one_half,
        future_through_the_ceiling,
        no_gate,
        blames_its_own_state,
        forward_in_time,
    ],
}

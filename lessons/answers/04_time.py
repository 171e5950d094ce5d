"""The answers to lesson 4, and common mistakes."""

import numpy as np


def recur(z, Wr):
    h, state = np.empty_like(z), np.zeros_like(z[0])
    for t in range(len(z)):
        state = h[t] = np.clip(z[t] + state @ Wr.T, 0, 20)
    return h


def birnn(z, Wr_f, Wr_b):
    return recur(z, Wr_f) + recur(z[::-1], Wr_b)[::-1]


def recur_backward(dh, h, Wr):
    dz, delta = np.empty_like(dh), np.zeros_like(dh[0])
    for t in reversed(range(len(dh))):
        delta = dz[t] = (dh[t] + delta @ Wr) * ((h[t] > 0) & (h[t] < 20))
    H = h.shape[-1]
    return dz, dz[1:].reshape(-1, H).T @ h[:-1].reshape(-1, H)


def forgets_the_ceiling(z, Wr):
    """max{0, z} without the 20."""
    h, state = np.empty_like(z), 0 * z[0]
    for t in range(len(z)):
        state = h[t] = np.maximum(z[t] + state @ Wr.T, 0)
    return h


def transposes_Wr(z, Wr):
    """W_r transposed: each unit gets the states of others than it should."""
    return recur(z, Wr.T)


def adds_after_the_clip(z, Wr):
    """g(z_t) + W_r h_{t-1}: the state belongs inside g."""
    h, state = np.empty_like(z), 0 * z[0]
    for t in range(len(z)):
        state = h[t] = np.clip(z[t], 0, 20) + state @ Wr.T
    return h


def feeds_back_unclipped(z, Wr):
    """Clips the output, but feeds back the unclipped sum."""
    states = 0 * z
    for t in range(len(z)):
        states[t] = z[t] + states[t - 1] @ Wr.T if t else z[t]
    return np.clip(states, 0, 20)


def feeds_back_z(z, Wr):
    """Feeds back the input z instead of the state: it depends on one previous frame only."""
    before = np.concatenate([0 * z[:1], z[:-1]])
    return np.clip(z + before @ Wr.T, 0, 20)


def stays_reversed(z, Wr_f, Wr_b):
    """Does not reverse the result of the second direction."""
    return recur(z, Wr_f) + recur(z[::-1], Wr_b)


def one_weight(z, Wr_f, Wr_b):
    """W_r^f in both directions."""
    return birnn(z, Wr_f, Wr_f)


def mean_of_both(z, Wr_f, Wr_b):
    """The mean instead of the sum."""
    return birnn(z, Wr_f, Wr_b) / 2


def concatenates(z, Wr_f, Wr_b):
    """Concatenates, as other networks do."""
    return np.concatenate([recur(z, Wr_f), recur(z[::-1], Wr_b)[::-1]], axis=-1)


def runs_in_sequence(z, Wr_f, Wr_b):
    """The input of the second direction is the output of the first, not z."""
    hf = recur(z, Wr_f)
    return hf + recur(hf[::-1], Wr_b)[::-1]


def _backward(dh, h, Wr, step):
    """recur_backward with another step: (dh_t, delta, slope) -> delta."""
    dz, delta = np.empty_like(dh), 0 * dh[0]
    for t in reversed(range(len(dh))):
        delta = dz[t] = step(dh[t], delta, (h[t] > 0) & (h[t] < 20))
    H = h.shape[-1]
    return dz, dz[1:].reshape(-1, H).T @ h[:-1].reshape(-1, H)


def forgets_the_future(dh, h, Wr):
    """Each frame by itself: no gradient passes back through time."""
    return _backward(dh, h, Wr, lambda dh_t, delta, slope: dh_t * slope)


def transposes_Wr_in_the_gradient(dh, h, Wr):
    """W_r δ instead of W_rᵀ δ."""
    return _backward(dh, h, Wr, lambda dh_t, delta, slope: (dh_t + delta @ Wr.T) * slope)


def slope_for_dh_only(dh, h, Wr):
    """The gradient from the next frame does not pass through g."""
    return _backward(dh, h, Wr, lambda dh_t, delta, slope: dh_t * slope + delta @ Wr)


def ignores_the_upper_bound(dh, h, Wr):
    """The gradient from the next frame passes where h is 20."""
    dz, delta = np.empty_like(dh), 0 * dh[0]
    for t in reversed(range(len(dh))):
        below = h[t] < 20
        delta = dz[t] = (dh[t] * below + delta @ Wr) * (h[t] > 0)
    H = h.shape[-1]
    return dz, dz[1:].reshape(-1, H).T @ h[:-1].reshape(-1, H)


def ignores_the_slope(dh, h, Wr):
    """As if there were no g."""
    return _backward(dh, h, Wr, lambda dh_t, delta, slope: dh_t + delta @ Wr)


def uses_the_current_state(dh, h, Wr):
    """dW_r = Σ δ_t h_tᵀ: the weight multiplies the state of the previous frame."""
    dz, _ = recur_backward(dh, h, Wr)
    H = h.shape[-1]
    return dz, dz.reshape(-1, H).T @ h.reshape(-1, H)


def forward_in_time(dh, h, Wr):
    """Runs from the first frame to the last, like the forward pass."""
    dz, _ = recur_backward(dh[::-1], h[::-1], Wr)
    dz = dz[::-1]
    H = h.shape[-1]
    return dz, dz[1:].reshape(-1, H).T @ h[:-1].reshape(-1, H)


def overwrites_dh(dh, h, Wr):
    """Writes dz into dh, which the caller may still need."""
    dz, dWr = recur_backward(dh, h, Wr)
    dh[...] = dz
    return dh, dWr


HINTS = {
    "recur": [
        "Keep a state (B, H), zeros at first; each frame computes the next state from it.",
        "The state and z[t] are rows, so W_r h becomes state @ Wr.T, as in lesson 3.",
        "for t in range(len(z)): state = h[t] = np.clip(z[t] + state @ Wr.T, 0, 20)",
    ],
    "birnn": [
        "recur runs forward in time. Pass it the frames in reverse order.",
        "The result of recur(z[::-1], Wr_b) starts with the last frame: reverse it.",
    ],
    "recur_backward": [
        "Like recur, but from the last frame to the first, with delta (B, H) as the state.",
        "delta = dz[t] = (dh[t] + delta @ Wr) * slope, where slope is (0 < h[t]) & (h[t] < 20).",
        "dWr: the product of dz[1:] and h[:-1], both as rows (T-1)·B by H, as in lesson 3.",
    ],
}

WRONG = {
    "recur": [
        forgets_the_ceiling,
        transposes_Wr,
        adds_after_the_clip,
        feeds_back_unclipped,
        feeds_back_z,
    ],
    "birnn": [stays_reversed, one_weight, mean_of_both, concatenates, runs_in_sequence],
    "recur_backward": [
        forgets_the_future,
        transposes_Wr_in_the_gradient,
        slope_for_dh_only,
        ignores_the_upper_bound,
        ignores_the_slope,
        uses_the_current_state,
        forward_in_time,
        overwrites_dh,
    ],
}

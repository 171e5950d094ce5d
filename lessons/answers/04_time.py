"""The answers to lesson 4, common mistakes, and other styles that are right as well."""

import numpy as np


def recur(z, Wr):
    h, state = np.empty_like(z), np.zeros_like(z[0])
    for t in range(len(z)):
        state = h[t] = np.clip(z[t] + state @ Wr.T, 0, 20)  # (B, H)
    return h


def birnn(z, Wr_f, Wr_b):
    return recur(z, Wr_f) + recur(z[::-1], Wr_b)[::-1]


def recur_backward(dh, h, Wr):
    dz, delta = np.empty_like(dh), np.zeros_like(dh[0])
    for t in reversed(range(len(dh))):
        delta = dz[t] = (dh[t] + delta @ Wr) * ((h[t] > 0) & (h[t] < 20))
    H = h.shape[-1]
    dWr = dz[1:].reshape(-1, H).T @ h[:-1].reshape(-1, H)  # (H, H)
    return dz, dWr


# Exercise 4.1: mistakes


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


def overwrites_z(z, Wr):
    """Writes the states into z, which the other direction still needs."""
    z[0] = np.clip(z[0], 0, 20)
    for t in range(1, len(z)):
        z[t] = np.clip(z[t] + z[t - 1] @ Wr.T, 0, 20)
    return z


def does_not_clip_the_first_frame(z, Wr):
    """The first state is z itself: without a previous state, g is still needed."""
    h = z.copy()
    for t in range(1, len(z)):
        h[t] = np.clip(z[t] + h[t - 1] @ Wr.T, 0, 20)
    return h


def begins_with_the_last_frame(z, Wr):
    """h[t - 1] at t = 0 is h[-1], the last frame of z, which is not the state before."""
    h = z.copy()
    for t in range(len(z)):
        h[t] = np.clip(z[t] + h[t - 1] @ Wr.T, 0, 20)
    return h


def leaves_out_the_first_frame(z, Wr):
    """The loop starts with the second frame: the first state stays 0."""
    h = np.zeros_like(z)
    for t in range(1, len(z)):
        h[t] = np.clip(z[t] + h[t - 1] @ Wr.T, 0, 20)
    return h


def mixes_the_recordings(z, Wr):
    """All recordings share one state, the mean of theirs."""
    h, state = np.zeros_like(z), np.zeros(z.shape[-1])
    for t in range(len(z)):
        h[t] = np.clip(z[t] + Wr @ state, 0, 20)
        state = h[t].mean(axis=0)
    return h


def multiplies_unit_by_unit(z, Wr):
    """Each unit gets its own state only, times the diagonal of W_r."""
    return recur(z, np.diag(np.diag(Wr)))


def returns_the_last_state(z, Wr):
    """Only the state after the last frame."""
    return recur(z, Wr)[-1]


def adds_up_all_states(z, Wr):
    """Adds the states of all earlier frames, not only of the previous one."""
    h, total = np.zeros_like(z), 0 * z[0]
    for t in range(len(z)):
        h[t] = np.clip(z[t] + total @ Wr.T, 0, 20)
        total = total + h[t]
    return h


# other styles


def recur_by_loops(z, Wr):
    """Recording by recording, with vectors."""
    h = np.zeros(z.shape)
    for b in range(z.shape[1]):
        state = np.zeros(z.shape[2])
        for t in range(z.shape[0]):
            state = np.minimum(np.maximum(z[t, b] + Wr @ state, 0), 20)
            h[t, b] = state
    return h


def recur_from_the_last_row(z, Wr):
    """h[-1] is still 0 in the first frame, so it can be the state before."""
    h = np.zeros_like(z)
    for t, z_t in enumerate(z):
        h[t] = (z_t + h[t - 1] @ Wr.T).clip(0, 20)
    return h


def recur_as_a_list(z, Wr):
    """The states in a list, stacked at the end."""
    states = [np.zeros(z.shape[1:])]
    for z_t in z:
        states.append(np.clip(z_t + np.einsum("ij,bj->bi", Wr, states[-1]), 0, 20))
    return np.stack(states[1:])


def recur_in_float32(z, Wr):
    """Single precision."""
    h = np.zeros(z.shape, np.float32)
    for t in range(len(z)):
        before = h[t - 1] if t > 0 else np.zeros_like(h[0])
        h[t] = np.clip(z[t] + (Wr @ before.T).T, 0, 20)
    return h


# Exercise 4.2: mistakes


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


def reverses_the_units(z, Wr_f, Wr_b):
    """Reverses the units instead of the frames."""
    return recur(z, Wr_f) + recur(z[..., ::-1], Wr_b)[..., ::-1]


def reverses_the_recordings(z, Wr_f, Wr_b):
    """Reverses the recordings instead of the frames."""
    return recur(z, Wr_f) + recur(z[:, ::-1], Wr_b)[:, ::-1]


def clips_the_sum(z, Wr_f, Wr_b):
    """The sum of both directions is clipped at 20 once more."""
    return np.clip(birnn(z, Wr_f, Wr_b), 0, 20)


def swaps_the_weights(z, Wr_f, Wr_b):
    """W_r^b runs forward and W_r^f backward."""
    return birnn(z, Wr_b, Wr_f)


def does_not_reverse_the_input(z, Wr_f, Wr_b):
    """Both directions run forward; only the result of the second is reversed."""
    return recur(z, Wr_f) + recur(z, Wr_b)[::-1]


def reverses_in_place(z, Wr_f, Wr_b):
    """The caller's frames are reversed, too."""
    hf = recur(z, Wr_f)
    z[:] = z[::-1].copy()
    return hf + recur(z, Wr_b)[::-1]


# other styles


def birnn_by_loops(z, Wr_f, Wr_b):
    """Two loops over time, one in each direction."""
    T = len(z)
    hf, hb = np.zeros_like(z), np.zeros_like(z)
    for t in range(T):
        hf[t] = np.clip(z[t] + (hf[t - 1] @ Wr_f.T if t > 0 else 0), 0, 20)
    for t in range(T - 1, -1, -1):
        hb[t] = np.clip(z[t] + (hb[t + 1] @ Wr_b.T if t < T - 1 else 0), 0, 20)
    return hf + hb


def birnn_by_flips(z, Wr_f, Wr_b):
    """np.flip along the first axis, before and after."""
    backward = np.flip(recur(np.flip(z, axis=0), Wr_b), axis=0)
    return np.sum([recur(z, Wr_f), backward], axis=0)


def birnn_one_after_the_other(z, Wr_f, Wr_b):
    """A loop over both directions, and reversed() to turn the frames around."""
    h = np.zeros(z.shape)
    for frames, weights, backward in ((z, Wr_f, False), (z[::-1], Wr_b, True)):
        states = list(recur(frames, weights))
        h += np.array(list(reversed(states)) if backward else states)
    return h


# Exercise 4.3: mistakes


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
    return _backward(
        dh, h, Wr, lambda dh_t, delta, slope: (dh_t + delta @ Wr.T) * slope
    )


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


def pairs_with_the_next_state(dh, h, Wr):
    """dW_r pairs δ with the state of the next frame instead of the previous one."""
    dz, _ = recur_backward(dh, h, Wr)
    H = h.shape[-1]
    return dz, dz[:-1].reshape(-1, H).T @ h[1:].reshape(-1, H)


def pairs_the_first_frame_with_the_last(dh, h, Wr):
    """h[t - 1] at t = 0 is h[-1], the last frame: before the first, the state is 0."""
    dz, dWr = recur_backward(dh, h, Wr)
    return dz, dWr + dz[0].T @ h[-1]


def wraps_the_gradient_around(dh, h, Wr):
    """The gradient of the first frame is also passed on to the last one."""
    H = h.shape[-1]
    dz = recur_backward(dh, h, Wr)[0]
    dh = dh.copy()
    dh[-1] += dz[0] @ Wr
    dz = recur_backward(dh, h, Wr)[0]
    return dz, dz[1:].reshape(-1, H).T @ h[:-1].reshape(-1, H)


def transposes_dWr(dh, h, Wr):
    """dW_r in the shape of its transpose: δ belongs to the rows."""
    dz, dWr = recur_backward(dh, h, Wr)
    return dz, dWr.T


def averages_over_frames(dh, h, Wr):
    """The mean over frames and recordings instead of the sum."""
    dz, dWr = recur_backward(dh, h, Wr)
    return dz, dWr / (dh.shape[0] * dh.shape[1])


def keeps_the_last_frame(dh, h, Wr):
    """dW_r is overwritten in each frame instead of added up."""
    dz, _ = recur_backward(dh, h, Wr)
    dWr = np.zeros_like(Wr)
    for t in range(len(dh) - 1, 0, -1):
        dWr = dz[t].T @ h[t - 1]
    return dz, dWr


def one_frame_back(dh, h, Wr):
    """The gradient goes back by one frame only: δ of the next frame without those after it."""
    slope = (h > 0) & (h < 20)
    own = dh * slope
    after = np.concatenate([own[1:], 0 * own[:1]])
    dz = (dh + after @ Wr) * slope
    H = h.shape[-1]
    return dz, dz[1:].reshape(-1, H).T @ h[:-1].reshape(-1, H)


def swaps_the_results(dh, h, Wr):
    """The order is dWr, dz."""
    return recur_backward(dh, h, Wr)[::-1]


def adds_to_the_caller(dh, h, Wr):
    """Adds the gradients from the next frame to dh, the caller's array."""
    H, later = h.shape[-1], 0 * dh[0]
    for t in reversed(range(len(dh))):
        dh[t] += later @ Wr
        later = dh[t] * ((h[t] > 0) & (h[t] < 20))
    dz = dh * ((h > 0) & (h < 20))
    return dz, dz[1:].reshape(-1, H).T @ h[:-1].reshape(-1, H)


# other styles


def backward_with_lesson_3(dh, h, Wr):
    """The two functions of lesson 3, frame by frame."""
    from minids.lesson.folder import answer

    dz, dWr, ahead = np.zeros_like(dh), np.zeros_like(Wr), 0
    for t in range(len(dh) - 1, -1, -1):
        dz[t] = answer("clipped_relu_backward")(dh[t] + ahead, h[t])
        previous = h[t - 1 : t] if t else np.zeros_like(h[:1])
        ahead, dW, _ = answer("linear_backward")(dz[t : t + 1], previous, Wr)
        ahead = ahead[0]
        dWr += dW
    return dz, dWr


def backward_by_loops(dh, h, Wr):
    """Recording by recording, with vectors and outer products."""
    T, B, H = dh.shape
    dz, dWr = np.zeros((T, B, H)), np.zeros((H, H))
    for b in range(B):
        delta = np.zeros(H)
        for t in range(T)[::-1]:
            delta = np.where((h[t, b] > 0) & (h[t, b] < 20), dh[t, b] + Wr.T @ delta, 0)
            dz[t, b] = delta
            if t > 0:
                dWr += np.outer(delta, h[t - 1, b])
    return dz, dWr


def backward_by_einsum(dh, h, Wr):
    """A padded array of deltas, and np.einsum for the weights."""
    T = len(dh)
    deltas = np.zeros((T + 1, *dh.shape[1:]))
    open_units = (h > 0) * (h < 20)
    for t in range(T - 1, -1, -1):
        deltas[t] = open_units[t] * (dh[t] + deltas[t + 1] @ Wr)
    return [deltas[:T], np.einsum("tbi,tbj->ij", deltas[1:T], h[: T - 1])]


def backward_in_float32(dh, h, Wr):
    """Single precision."""
    dz, dWr = recur_backward(dh.astype("f"), h.astype("f"), Wr.astype("f"))
    return dz.astype("f"), dWr.astype("f")


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
        overwrites_z,
        does_not_clip_the_first_frame,
        begins_with_the_last_frame,
        leaves_out_the_first_frame,
        mixes_the_recordings,
        multiplies_unit_by_unit,
        returns_the_last_state,
        adds_up_all_states,
    ],
    "birnn": [
        stays_reversed,
        one_weight,
        mean_of_both,
        concatenates,
        runs_in_sequence,
        reverses_the_units,
        reverses_the_recordings,
        clips_the_sum,
        swaps_the_weights,
        does_not_reverse_the_input,
        reverses_in_place,
    ],
    "recur_backward": [
        forgets_the_future,
        transposes_Wr_in_the_gradient,
        slope_for_dh_only,
        ignores_the_upper_bound,
        ignores_the_slope,
        uses_the_current_state,
        forward_in_time,
        overwrites_dh,
        pairs_with_the_next_state,
        pairs_the_first_frame_with_the_last,
        wraps_the_gradient_around,
        transposes_dWr,
        averages_over_frames,
        keeps_the_last_frame,
        one_frame_back,
        swaps_the_results,
        adds_to_the_caller,
    ],
}

RIGHT = {
    "recur": [
        recur_by_loops,
        recur_from_the_last_row,
        recur_as_a_list,
        recur_in_float32,
    ],
    "birnn": [birnn_by_loops, birnn_by_flips, birnn_one_after_the_other],
    "recur_backward": [
        backward_with_lesson_3,
        backward_by_loops,
        backward_by_einsum,
        backward_in_float32,
    ],
}

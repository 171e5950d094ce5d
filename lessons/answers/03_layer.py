"""The answers to lesson 3, common mistakes, and other styles that are right as well."""

import numpy as np


def numerical_gradient(loss, value, h=1e-5):
    gradient = np.empty_like(value)
    for i in np.ndindex(value.shape):
        saved = value[i]
        value[i] = saved + h
        above = loss()
        value[i] = saved - h
        below = loss()
        value[i] = saved
        gradient[i] = (above - below) / (2 * h)
    return gradient


def clipped_relu_backward(dh, h):
    return dh * ((h > 0) & (h < 20))


def linear_backward(dz, x, W):
    H, D = W.shape
    dx = dz @ W  # (T, B, D)
    dW = dz.reshape(-1, H).T @ x.reshape(-1, D)  # (H, D)
    db = dz.sum(axis=(0, 1))  # (H,)
    return dx, dW, db


# Exercise 3.1: mistakes


def one_sided(loss, value, h=1e-5):
    """One-sided: the error is proportional to h, not to h²."""
    gradient, here = np.empty_like(value), loss()
    for i in np.ndindex(value.shape):
        value[i] += h
        gradient[i] = (loss() - here) / h
        value[i] -= h
    return gradient


def forgets_the_two(loss, value, h=1e-5):
    """Divides by h, though the distance of the two points is 2h."""
    return 2 * numerical_gradient(loss, value, h)


def takes_three_steps(loss, value, h=1e-5):
    """Moves by 3h in each direction: nearly the same for small h, and less accurate."""
    return numerical_gradient(loss, value, 3 * h)


def moves_all_at_once(loss, value, h=1e-5):
    """Moves the whole array: the result is the sum of all partial derivatives."""
    here = value.copy()
    value[...] = here + h
    above = loss()
    value[...] = here - h
    below = loss()
    value[...] = here
    return np.full_like(value, (above - below) / (2 * h))


def does_not_restore(loss, value, h=1e-5):
    """Leaves the numbers changed instead of restoring them."""
    gradient = np.empty_like(value)
    for i in np.ndindex(value.shape):
        value[i] += h
        above = loss()
        value[i] -= 2 * h
        gradient[i] = (above - loss()) / (2 * h)
    return gradient


def moves_a_copy(loss, value, h=1e-5):
    """The loss uses `value` itself, so moving a copy has no effect."""
    return numerical_gradient(loss, value.copy(), h)


def adds_three_times(loss, value, h=1e-5):
    """Adds h three times, restores twice: the differences start from the wrong place."""
    gradient = np.empty_like(value)
    for i in np.ndindex(value.shape):
        value[i] += h
        above = loss()
        value[i] -= 2 * h
        below = loss()
        value[i] += 2 * h
        gradient[i] = (above - below) / (2 * h)
    return gradient


def moves_only_up(loss, value, h=1e-5):
    """From v + h and v + 2h: the middle of the two is not v."""
    gradient = np.empty_like(value)
    for i in np.ndindex(value.shape):
        saved = value[i]
        value[i] = saved + h
        near = loss()
        value[i] = saved + 2 * h
        gradient[i] = (loss() - near) / h
        value[i] = saved
    return gradient


def has_the_wrong_sign(loss, value, h=1e-5):
    """Below minus above: the gradient points downhill."""
    return -numerical_gradient(loss, value, h)


def returns_a_flat_gradient(loss, value, h=1e-5):
    """The gradient has one axis, whatever the shape of `value` is."""
    return numerical_gradient(loss, value, h).ravel()


def always_uses_the_same_step(loss, value, h=1e-5):
    """The argument h has no effect."""
    return numerical_gradient(loss, value)


def goes_along_the_first_axis(loss, value, h=1e-5):
    """Moves whole rows: each gets the sum of its partial derivatives."""
    gradient = np.empty_like(value)
    for i in range(len(value)):
        saved = value[i].copy()
        value[i] = saved + h
        above = loss()
        value[i] = saved - h
        gradient[i] = (above - loss()) / (2 * h)
        value[i] = saved
    return gradient


# other styles


def gradient_as_lists(loss, value, h=1e-5):
    """Nested lists, of a recursive function."""

    def partial(index):
        if len(index) < value.ndim:
            return [partial((*index, i)) for i in range(value.shape[len(index)])]
        saved = value[index]
        losses = []
        for moved in (saved + h, saved - h):
            value[index] = moved
            losses.append(loss())
        value[index] = saved
        return (losses[0] - losses[1]) / (2 * h)

    return partial(())


def gradient_of_the_flat_array(loss, value, h=1e-5):
    """A flat view of the array; moves by + h, - 2h and + h, which restores but for rounding."""
    flat = value.reshape(-1)
    gradient = np.zeros(flat.size)
    for i in range(flat.size):
        flat[i] += h
        above = loss()
        flat[i] -= 2 * h
        gradient[i] = (above - loss()) / 2 / h
        flat[i] += h
    return gradient.reshape(value.shape)


def gradient_by_enumeration(loss, value, h=1e-5):
    """np.ndenumerate gives the index and the number to restore."""
    gradient = np.zeros(value.shape)
    for i, saved in np.ndenumerate(value):
        value[i] = saved - h
        gradient[i] -= loss()
        value[i] = saved + h
        gradient[i] += loss()
        value[i] = saved
    return gradient / (2 * h)


def gradient_by_copies(loss, value, h=1e-5):
    """Restores the whole array from a copy each time."""
    before, result = value.copy(), np.zeros_like(value)
    for i in np.ndindex(*value.shape):
        step = np.zeros_like(value)
        step[i] = h
        value[:] = before + step
        above = loss()
        value[:] = before - step
        below = loss()
        value[:] = before
        result[i] = (above - below) / (2 * h)
    return result


# Exercise 3.2: mistakes


def forgets_the_ceiling(dh, h):
    """The upper bound is missing: g is flat above 20, too."""
    return dh * (h > 0)


def includes_the_bounds(dh, h):
    """Lets the gradient pass at h = 0 and h = 20, where the unit is clipped."""
    return dh * ((h >= 0) & (h <= 20))


def omits_dh(dh, h):
    """The slope of g alone, without dh."""
    return np.where((h > 0) & (h < 20), 1.0, 0.0)


def clips_the_gradient(dh, h):
    """Clips the gradient instead of using the slope of g."""
    return np.clip(dh, 0, 20)


def works_in_place(dh, h):
    """Overwrites dh, which the caller may still need."""
    dh[(h <= 0) | (h >= 20)] = 0
    return dh


def includes_the_upper_bound(dh, h):
    """h ≤ 20: at h = 20 the unit is clipped, and its gradient is 0."""
    return dh * ((h > 0) & (h <= 20))


def ends_below_the_ceiling(dh, h):
    """The gradient stops a little below 20."""
    return dh * ((h > 0) & (h < 19.95))


def limits_at_one(dh, h):
    """1 instead of 20 as the upper bound."""
    return dh * ((h > 0) & (h < 1))


def tests_the_gradient(dh, h):
    """Tests dh instead of h: the sign of the gradient does not matter."""
    return dh * ((dh > 0) & (dh < 20))


def multiplies_by_h(dh, h):
    """The value of g instead of its slope."""
    return dh * h


def returns_the_mask(dh, h):
    """True where the gradient passes: the gradient itself is missing."""
    return (h > 0) & (h < 20)


def swaps_the_sides(dh, h):
    """The gradient passes exactly where it should not."""
    return np.where((h > 0) & (h < 20), 0, dh)


# other styles


def relu_backward_by_where(dh, h):
    """np.where."""
    return np.where((h > 0) & (h < 20), dh, 0.0)


def relu_backward_by_loops(dh, h):
    """Number by number."""
    dz = np.zeros(h.shape)
    for i in np.ndindex(h.shape):
        if 0 < h[i] < 20:
            dz[i] = dh[i]
    return dz


def relu_backward_on_a_copy(dh, h):
    """A copy, in which the numbers of flat units are set to 0."""
    dz = dh.copy()
    dz[h <= 0] = 0
    dz[h >= 20] = 0
    return dz


def relu_backward_in_float32(dh, h):
    """Single precision, with the product of two masks."""
    return (dh.astype(np.float32) * (h > 0) * (h < 20)).astype(np.float32)


# Exercise 3.3: mistakes


def averages(dz, x, W):
    """The mean over frames and recordings instead of the sum."""
    dx, dW, db = linear_backward(dz, x, W)
    return dx, dW / dz[..., 0].size, db / dz[..., 0].size


def averages_over_recordings(dz, x, W):
    """The mean over the recordings instead of the sum: dW and db are divided by B."""
    dx, dW, db = linear_backward(dz, x, W)
    return dx, dW / dz.shape[1], db / dz.shape[1]


def averages_over_frames(dz, x, W):
    """The mean over the frames instead of the sum: dW and db are divided by T."""
    dx, dW, db = linear_backward(dz, x, W)
    return dx, dW / dz.shape[0], db / dz.shape[0]


def is_transposed(dz, x, W):
    """dW in the shape of its transpose."""
    dx, dW, db = linear_backward(dz, x, W)
    return dx, dW.T, db


def transposes_W(dz, x, W):
    """dx = dz Wᵀ: an error unless W is square."""
    _, dW, db = linear_backward(dz, x, W)
    return dz @ W.T, dW, db


def one_bias_for_all(dz, x, W):
    """db is also summed over the units."""
    dx, dW, _ = linear_backward(dz, x, W)
    return dx, dW, dz.sum()


def last_frame_only(dz, x, W):
    """Overwrites dW and db in each frame."""
    dx, _, _ = linear_backward(dz, x, W)
    _, dW, db = linear_backward(dz[-1:], x[-1:], W)
    return dx, dW, db


def swaps_dx_and_dW(dz, x, W):
    """The order is dW, dx, db instead of dx, dW, db."""
    dx, dW, db = linear_backward(dz, x, W)
    return dW, dx, db


def first_recording_only(dz, x, W):
    """Sums over the frames of one recording, not over all recordings."""
    dx, _, _ = linear_backward(dz, x, W)
    _, dW, db = linear_backward(dz[:, :1], x[:, :1], W)
    return dx, dW, db


def bias_keeps_its_axes(dz, x, W):
    """db of shape (1, 1, H) instead of (H,)."""
    dx, dW, _ = linear_backward(dz, x, W)
    return dx, dW, dz.sum(axis=(0, 1), keepdims=True)


def bias_with_the_input(dz, x, W):
    """db is multiplied by the sum of x, though the input of a bias is 1."""
    dx, dW, db = linear_backward(dz, x, W)
    return dx, dW, db * x.sum()


def gradient_of_the_weights_with_W(dz, x, W):
    """dW is multiplied by W once more."""
    dx, dW, db = linear_backward(dz, x, W)
    return dx, dW * W, db


def mixes_frames_and_recordings(dz, x, W):
    """Frames and recordings of dz and x are paired in different orders."""
    dx, _, db = linear_backward(dz, x, W)
    H, D = W.shape
    rows = dz.transpose(1, 0, 2).reshape(-1, H)
    return dx, rows.T @ x.reshape(-1, D), db


def forgets_db(dz, x, W):
    """Only dx and dW."""
    return linear_backward(dz, x, W)[:2]


# other styles


def linear_backward_by_loops(dz, x, W):
    """Frame by frame and recording by recording, with outer products."""
    T, B, _ = x.shape
    dx, dW, db = np.zeros(x.shape), np.zeros(W.shape), np.zeros(len(W))
    for t in range(T):
        for b in range(B):
            dx[t, b] = W.T @ dz[t, b]
            dW += np.outer(dz[t, b], x[t, b])
            db += dz[t, b]
    return dx, dW, db


def linear_backward_by_einsum(dz, x, W):
    """Three times np.einsum, in a list."""
    return [
        np.einsum("tbh,hd->tbd", dz, W),
        np.einsum("tbh,tbd->hd", dz, x),
        np.einsum("tbh->h", dz),
    ]


def linear_backward_by_tensordot(dz, x, W):
    """np.tensordot over frames and recordings."""
    dW = np.tensordot(dz, x, axes=((0, 1), (0, 1)))
    return np.dot(dz, W), dW, dz.sum(0).sum(0)


def linear_backward_in_float32(dz, x, W):
    """Single precision."""
    dz, x, W = dz.astype("f"), x.astype("f"), W.astype("f")
    dW = sum(dz[t].T @ x[t] for t in range(len(x)))
    return dz @ W, dW, dz.sum(axis=1).sum(axis=0)


HINTS = {
    "numerical_gradient": [
        "np.ndindex(value.shape) yields all the indices of an array of any shape.",
        "For each: save the number, set it to saved + h, call loss(); then saved - h.",
        "value[i] = saved + h; above = loss(); …; gradient[i] = (above - below) / (2 * h)",
    ],
    "clipped_relu_backward": [
        "Where is g flat?",
        "(0 < h) & (h < 20)",
    ],
    "linear_backward": [
        "A gradient has the shape of its number: that shows what to transpose.",
        "dz.reshape(-1, H) has T·B rows, one per frame and recording; x likewise.",
        "dW = (rows of dz).T @ rows of x;  db = dz.sum(axis=(0, 1));  dx = dz @ W",
    ],
}

WRONG = {
    "numerical_gradient": [
        one_sided,
        forgets_the_two,
        takes_three_steps,
        moves_all_at_once,
        does_not_restore,
        moves_a_copy,
        adds_three_times,
        moves_only_up,
        has_the_wrong_sign,
        returns_a_flat_gradient,
        always_uses_the_same_step,
        goes_along_the_first_axis,
    ],
    "clipped_relu_backward": [
        forgets_the_ceiling,
        includes_the_bounds,
        omits_dh,
        clips_the_gradient,
        works_in_place,
        includes_the_upper_bound,
        ends_below_the_ceiling,
        limits_at_one,
        tests_the_gradient,
        multiplies_by_h,
        returns_the_mask,
        swaps_the_sides,
    ],
    "linear_backward": [
        averages,
        averages_over_recordings,
        averages_over_frames,
        is_transposed,
        transposes_W,
        one_bias_for_all,
        last_frame_only,
        swaps_dx_and_dW,
        first_recording_only,
        bias_keeps_its_axes,
        bias_with_the_input,
        gradient_of_the_weights_with_W,
        mixes_frames_and_recordings,
        forgets_db,
    ],
}

RIGHT = {
    "numerical_gradient": [
        gradient_as_lists,
        gradient_of_the_flat_array,
        gradient_by_enumeration,
        gradient_by_copies,
    ],
    "clipped_relu_backward": [
        relu_backward_by_where,
        relu_backward_by_loops,
        relu_backward_on_a_copy,
        relu_backward_in_float32,
    ],
    "linear_backward": [
        linear_backward_by_loops,
        linear_backward_by_einsum,
        linear_backward_by_tensordot,
        linear_backward_in_float32,
    ],
}

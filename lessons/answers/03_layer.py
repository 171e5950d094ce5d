"""The answers to lesson 3, and common mistakes."""

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
    dW = dz.reshape(-1, H).T @ x.reshape(-1, D)
    return dz @ W, dW, dz.sum(axis=(0, 1))


def one_sided(loss, value, h=1e-5):
    """One-sided: the error is proportional to h, not to h²."""
    gradient, here = np.empty_like(value), loss()
    for i in np.ndindex(value.shape):
        value[i] += h
        gradient[i] = (loss() - here) / h
        value[i] -= h
    return gradient


def forgets_the_two(loss, value, h=1e-5):
    """The distance of the two points is 2h, not h."""
    return 2 * numerical_gradient(loss, value, h)


def takes_three_steps(loss, value, h=1e-5):
    """Moves by 3h: nearly the same for small h, and less accurate."""
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
    """Leaves the numbers changed."""
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


def forgets_the_ceiling(dh, h):
    """g is flat above 20, too."""
    return dh * (h > 0)


def includes_the_bounds(dh, h):
    """The gradient is 0 at h = 0 and h = 20."""
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


def averages(dz, x, W):
    """The mean over frames and recordings instead of the sum."""
    dx, dW, db = linear_backward(dz, x, W)
    return dx, dW / dz[..., 0].size, db / dz[..., 0].size


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
    ],
    "clipped_relu_backward": [
        forgets_the_ceiling,
        includes_the_bounds,
        omits_dh,
        clips_the_gradient,
        works_in_place,
    ],
    "linear_backward": [
        averages,
        is_transposed,
        transposes_W,
        one_bias_for_all,
        last_frame_only,
    ],
}

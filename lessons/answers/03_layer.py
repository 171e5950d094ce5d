"""Our answers to lesson 3, and the usual mistakes."""

import numpy as np

from minids.gradcheck import numerical_gradient
from minids.ops import reference

__all__ = ["numerical_gradient"]


def clip_backward(dh, h):
    return dh * ((h > 0) & (h < 20))


def affine_backward(dz, x, W):
    return reference.affine_backward(dz, x, W, None)


def up_only(loss, value, h=1e-5):
    """One side only: the error is h, not h²."""
    slope, here = np.empty_like(value), loss()
    for i in np.ndindex(value.shape):
        value[i] += h
        slope[i] = (loss() - here) / h
        value[i] -= h
    return slope


def forgets_the_two(loss, value, h=1e-5):
    """The two points lie 2h apart, not h."""
    return 2 * numerical_gradient(loss, value, h)


def all_at_once(loss, value, h=1e-5):
    """Moves the whole array: that is the sum of all slopes."""
    here = value.copy()
    value[...] = here + h
    above = loss()
    value[...] = here - h
    below = loss()
    value[...] = here
    return np.full_like(value, (above - below) / (2 * h))


def leaves_it_moved(loss, value, h=1e-5):
    """Does not put the numbers back."""
    slope = np.empty_like(value)
    for i in np.ndindex(value.shape):
        value[i] += h
        above = loss()
        value[i] -= 2 * h
        slope[i] = (above - loss()) / (2 * h)
    return slope


def moves_a_copy(loss, value, h=1e-5):
    """The loss looks at `value` itself and never sees the copy move."""
    return numerical_gradient(loss, value.copy(), h)


def forgets_the_ceiling(dh, h):
    """g is flat above 20, too."""
    return dh * (h > 0)


def lets_the_edge_through(dh, h):
    """At h = 0 and h = 20 the gate is shut."""
    return dh * ((h >= 0) & (h <= 20))


def only_the_gate(dh, h):
    """The slope of g alone, without the gradient that comes from below."""
    return np.where((h > 0) & (h < 20), 1.0, 0.0)


def looks_at_the_gradient(dh, h):
    """Clips the gradient as if it were the number."""
    return np.clip(dh, 0, 20)


def flat_too_soon_in_place(dh, h):
    """Flat from 19 on, and written into dh: a truth that looks at dh afterwards would agree."""
    dh[(h <= 0) | (h > 19)] = 0
    return dh


def mean_of_the_frames(dz, x, W):
    """The mean over frames and recordings instead of the sum."""
    dx, dW, db = affine_backward(dz, x, W)
    return dx, dW / dz[..., 0].size, db / dz[..., 0].size


def the_other_way_round(dz, x, W):
    """dW in the shape of its transpose."""
    dx, dW, db = affine_backward(dz, x, W)
    return dx, dW.T, db


def forward_weights(dz, x, W):
    """dx = dz Wᵀ: seen only where W is square, elsewhere an error."""
    _, dW, db = affine_backward(dz, x, W)
    return dz @ W.T, dW, db


def one_bias_for_all(dz, x, W):
    """db summed over the units, too."""
    dx, dW, _ = affine_backward(dz, x, W)
    return dx, dW, dz.sum()


def last_frame_only(dz, x, W):
    """Overwrites dW and db from frame to frame."""
    dx, _, _ = affine_backward(dz, x, W)
    _, dW, db = affine_backward(dz[-1:], x[-1:], W)
    return dx, dW, db


WRONG = {
    "numerical_gradient": [up_only, forgets_the_two, all_at_once, leaves_it_moved, moves_a_copy],
    "clip_backward": [
        forgets_the_ceiling,
        lets_the_edge_through,
        only_the_gate,
        looks_at_the_gradient,
        flat_too_soon_in_place,
    ],
    "affine_backward": [
        mean_of_the_frames,
        the_other_way_round,
        forward_weights,
        one_bias_for_all,
        last_frame_only,
    ],
}

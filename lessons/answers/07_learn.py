"""The answers to lesson 7, and common mistakes."""

import numpy as np


def nesterov_step(theta, velocity, gradient, rate, momentum):
    velocity = momentum * velocity - rate * gradient(theta + momentum * velocity)
    return theta + velocity, velocity


def nesterov(params, grads, velocity, rate, momentum):
    velocity *= momentum
    velocity -= rate * grads
    params += momentum * velocity - rate * grads


def clip_by_norm(gradient, limit):
    norm = np.sqrt((gradient**2).sum())
    return gradient * min(1.0, limit / norm) if norm else gradient


def gradient_at_theta(theta, velocity, gradient, rate, momentum):
    """Momentum without Nesterov: the gradient at θ, not at θ + μv."""
    velocity = momentum * velocity - rate * gradient(theta)
    return theta + velocity, velocity


def gradient_too_far(theta, velocity, gradient, rate, momentum):
    """The gradient at θ + v instead of θ + μv."""
    velocity = momentum * velocity - rate * gradient(theta + velocity)
    return theta + velocity, velocity


def uphill(theta, velocity, gradient, rate, momentum):
    """Adds the gradient instead of subtracting it."""
    velocity = momentum * velocity + rate * gradient(theta + momentum * velocity)
    return theta + velocity, velocity


def scales_the_velocity(theta, velocity, gradient, rate, momentum):
    """The learning rate multiplies the whole velocity, not only the gradient."""
    velocity = momentum * velocity - gradient(theta + momentum * velocity)
    return theta + rate * velocity, velocity


def works_in_place(theta, velocity, gradient, rate, momentum):
    """In place: a caller that stored the old theta, as for the figure, loses it."""
    velocity *= momentum
    velocity -= rate * gradient(theta + velocity)
    theta += velocity
    return theta, velocity


def continues_from_ahead(theta, velocity, gradient, rate, momentum):
    """Starts from θ + μv, and so adds the old velocity twice."""
    ahead = theta + momentum * velocity
    velocity = momentum * velocity - rate * gradient(ahead)
    return ahead + velocity, velocity


def plain_momentum(params, grads, velocity, rate, momentum):
    """The last line of the first form, for which the gradient would have to be taken elsewhere."""
    velocity *= momentum
    velocity -= rate * grads
    params += velocity


def old_velocity(params, grads, velocity, rate, momentum):
    """Moves by the velocity of the previous step."""
    params += momentum * velocity - rate * grads
    velocity *= momentum
    velocity -= rate * grads


def omits_the_second_gradient(params, grads, velocity, rate, momentum):
    """Omits the second - ε ∇L."""
    velocity *= momentum
    velocity -= rate * grads
    params += momentum * velocity


def not_in_place(params, grads, velocity, rate, momentum):
    """Computes new arrays; those of the caller do not change."""
    velocity = momentum * velocity - rate * grads
    params = params + momentum * velocity - rate * grads
    return params, velocity


def clips_each_element(gradient, limit):
    """Clips each element: this changes the direction."""
    return np.clip(gradient, -limit, limit)


def always_rescales(gradient, limit):
    """Scales short gradients up."""
    norm = np.sqrt((gradient**2).sum())
    return gradient * (limit / norm) if norm else gradient


def uses_the_maximum(gradient, limit):
    """The largest element instead of the norm."""
    return gradient * min(1.0, limit / max(abs(gradient).max(), 1e-300))


def forgets_the_root(gradient, limit):
    """The squared norm instead of the norm."""
    return gradient * min(1.0, limit / max((gradient**2).sum(), 1e-300))


def divides_by_zero(gradient, limit):
    """A gradient of norm 0 becomes 0 / 0."""
    with np.errstate(invalid="ignore"):
        unit = gradient / np.sqrt((gradient**2).sum())
    return unit * min(np.sqrt((gradient**2).sum()), limit)


def sums_the_gradient(theta, velocity, gradient, rate, momentum):
    """One number for all parameters: right only for arrays of one element."""
    velocity = momentum * velocity - rate * gradient(theta + momentum * velocity).sum()
    return theta + velocity, velocity


def updates_the_first_only(params, grads, velocity, rate, momentum):
    """Only params[0]."""
    nesterov(params[:1], grads[:1], velocity[:1], rate, momentum)


HINTS = {
    "nesterov_step": [
        "`gradient` is a function: call it at the point where the gradient is needed.",
        "That point is theta + momentum * velocity.",
        "velocity = momentum * velocity - rate * gradient(theta + momentum * velocity)",
    ],
    "nesterov": [
        "In place: velocity *= …, velocity -= …, params += …; not `params = …`.",
        "First the velocity; the second formula uses the new one.",
        "params += momentum * velocity - rate * grads",
    ],
    "clip_by_norm": [
        "norm = np.sqrt((gradient**2).sum())",
        "min(1, limit / norm)",
    ],
}

WRONG = {
    "nesterov_step": [
        gradient_at_theta,
        gradient_too_far,
        uphill,
        scales_the_velocity,
        works_in_place,
        continues_from_ahead,
        sums_the_gradient,
    ],
    "nesterov": [
        plain_momentum,
        old_velocity,
        omits_the_second_gradient,
        not_in_place,
        updates_the_first_only,
    ],
    "clip_by_norm": [
        clips_each_element,
        always_rescales,
        uses_the_maximum,
        forgets_the_root,
        divides_by_zero,
    ],
}

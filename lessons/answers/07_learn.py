"""Our answers to lesson 7, and the usual mistakes."""

import numpy as np

from minids.ops.reference import nesterov, norm

__all__ = ["nesterov"]


def nesterov_step(theta, velocity, gradient, rate, momentum):
    velocity = momentum * velocity - rate * gradient(theta + momentum * velocity)
    return theta + velocity, velocity


def limited(gradient, limit):
    length = norm(gradient)
    return gradient * (limit / length) if length > limit else gradient


def slope_here(theta, velocity, gradient, rate, momentum):
    """Plain momentum: the slope where the ball is, not where it will be."""
    velocity = momentum * velocity - rate * gradient(theta)
    return theta + velocity, velocity


def looks_too_far(theta, velocity, gradient, rate, momentum):
    """The slope at θ + v: momentum carries only to θ + μv."""
    velocity = momentum * velocity - rate * gradient(theta + velocity)
    return theta + velocity, velocity


def uphill(theta, velocity, gradient, rate, momentum):
    """Adds the gradient."""
    velocity = momentum * velocity + rate * gradient(theta + momentum * velocity)
    return theta + velocity, velocity


def slope_unscaled(theta, velocity, gradient, rate, momentum):
    """The rate before the whole velocity, not only before the slope."""
    velocity = momentum * velocity - gradient(theta + momentum * velocity)
    return theta + rate * velocity, velocity


def moves_what_it_was_given(theta, velocity, gradient, rate, momentum):
    """In place: who has kept the old theta, as the picture of the path does, has it no more."""
    velocity *= momentum
    velocity -= rate * gradient(theta + velocity)
    theta += velocity
    return theta, velocity


def stays_ahead(theta, velocity, gradient, rate, momentum):
    """Goes on from the point ahead, and so takes the old velocity twice."""
    ahead = theta + momentum * velocity
    velocity = momentum * velocity - rate * gradient(ahead)
    return ahead + velocity, velocity


def plain_momentum(params, grads, velocity, rate, momentum):
    """The first form's last line: right only where the gradient is taken elsewhere."""
    velocity *= momentum
    velocity -= rate * grads
    params += velocity


def old_velocity(params, grads, velocity, rate, momentum):
    """Moves by the velocity of the step before."""
    params += momentum * velocity - rate * grads
    velocity *= momentum
    velocity -= rate * grads


def forgets_the_slope(params, grads, velocity, rate, momentum):
    """Leaves out the second - ε ∇L."""
    velocity *= momentum
    velocity -= rate * grads
    params += momentum * velocity


def not_in_place(params, grads, velocity, rate, momentum):
    """Makes new arrays; the caller's do not change."""
    velocity = momentum * velocity - rate * grads
    params = params + momentum * velocity - rate * grads
    return params, velocity


def every_number_by_itself(gradient, limit):
    """Clips each number: that turns the gradient's direction."""
    return np.clip(gradient, -limit, limit)


def always_that_long(gradient, limit):
    """Makes short gradients longer, too."""
    length = norm(gradient)
    return gradient * (limit / length) if length else gradient


def largest_number(gradient, limit):
    """Measures the largest number instead of the length."""
    return gradient * min(1.0, limit / max(abs(gradient).max(), 1e-300))


def squared_length(gradient, limit):
    """Forgets the root."""
    return gradient * min(1.0, limit / max((gradient**2).sum(), 1e-300))


def divides_by_nothing(gradient, limit):
    """A gradient of length 0 becomes 0 / 0."""
    with np.errstate(invalid="ignore"):
        unit = gradient / np.sqrt((gradient**2).sum())
    return unit * min(norm(gradient), limit)


WRONG = {
    "nesterov_step": [
        slope_here,
        looks_too_far,
        uphill,
        slope_unscaled,
        moves_what_it_was_given,
        stays_ahead,
    ],
    "nesterov": [plain_momentum, old_velocity, forgets_the_slope, not_in_place],
    "limited": [
        every_number_by_itself,
        always_that_long,
        largest_number,
        squared_length,
        divides_by_nothing,
    ],
}

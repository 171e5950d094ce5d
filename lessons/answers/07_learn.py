"""The answers to lesson 7, common mistakes, and other right answers."""

import numpy as np


def initial_weights(shape, rng):
    return rng.normal(0, 1 / np.sqrt(shape[1]), shape)


def nesterov(params, grads, velocity, rate, momentum):
    velocity *= momentum
    velocity -= rate * grads
    params += momentum * velocity - rate * grads


def clip_by_norm(gradient, limit):
    norm = np.sqrt((gradient**2).sum())
    return gradient * min(1.0, limit / norm) if norm else gradient


def all_zeros(shape, rng):
    """Starts all weights at 0, so that all units of a layer stay equal."""
    return np.zeros(shape)


def one_less_than_n(shape, rng):
    """Divides by n − 1, as for the variance of a sample; here the number of inputs is n."""
    return rng.normal(0, 1 / np.sqrt(max(shape[1] - 1, 1e-9)), shape)


def uniform_from_0(shape, rng):
    """Draws with rng.random, from 0 to 1; their mean must be 0."""
    return rng.random(shape) * np.sqrt(3 / shape[1])


def takes_the_mean_for_the_deviation(shape, rng):
    """Gives 1/√n as the mean: the arguments of rng.normal are mean, deviation, shape."""
    return rng.normal(1 / np.sqrt(shape[1]), 1, shape)


def of_all_weights(shape, rng):
    """Divides by the number of all weights, not by that of the inputs of one unit."""
    return rng.normal(0, 1 / np.sqrt(shape[0] * shape[1]), shape)


def repeats_one_column(shape, rng):
    """Draws one weight for each unit and uses it for all inputs."""
    column = rng.normal(0, 1 / np.sqrt(shape[1]), (shape[0], 1))
    return np.repeat(column, shape[1], axis=1)


def all_equal(shape, rng):
    """Starts all weights at the same value, so that all units of a layer stay equal."""
    return np.full(shape, 1 / np.sqrt(shape[1]))


def without_a_scale(shape, rng):
    """Draws with variance 1, whatever the number of inputs."""
    return rng.normal(size=shape)


def takes_1_over_n_for_the_standard_deviation(shape, rng):
    """Uses 1/n as the standard deviation; it is the variance, so the standard deviation is 1/√n."""
    return rng.normal(0, 1 / shape[1], shape)


def counts_the_outputs(shape, rng):
    """Divides by the number of outputs; a unit adds up its inputs."""
    return rng.normal(0, 1 / np.sqrt(shape[0]), shape)


def adds_to_the_inputs(shape, rng):
    """The number under the root is larger than the number of inputs."""
    return rng.normal(0, 1 / np.sqrt(shape[1] + 5), shape)


def takes_less_than_the_root(shape, rng):
    """The standard deviation is a little smaller than 1 / √n."""
    return rng.normal(0, 0.95 / np.sqrt(shape[1]), shape)


def as_he_et_al(shape, rng):
    """Uses the variance 2/n of He et al., which makes up for the units that a ReLU sets to 0; asked is 1/n."""
    return rng.normal(0, np.sqrt(2 / shape[1]), shape)


def as_glorot_and_bengio(shape, rng):
    """Uses the variance 2 / (inputs + outputs) of Glorot and Bengio, a compromise of both directions."""
    return rng.normal(0, np.sqrt(2 / sum(shape)), shape)


def uniform_within_1_over_root_n(shape, rng):
    """Draws uniformly between ±1/√n, which has the variance 1/(3n)."""
    return rng.uniform(-1, 1, shape) / np.sqrt(shape[1])


def positive_only(shape, rng):
    """Draws positive weights only; their mean must be 0."""
    return abs(rng.normal(0, 1 / np.sqrt(shape[1]), shape))


def has_its_own_generator(shape, rng):
    """Draws with a generator of its own, which gives all layers the same weights."""
    return np.random.default_rng(0).normal(0, 1 / np.sqrt(shape[1]), shape)


def ignores_the_generator(shape, rng):
    """Draws with np.random, so that no run can be repeated."""
    return np.random.randn(*shape) / np.sqrt(shape[1])  # noqa: NPY002


def repeats_one_row(shape, rng):
    """Draws one row for all units, so that they stay equal."""
    return np.tile(rng.normal(0, 1 / np.sqrt(shape[1]), shape[1]), (shape[0], 1))


def swaps_the_shape(shape, rng):
    """Returns (inputs, outputs); the shape is (outputs, inputs)."""
    return initial_weights(shape, rng).T


def plain_momentum(params, grads, velocity, rate, momentum):
    """Adds v as in the first form, or μ v with the old v (which is the same); it takes the new one and − ε ∇L."""
    velocity *= momentum
    velocity -= rate * grads
    params += velocity


def forgets_momentum_in_the_second_formula(params, grads, velocity, rate, momentum):
    """Adds v instead of μ v in the second formula."""
    velocity *= momentum
    velocity -= rate * grads
    params += velocity - rate * grads


def omits_the_second_gradient(params, grads, velocity, rate, momentum):
    """Omits the second − ε ∇L."""
    velocity *= momentum
    velocity -= rate * grads
    params += momentum * velocity


def not_in_place(params, grads, velocity, rate, momentum):
    """Computes new arrays; those of the caller do not change."""
    velocity = momentum * velocity - rate * grads
    params = params + momentum * velocity - rate * grads
    return params, velocity


def replaces_the_velocity(params, grads, velocity, rate, momentum):
    """Changes params, but computes a new array for the velocity; the caller's stays 0."""
    velocity = momentum * velocity - rate * grads
    params += momentum * velocity - rate * grads


def updates_the_first_only(params, grads, velocity, rate, momentum):
    """Updates params[0] only."""
    nesterov(params[:1], grads[:1], velocity[:1], rate, momentum)


def sums_the_gradient(params, grads, velocity, rate, momentum):
    """Sums the gradient, and moves all parameters alike."""
    nesterov(params, grads.sum() + 0 * grads, velocity, rate, momentum)


def scales_the_gradient_in_place(params, grads, velocity, rate, momentum):
    """Multiplies grads by the rate in place; the caller still needs them."""
    grads *= rate
    velocity *= momentum
    velocity -= grads
    params += momentum * velocity - grads


def loops_over_two_axes(params, grads, velocity, rate, momentum):
    """Takes params for a table with two axes; it can have any number of axes."""
    for i in range(params.shape[0]):
        for j in range(params.shape[1]):
            velocity[i, j] = momentum * velocity[i, j] - rate * grads[i, j]
            params[i, j] += momentum * velocity[i, j] - rate * grads[i, j]


def replaces_the_params(params, grads, velocity, rate, momentum):
    """Changes the velocity, but computes a new array for params (params = params + …); the caller's stays."""
    velocity *= momentum
    velocity -= rate * grads
    params = params + momentum * velocity - rate * grads


def scales_the_gradient_by_momentum(params, grads, velocity, rate, momentum):
    """Averages, μ v − (1 − μ) ε ∇L; here the gradient counts fully."""
    velocity *= momentum
    velocity -= (1 - momentum) * rate * grads
    params += momentum * velocity - (1 - momentum) * rate * grads


def forgets_the_rate_once(params, grads, velocity, rate, momentum):
    """Forgets the rate in the second formula."""
    velocity *= momentum
    velocity -= rate * grads
    params += momentum * velocity - grads


def gradient_descent(params, grads, velocity, rate, momentum):
    """Moves downhill without the velocity: that is gradient descent."""
    params -= rate * grads


def momentum_on_everything(params, grads, velocity, rate, momentum):
    """Multiplies the whole step by μ: μ (v − ε ∇L)."""
    velocity *= momentum
    velocity -= rate * grads
    params += momentum * (velocity - rate * grads)


def adds_the_velocity_of_before(params, grads, velocity, rate, momentum):
    """Takes μ² v with the old v, and the gradient once: the new v contains it, too."""
    params += momentum**2 * velocity - rate * grads
    velocity *= momentum
    velocity -= rate * grads


def looks_back(params, grads, velocity, rate, momentum):
    """Subtracts μ v in the second formula."""
    velocity *= momentum
    velocity -= rate * grads
    params -= momentum * velocity + rate * grads


def uphill(params, grads, velocity, rate, momentum):
    """Adds the gradient instead of subtracting it."""
    nesterov(params, -grads, velocity, rate, momentum)


def scales_the_velocity(params, grads, velocity, rate, momentum):
    """Multiplies the whole velocity by the rate, not only the gradient."""
    velocity *= momentum
    velocity -= grads
    params += rate * (momentum * velocity - grads)


def clips_each_element(gradient, limit):
    """Clips each element: this changes the direction."""
    return np.clip(gradient, -limit, limit)


def always_rescales(gradient, limit):
    """Scales short gradients up."""
    norm = np.sqrt((gradient**2).sum())
    return gradient * (limit / norm) if norm else gradient


def always_rescales_even_zero(gradient, limit):
    """Scales every gradient to the limit, short ones up, and divides by a norm of 0."""
    with np.errstate(invalid="ignore"):
        return gradient / np.sqrt((gradient**2).sum()) * limit


def uses_the_maximum(gradient, limit):
    """Uses the largest element instead of the norm."""
    return gradient * min(1.0, limit / max(abs(gradient).max(), 1e-300))


def uses_the_sum(gradient, limit):
    """Uses the sum of the absolute values instead of the norm."""
    return gradient * min(1.0, limit / max(abs(gradient).sum(), 1e-300))


def forgets_the_root(gradient, limit):
    """Uses the squared norm instead of the norm."""
    return gradient * min(1.0, limit / max((gradient**2).sum(), 1e-300))


def divides_by_zero(gradient, limit):
    """Divides by the norm even if it is 0."""
    with np.errstate(invalid="ignore"):
        unit = gradient / np.sqrt((gradient**2).sum())
    return unit * min(np.sqrt((gradient**2).sum()), limit)


def clips_each_row(gradient, limit):
    """Clips each row of a table by itself; the norm is that of all elements."""
    norm = np.sqrt((gradient**2).sum(axis=-1, keepdims=True))
    return gradient * np.minimum(1.0, limit / np.maximum(norm, 1e-300))


def uses_the_spectral_norm(gradient, limit):
    """Uses the spectral norm of a matrix; the norm is the root of the sum of squares."""
    norm = np.linalg.norm(gradient, 2)
    return gradient * min(1.0, limit / max(norm, 1e-300))


def uses_the_root_mean_square(gradient, limit):
    """Uses the mean of the squares instead of their sum."""
    return gradient * min(1.0, limit / max(np.sqrt((gradient**2).mean()), 1e-300))


def divides_by_the_norm(gradient, limit):
    """Scales to the norm 1 if it is above the limit; it should be scaled to the limit."""
    norm = np.sqrt((gradient**2).sum())
    return gradient / norm if norm > limit else gradient


def multiplies_by_the_limit(gradient, limit):
    """Multiplies by the limit; the factor is limit / norm."""
    norm = np.sqrt((gradient**2).sum())
    return gradient * limit if norm > limit else gradient


def divides_by_the_limit(gradient, limit):
    """Divides by the limit; the factor is limit / norm."""
    norm = np.sqrt((gradient**2).sum())
    return gradient / limit if norm > limit else gradient


def drops_long_gradients(gradient, limit):
    """Drops a gradient that is too long: it returns 0."""
    return gradient * (np.sqrt((gradient**2).sum()) <= limit)


def compares_the_squared_norm(gradient, limit):
    """Compares the squared norm with the limit, so that shorter gradients are scaled, too."""
    norm = np.sqrt((gradient**2).sum())
    return gradient * (limit / norm) if norm**2 > limit else gradient


def has_no_signs(gradient, limit):
    """Loses the signs."""
    return abs(clip_by_norm(gradient, limit))


def squashes(gradient, limit):
    """Scales all gradients by 1 / (1 + norm / limit); those below the limit must stay as they are."""
    return gradient / (1 + np.sqrt((gradient**2).sum()) / limit)


def clips_in_place(gradient, limit):
    """Scales the array of the caller."""
    gradient *= min(1.0, limit / max(np.sqrt((gradient**2).sum()), 1e-300))
    return gradient


# Other styles, which are right.


def standard_normal(shape, rng):
    return rng.standard_normal(shape) / shape[1] ** 0.5


def uniform(shape, rng):
    width = np.sqrt(3 / shape[1])  # its variance is width² / 3
    return rng.uniform(-width, width, size=shape)


def row_by_row(shape, rng):
    H, n = shape
    return np.array([[rng.normal(0, n**-0.5) for _ in range(n)] for _ in range(H)])


def in_float32(shape, rng):
    return (rng.standard_normal(shape, dtype=np.float32) / np.sqrt(shape[1])).astype(
        np.float32
    )


def random_signs(shape, rng):
    return rng.choice([-1.0, 1.0], size=shape) / np.sqrt(shape[1])


def by_slices(params, grads, velocity, rate, momentum):
    velocity[:] = momentum * velocity - rate * grads
    params[:] = params + momentum * velocity - rate * grads


def element_by_element(params, grads, velocity, rate, momentum):
    for i in np.ndindex(params.shape):
        velocity[i] = momentum * velocity[i] - rate * grads[i]
        params[i] += momentum * velocity[i] - rate * grads[i]


def by_substitution(params, grads, velocity, rate, momentum):
    params += momentum**2 * velocity - (1 + momentum) * rate * grads
    velocity[...] = momentum * velocity - rate * grads


def returns_them_too(params, grads, velocity, rate, momentum):
    np.multiply(velocity, momentum, out=velocity)
    np.subtract(velocity, rate * grads, out=velocity)
    np.add(params, momentum * velocity - rate * grads, out=params)
    return params, velocity


def with_an_epsilon(gradient, limit):
    return gradient * min(1, limit / (np.sqrt((gradient**2).sum()) + 1e-6))


def with_linalg(gradient, limit):
    norm = np.linalg.norm(gradient)
    if norm > limit:
        gradient = gradient * (limit / norm)
    return gradient


def with_hypot(gradient, limit):
    from math import hypot

    return gradient / max(1.0, hypot(*gradient.flat) / limit)


def with_a_copy(gradient, limit):
    clipped = np.array(gradient, np.float32)
    norm = float(np.sqrt(np.vdot(gradient, gradient)))
    if norm > limit:
        clipped *= limit / norm
    return clipped


HINTS = {
    "initial_weights": [
        "`rng.normal(mean, standard deviation, shape)` draws an array.",
        "The standard deviation is the root of the variance, 1/√n; n is shape[1].",
        "rng.normal(0, 1 / np.sqrt(shape[1]), shape)",
    ],
    "nesterov": [
        "In place: velocity *= …, velocity -= …, params += …; not `params = …`.",
        "First the velocity; the second formula uses the new one.",
        "params += momentum * velocity - rate * grads",
    ],
    "clip_by_norm": [
        "norm = np.sqrt((gradient**2).sum())",
        "Multiply by min(1, limit / norm), unless the norm is 0.",
    ],
}

WRONG = {
    "initial_weights": [
        all_zeros,
        all_equal,
        without_a_scale,
        takes_1_over_n_for_the_standard_deviation,
        counts_the_outputs,
        adds_to_the_inputs,
        takes_less_than_the_root,
        as_he_et_al,
        as_glorot_and_bengio,
        uniform_within_1_over_root_n,
        positive_only,
        has_its_own_generator,
        ignores_the_generator,
        repeats_one_row,
        swaps_the_shape,
        one_less_than_n,
        uniform_from_0,
        takes_the_mean_for_the_deviation,
        of_all_weights,
        repeats_one_column,
    ],
    "nesterov": [
        plain_momentum,
        forgets_momentum_in_the_second_formula,
        omits_the_second_gradient,
        not_in_place,
        replaces_the_velocity,
        updates_the_first_only,
        sums_the_gradient,
        scales_the_gradient_in_place,
        uphill,
        scales_the_velocity,
        loops_over_two_axes,
        replaces_the_params,
        scales_the_gradient_by_momentum,
        forgets_the_rate_once,
        gradient_descent,
        momentum_on_everything,
        adds_the_velocity_of_before,
        looks_back,
    ],
    "clip_by_norm": [
        clips_each_element,
        always_rescales,
        always_rescales_even_zero,
        uses_the_maximum,
        uses_the_sum,
        forgets_the_root,
        divides_by_zero,
        clips_each_row,
        uses_the_spectral_norm,
        clips_in_place,
        uses_the_root_mean_square,
        divides_by_the_norm,
        multiplies_by_the_limit,
        divides_by_the_limit,
        drops_long_gradients,
        compares_the_squared_norm,
        has_no_signs,
        squashes,
    ],
}

RIGHT = {
    "initial_weights": [standard_normal, uniform, row_by_row, in_float32, random_signs],
    "nesterov": [by_slices, element_by_element, by_substitution, returns_them_too],
    "clip_by_norm": [with_an_epsilon, with_linalg, with_hypot, with_a_copy],
}

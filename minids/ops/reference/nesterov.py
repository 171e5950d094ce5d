"""Stochastic gradient descent with Nesterov's accelerated gradient (§5)."""


def nesterov(params, grads, velocity, rate, momentum, scale=1.0):
    """v ← μ v - ε s g;   θ ← θ + μ v - ε s g.  In place, on flat arrays.

    θ here is the point that momentum will carry to, θ_paper + μ v: the gradient is taken there, which is what
    sets Nesterov's method apart, and the update needs no second copy. ε the learning rate, s limits the
    gradient's norm.
    """
    velocity *= momentum
    velocity -= rate * scale * grads
    params += momentum * velocity - rate * scale * grads

"""Checks of lesson 3."""

import numpy as np

from minids.gradcheck import numerical_gradient
from minids.lesson import exercise


@exercise(
    "3.1", rtol=1e-7, atol=1e-8, pure=False, lists=True
)  # moves `value` and restores it
def check_numerical_gradient(numerical_gradient):
    v = np.array([[0.5, -1.0], [2.0, 0.1]])
    known = {
        "Σ v²": (lambda: (v**2).sum(), 2 * v),
        "Σ sin v": (lambda: np.sin(v).sum(), np.cos(v)),
        "v₀₀ v₁₁": (lambda: v[0, 0] * v[1, 1], np.array([[0.1, 0], [0, 0.5]])),
    }
    before = v.copy()
    for name, (loss, gradient) in known.items():
        yield f"the gradient of {name}", numerical_gradient(loss, v), gradient
        yield (
            f"v after the gradient of {name}",
            v.copy(),
            before,
            "v{index} was not restored",
        )
    wide = numerical_gradient(lambda: (v**3).sum(), v, h=0.5)  # 3 v² + h²
    yield "Σ v³ with h = 0.5, from v − h and v + h", wide, 3 * v**2 + 0.25
    for shape in (3,), (2, 1, 2):
        u = np.linspace(1, 2, np.prod(shape)).reshape(shape)
        yield (
            f"Σ log u, u of shape {shape}",
            numerical_gradient(lambda u=u: np.log(u).sum(), u),
            1 / u,
        )


@exercise("3.2", rtol=1e-5, atol=1e-6)
def check_clipped_relu_backward(clipped_relu_backward):
    rng = np.random.default_rng(3)
    for z in (
        np.array([-7, -0.01, 0.01, 3, 19.99, 20.01]),
        rng.uniform(-10, 30, (4, 3, 5)),
    ):
        h, dh = np.clip(z, 0, 20), rng.normal(size=z.shape)

        def loss(z=z, dh=dh):  # its gradient with respect to h is dh
            return (np.clip(z, 0, 20) * dh).sum()

        expected = numerical_gradient(loss, z)
        yield (
            f"z of shape {z.shape}, against central differences",
            clipped_relu_backward(dh, h),
            expected,
        )
    bounds = clipped_relu_backward(np.ones(2), np.array([0.0, 20]))
    yield "h = 0, h = 20", bounds, np.zeros(2)


@exercise("3.3", rtol=1e-5, atol=1e-5)
def check_linear_backward(linear_backward):
    rng = np.random.default_rng(4)
    x, W, dz = (
        np.array([[[2.0, 1, -1]]]),
        np.array([[1.5, -1, 0.5], [-1, 0.5, 2]]),
        np.array([[[1.0, 0]]]),
    )
    first = {
        "dx": np.array([[[1.5, -1, 0.5]]]),
        "dW": np.array([[2.0, 1, -1], [0, 0, 0]]),
        "db": np.array([1.0, 0]),
    }
    yield "the first picture", linear_backward(dz, x, W), first
    for T, B, D, H in (1, 1, 3, 2), (4, 3, 5, 2), (6, 2, 4, 4):
        shapes = (T, B, D), (H, D), (H,), (T, B, H)
        x, W, b, dz = (rng.normal(size=shape) for shape in shapes)

        def loss(x=x, W=W, b=b, dz=dz):  # its gradient with respect to z is dz
            return ((x @ W.T + b) * dz).sum()

        values = {"dx": x, "dW": W, "db": b}
        expected = {
            name: numerical_gradient(loss, value) for name, value in values.items()
        }
        yield (
            f"{T=} {B=} {D=} {H=}, against central differences",
            linear_backward(dz, x, W),
            expected,
        )

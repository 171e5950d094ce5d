"""Sums of gradients over several batches, and averages of weights over steps."""


def axpby(a, x, b, y):
    """y ← a x + b y.  In place, on flat arrays; with b = 0, y may hold anything, NaN too."""
    if b:
        y *= b
        y += a * x
    else:
        y[...] = a * x

"""The length of a gradient."""

import numpy as np


def norm(x) -> float:
    """‖x‖ = sqrt(Σ x²), summed in float64."""
    return float(np.sqrt(np.sum(np.square(x, dtype=np.float64))))

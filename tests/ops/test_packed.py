"""Products with a packed matrix, against NumPy in float64."""

import os
import subprocess
import sys

import numpy as np
import pytest

from minids.ops.cpu.packed import multiply, pack, packed_shape
from tests.tolerances import FLOAT32_SUM


def product(x, W, transposed=False):
    rows, columns = W.shape[::-1] if transposed else W.shape
    packed = np.full(packed_shape(rows, columns), np.float32(np.nan))
    pack(W, transposed, packed)
    y = np.full((len(x), columns), np.float32(np.nan))
    multiply(x, packed, y)
    return y


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("B", "rows", "columns"), [(1, 1, 1), (4, 64, 64), (7, 65, 130), (11, 40, 63)])
def test_products_of_every_shape(B, rows, columns, transposed):
    rng = np.random.default_rng(0)
    x, W = rng.normal(size=(B, rows)).astype(np.float32), rng.normal(size=(rows, columns)).astype(np.float32)
    y = product(x, np.ascontiguousarray(W.T) if transposed else W, transposed)
    np.testing.assert_allclose(y, x.astype(float) @ W, rtol=FLOAT32_SUM, atol=rows * FLOAT32_SUM)


def test_a_row_does_not_depend_on_the_others():
    """To the last bit, whether a kernel for several rows or for one computes it."""
    rng = np.random.default_rng(1)
    x, W = rng.normal(size=(7, 300)).astype(np.float32), rng.normal(size=(300, 70)).astype(np.float32)
    y = product(x, W)
    for b in range(7):
        np.testing.assert_array_equal(product(x[b : b + 1], W), y[b : b + 1])


def test_long_sums_of_positive_numbers_keep_their_digits():
    rng = np.random.default_rng(2)
    x, W = (rng.uniform(0.5, 1.5, size).astype(np.float32) for size in ((5, 3059), (3059, 3)))
    np.testing.assert_allclose(product(x, W), x.astype(float) @ W, rtol=6e-7)


def test_the_panels_are_those_of_numbas_target():
    """Machines that share compiled code for a target would otherwise read each other's panels."""
    code = "from minids.ops.cpu import packed; print(packed._PANEL)"
    target = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    output = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | target, capture_output=True, text=True, check=True
    )
    assert output.stdout == "16\n"

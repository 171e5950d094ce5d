"""cuBLAS is a peer of our products: where it is absent its rows say so, where it is there they agree."""

import numpy as np
import pytest

from benchmarks import cublas
from minids._utils.errors import InputError
from minids.gradcheck import relative_error
from minids.ops import driver
from minids.ops.cuda import arrays
from tests.tolerances import FLOAT32_SUM

M, N, K = 65, 33, 130


def test_without_a_gpu_cublas_is_refused():
    if not driver.simulated():
        pytest.skip("there is a GPU")
    with pytest.raises(InputError, match="cuBLAS needs an NVIDIA GPU"):
        cublas.load()


@pytest.mark.parametrize(("a_transposed", "b_transposed"), [(False, True), (False, False), (True, False)])
def test_the_product_of_cublas(a_transposed, b_transposed):
    try:
        cublas.load()
    except InputError as error:
        pytest.skip(str(error))
    rng = np.random.default_rng(1)
    A, B = (rng.normal(size=shape).astype(np.float32) for shape in ((M, K), (K, N)))
    a, b = (arrays.from_host(x.T if t else x) for x, t in ((A, a_transposed), (B, b_transposed)))
    C = arrays.empty((M, N), np.float32)
    cublas.product(a, a_transposed, b, b_transposed, C, M, N, K)
    assert relative_error(arrays.to_host(C), A.astype(np.float64) @ B) <= FLOAT32_SUM

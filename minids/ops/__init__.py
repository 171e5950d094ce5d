"""The grid: one operation per file, one backend per folder, the same names and signatures in all of them.

`load("reference")` is the mathematics in plain NumPy, any float type. `load("cpu")` is float32, Numba and
BLAS. `load("cuda")` is float32 on an NVIDIA GPU; its arrays live there, see its `arrays`.
`diff minids/ops/reference/ctc.py minids/ops/cpu/ctc.py` shows what speed costs.
"""

from importlib import import_module
from types import ModuleType

from minids.ops import driver

BACKENDS = ("reference", "cpu", "cuda")


def load(name: str) -> ModuleType:
    """The backend's module: its operations and its `arrays`.

    Raises ValueError for an unknown name, InputError for "cuda" without a GPU.
    """
    if name not in BACKENDS:
        raise ValueError(f"there is no backend {name!r}; choose one of {', '.join(BACKENDS)}")
    if name == "cuda":
        driver.require()
    return import_module(f"minids.ops.{name}")

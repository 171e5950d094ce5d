"""The grid: one operation per file, one backend per folder, the same names and signatures in all of them.

`load("reference")` is the mathematics in plain NumPy, any float type. `load("cpu")` is float32, Numba and
BLAS. `load("cuda")` is float32 on an NVIDIA GPU; its arrays live there, see its `arrays`.
`diff minids/ops/reference/ctc.py minids/ops/cpu/ctc.py` shows what speed costs.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from minids.ops import diagnosis

BACKENDS = ("reference", "cpu", "cuda")
OPERATIONS = (
    "context_forward",
    "affine_forward",
    "affine_backward",
    "birnn_forward",
    "birnn_backward",
    "log_softmax_forward",
    "ctc",
    "axpby",
    "nesterov",
    "norm",
)


@dataclass(frozen=True, eq=False)
class Backend:
    """The operations of a backend, its `arrays` (empty, from_host, to_host, synchronize, …) and its options.

    Output arrays can be passed by keyword, like NumPy's `out=`; otherwise they are allocated.
    `dataclasses.replace` makes a backend with another operation. Pickled, it is its name and options.
    """

    name: str
    arrays: Any
    context_forward: Callable[..., Any]
    affine_forward: Callable[..., Any]
    affine_backward: Callable[..., Any]
    birnn_forward: Callable[..., Any]
    birnn_backward: Callable[..., Any]
    log_softmax_forward: Callable[..., Any]
    ctc: Callable[..., Any]
    axpby: Callable[..., Any]
    nesterov: Callable[..., Any]
    norm: Callable[..., Any]
    options: dict[str, Any] = field(default_factory=dict)

    def __reduce__(self) -> tuple:
        return _load, (self.name, self.options)


def load(name: str, **options: Any) -> Backend:
    """The backend of a name. Options of "cuda": `gemm` and `recurrence`, see minids/ops/cuda/__init__.py.

    Raises ValueError for an unknown name, InputError for "cuda" without a GPU.
    """
    if name not in BACKENDS:
        raise ValueError(f"there is no backend {name!r}; choose one of {', '.join(BACKENDS)}")
    if name == "cuda":
        diagnosis.require()
    operations = import_module(f"minids.ops.{name}").load(**options)
    return Backend(name, **operations, options=options)


def _load(name: str, options: dict[str, Any]) -> Backend:
    return load(name, **options)

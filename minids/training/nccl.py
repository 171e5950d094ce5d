"""Sums of gradients over the GPUs of several ranks, by NVIDIA's NCCL: they never pass through the host."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from minids._utils.errors import InputError, reason
from minids.ops import diagnosis

if TYPE_CHECKING:
    from minids.training.parallel import ProcessGroup


def version() -> str | None:
    """The version of the library, None if it or its Python binding is not installed."""
    try:
        from nccl.core import get_version
    except ImportError:
        return None
    library = get_version().libnccl
    return str(library.version) if library else None


def obstacle(ranks: "ProcessGroup") -> str | None:
    """Why these ranks cannot use NCCL, the same on all of them; None if they can."""
    versions = ranks.allgather(version())
    for rank, other in enumerate(versions):
        if other is None:
            extra = "nccl12" if diagnosis.toolkit() is diagnosis.OLDER else "nccl"
            return f"rank {rank} has no NCCL; pip install 'minids[{extra}]'"
        if other != versions[0]:
            return f"rank {rank} has NCCL {other}, and rank 0 {versions[0]}"
    if max(ranks.allgather(ranks.ranks_per_gpu)) > 1:
        return "NCCL needs a GPU for every rank"
    return None


def connect(ranks: "ProcessGroup", gradients: Any, arrays: Any) -> Callable[[Any], None]:
    """A function that sums an array on the GPU over the ranks, in place. All ranks must call it together.

    Like a kernel, a sum runs on the default stream, and the call returns at once. The first sum, of numbers
    in place of the `gradients`, is compared with the right one. Raises InputError.
    """
    from nccl import core as nccl

    from minids.ops.cuda.device import current_device
    from minids.ops.cuda.guard import guarded

    with _one_line():
        key = ranks.broadcast(nccl.get_unique_id() if ranks.is_main else None)
        communicator = nccl.Communicator.init(ranks.size, ranks.rank, key)

    def sum_in_place(array: Any) -> None:
        with _one_line():
            communicator.allreduce(array, array, nccl.SUM, stream=0)

    sum_on_gpus = guarded(sum_in_place, current_device(), exclusive=True)
    numbers = np.arange(gradients.size, dtype=np.float32) % 100  # whole: the sums are exact
    arrays.copy(numbers * (ranks.rank + 1), gradients)
    sum_on_gpus(gradients)
    if not np.array_equal(arrays.to_host(gradients), numbers * (ranks.size * (ranks.size + 1) // 2)):
        raise InputError(
            "NCCL adds wrongly on these GPUs: set NCCL_P2P_DISABLE=1, or pip uninstall nccl4py, and gradients"
            " are summed in host memory"
        )
    return sum_on_gpus


@contextmanager
def _one_line() -> Iterator[None]:
    """Raises InputError where the library fails."""
    try:
        yield
    except Exception as error:
        raise InputError(
            f"NCCL failed ({reason(error)}); NCCL_DEBUG=INFO tells why,"
            " and after pip uninstall nccl4py gradients are summed in host memory"
        ) from error

"""Training in several processes over MPI: `mpiexec --bind-to none -n 2 minids train mine.toml`.

Data parallelism (§3.1): every rank has the whole network and a share of each minibatch; the gradients are
summed over the ranks before each step, so that all replicas stay the same. With --backend cuda, each rank has
a GPU, and NCCL sums the gradients on the GPUs where it is installed.

Model parallelism (§3.2): two ranks have half of the frames each. Only the recurrence crosses the middle:

    rank 0   hf_1 → … → hf_m ─╮ ╭─▶ hb_m → … → hb_1          m = ceil(T/2)
                              ╳
    rank 1   hb_T → … → hb_m+1 ╯ ╰─▶ hf_m+1 → … → hf_T

Each rank begins with the direction that starts in its half; then they exchange the states in the middle, and
each computes the other direction.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import Any, NoReturn, TypeVar

import numpy as np

from minids._utils.errors import InputError, reason
from minids._utils.threads import core_ids
from minids.model import DeepSpeech
from minids.ops import Backend, diagnosis, driver
from minids.ops.common import Dropout, output_length
from minids.training import nccl

Item = TypeVar("Item")
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")  # the number of ranks, as Open MPI and MPICH set it


class ProcessGroup:
    """This process in a job: `rank` of `size` processes, `local_rank` of the `local_size` on this machine.

    Without a communicator it is rank 0 of 1.
    """

    rank = local_rank = 0
    size = local_size = ranks_per_gpu = 1
    sum_on_gpus: Callable[[Any], None] | None = None

    def __init__(self, comm: Any = None):
        self.comm = comm
        if comm:
            from mpi4py import MPI

            self.rank, self.size = comm.rank, comm.size
            self.machine = comm.Split_type(MPI.COMM_TYPE_SHARED)
            self.local_rank, self.local_size = self.machine.rank, self.machine.size

    @classmethod
    def world(cls) -> "ProcessGroup":
        """All processes that mpiexec started, or this one alone.

        Processes on one machine share its cores. Raises InputError when mpi4py is missing, or of another MPI.
        """
        if not _has_other_ranks():
            return cls()
        try:
            from mpi4py import MPI
        except ImportError:
            raise InputError("mpiexec needs mpi4py to start minids; pip install 'minids[mpi]'") from None
        import numba

        world = cls(MPI.COMM_WORLD)
        if world.size == 1 and any(name in os.environ for name in _SIZES):
            raise InputError("mpiexec and mpi4py belong to different MPIs; use the mpiexec of minids[mpi]")
        share = _share_of_cores(world.machine.allgather(core_ids()), world.local_rank)
        numba.set_num_threads(min(numba.config.NUMBA_NUM_THREADS, share))
        return world

    @property
    def is_main(self) -> bool:
        """Whether this rank prints and writes."""
        return self.rank == 0

    def shard(self, items: list[Item]) -> list[Item]:
        """Every size-th item from the rank-th on: each item belongs to one rank."""
        return items[self.rank :: self.size]

    def allreduce_sum(self, array: np.ndarray) -> np.ndarray:
        """The array, summed over the ranks in place."""
        if self.comm:
            from mpi4py import MPI

            self.comm.Allreduce(MPI.IN_PLACE, array)
        return array

    def allgather(self, value: Item) -> list[Item]:
        """The values of all ranks, in order, on every rank."""
        return self.comm.allgather(value) if self.comm else [value]

    def broadcast(self, value: Item) -> Item:
        """Rank 0's value, on every rank."""
        return self.comm.bcast(value) if self.comm else value

    def select_gpu(self) -> None:
        """Assign the GPUs of this machine to its ranks, round robin. Raises InputError without a GPU."""
        diagnosis.require()
        if not self.comm or driver.simulated():
            return
        from minids.ops.cuda.device import cuda
        from minids.ops.cuda.guard import guarded

        number = self.local_rank % len(cuda.gpus)
        gpu = guarded(cuda.select_device, number, exclusive=False)(number)
        gpus = self.machine.allgather(gpu.get_device_identity())  # launchers may show each rank only its own
        self.ranks_per_gpu = gpus.count(gpus[self.local_rank])

    def connect_gpus(self, gradients: Any, arrays: Any, log: Callable[[str], None]) -> None:
        """Let NCCL sum gradients like these, if it can. Logs what sums them. Overwrites the `gradients`.

        Raises InputError when NCCL fails.
        """
        if problem := nccl.obstacle(self):
            log(f"the gradients of {self.size} ranks are summed in host memory: {problem}")
        else:
            log(f"NCCL {nccl.version()} sums the gradients of {self.size} ranks on their GPUs")
            self.sum_on_gpus = nccl.connect(self, gradients, arrays)

    def sum_gradients(self, gradients: Any, arrays: Any) -> None:
        """The gradients of a backend with these `arrays`, summed over the ranks in place."""
        if self.sum_on_gpus:
            self.sum_on_gpus(gradients)
        elif self.size > 1:
            arrays.copy(self.allreduce_sum(arrays.to_host(gradients)), gradients)

    @contextmanager
    def abort_on_error(self) -> Iterator[None]:
        """Report an error of one of several ranks, and end all: the others would wait for it forever."""
        try:
            yield
        except Exception as error:
            if self.size == 1:
                raise
            time.sleep(min(self.rank, 5))  # if all fail alike, the first reports it
            if not isinstance(error, InputError | MemoryError):
                traceback.print_exc()
            where = f"rank {self.rank}: " if self.rank else ""
            kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
            print(f"minids: error: {where}{kind}{reason(error)}", file=sys.stderr, flush=True)
            self.stop(1)

    def stop(self, code: int) -> NoReturn:
        """End this process, and all others of the job, with an exit code."""
        if self.size > 1:
            self.comm.Abort(code)
        raise SystemExit(code)

    def assert_equal(self, value: object, name: str) -> None:
        """Raises InputError, on all ranks, unless the value is the same on every rank."""
        values = self.allgather(value)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise InputError(f"rank {rank} has {name} than rank 0; give all ranks the same")


def _has_other_ranks() -> bool:
    """Whether a launcher has started this process as one of several. Schedulers start single ones, too."""
    sizes = [os.environ[name] for name in _SIZES if name in os.environ]
    return any(size != "1" for size in sizes) or (not sizes and "PMIX_RANK" in os.environ)


def _share_of_cores(cores: list[set[int]], rank: int) -> int:
    """Threads for a rank of one machine, where rank i may use cores[i]: at most an equal part of all."""
    return max(1, min(len(cores[rank]), len(set().union(*cores)) // len(cores)))


def check_time_split(ranks: ProcessGroup, backend: str) -> None:
    """Raises InputError for another number of ranks than TimeSplit needs, and on a GPU."""
    if ranks.size != 2 or backend == "cuda":
        raise InputError("--split-time shares the frames between two ranks, on the CPU; use mpiexec -n 2")


class TimeSplit:
    """A network on two ranks, each with half of the frames (§3.2): the same losses and gradients.

    `model` is a replica on each rank, on the CPU.
    """

    def __init__(self, model: DeepSpeech, ranks: ProcessGroup):
        self.model, self.ops, self.ranks = model, model.ops, ranks
        self.flat_params, self.flat_grads = model.flat_params, model.flat_grads

    def loss_and_grad_on_device(
        self, frames, lengths, labels, label_lengths, dropout_keys=None
    ) -> np.ndarray:
        """As DeepSpeech.loss_and_grad_on_device, on both ranks with the whole batch."""
        half = _Half(self.ops, self.ranks, frames, lengths, self.model.settings.stride)
        losses = self.model.loss_and_grad_on_device(
            *half.local_frames(), labels, label_lengths, dropout_keys, backend=half.backend()
        )
        self.ranks.allreduce_sum(self.flat_grads)
        return losses


class _Half:
    """A backend's operations for one rank's half of the frames: `span` of the T after the stride."""

    def __init__(
        self, ops: Backend, ranks: ProcessGroup, frames: np.ndarray, lengths: np.ndarray, stride: int
    ):
        self.ops, self.ranks = ops, ranks
        self.birnn = import_module(f"minids.ops.{ops.name}.birnn")
        self.frames, self.lengths, self.stride = frames, lengths, stride
        self.T = output_length(len(frames), stride)
        middle = output_length(self.T, 2)
        self.span = slice(0, middle) if ranks.is_main else slice(middle, self.T)

    def backend(self) -> Backend:
        """The backend with the operations of this class."""
        return replace(
            self.ops,
            context_forward=self.context_forward,
            affine_forward=self.affine_forward,
            affine_backward=self.affine_backward,
            birnn_forward=self.birnn_forward,
            birnn_backward=self.birnn_backward,
            ctc=self.ctc,
        )

    def local_frames(self) -> tuple[np.ndarray, np.ndarray]:
        """This rank's frames of the batch, and how many of each utterance's are among them."""
        first, last = (min(t * self.stride, len(self.frames)) for t in (self.span.start, self.span.stop))
        return self.frames[first:last], np.clip(self.lengths - first, 0, last - first)

    def context_forward(self, frames, lengths, C, stride, workspace):
        """The context of the first or the last frame lies in the other half."""
        before = min(self.span.start, output_length(C, stride))
        first = (self.span.start - before) * stride
        window = self.frames[first : self.span.stop * stride + C]
        inside = np.clip(self.lengths - first, 0, len(window))
        x = self.ops.context_forward(window, inside, C, stride, workspace=workspace)
        return x[before : before + self.span.stop - self.span.start]

    def affine_forward(self, x, W, b, clip=False, dropout=None, out=None):
        """Dropout counts units from the first frame of both halves."""
        return self.ops.affine_forward(x, W, b, clip, self._shift(dropout, len(b)), out=out)

    def affine_backward(self, W, dropout, **arguments):
        """As affine_forward."""
        return self.ops.affine_backward(W=W, dropout=self._shift(dropout, len(W)), **arguments)

    def _shift(self, dropout: Dropout | None, H: int) -> Dropout | None:
        first = np.uint32(self.span.start * H)  # unit of this half
        return Dropout(dropout.rate, dropout.keys + first) if dropout else None

    def birnn_forward(self, z, Wr_f, Wr_b, lengths, h, hf, hb, workspace):
        """The direction that begins here, the states in the middle exchanged, then the other direction."""
        rnn, zero = self.birnn.rnn_forward, np.zeros(z.shape[1:], z.dtype)
        if self.ranks.is_main:
            hf[...] = rnn(z, Wr_f, lengths, zero)
            self.neighbor = self._exchange(hf[-1])  # hb_{m+1}
            hb[...] = rnn(z, Wr_b, lengths, self.neighbor, reverse=True)
        else:
            hb[...] = rnn(z, Wr_b, lengths, zero, reverse=True)
            self.neighbor = self._exchange(hb[0] if len(hb) else zero)  # hf_m
            hf[...] = rnn(z, Wr_f, lengths, self.neighbor)
        np.add(hf, hb, out=h)

    def birnn_backward(self, dh, hf, hb, Wr_f, Wr_b, lengths, delta_f, delta_b, dz, dWr_f, dWr_b, workspace):
        """δb begins in the first half, δf in the second; one product of each dWr crosses the middle."""
        rnn, zero = self.birnn.rnn_backward, np.zeros(dh.shape[1:], dh.dtype)
        if self.ranks.is_main:
            delta_b[...] = rnn(dh, hb, Wr_b, zero)
            delta_f[...] = rnn(dh, hf, Wr_f, self._exchange(delta_b[-1]), reverse=True)
        else:
            delta_f[...] = rnn(dh, hf, Wr_f, zero, reverse=True)
            delta_b[...] = rnn(dh, hb, Wr_b, self._exchange(delta_f[0] if len(dh) else zero))
        H = dh.shape[-1]
        np.matmul(delta_f[1:].reshape(-1, H).T, hf[:-1].reshape(-1, H), out=dWr_f)
        np.matmul(delta_b[:-1].reshape(-1, H).T, hb[1:].reshape(-1, H), out=dWr_b)
        if self.ranks.is_main:
            dWr_b += delta_b[-1].T @ self.neighbor
        elif len(dh):
            dWr_f += delta_f[0].T @ self.neighbor
        np.add(delta_f, delta_b, out=dz)

    def ctc(self, log_probs, lengths, labels, label_lengths, losses, dlogits, workspace):
        """Both ranks see all frames here: K numbers each, little compared to the H of a layer."""
        other = np.empty((self.T - len(log_probs), *log_probs.shape[1:]), log_probs.dtype)
        other = self._exchange(log_probs, other)
        both = np.concatenate([log_probs, other] if self.ranks.is_main else [other, log_probs])  # (T, B, K)
        lengths = output_length(self.lengths, self.stride)
        losses[...], gradient = self.ops.ctc(both, lengths, labels, label_lengths)
        dlogits[...] = gradient[self.span]

    def _exchange(self, array: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """The other rank's array in exchange for this one; `out` is for one of another shape."""
        out = np.empty_like(array) if out is None else out
        self.ranks.comm.Sendrecv(np.ascontiguousarray(array), 1 - self.ranks.rank, recvbuf=out)
        return out

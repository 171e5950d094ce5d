"""Run by test_several_gpus.py under mpiexec: `minids train` where this machine seems to have some GPUs.

    python mpi_gpus.py "t4,h200 none" "nccl host" ARGUMENTS...   GPUs and library of each rank, or one for all

With "nccl" there is a stand-in for NVIDIA's library.
"""

import os
import sys

from mpi4py import MPI

from minids.cli import main
from minids.training import selfcheck
from tests.ops.cuda.executor import driver
from tests.training import nccl_stand_in

RANK = MPI.COMM_WORLD.rank


def leave(code: int) -> None:
    """CUDA packages call the driver until the end of a process, when Python cannot answer any more."""
    MPI.Finalize()
    sys.stdout.flush()
    os._exit(code)


def sum_over_ranks(array):
    return MPI.COMM_WORLD.allreduce(array)


gpus, library, *arguments = sys.argv[1:]
gpus, library = (words.split()[RANK % len(words.split())] for words in (gpus, library))
driver.install([] if gpus == "none" else gpus.split(","), "forward")
selfcheck.MIN_UNITS = selfcheck.MAX_FRAMES = 0  # a few frames
nccl_stand_in.reduce = sum_over_ranks
sys.modules |= nccl_stand_in.modules() if library == "nccl" else {"nccl": None}
try:
    main(arguments)
except SystemExit as exit:
    if exit.code:
        leave(exit.code)
print(f"rank {RANK}: GPUs {driver.contexts}, problems {driver.problems}", file=sys.stderr, flush=True)
leave(0)

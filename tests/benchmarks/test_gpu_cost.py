"""The estimate of GPU time: loops and instructions of machine code, and the model of a launch."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter

import pytest

pytest.importorskip("numba_cuda", reason="needs pip install 'minids[cuda]'")
from benchmarks import gpu_cost
from benchmarks.gpu_cost import Code, cost
from benchmarks.gpu_launches import Launch
from benchmarks.gpu_sass import disassembler, fma_instructions, loops, multiplications
from minids.ops import driver

REAL = {name: value for name, value in os.environ.items() if name != "MINIDS_SIM"}

# Two nested loops, and one of a single block. The inner loop has a branch to a block behind the exit: an
# iteration takes it (6 instructions) or does not (5). A function that the kernel calls comes first.
LISTING = """
//--------------------- .text.helper --------------------------
	.section	.text.helper,"ax",@progbits
.text.helper:
        /*0000*/                   IMAD.MOV.U32 R0, RZ, RZ, R4 ;
        /*0010*/                   RET.REL.NODEC R2 `(kernel) ;

//--------------------- .text.kernel --------------------------
	.section	.text.kernel,"ax",@progbits
.text.kernel:
        /*0000*/                   LDC R1, c[0x0][0x28] ;
        /*0010*/              @!P0 EXIT ;
.L_x_1:
        /*0020*/                   STS.128 [R2], R4 ;
        /*0030*/                   BAR.SYNC.DEFER_BLOCKING 0x0 ;
.L_x_2:
        /*0040*/                   LDS.128 R4, [R2] ;
        /*0050*/               @P1 BRA `(.L_x_4) ;
        /*0060*/                   FFMA R8, R4, R5, R8 ;
.L_x_3:
        /*0070*/                   FFMA.FTZ R8, R6, R7, R8 ;
        /*0080*/                   BRA P2, `(.L_x_2) ;
        /*0090*/                   IADD3 R3, R3, 0x1, RZ ;
        /*00a0*/              @!P3 BRA `(.L_x_1) ;
.L_x_6:
        /*00b0*/                   STG.E desc[UR4][R10.64], R8 ;
        /*00b8*/              @!P4 BRA `(.L_x_6) ;
        /*00c0*/                   EXIT ;
.L_x_4:
        /*00d0*/                   FADD R8, R8, R4 ;
        /*00e0*/                   BRA `(.L_x_3) ;
.L_x_5:
        /*00f0*/                   BRA `(.L_x_5) ;
"""


def test_loops_of_a_listing():
    straight, outer, inner, last = loops(LISTING)
    assert straight.counts == Counter({"LDC": 1, "EXIT": 2})
    assert last == (".L_x_6", (), True, Counter({"STG.E": 1, "BRA": 1}))
    assert (outer.label, outer.outer, outer.innermost) == (".L_x_1", (), False)
    assert outer.counts == Counter({"STS.128": 1, "BAR.SYNC.DEFER_BLOCKING": 1, "IADD3": 1, "BRA": 1})
    assert (inner.label, inner.outer, inner.innermost) == (".L_x_2", (".L_x_1",), True)
    assert inner.counts == Counter({"LDS.128": 1, "BRA": 3, "FADD": 1, "FFMA.FTZ": 1})


def test_multiplications_of_a_thread():
    counts = Counter({"FFMA.FTZ": 3, "HMMA.1688.F32.TF32": 2, "HMMA.16816.F32.BF16": 1, "FADD": 4})
    assert multiplications(counts) == 3 + 2 * 32 + 64
    assert fma_instructions(counts) == 6


def test_iterations_of_a_thread():
    """The inner loop multiplies once; the last loop of the listing is in no other."""
    straight, outer, inner, last = Code(32, 0, 0, loops(LISTING)).iterations(70, 10)
    assert (straight, outer, inner, last) == (1, 10, 70, 1)


@pytest.mark.parametrize(
    ("registers", "shared", "expected"), [(128, 0, 2), (129, 0, 1), (32, 0, 8), (32, 60 * 1024, 3)]
)
def test_blocks_at_once(registers, shared, expected):
    """Of 256 threads: by registers, by threads, by shared memory."""
    assert Code(registers, 0, 0, []).resident_blocks(256, shared) == expected


def test_a_kernel_without_products_takes_as_long_as_its_memory():
    estimate = cost(Launch("birnn.add", (4, 1, 1), 256, 0, ((1200,), (1200,))))
    assert estimate.floor == pytest.approx(2 * 4 * 1200 / 4.8e12)
    assert (estimate.seconds - estimate.floor, estimate.limit) == (pytest.approx(gpu_cost.LAUNCH), "memory")


RECURRENCE = Launch(
    "birnn.all_frames 32", (64, 2, 1), 256, 0, ((401 * 32 * 2048,), 0, 32, 2048), wavefronts=0.1
)


def test_a_frame_of_the_recurrence_is_limited_by_its_slowest_part(monkeypatch):
    """On each of 128 multiprocessors 32 units · 32 utterances · 2048 products per frame, 256 threads."""
    fma = 400 * 32 * 32 * 2048 / 256
    monkeypatch.setattr(gpu_cost, "code", lambda name: Code(255, 0, 0, loops(LISTING)))
    estimate, conflicts = cost(RECURRENCE), cost(RECURRENCE._replace(wavefronts=10.0))
    waiting = gpu_cost.LAUNCH + 401 * gpu_cost.GRID_BARRIER
    instructions = 3 + 2 + 401 * 4 + fma * 6
    assert estimate.seconds - waiting == pytest.approx(instructions * 8 / 4 / 0.9 / 1.98e9)
    assert conflicts.seconds - waiting == pytest.approx(10 * fma * 8 / 0.9 / 1.98e9)
    assert (estimate.limit, conflicts.limit) == ("issue", "shared memory")
    assert estimate.floor == pytest.approx(2 * 400 * 32 * 2048 * 2048 * 2 / 66.9e12)


def test_work_of_a_product():
    """A product of 100 x 20 and 20 x 90 numbers, whose tiles and slices reach beyond them."""
    pytest.importorskip("greenlet" if driver.simulated() else "numba_cuda")
    from minids.ops.cuda import gemm_tile, matmul

    shape = matmul.TILES["fp32"][0]
    grid, sizes = (-(-90 // shape.columns), -(-100 // shape.rows), 1), (100, 90, 20)
    work = Launch(f"matmul.fp32 {shape.rows} scalar layer", grid, shape.threads, 0, sizes).work()
    k = -(-20 // gemm_tile.DEPTH) * gemm_tile.DEPTH
    assert work.flops == 2 * 100 * 90 * 20
    assert work.fma * shape.threads == shape.rows * shape.columns * k
    assert work.trips == k // gemm_tile.DEPTH
    assert work.l2 == 4 * grid[0] * grid[1] * k * (shape.rows + shape.columns)


@pytest.mark.slow
@pytest.mark.skipif(disassembler() is None, reason="needs pip install nvidia-cuda-nvdisasm")
@pytest.mark.parametrize(("rung", "reads"), [("register_blocked", "16 LDS,"), ("vector_loads", "4 LDS.128,")])
def test_a_real_kernel(rung, reads):
    """Two rungs of the ladder: in both 16 numbers are read for 8 x 8 FMA, in the second four at a time."""
    command = [sys.executable, "-m", "benchmarks.gpu_cost", f"ladder.{rung}"]
    process = subprocess.run(command, env=REAL, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-3000:]
    head, *found = process.stdout.splitlines()
    assert 64 < int(re.search(r"(\d+) registers, 0 bytes of spills", head)[1]) <= 168
    (inner,) = (line for line in found if "FFMA" in line)
    assert "64 FFMA," in inner
    assert reads in inner


STEP = """
import os, sys
from tests.ops.cuda.executor import driver
driver.install(["h200"], "forward")
from benchmarks import gpu_launches
gpu_launches.T, gpu_launches.B, gpu_launches.H, gpu_launches.U = 5, 2, 64, 2
gpu_launches._wavefronts.update(dict.fromkeys(gpu_launches.kernels(), 0.0))  # nothing is executed
launches = gpu_launches.recorded_step("fp32")
flops = sum(launch.work().flops for launch in launches if launch.work())
print(flops, *(launch.kernel for launch in launches))
sys.stdout.flush()
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="the stand-in for the driver needs gcc")
def test_the_launches_of_a_step():
    """All floating-point operations of the network are in them. A window has 19 frames of 84 numbers."""
    rows, H, K = 5 * 2, 64, 29
    forward = rows * (19 * 84 * H + 4 * H * H + H * K)
    backward = forward + rows * (4 * H * H + H * K)
    recurrent = (4 + 2) * H * H  # of a row: two directions of two passes, and the gradients of two matrices
    process = subprocess.run([sys.executable, "-c", STEP], env=REAL, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-3000:]
    flops, *kernels = process.stdout.split()
    assert int(flops) == 2 * (forward + backward + (rows - 2) * recurrent)
    assert kernels.count("birnn.all_frames") == 2

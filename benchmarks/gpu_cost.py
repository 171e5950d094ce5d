"""What the kernels and a training step would cost on an H200, without one: python -m benchmarks.gpu_cost

The kernels are compiled and their instructions counted (gpu_sass.py), the launches of a step recorded
(gpu_launches.py). The model of a launch:

    time = LAUNCH + max(issue, tensor cores, shared memory, L2, memory), each as if it were alone
    a frame of the recurrence: the same maximum, + GRID_BARRIER
    CTC: its chain of instructions, DEPENDENT cycles each

A multiprocessor issues 4 instructions per cycle and gets one wavefront, up to 128 bytes, from shared memory;
it does both for BUSY of the time at best. The one with most blocks decides. Kernels without products are
taken to read or write each array once.

    python -m benchmarks.gpu_cost "fp32 128" --architecture 80     the loops of kernels with such names
    python -m benchmarks.gpu_cost --json FILE                      a table of the step; FILE: all kernels
"""

import argparse
import math
import os
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import NamedTuple

from benchmarks.gpu_launches import Launch, T, kernels, recorded_step
from benchmarks.gpu_sass import Loop, disassemble, disassembler, fma_instructions, loops, multiplications
from benchmarks.machine import save

# An H200, from NVIDIA's data sheet: float32 on 132 multiprocessors of 128 lanes at 1.98 GHz, TF32 without
# sparsity, and memory.
MULTIPROCESSORS, CLOCK = 132, 1.98e9
PEAK = {"fp32": 66.9e12, "tf32": 495e12, "3xtf32": 495e12 / 3}
MEMORY = 4.8e12
# Measured on one: gpu-l2-cache and gpu-small-kernels of github.com/RRZE-HPC/gpu-benches, h200*.txt.
L2 = 9.7e12
LAUNCH = 2.5e-6  # from one launch to the next, at least
GRID_BARRIER = 1.3e-6  # with a load after it and a store before it: 1.15 to 1.5, CUDA's own or another
# Assumptions:
BUSY = 0.9
MMA_SYNC = 0.63  # of the TF32 peak, for which Hopper has other instructions than mma.sync
DEPENDENT = 4  # cycles from an instruction to one that needs its result

MEMORY_ACCESS = "LDS", "STS", "LDG", "STG", "LD.", "ST.", "LDL", "STL"  # instructions
PARTS = {"matmul.": "products", "birnn.all_frames": "recurrence", "ctc.": "CTC", "": "other"}


class Code(NamedTuple):
    """A compiled kernel; `spills` and `shared`, its static shared memory, in bytes."""

    registers: int
    spills: int
    shared: int
    loops: list[Loop]

    @property
    def main(self) -> Loop:
        """The innermost loop with multiplications, or else the one with most instructions."""

        def importance(loop: Loop):
            fma = multiplications(loop.counts)
            return (len(loop.outer) if fma >= 16 else -1), fma, loop.counts.total()

        return max(self.loops, key=importance)

    def iterations(self, fma: float, trips: int) -> list[float]:
        """How often a thread that multiplies `fma` times executes each of the loops.

        The outermost loop around the main one makes `trips` iterations. All others count once in each of
        these, or once in the kernel. The main loop makes the multiplications that are left.
        """
        outermost = self.main.outer[:1]
        times = [float(trips if {loop.label, *loop.outer} & {*outermost} else 1) for loop in self.loops]
        main = self.loops.index(self.main)
        times[main] = 0.0
        rest = fma - sum(n * multiplications(loop.counts) for n, loop in zip(times, self.loops, strict=True))
        times[main] = rest / multiplications(self.main.counts)
        return times

    def resident_blocks(self, threads: int, dynamic_shared: int) -> int:
        """How many blocks a multiprocessor holds at once."""
        registers = threads * (-(-self.registers // 8) * 8)
        shared = 1024 + self.shared + dynamic_shared  # 1024 bytes are the system's
        return min(65_536 // registers, 233_472 // shared, 2048 // threads)


class Cost(NamedTuple):
    """Seconds by the model, and at the GPU's peaks; what limits them; the share of FMA."""

    seconds: float
    floor: float
    limit: str
    fma_share: float = 0.0


@cache
def code(name: str, architecture: int = 90) -> Code:
    from minids.ops.cuda.compile_report import compiled

    report, machine_code = compiled(name, kernels()[name], architecture)
    return Code(report.registers, report.spills, report.shared, loops(disassemble(machine_code)))


def cost(launch: Launch) -> Cost:
    """The estimate for a launch."""
    work = launch.work()
    memory = 4 * sum(math.prod(a) for a in launch.arguments if isinstance(a, tuple)) / MEMORY
    if launch.kernel.startswith("ctc.alpha_beta"):  # two passes through all frames
        frame = max(loop.counts.total() for loop in code(launch.kernel).loops)
        return Cost(LAUNCH + 2 * T * frame * DEPENDENT / CLOCK, memory, "latency")
    if work is None:
        return Cost(LAUNCH + memory, memory, "memory")
    compiled = code(launch.kernel)
    executed = list(zip(compiled.iterations(work.fma, work.trips), compiled.loops, strict=True))
    instructions = sum(n * loop.counts.total() for n, loop in executed)
    fma_share = sum(n * fma_instructions(loop.counts) for n, loop in executed) / instructions
    warps = -(-launch.blocks // MULTIPROCESSORS) * launch.threads / 32
    times = {
        "issue": instructions * warps / (4 * BUSY * CLOCK),
        "shared memory": launch.wavefronts * work.fma * warps / (BUSY * CLOCK),
        "L2": work.l2 / L2,
        "memory": memory,
    }
    if work.kind != "fp32":
        times["tensor cores"] = 2 * work.fma * warps * 32 * MULTIPROCESSORS / (PEAK["tf32"] * MMA_SYNC)
    limit = max(times, key=times.__getitem__)
    waiting = work.trips * GRID_BARRIER if launch.kernel.startswith("birnn") else 0
    floor = max(work.flops / PEAK[work.kind], memory)
    return Cost(LAUNCH + times[limit] + waiting, floor, limit, fma_share)


def step(gemm: str) -> dict:
    """A step, by launches, of which equal ones share a row, and by parts."""
    rows: dict[tuple, dict] = {}
    parts = dict.fromkeys(PARTS.values(), 0.0)
    for launch in recorded_step(gemm):
        estimate = cost(launch)
        part = next(part for start, part in PARTS.items() if launch.kernel.startswith(start))
        parts[part] += 1e3 * estimate.seconds
        row = {"kernel": launch.kernel, "grid": launch.grid, "launches": 0}
        row |= {"us": 1e6 * estimate.seconds, "floor_us": 1e6 * estimate.floor, "limit": estimate.limit}
        if launch.work():
            row |= {"fma_share": estimate.fma_share, "wavefronts": launch.wavefronts}
            row["blocks"] = code(launch.kernel).resident_blocks(launch.threads, launch.shared)
        rows.setdefault((launch.kernel, launch.grid), row)["launches"] += 1
    floor = sum(row["launches"] * row["floor_us"] for row in rows.values()) / 1e3
    return {"ms": sum(parts.values()), "floor_ms": floor, "parts_ms": parts, "launches": list(rows.values())}


def table(gemm: str, estimate: dict) -> str:
    """A step: its launches with products, its parts and its sum.

    FMA: the share of all instructions; wavefronts: of shared memory, for each multiplication of a warp, which
    takes a quarter of a cycle; blocks: at once on a multiprocessor.
    """
    lines = [f"{gemm:56}launches  us each   floor  limit          FMA  wavefronts blocks"]
    for row in estimate["launches"]:
        if "wavefronts" in row:
            name = f"{row['kernel']} {'x'.join(map(str, row['grid']))}"
            lines.append(
                f"{name:56}{row['launches']:8}{row['us']:9.0f}{row['floor_us']:8.0f}  {row['limit']:13}"
                f"{row['fma_share']:5.0%}{row['wavefronts']:12.2f}{row['blocks']:7}"
            )
    parts = ", ".join(f"{part} {ms:.1f}" for part, ms in estimate["parts_ms"].items())
    return "\n".join([*lines, f"{estimate['ms']:.1f} ms: {parts}; floor {estimate['floor_ms']:.1f} ms"])


def needs(name: str) -> dict:
    """What a kernel needs, and its main loop."""
    registers, spills, shared, _ = compiled = code(name)
    counts = compiled.main.counts
    memory = {opcode: n for opcode, n in counts.most_common() if opcode.startswith(MEMORY_ACCESS)}
    row = {"kernel": name, "registers": registers, "spills": spills, "shared": shared}
    return row | {"instructions": counts.total(), "fma": fma_instructions(counts), **memory}


def print_loops(name: str, architecture: int) -> None:
    compiled = code(name, architecture)
    print(f"{name}: {compiled.registers} registers, {compiled.spills} bytes of spills")
    for loop in compiled.loops:
        opcodes = ", ".join(f"{n} {opcode}" for opcode, n in loop.counts.most_common(12))
        number, share = loop.counts.total(), fma_instructions(loop.counts) / loop.counts.total()
        indent = "  " * (len(loop.outer) + 1)
        print(f"{indent}{loop.label}: {number} instructions, {share:.1%} FMA: {opcodes}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", help="part of the names of kernels")
    parser.add_argument(
        "--architecture",
        type=int,
        default=90,
        choices=(75, 80, 89, 90, 120),
        help="of the listed loops, 90 by default",
    )
    parser.add_argument("--json", metavar="FILE", help="save the step, and what all kernels need")
    options = parser.parse_args()
    if find_spec("numba_cuda") is None or disassembler() is None:
        raise SystemExit("kernels cannot be compiled: pip install '.[cuda]' nvidia-cuda-nvdisasm")
    if options.name:
        found = [
            name
            for name, entry in kernels().items()
            if options.name in name
            and entry.min_architecture <= options.architecture <= entry.max_architecture
        ]
        if not found:
            raise SystemExit(f"no kernel for sm_{options.architecture} has {options.name!r} in its name")
        for name in found:
            print_loops(name, options.architecture)
        return
    print("compiling the kernels of a step takes some minutes", flush=True)
    from tests.ops.cuda.executor import driver

    driver.install(["h200"], "forward")  # before CUDA packages are imported
    steps = {}
    for gemm in PEAK:
        steps[gemm] = step(gemm)
        print(table(gemm, steps[gemm]), flush=True)
    if options.json:
        compiler = {name: version(name) for name in ("numba-cuda", "nvidia-nvjitlink")}
        needed = [needs(name) for name in kernels()]
        save(options.json, {"compiler": compiler, "steps": steps, "kernels": needed})
    os._exit(0)  # CUDA packages call the driver until the end, when Python cannot answer any more


if __name__ == "__main__":
    main()

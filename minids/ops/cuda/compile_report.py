"""Compile every kernel to machine code, without a GPU or driver: python -m minids.ops.cuda.compile_report

This finds what the simulator cannot: Python that Numba does not compile, spilled registers, accidental
float64. The compiler's libraries are wheels (`pip install 'minids[cuda]'`). For each kernel and architecture
one line of JSON says what a thread and a block need:

    registers       per thread; a multiprocessor has 65,536, so with 128 per thread 512 threads run at once
    max_registers   the kernel's budget
    spills          bytes that did not fit into registers and went to memory
    stack           bytes of local arrays that are not in registers
    shared          bytes of static shared memory per block
    float64         float64 instructions, which are slow; a constant without np.float32 causes them
"""

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from cuda.bindings import nvjitlink
from numba.cuda import codegen, dispatcher

from minids.ops.cuda.registry import Registered, registered

ARCHITECTURES = 75, 80, 89, 90, 120  # Turing, Ampere, Ada, Hopper, Blackwell


class Report(NamedTuple):
    kernel: str
    architecture: int
    registers: int
    max_registers: int
    spills: int
    stack: int
    shared: int
    float64: int


class Compiled(NamedTuple):
    """A kernel as PTX, as machine code (an ELF file, a "cubin"), and what the assembler said."""

    assembly: str
    machine_code: bytes
    log: str


def compiled(entry: Registered, architecture: int) -> Compiled:
    """Compile one kernel as numba-cuda does before a launch: to intermediate code, which is then linked."""
    capability = divmod(architecture, 10)
    options = dict(entry.kernel.targetoptions) | {"lto": True, "link": []}
    with _fake_gpu(capability):
        kernel = dispatcher._Kernel(entry.kernel.py_func, entry.arguments, **options)
        code = kernel._codelibrary.get_ltoir(cc=capability)
        assembly = kernel._codelibrary.get_asm_str(cc=capability)
    return Compiled(assembly, *_link(code, architecture, kernel.cooperative))


def report(name: str, entry: Registered, architecture: int) -> Report:
    assembly, _, log = compiled(entry, architecture)
    log = log.partition("Compiling entry function")[2]
    float64 = len(re.findall(r"^\s+(?:@%?!?\w+\s+)?(?:\w+\.)+f64", assembly, re.MULTILINE))
    return Report(
        name,
        architecture,
        _number(r"Used (\d+) registers", log),
        entry.max_registers,
        _number(r"(\d+) bytes spill stores", log) + _number(r"(\d+) bytes spill loads", log),
        _number(r"(\d+) bytes stack frame", log),
        _number(r"(\d+) bytes smem", log),
        float64,
    )


@contextmanager
def _fake_gpu(capability: tuple[int, int]) -> Iterator[None]:
    """Answer for the driver: numba-cuda asks it for the device when a kernel calls a device function."""
    device = mock.Mock(compute_capability=capability)
    with (
        mock.patch.object(dispatcher, "get_current_device", return_value=device),
        mock.patch.object(codegen.devices, "get_context", return_value=mock.Mock(device=device)),
    ):
        yield


def _link(code: bytes, architecture: int, cooperative: bool) -> tuple[bytes, str]:
    """Intermediate code -> machine code, and the log of the assembler. Raises RuntimeError."""
    suffix = "a" if architecture >= 90 else ""  # with this GPU's own instructions, as numba-cuda compiles
    options = [f"-arch=sm_{architecture}{suffix}", "-lto", "-Xptxas=-v", "-verbose"]
    linker = nvjitlink.create(len(options), options)
    try:
        nvjitlink.add_data(linker, nvjitlink.InputType.LTOIR, code, len(code), "kernel")
        if cooperative:
            library = _runtime_library().read_bytes()
            nvjitlink.add_data(linker, nvjitlink.InputType.LIBRARY, library, len(library), "cudadevrt")
        nvjitlink.complete(linker)
    except nvjitlink.nvJitLinkError as error:
        size, read = nvjitlink.get_error_log_size, nvjitlink.get_error_log
        raise RuntimeError(_text(linker, size, read)) from error
    log = _text(linker, nvjitlink.get_info_log_size, nvjitlink.get_info_log)
    machine_code = bytearray(nvjitlink.get_linked_cubin_size(linker))
    nvjitlink.get_linked_cubin(linker, machine_code)
    nvjitlink.destroy(linker)
    return bytes(machine_code), log


def _text(linker, size, read) -> str:
    text = bytearray(size(linker))
    read(linker, text)
    return text.decode(errors="replace")


def _runtime_library() -> Path:
    """The library with the barrier of a grid, which is a function of CUDA's device runtime."""
    paths = [path for folder in sys.path for path in Path(folder).glob("nvidia/cu*/lib/libcudadevrt.a")]
    if not paths:
        raise FileNotFoundError("libcudadevrt.a was not found; pip install nvidia-cuda-runtime")
    return paths[0]


def _number(pattern: str, log: str) -> int:
    match = re.search(pattern, log)
    return int(match[1]) if match else 0


if __name__ == "__main__":
    for architecture in ARCHITECTURES:
        for name, entry in registered():
            if entry.min_architecture <= architecture:
                print(json.dumps(report(name, entry, architecture)._asdict()), flush=True)

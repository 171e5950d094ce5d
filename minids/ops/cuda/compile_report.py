"""Compile every kernel to machine code, without a GPU or driver.

    python -m minids.ops.cuda.compile_report [75 90]

This finds what the simulator cannot: Python that Numba does not compile, spilled registers, accidental
float64. The compiler's libraries are wheels (`pip install 'minids[cuda]'`). For each kernel and architecture
one line of JSON says what it needs, a `Report`.
"""

import argparse
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple
from unittest import mock

from cuda.bindings import nvjitlink
from numba.cuda import codegen, dispatcher

from minids.ops import diagnosis
from minids.ops.cuda.registry import Registered, registered

ARCHITECTURES = 70, 75, 80, 89, 90, 120  # Volta, Turing, Ampere, Ada, Hopper, Blackwell
FIRST = 9, 0  # whose compute capability Numba sees


class Report(NamedTuple):
    kernel: str
    architecture: int
    registers: int  # per thread; a multiprocessor has 65,536, so with 128 per thread 512 threads run at once
    max_registers: int  # the kernel's budget
    spills: int  # bytes that did not fit into registers and went to memory
    stack: int  # bytes of local arrays that are not in registers
    shared: int  # bytes of static shared memory per block
    float64: int  # instructions, which are slow; a constant without np.float32 causes them


def compiled(name: str, entry: Registered, architecture: int) -> tuple[Report, bytes]:
    """Compile a kernel as numba-cuda does before a launch; the second result is its machine code, a cubin.

    Raises RuntimeError with what the linker says.
    """
    library, float64 = _library(entry)
    capability = divmod(architecture, 10)
    with _fake_gpu(capability):
        code = library.get_ltoir(cc=capability)
    machine_code, log = _link(code, architecture)
    log = log.partition("Compiling entry function")[2]

    def number(pattern: str) -> int:
        return sum(map(int, re.findall(pattern, log)))

    report = Report(
        name,
        architecture,
        registers=number(r"Used (\d+) registers"),
        max_registers=entry.max_registers,
        spills=number(r"(\d+) bytes spill"),
        stack=number(r"(\d+) bytes stack frame"),
        shared=number(r"(\d+) bytes smem"),
        float64=float64,
    )
    return report, machine_code


@cache
def _library(entry: Registered):
    """What Numba makes of a kernel's Python, for any GPU, and the float64 instructions in it."""
    options = dict(entry.kernel.targetoptions) | {"lto": True, "link": []}
    with _fake_gpu(FIRST):
        library = dispatcher._Kernel(entry.kernel.py_func, entry.arguments, **options)._codelibrary
        ptx = library.get_asm_str(cc=FIRST)
    return library, len(re.findall(r"^\s+(?:@%?!?\w+\s+)?(?:\w+\.)+f64", ptx, re.MULTILINE))


@contextmanager
def _fake_gpu(capability: tuple[int, int]) -> Iterator[None]:
    """Answer for the driver: numba-cuda asks it for the device when a kernel calls a device function."""
    device = mock.Mock(compute_capability=capability)
    with (
        mock.patch.object(dispatcher, "get_current_device", return_value=device),
        mock.patch.object(codegen.devices, "get_context", return_value=mock.Mock(device=device)),
    ):
        yield


def _link(code: bytes, architecture: int) -> tuple[bytes, str]:
    """Intermediate code -> machine code, and the log of the assembler."""
    suffix = "a" if architecture >= 90 else ""  # with this GPU's own instructions, as numba-cuda compiles
    options = [f"-arch=sm_{architecture}{suffix}", "-lto", "-Xptxas=-v", "-verbose"]
    linker = nvjitlink.create(len(options), options)
    try:
        nvjitlink.add_data(linker, nvjitlink.InputType.LTOIR, code, len(code), "kernel")
        nvjitlink.complete(linker)
    except nvjitlink.nvJitLinkError as error:
        log = _read(linker, nvjitlink.get_error_log_size, nvjitlink.get_error_log)
        raise RuntimeError(log.decode(errors="replace")) from error
    machine_code = _read(linker, nvjitlink.get_linked_cubin_size, nvjitlink.get_linked_cubin)
    log = _read(linker, nvjitlink.get_info_log_size, nvjitlink.get_info_log)
    nvjitlink.destroy(linker)
    return machine_code, log.decode(errors="replace")


def _read(linker, size, read) -> bytes:
    data = bytearray(size(linker))
    read(linker, data)
    return bytes(data)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("architectures", nargs="*", type=int, help="only these: 90 is sm_90, Hopper")
    chosen, toolkit = parser.parse_args().architectures or ARCHITECTURES, diagnosis.toolkit()
    for name, entry in registered():
        for architecture in chosen:
            supported = toolkit and toolkit.oldest <= divmod(architecture, 10) <= toolkit.newest
            if supported and entry.min_architecture <= architecture <= entry.max_architecture:
                print(json.dumps(compiled(name, entry, architecture)[0]._asdict()), flush=True)

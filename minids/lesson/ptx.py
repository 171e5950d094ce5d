"""What the compiler makes of the ladder's kernels: python -m minids.lesson.ptx prints it as JSON.

PTX is the assembly language of NVIDIA's GPUs before registers are assigned. Numba compiles to it without a
GPU. The innermost loop is the piece without jumps that has the most multiplications; short loops inside it
have been unrolled.

    fma             multiply-adds, each of one number per thread
    mma             instructions of tensor cores, each of 16 x 8 x 8 multiply-adds per warp
    instructions    all of them
"""

import json
import re

ARCHITECTURE = (9, 0)  # Hopper


def inner_loop(assembly: str) -> dict[str, int]:
    """Count the instructions of the innermost loop in PTX."""
    pieces = re.split(r"^\$\w+:|^\s.*\bbra\b.*$", assembly, flags=re.MULTILINE)
    counts = [_count(piece) for piece in pieces]
    return max(counts, key=lambda count: count["fma"] + 32 * count["mma"])


def _count(piece: str) -> dict[str, int]:
    opcodes = re.findall(r"^\s+(?:@!?%p\d+\s+)?([a-z]\w*(?:\.\w+)*)\s.*;", piece, re.MULTILINE)
    return {
        "fma": sum(opcode.startswith("fma.rn.f32") for opcode in opcodes),
        "mma": sum(opcode.startswith("mma.sync") for opcode in opcodes),
        "instructions": len(opcodes),
    }


def compiled_ladder() -> dict[str, dict[str, int]]:
    """inner_loop of each product of the ladder."""
    from numba.cuda import dispatcher

    from minids.ops.cuda import compile_report, ladder

    loops = {}
    with compile_report._fake_gpu(ARCHITECTURE):
        for kernel in ladder.LADDER:
            name = kernel.py_func.__name__
            options = dict(kernel.targetoptions) | {"lto": True, "link": []}
            compiled = dispatcher._Kernel(kernel.py_func, ladder.KERNELS[name].arguments, **options)
            loops[name] = inner_loop(compiled._codelibrary.get_asm_str(cc=ARCHITECTURE))
    return loops


if __name__ == "__main__":
    print(json.dumps(compiled_ladder()))

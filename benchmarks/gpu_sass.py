"""The machine code of a kernel (SASS): its loops, and the instructions that they execute.

A listing comes from NVIDIA's disassembler (`pip install nvidia-cuda-nvdisasm`). It is a graph of basic
blocks: control enters one at its first instruction and leaves it at its last. A branch back closes a loop.
The block to which it leads is the loop's head; the loop consists of all blocks from which that branch can be
reached without passing the head.

An iteration may take several ways through a loop. Counted is the longest, without the blocks of inner loops,
which are counted for themselves: how often they run is not in the listing.
"""

import re
import subprocess
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from shutil import which
from typing import NamedTuple

_INSTRUCTION = re.compile(r"\s+/\*[0-9a-f]{4,}\*/\s+(@!?U?P\w+ +)?([A-Z][\w.]*) *(.*?) *;")
_LABEL = re.compile(r"(\.L_x_\d+):")
_TARGET = re.compile(r"`\((\.L_x_\d+)\)")
_ENDS = "BRA", "BRX", "EXIT", "RET"  # the last instruction of a block
_ENTRY = "entry"
# Multiplications per thread.
_FMA = {"FFMA": 1, "FFMA2": 2, "HMMA.1688": 16 * 8 * 8 // 32, "HMMA.16816": 16 * 8 * 16 // 32}


class Loop(NamedTuple):
    """`counts`: {opcode: instructions}, such as {"LDS.128": 8}, of one iteration without inner loops.

    `outer` are the loops around it, the outermost one first: () for the straight code, which is no loop.
    """

    label: str
    outer: tuple[str, ...]
    innermost: bool
    counts: Counter[str]


class Block(NamedTuple):
    counts: Counter[str]
    next: list[str]


def multiplications(counts: Counter[str]) -> int:
    """The multiplications, with an addition each, that a thread executes; of HMMA's, which a warp executes
    together, one 32nd."""
    return sum(n * _FMA.get(_name(opcode), 0) for opcode, n in counts.items())


def fma_instructions(counts: Counter[str]) -> int:
    """The instructions that multiply and add."""
    return sum(n for opcode, n in counts.items() if _name(opcode) in _FMA)


def _name(opcode: str) -> str:
    """FFMA of FFMA.FTZ; HMMA.1688, with the size of its matrices, of HMMA.1688.F32.TF32."""
    name, *suffixes = opcode.split(".")
    return ".".join([name, *suffixes[: name == "HMMA"]])


@cache
def disassembler() -> str | None:
    """The path of nvdisasm, in a wheel or on the PATH."""
    import nvidia

    wheels = [path for folder in nvidia.__path__ for path in Path(folder).glob("*/bin/nvdisasm")]
    return str(wheels[0]) if wheels else which("nvdisasm")


def disassemble(machine_code: bytes) -> str:
    program = disassembler()
    if program is None:
        raise FileNotFoundError("nvdisasm was not found: pip install nvidia-cuda-nvdisasm")
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(machine_code)
        file.flush()
        return subprocess.run([program, "-c", file.name], capture_output=True, text=True, check=True).stdout


def loops(listing: str) -> list[Loop]:
    """The straight code, then all loops of the longest function in a listing, which is the kernel."""
    functions = re.split(r"^\.text\.", listing, flags=re.MULTILINE)[1:]
    blocks = _blocks(max(functions, key=len).splitlines())
    order = _order(blocks)
    position = {label: i for i, label in enumerate(order)}
    bodies = {_ENTRY: set(order)} | dict(
        sorted(_bodies(blocks, position).items(), key=lambda b: position[b[0]])
    )
    found = []
    for head, body in bodies.items():
        inner = [bodies[other] for other in bodies if other in body and other != head]
        outer = tuple(other for other in bodies if head in bodies[other] and other not in (head, _ENTRY))
        counts = _longest_path(blocks, position, head, body, body.difference(*inner))
        found.append(Loop(head, outer, not inner, counts))
    return found


def _blocks(lines: list[str]) -> dict[str, Block]:
    """The basic blocks of a function, by label; those without one are numbered."""
    block = Block(Counter(), [])
    blocks = {_ENTRY: block}
    ended, goes_on = False, True  # the block; control, to the next one
    for line in lines:
        label, instruction = _LABEL.match(line), _INSTRUCTION.match(line)
        if label or (instruction and ended):
            name = label[1] if label else str(len(blocks))
            if goes_on:
                block.next.append(name)
            block = blocks[name] = Block(Counter(), [])
            ended, goes_on = False, True
        if instruction:
            predicate, opcode, operands = instruction.groups()
            block.counts[opcode] += 1
            if opcode.split(".")[0] in _ENDS:
                target = _TARGET.search(operands)
                block.next.extend([target[1]] if target else [])
                conditions = predicate or (target and operands != target[0])  # BRA P0, `(.L_x_1)
                ended, goes_on = True, bool(conditions)
    return blocks


def _order(blocks: dict[str, Block]) -> list[str]:
    """The blocks that can be reached, each before all to which it leads, except by a branch back."""
    finished: list[str] = []
    seen: set[str] = set()
    path = [_ENTRY]
    while path:
        seen.add(path[-1])
        new = next((label for label in blocks[path[-1]].next if label not in seen), None)
        if new is None:
            finished.append(path.pop())
        else:
            path.append(new)
    return finished[::-1]


def _bodies(blocks: dict[str, Block], position: dict[str, int]) -> dict[str, set[str]]:
    """{head: blocks} of each loop."""
    edges = [(label, following) for label in position for following in blocks[label].next]
    bodies: dict[str, set[str]] = {}
    for tail, head in edges:
        if position[head] <= position[tail]:
            body = bodies.setdefault(head, {head})
            todo = {tail} - body
            while todo:
                body |= todo
                todo = {label for label, following in edges if following in todo} - body
    return bodies


def _longest_path(
    blocks: dict[str, Block], position: dict[str, int], head: str, body: set[str], counted: set[str]
) -> Counter[str]:
    """The instructions on the longest path from `head` through `body`, only those in `counted`."""
    paths = {head: Counter[str]()}
    for label in filter(paths.__contains__, position):
        paths[label] += blocks[label].counts if label in counted else Counter()
        for following in blocks[label].next:
            if following in body and position[following] > position[label]:
                paths[following] = max(
                    paths.get(following, Counter()), paths[label], key=Counter.total
                ).copy()
    return max(paths.values(), key=Counter.total)

"""Translates a compiled kernel from PTX, NVIDIA's assembly language, to C, and compiles that.

A statement of PTX becomes a statement of C, a register becomes a variable. Only what NVVM writes for our
kernels is known; anything else is an error that names the instruction. The language is described in
https://docs.nvidia.com/cuda/parallel-thread-execution/.
"""

import ctypes
import hashlib
import os
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
GCC = ["gcc", "-std=gnu11", "-shared", "-fPIC", "-O1", "-march=native", "-ffp-contract=off"]
GCC += ["-fno-strict-aliasing"]
MAX_FRAME = 60_000  # bytes of a fiber's stack, which has 65536 (runtime.c)

REGISTERS = {"pred": "u8", "b16": "u16", "b32": "u32", "b64": "u64", "f32": "f32"}  # PTX type: C type
SIZES = {"8": 1, "16": 2, "32": 4, "64": 8}
SPECIAL = {
    f"%{name}.{axis}": f"t->{where}[{i}]"
    for name, where in {
        "tid": "index",
        "ntid": "block->grid->threads",
        "ctaid": "block->index",
        "nctaid": "block->grid->blocks",
    }.items()
    for i, axis in enumerate("xyz")
} | {"%laneid": "t->lane", "%dynamic_smem_size": "t->block->grid->dynamic_size"}

# Instructions that compute one number: (pattern, types of the sources, C expression, type of the result).
# {0}, {1} are groups of the pattern, a … d the sources. Sums of integers are unsigned: they may overflow.
RULES = [
    (r"mov\.([subf]32|[sub]64|pred)", "{0}", "a", "{0}"),
    (r"cvta(?:\.to)?\.(?:global|local|shared)\.u64", "u64", "a", "u64"),
    (r"(?:add|sub|mul)(?:\.rn)?\.f32", "f32", "a {op} b", "f32"),
    (r"(?:add|sub)\.[su](32|64)", "u{0}", "a {op} b", "u{0}"),
    (r"add\.rz\.f32", "f32", "add_toward_zero(a, b)", "f32"),
    (r"mul\.lo\.[su](32|64)", "u{0}", "a * b", "u{0}"),
    (r"mul\.wide\.([su])32", "{0}32", "({0}64)a * b", "{0}64"),
    (r"mul\.hi\.([su])32", "{0}32", "({0}64)a * b >> 32", "{0}32"),
    (r"mad\.lo\.[su](32|64)", "u{0}", "a * b + c", "u{0}"),
    (r"mad\.wide\.([su])32", "{0}32 {0}32 {0}64", "({0}64)a * b + c", "{0}64"),
    (r"fma\.rn\.f32", "f32", "fmaf(a, b, c)", "f32"),
    (r"fma\.rm\.f32", "f32", "fma_downward(a, b, c)", "f32"),
    (r"div\.rn\.f32", "f32", "a / b", "f32"),
    (r"(?:div|rem)\.([su](?:32|64))", "{0}", "a {op} b", "{0}"),
    (r"neg\.(f32|s32|s64)", "{0}", "-a", "{0}"),
    (r"abs\.f32", "f32", "fabsf(a)", "f32"),
    (r"abs\.(s32|s64)", "{0}", "a < 0 ? -a : a", "{0}"),
    (r"(min|max)\.f32", "f32", "f{0}f(a, b)", "f32"),
    (r"min\.([su]32|[su]64)", "{0}", "a < b ? a : b", "{0}"),
    (r"max\.([su]32|[su]64)", "{0}", "a > b ? a : b", "{0}"),
    (r"(?:and|or|xor)\.(b32|b64|pred)", "{0}", "a {op} b", "{0}"),
    (r"not\.(b32|b64)", "{0}", "~a", "{0}"),
    (r"not\.pred", "pred", "!a", "pred"),
    (r"shl\.b(32|64)", "u{0} u32", "b < {0} ? a << b : 0", "u{0}"),
    (r"bfi\.b(32|64)", "u{0} u{0} u32 u32", "insert_bits(a, b, c, d)", "u{0}"),
    (r"shr\.u(32|64)", "u{0} u32", "b < {0} ? a >> b : 0", "u{0}"),
    (r"shr\.s(32|64)", "s{0} u32", "a >> (b < {0} ? b : {0} - 1)", "s{0}"),
    (r"cvt\.([su](?:8|16|32|64))\.([su](?:8|16|32|64))", "{1}", "({0})a", "{0}"),
    (r"cvt\.rn\.f32\.([su](?:32|64))", "{0}", "(f32)a", "f32"),
    (r"cvt\.sat\.f32\.f32", "f32", "saturated(a)", "f32"),
    (r"cvt\.rna\.tf32\.f32", "f32", "bits(to_tf32(a))", "b32"),
    (r"cvt\.rn\.(bf16|f16)x2\.f32", "f32", "(u32)to_{0}(a) << 16 | to_{0}(b)", "b32"),
    (r"ex2\.approx(?:\.ftz)?\.f32", "f32", "exp2f(a)", "f32"),
    (r"lg2\.approx(?:\.ftz)?\.f32", "f32", "log2f(a)", "f32"),
    (r"selp\.(\w+)", "{0} {0} pred", "c ? a : b", "{0}"),
    (r"setp\.(?:eq|ne|lt|le|gt|ge|lo|ls|hi|hs)\.[sub](?:32|64)", "{type}", "a {op} b", "pred"),
    (r"setp\.(?:eq|lt|le|gt|ge)\.f32", "f32", "a {op} b", "pred"),
    (r"setp\.ne\.f32", "f32", "a < b || a > b", "pred"),  # false for NaN, as all but the next ones
    (r"setp\.equ\.f32", "f32", "!(a < b || a > b)", "pred"),
    (r"setp\.neu\.f32", "f32", "a != b", "pred"),
    (r"setp\.(?:ltu|leu|gtu|geu)\.f32", "f32", "!(a {op} b)", "pred"),
    (r"setp\.nan\.f32", "f32", "isnan(a) || isnan(b)", "pred"),
    (r"setp\.num\.f32", "f32", "!isnan(a) && !isnan(b)", "pred"),
]
OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "rem": "%", "and": "&", "or": "|", "xor": "^"}
OPERATORS |= {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
OPERATORS |= {"lo": "<", "ls": "<=", "hi": ">", "hs": ">=", "ltu": ">=", "leu": ">", "gtu": "<=", "geu": "<"}
CACHE_HINTS = {"nc", "ca", "cg", "cs"}
COPY_SIZES = {"async.ca.shared.global": {"4", "8", "16"}, "async.cg.shared.global": {"16"}}
PRODUCTS = {  # of matrices: the type of their numbers, and how many of them a register has
    f"sync.aligned.m16n8k{8 * n}.row.col.f32.{kind}.{kind}.f32": (kind, n)
    for kind, n in (("tf32", 1), ("bf16", 2), ("f16", 2))
}
ATOMIC = {"add": "old + a", "exch": "a", "cas": "old == a ? b : old"}
ATOMIC |= {"min": "a < old ? a : old", "max": "a > old ? a : old"}


class Kernel(NamedTuple):
    """What the driver must know of a kernel. `function` is the address of its C function."""

    name: str
    parameters: tuple[int, ...]  # sizes in bytes
    static_shared: int
    max_threads: int  # its launch bounds, or 1024
    min_blocks: int  # per multiprocessor; 0 without launch bounds
    ptx: str
    function: int | None


class UnknownInstruction(Exception):
    pass


def compiled(source: str, folder: Path, *options: str, translate=lambda source: source) -> Path:
    """The library of a file of C, or of what is translated to C, compiled unless the folder has it."""
    header, translator = (HERE / "runtime.h").read_text(), Path(__file__).read_text()
    key = repr((GCC, options, header, translator, source))
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.so"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = f"{path}.{os.getpid()}"
        command = [*GCC, *options, f"-I{HERE}", "-x", "c", "-", "-o", unfinished, "-lm"]
        subprocess.run(command, input=translate(source), text=True, check=True)
        os.replace(unfinished, path)
    return path


@cache
def load(ptx: str, folder: Path, *options: str) -> Kernel:
    """Translate, compile and load the one kernel of a PTX file."""
    translation = Translation(ptx)
    options = f"-Werror=frame-larger-than={MAX_FRAME}", *options
    library = ctypes.CDLL(str(compiled(ptx, folder, *options, translate=lambda _: translation.source())))
    bounds = re.search(r"\.maxntid (\d+)", ptx), re.search(r"\.minnctapersm (\d+)", ptx)
    return Kernel(
        translation.name,
        tuple(translation.parameter_sizes),
        translation.static_shared,
        *(int(bound[1]) if bound else default for bound, default in zip(bounds, (1024, 0), strict=True)),
        ptx,
        ctypes.cast(library.kernel, ctypes.c_void_p).value,
    )


@cache
def instructions(ptx: str) -> list[str]:
    """Instruction number i + 1 of a kernel."""
    translation = Translation(ptx)
    translation.source()
    return translation.instructions


class Translation:
    """One kernel. `source()` is a file of C with the function kernel(Thread *t)."""

    def __init__(self, ptx: str) -> None:
        ptx = re.sub(r"//[^\n]*|\0", "", ptx)
        entry = re.search(r"\.entry\s+([\w$]+)\s*\((.*?)\)([^{]*)\{(.*)\}\s*$", ptx, re.DOTALL)
        self.name, parameters, _, self.body = entry.groups()
        declared = re.findall(r"\.param\s+\.\w*?(\d+)\s+([\w$]+)", parameters)
        self.parameters = {name: i for i, (_, name) in enumerate(declared)}
        self.parameter_sizes = [SIZES[bits] for bits, _ in declared]
        self.symbols, self.local, self.registers = {}, {}, {}
        self._lay_out_shared(ptx)
        for name, size in re.findall(r"\.local\s+\.align\s+\d+\s+\.b8\s+([\w$]+)\[(\d+)\]", self.body):
            self.local[name] = int(size)
        for kind, name, count in re.findall(r"\.reg\s+\.(\w+)\s+%(\w+?)(?:<(\d+)>)?;", self.body):
            names = [f"R{name}{i}" for i in range(int(count))] if count else [f"R{name}"]
            self.registers |= dict.fromkeys(names, REGISTERS[kind])
        self.copies = "cp.async" in self.body
        self.instructions = []

    def _lay_out_shared(self, ptx):
        """Arrays in shared memory, one after another; the dynamic one, which has no size, begins last."""
        end, dynamic = 0, []
        pattern = r"\.shared\s+\.align\s+(\d+)\s+\.b8\s+([\w$]+)\[(\d*)\]"
        for alignment, name, size in re.findall(pattern, ptx):
            if not size:
                dynamic.append(name)
                continue
            self.symbols[name] = -(-end // int(alignment)) * int(alignment)
            end = self.symbols[name] + int(size)
        self.static_shared = -(-end // 16) * 16
        self.symbols |= dict.fromkeys(dynamic, self.static_shared)

    def source(self) -> str:
        lines = ['#include "runtime.h"', "void kernel(Thread *t) {"]
        if self.copies:
            lines = ["#define ASYNC_COPIES", *lines, "Copies copies = {0};"]
        lines += [f"{kind} {name} = 0;" for name, kind in self.registers.items()]
        lines += [f"u8 {name}[{size}] __attribute__((aligned(16)));" for name, size in self.local.items()]
        lines += [f"memset({name}, 0xff, {size});" for name, size in self.local.items()]
        for part in re.split(r";|^\s*[{}]\s*$", self.body, flags=re.MULTILINE):
            while label := re.match(r"\s*\$?(\w+):", part):
                lines.append(f"{label[1]}:;")
                part = part[label.end() :]
            if statement := " ".join(part.split()):
                lines.append(self._statement(statement))
        return "\n".join([*lines, "}", ""])

    def _statement(self, text):
        if text.startswith((".reg", ".shared", ".local", ".param", ".pragma", "st.param")):
            return ""
        self.instructions.append(text)
        guard, opcode, rest = re.fullmatch(r"(?:@(!?%\w+) )?([\w.:]+) ?(.*)", text).groups()
        operands = re.findall(r"\{[^}]*\}|\[[^\]]*\]|\([^)]*\)|[^,\s{}\[\]()]+", rest)
        try:
            code = self._instruction(opcode, operands)
        except (KeyError, ValueError, IndexError, StopIteration) as error:
            raise UnknownInstruction(text) from error
        return f"if ({guard.replace('%', 'R')}) {{ {code} }}" if guard else f"{{ {code} }}"

    def _instruction(self, opcode, operands):
        name, *modifiers = opcode.split(".")
        special = getattr(self, f"_{name}", lambda *_: None)
        if code := special(modifiers, operands):
            return code
        rules = ((re.fullmatch(pattern, opcode), *rest) for pattern, *rest in RULES)
        match, types, expression, result = next(rule for rule in rules if rule[0])
        names = {"op": OPERATORS.get(modifiers[0] if name == "setp" else name), "type": modifiers[-1]}
        target, *sources = operands
        types = types.format(*match.groups(), **names).split()
        types += types[:1] * (len(sources) - len(types))
        values = {x: self._value(*source) for x, *source in zip("abcd", sources, types, strict=False)}
        expression = re.sub(
            r"\b[abcd]\b", lambda m: values[m[0]], expression.format(*match.groups(), **names)
        )
        return self._assign(target, expression, result.format(*match.groups()))

    @property
    def place(self):
        """The number of the current instruction."""
        return len(self.instructions)

    # Operands

    def _value(self, operand, kind):
        """C code for an operand, read as a number of this PTX type."""
        c_type = REGISTERS.get(kind, kind)
        if operand in SPECIAL:
            return f"(({c_type}){SPECIAL[operand]})"
        if operand.startswith("%"):
            register = f"R{operand[1:]}"
            if (self.registers[register] == "f32") == (c_type == "f32"):
                return f"(({c_type}){register})"
            return f"number({register})" if c_type == "f32" else f"(({c_type})bits({register}))"
        if operand in self.symbols:
            return f"{self.symbols[operand]}ul"
        if operand in self.local:
            return f"(u64){operand}"
        if operand.startswith("0f"):
            return f"number(0x{operand[2:]}u)" if c_type == "f32" else f"0x{operand[2:]}u"
        return f"(({c_type}){int(operand, 0) % 2**64}ul)"

    def _assign(self, target, expression, kind):
        """Assign a number of this PTX type to a register, whatever the register's type."""
        register, is_float = f"R{target[1:]}", REGISTERS.get(kind, kind) == "f32"
        if (self.registers[register] == "f32") != is_float:
            expression = f"bits({expression})" if is_float else f"number({expression})"
        return f"{register} = {expression};"

    def _address(self, operand):
        base, _, offset = operand[1:-1].partition("+")
        return f"{self._value(base, 'u64')} + {int(offset or 0)}l"

    @staticmethod
    def _list(operand):
        return [name.strip() for name in operand.strip("{}").split(",")]

    # Instructions that are more than an expression; those that return None are tried as expressions

    def _bra(self, modifiers, operands):
        return f"goto {operands[0].lstrip('$')};"

    def _ret(self, modifiers, operands):
        return "end(t, &copies); return;" if self.copies else "return;"

    def _bar(self, modifiers, operands):
        if modifiers == ["warp", "sync"]:
            return f"wait_for(t, AT_EXCHANGE, {self.place}, {self._value(operands[0], 'u32')});"
        if modifiers != ["sync"] or operands != ["0"]:
            raise ValueError
        return f"wait_for(t, AT_BARRIER, {self.place}, 0);"

    _barrier = _bar

    def _ld(self, modifiers, operands):
        target, source = operands
        kind, polls = modifiers[-1], "acquire" in modifiers
        if polls:  # it may wait for what another block stores
            modifiers = self._ordered("acquire", modifiers)
        if "param" in modifiers:
            name = source[1:-1].partition("+")[0]
            pointer = f"(void *)t->block->grid->parameters[{self.parameters[name]}]"
        else:
            pointer = self._pointer(modifiers[:-1], source, kind, len(self._list(target)))
        names = self._list(target)
        code = f"{self._memory_type(kind)} *p = {pointer};"
        if polls:
            code = f"poll(t, {self.place});" + code
        if len(names) == 1:
            return code + self._assign(target, "*p", kind)
        values = "".join(f"{self._memory_type(kind)} v{i} = p[{i}];" for i in range(len(names)))
        return code + values + "".join(self._assign(name, f"v{i}", kind) for i, name in enumerate(names))

    def _st(self, modifiers, operands):
        target, source = operands
        kind, names = modifiers[-1], self._list(source)
        if "release" in modifiers:
            modifiers = self._ordered("release", modifiers)
        code = f"{self._memory_type(kind)} *p = {self._pointer(modifiers[:-1], target, kind, len(names))};"
        return code + "".join(f"p[{i}] = {self._value(name, kind)};" for i, name in enumerate(names))

    @staticmethod
    def _memory_type(kind):
        return "f32" if kind == "f32" else re.sub("^b", "u", kind)

    def _pointer(self, modifiers, operand, kind, count):
        """A checked pointer to `count` numbers."""
        space = set(modifiers) - CACHE_HINTS - {f"v{count}"}
        if not space <= {"global", "shared", "local"}:
            raise ValueError
        access = f"{self._address(operand)}, {SIZES[kind[1:]] * count}"
        return f"shared_at(t, {access}, {self.place})" if "shared" in space else f"global_at({access})"

    @staticmethod
    def _ordered(order, modifiers):
        """The other modifiers of an instruction, which must have this order of memory, for all blocks.

        Memory is always in order here; on a GPU, other threads would see stores in another order without it.
        """
        if not {order, "gpu"} <= set(modifiers):
            raise ValueError
        return [modifier for modifier in modifiers if modifier not in (order, "gpu")]

    def _atom(self, modifiers, operands, order="acq_rel"):
        """One thread runs at a time, and so every instruction is atomic."""
        target, place, *sources = operands
        *modifiers, operation, kind = self._ordered(order, modifiers)
        c_type = self._memory_type(kind)
        code = f"{c_type} *p = {self._pointer(modifiers, place, kind, 1)}, old = *p;"
        for name, source in zip("ab", sources, strict=False):
            code += f"{c_type} {name} = {self._value(source, kind)};"
        code += f"*p = {ATOMIC[operation]}; progress += *p != old;"
        if target is None:
            return code
        return f"poll(t, {self.place});" + code + self._assign(target, "old", kind)

    def _red(self, modifiers, operands):
        return self._atom(modifiers, [None, *operands], "release")

    def _cp(self, modifiers, operands):
        """Asynchronous copies from global to shared memory. They arrive when they are waited for."""
        if modifiers[1] == "commit_group":
            return "copies.groups++;"
        if modifiers[1] == "wait_group":
            return f"wait_for_copies(t, &copies, {int(operands[0])});"
        if modifiers[1] == "wait_all":
            return "copies.groups++; wait_for_copies(t, &copies, 0);"
        target, source, size, *valid = operands
        if size not in COPY_SIZES[".".join(modifiers)]:
            raise ValueError
        valid = self._value(*valid, "u32") if valid else size
        addresses = f"{self._address(target)}, {self._address(source)}"
        return f"copy_async(t, &copies, {addresses}, {size}, {valid}, {self.place});"

    def _ldmatrix(self, modifiers, operands):
        """Each lane gives the address of a row of a matrix of 8 rows of 16 bytes, and gets a part of each."""
        target, address = operands
        names = self._list(target)
        if modifiers != ["sync", "aligned", "m8n8", f"x{len(names)}", "shared", "b16"]:
            raise ValueError
        code = f"load_rows(t, {self._address(address)}, {len(names)}, {self.place});"
        parts = (f"t->warp[{8 * i} + t->lane / 4].received[t->lane % 4]" for i in range(len(names)))
        return code + "".join(map(self._assign, names, parts, ["b32"] * len(names)))

    def _mov(self, modifiers, operands):
        """A register of 64 bits from two of 32, and the reverse."""
        target, source = operands
        if target.startswith("{"):
            low, high = self._list(target)
            code = f"u64 x = {self._value(source, 'b64')};"
            parts = {low: "(u32)x", high: "(u32)(x >> 32)"}
            return code + "".join(self._assign(name, x, "b32") for name, x in parts.items() if name != "_")
        if source.startswith("{"):
            low, high = (self._value(name, "u32") for name in self._list(source))
            return self._assign(target, f"(u64){high} << 32 | {low}", "b64")
        return None

    def _shfl(self, modifiers, operands):
        if modifiers != ["sync", "bfly", "b32"]:
            raise ValueError
        target, *sources = operands
        target, _, all_there = target.partition("|")
        arguments = ", ".join(self._value(source, "u32") for source in sources)
        code = self._assign(target, f"shuffle(t, {arguments}, {self.place})", "b32")
        return code + (f"R{all_there[1:]} = 1;" if all_there else "")

    def _mma(self, modifiers, operands):
        kind, per_register = PRODUCTS[".".join(modifiers)]
        target, a, b, c = (self._list(operand) for operand in operands)
        a, b = (", ".join(self._value(name, "u32") for name in names) for names in (a, b))
        c = ", ".join(self._value(name, "f32") for name in c)
        code = f"u32 a[] = {{{a}}}, b[] = {{{b}}}; f32 c[] = {{{c}}}, d[4];"
        code += f"multiply_add(t, a, b, c, d, {per_register}, from_{kind}, {self.place});"
        return code + "".join(self._assign(name, f"d[{i}]", "f32") for i, name in enumerate(target))

"""Vectors of float32 or int32 in Numba's functions: LLVM divides them into the registers of the machine.

Of simple loops the compiler makes vectors by itself. These are for sums that must stay in registers, where it
would keep an array in memory, and for loops over many arrays, which it takes to overlap. A product may fuse
with a sum; a number next to a vector stands for a vector of it.

    splat, load, store = operations(16)

    @njit()
    def scale(x, by):
        for first in range(0, len(x), 16):
            store(x, first, load(x, first) * by)
"""

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable


class Vector(types.Type):
    """So many float32, or int32."""

    def __init__(self, lanes: int, element: types.Type = types.float32):
        super().__init__(name=f"{lanes} {element}")
        self.lanes, self.element = lanes, element

    @property
    def llvm(self) -> ir.VectorType:
        element = ir.FloatType() if self.element == types.float32 else ir.IntType(32)
        return ir.VectorType(element, self.lanes)


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector):
        super().__init__(manager, kind, kind.llvm)


def _splat(builder, vector, number):
    """A vector of equal numbers."""
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.lanes), None)
    first = builder.insert_element(ir.Constant(vector.llvm, ir.Undefined), number, ir.IntType(32)(0))
    return builder.shuffle_vector(first, first, zeros)


def _fused(name):
    return lambda builder, a, b: getattr(builder, name)(a, b, flags=("contract",))


def _of_integers(name):
    return lambda builder, a, b: getattr(builder, name)(a, b)


def _choice(order, compare):
    """The second where it comes first in the order, as in Python: max(NaN, x) is NaN."""
    return lambda builder, a, b: builder.select(getattr(builder, compare)(order, b, a), b, a)


_OPERATIONS: dict = {  # of floats, of integers
    operator.add: (_fused("fadd"), _of_integers("add")),
    operator.sub: (_fused("fsub"), _of_integers("sub")),
    operator.mul: (_fused("fmul"), _of_integers("mul")),
    operator.lshift: (None, _of_integers("shl")),
    operator.rshift: (None, _of_integers("ashr")),
    max: (_choice(">", "fcmp_ordered"), _choice(">", "icmp_signed")),
    min: (_choice("<", "fcmp_ordered"), _choice("<", "icmp_signed")),
}

for _operation, _emitters in _OPERATIONS.items():

    @type_callable(_operation)
    def _type(context, emitters=_emitters):
        def result(a, b):
            vector = a if isinstance(a, Vector) else b
            if isinstance(vector, Vector) and emitters[vector.element == types.int32]:
                return vector if all(x in (vector, vector.element) for x in (a, b)) else None
            return None

        return result

    @lower_builtin(_operation, Vector, Vector)
    @lower_builtin(_operation, Vector, types.Number)
    @lower_builtin(_operation, types.Number, Vector)
    def _emit(context, builder, signature, arguments, emitters=_emitters):
        vector = signature.return_type
        operands = [
            value if kind == vector else _splat(builder, vector, value)
            for kind, value in zip(signature.args, arguments, strict=True)
        ]
        return emitters[vector.element == types.int32](builder, *operands)


def _conversion(instruction: str, element: types.Type) -> Any:
    @intrinsic
    def convert(typing, vector):
        result = Vector(vector.lanes, element)

        def generate(context, builder, signature, arguments):
            return getattr(builder, instruction)(arguments[0], result.llvm)

        return result(vector), generate

    return convert


truncate = _conversion("fptosi", types.int32)
to_float = _conversion("sitofp", types.float32)
bits_of = _conversion("bitcast", types.int32)
float_of = _conversion("bitcast", types.float32)


@intrinsic
def select(typing, mask, a, b):
    """The elements of `a` where the integers of `mask` are not 0, elsewhere those of `b`."""

    def generate(context, builder, signature, arguments):
        mask = builder.icmp_signed("!=", arguments[0], ir.Constant(arguments[0].type, None))
        return builder.select(mask, arguments[1], arguments[2])

    return a(mask, a, b), generate


def shuffle(order) -> Any:
    """A function of two vectors: the elements of this order, numbered through both vectors."""

    @intrinsic
    def run(typing, a, b):
        def generate(context, builder, signature, arguments):
            lanes = ir.VectorType(ir.IntType(32), len(order))
            return builder.shuffle_vector(*arguments, lanes(list(order)))

        return Vector(len(order), a.element)(a, b), generate

    return run


def _folded(emit) -> Any:
    """One number of all elements: halves are combined until one is left."""

    @intrinsic
    def run(typing, vector):
        def generate(context, builder, signature, arguments):
            value, lanes = arguments[0], vector.lanes
            while lanes > 1:
                lanes //= 2
                index = ir.VectorType(ir.IntType(32), lanes)
                low, high = (
                    builder.shuffle_vector(value, value, index(list(range(first, first + lanes))))
                    for first in (0, lanes)
                )
                value = emit(builder, low, high)
            return builder.extract_element(value, ir.IntType(32)(0))

        return vector.element(vector), generate

    return run


total, largest = _folded(_OPERATIONS[operator.add][0]), _folded(_OPERATIONS[max][0])  # of floats


def _mask(builder, lanes, first, end):
    """Which of the numbers from `first` on come before `end`."""
    index = Vector(lanes, types.int32)
    left = builder.trunc(builder.sub(end, first), ir.IntType(32))
    return builder.icmp_signed("<", index.llvm(list(range(lanes))), _splat(builder, index, left))


def partial(lanes: int) -> tuple[Any, Any]:
    """`load(array, first, end, rest)`, `store(array, first, end, vector)`: as those of `operations`, but
    nothing from number `end` on is touched; a loaded vector has the number `rest` there.
    """

    def parts(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        vector = Vector(lanes, signature.args[0].dtype)
        mask = _mask(builder, lanes, *arguments[1:3])
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), vector.llvm.as_pointer())
        kind = f"v{lanes}{'f32' if vector.element == types.float32 else 'i32'}.p0"
        return vector, pointer, mask, kind

    def call(builder, name, result, arguments):
        function = ir.FunctionType(result, [a.type for a in arguments])
        return builder.call(cgutils.get_or_insert_function(builder.module, function, name), arguments)

    @intrinsic
    def load(typing, array, first, end, rest):
        def generate(context, builder, signature, arguments):
            vector, pointer, mask, kind = parts(context, builder, signature, arguments)
            rest = _splat(builder, vector, arguments[3])
            return call(
                builder, f"llvm.masked.load.{kind}", vector.llvm, (pointer, ir.IntType(32)(4), mask, rest)
            )

        return Vector(lanes, array.dtype)(array, types.int64, types.int64, array.dtype), generate

    @intrinsic
    def store(typing, array, first, end, numbers):
        def generate(context, builder, signature, arguments):
            _, pointer, mask, kind = parts(context, builder, signature, arguments)
            call(
                builder,
                f"llvm.masked.store.{kind}",
                ir.VoidType(),
                (arguments[3], pointer, ir.IntType(32)(4), mask),
            )
            return context.get_dummy_value()

        return types.void(array, types.int64, types.int64, numbers), generate

    return load, store


def operations(lanes: int) -> tuple[Any, Any, Any]:
    """`splat(number)`: a vector of equal numbers; `load(array, first)`: the numbers first, first + 1, … of an
    array's memory; `store(array, first, vector)`.
    """

    def address(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        vector = Vector(lanes, signature.args[0].dtype).llvm
        return builder.bitcast(builder.gep(data, [arguments[1]]), vector.as_pointer())

    @intrinsic
    def splat(typing, number):
        vector = Vector(lanes, number)
        return vector(number), lambda context, builder, signature, arguments: _splat(
            builder, vector, arguments[0]
        )

    @intrinsic
    def load(typing, array, first):
        def generate(*arguments):
            return arguments[1].load(address(*arguments), align=4)

        return Vector(lanes, array.dtype)(array, types.int64), generate

    @intrinsic
    def store(typing, array, first, numbers):
        def generate(context, builder, signature, arguments):
            builder.store(arguments[2], address(context, builder, signature, arguments), align=4)
            return context.get_dummy_value()

        return types.void(array, types.int64, numbers), generate

    return splat, load, store

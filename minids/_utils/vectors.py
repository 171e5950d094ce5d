"""Vectors of float32 in Numba's functions: LLVM divides them into the registers of the machine.

Of simple loops the compiler makes vectors by itself. These are for sums that must stay in registers, where it
would keep an array in memory. They have +, - and *, and a product may fuse with a sum.

    splat, load, store = operations(16)

    @njit()
    def scale(x, by):
        for first in range(0, len(x), 16):
            store(x, first, load(x, first) * splat(by))
"""

import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable


class Vector(types.Type):
    """So many float32."""

    def __init__(self, lanes: int):
        super().__init__(name=f"{lanes} float32")
        self.lanes = lanes

    @property
    def llvm(self) -> ir.VectorType:
        return ir.VectorType(ir.FloatType(), self.lanes)


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector):
        super().__init__(manager, kind, kind.llvm)


for _operation, _name in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):

    @type_callable(_operation)
    def _type(context):
        return lambda a, b: a if isinstance(a, Vector) and a == b else None

    @lower_builtin(_operation, Vector, Vector)
    def _emit(context, builder, signature, arguments, name=_name):
        return getattr(builder, name)(*arguments, flags=("contract",))


def operations(lanes: int) -> tuple[Any, Any, Any]:
    """`splat(number)`: a vector of equal numbers; `load(array, first)`: the numbers first, first + 1, … of an
    array's memory; `store(array, first, vector)`.
    """
    vector = Vector(lanes)
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), lanes), None)

    def address(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.bitcast(builder.gep(data, [arguments[1]]), vector.llvm.as_pointer())

    @intrinsic
    def splat(typing, number):
        def generate(context, builder, signature, arguments):
            undefined = ir.Constant(vector.llvm, ir.Undefined)
            first = builder.insert_element(undefined, arguments[0], ir.IntType(32)(0))
            return builder.shuffle_vector(first, first, zeros)

        return vector(types.float32), generate

    @intrinsic
    def load(typing, array, first):
        def generate(*arguments):
            return arguments[1].load(address(*arguments), align=4)

        return vector(array, types.int64), generate

    @intrinsic
    def store(typing, array, first, numbers):
        def generate(context, builder, signature, arguments):
            builder.store(arguments[2], address(context, builder, signature, arguments), align=4)
            return context.get_dummy_value()

        return types.void(array, types.int64, vector), generate

    return splat, load, store

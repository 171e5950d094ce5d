"""Tensor cores: a warp multiplies two small matrices in one instruction. The factors are rounded to TF32.

TF32 has the exponent of float32 and 10 of its 23 bits of mantissa: each factor has a relative error of up to
1/2048, and sums are float32. Numba has no function for it, so the instruction is written as inline assembly.
"""

from minids.ops import driver

if driver.simulated():
    from minids.cuda_simulator.intrinsics import load_matrices, multiply_add, tf32
else:
    from llvmlite import ir
    from numba.cuda import cgutils, types
    from numba.cuda.extending import intrinsic
    from numba.cuda.typing import signature

    from minids.ops.cuda.vector_io import SHARED, address_of, assembly

    _FLOAT, _INT = ir.FloatType(), ir.IntType(32)

    @intrinsic
    def tf32(typing_context, x):
        def generate(context, builder, sig, args):
            code = "cvt.rna.tf32.f32 $0, $1;"
            return builder.bitcast(assembly(builder, code, "=r,f", args, _INT, side_effect=False), _FLOAT)

        return signature(types.float32, types.float32), generate

    @intrinsic
    def multiply_add(typing_context, a, b, c):
        def generate(context, builder, sig, args):
            numbers = [builder.bitcast(builder.extract_value(args[0], i), _INT) for i in range(4)]
            numbers += [builder.bitcast(builder.extract_value(args[1], i), _INT) for i in range(2)]
            numbers += [builder.extract_value(args[2], i) for i in range(4)]
            code = (
                "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
                "{$0,$1,$2,$3}, {$4,$5,$6,$7}, {$8,$9}, {$10,$11,$12,$13};"
            )
            constraints = "=f,=f,=f,=f,r,r,r,r,r,r,f,f,f,f"
            # With side effects, because all lanes must execute it.
            result = assembly(builder, code, constraints, numbers, ir.LiteralStructType([_FLOAT] * 4))
            return cgutils.pack_array(builder, [builder.extract_value(result, i) for i in range(4)])

        return signature(types.UniTuple(types.float32, 4), a, b, c), generate

    @intrinsic
    def load_matrices(typing_context, shared, i):
        def generate(context, builder, sig, args):
            code = "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {$0,$1,$2,$3}, [$4];"
            matrices = [address_of(context, builder, sig, args, 0, SHARED)]
            result = ir.LiteralStructType([_INT] * 4)
            four = assembly(builder, code, "=r,=r,=r,=r,r,~{memory}", matrices, result)
            numbers = [builder.bitcast(builder.extract_value(four, j), _FLOAT) for j in range(4)]
            return cgutils.pack_array(builder, numbers)

        return signature(types.UniTuple(types.float32, 4), shared, i), generate

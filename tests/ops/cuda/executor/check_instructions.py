"""Instructions of PTX that only few of our kernels use, each in a kernel of its own. See test_executor.py."""

import numpy as np
import pytest
from cuda.core import Device, LaunchConfig, ObjectCode, launch

from minids.ops.cuda import arrays
from tests.ops.cuda.executor import driver
from tests.ops.cuda.executor.check_faults import found

KERNEL = """
.version 8.0
.target sm_80
.address_size 64
.extern .shared .align 16 .b8 s[];
.visible .entry kernel(.param .u64 x, .param .u64 y)
{{
    .reg .pred %p<9>;
    .reg .b32 %r<40>;
    .reg .f32 %f<40>;
    .reg .b64 %rd<20>;
    ld.param.u64 %rd1, [x];
    ld.param.u64 %rd2, [y];
    mov.u32 %r1, %tid.x;
    mov.u32 %r2, %ctaid.x;
    {body}
    ret;
}}
"""  # %r1 is the number of the thread, %r2 of its block


def run(body, *values, threads=1, blocks=1, cooperative=False):
    """What a kernel makes of two arrays, given as numbers of 32 bits."""
    on_gpu = [arrays.from_host(np.atleast_1d(array)) for array in values]
    kernel = ObjectCode.from_ptx(KERNEL.format(body=body).encode()).get_kernel("kernel")
    configuration = LaunchConfig(grid=blocks, block=threads, shmem_size=4096, is_cooperative=cooperative)
    addresses = (array.__cuda_array_interface__["data"][0] for array in on_gpu)
    launch(Device().default_stream, configuration, kernel, *addresses)
    return [arrays.to_host(array) for array in on_gpu]


def numbers(n):
    return np.arange(1, n + 1, dtype=np.float32)


@pytest.mark.parametrize(
    ("operands", "expected"),
    [
        ("15, 0, 4, 2", 3 << 4),
        ("0, -1, 8, 8", 0xFFFF00FF),
        ("-1, 1, 1, 63", 2**32 - 1),
        ("7, 5, 30, 9", 0xC0000005),
        ("7, 5, 32, 1", 5),
        ("7, 5, 0, 0", 5),
    ],
)
def test_bits_are_inserted(operands, expected):
    for size in 32, 64:
        register = {32: "%r10", 64: "%rd10"}[size]
        body = f"bfi.b{size} {register}, {operands}; st.global.u{size} [%rd2], {register};"
        _, y = run(body, np.zeros(2, np.uint32), np.zeros(2, np.uint32))
        assert size == 64 or y[0] == expected
        x, into, position, length = (int(number) for number in operands.split(", "))
        bits = sum(1 << i for i in range(position, min(position + length, size)))
        exact = (into & ~bits | x << position & bits) % 2**size
        assert y[: size // 32].view(f"u{size // 8}") == exact


# Asynchronous copies


@pytest.mark.parametrize(
    ("kind", "size", "valid"),
    [("ca", 4, 4), ("ca", 4, 0), ("ca", 8, 4), ("cg", 16, 16), ("cg", 16, 4), ("cg", 16, 0)],
)
def test_a_copy_whose_rest_is_zero(kind, size, valid):
    body = f"""
    cp.async.{kind}.shared.global [s+16], [%rd1], {size}, {valid};
    cp.async.wait_all;
    ld.shared.v4.b32 {{%r10, %r11, %r12, %r13}}, [s+16];
    st.global.v4.b32 [%rd2], {{%r10, %r11, %r12, %r13}};
    """
    _, y = run(body, numbers(4), numbers(4))
    np.testing.assert_array_equal(y[: size // 4], [*numbers(valid // 4), *np.zeros((size - valid) // 4)])


PIPELINE = """
    cp.async.ca.shared.global [s], [%rd1], 4;
    cp.async.commit_group;
    cp.async.ca.shared.global [s+4], [%rd1+4], 4;
    cp.async.commit_group;
    cp.async.wait_group {n};
    ld.shared.b32 %r10, [s+{at}];
    st.global.b32 [%rd2], %r10;
    cp.async.wait_all;
"""


@pytest.mark.parametrize(("n", "at"), [(1, 0), (0, 0), (0, 4)])
def test_a_group_that_was_waited_for(n, at):
    _, y = run(PIPELINE.format(n=n, at=at), numbers(2), numbers(1))
    assert y == 1 + at // 4


@pytest.mark.parametrize(("n", "at"), [(1, 4), (2, 0)])
def test_a_group_that_was_not_waited_for(n, at):
    with found("before a copy to it was waited for"):
        run(PIPELINE.format(n=n, at=at), numbers(2), numbers(1))


def test_a_copy_that_is_in_no_group():
    """It is not waited for."""
    with found("before a copy to it was waited for"):
        run(PIPELINE.format(n=0, at=4).replace("cp.async.commit_group", "", 2), numbers(2), numbers(1))


def test_a_thread_that_ends_before_its_copies():
    with found("a thread ends while 1 of its copies are under way"):
        run("cp.async.ca.shared.global [s], [%rd1], 4; cp.async.commit_group;", numbers(1), numbers(1))


SHARED_COPY = """
    mul.lo.u32 %r3, %r1, 4;
    cvt.u64.u32 %rd3, %r3;
    add.s64 %rd4, %rd1, %rd3;
    add.s64 %rd5, %rd2, %rd3;
    cp.async.ca.shared.global [%r3], [%rd4], 4;
    cp.async.wait_all;
    bar.sync 0;
    xor.b32 %r4, %r3, 4;
    ld.shared.b32 %r10, [%r4];
    st.global.b32 [%rd5], %r10;
"""


def test_a_barrier_makes_copies_visible_to_other_threads():
    _, y = run(SHARED_COPY, numbers(2), numbers(2), threads=2)
    np.testing.assert_array_equal(y, [2, 1])
    _, y = run(SHARED_COPY.replace("bar.sync 0;", ""), numbers(2), numbers(2), threads=2)
    assert not np.array_equal(y, [2, 1])


@pytest.mark.parametrize(
    ("copy", "problem"),
    [
        ("ca.shared.global [s+2], [%rd1], 4", "misaligned access to shared memory: 4"),
        ("cg.shared.global [s], [%rd1+4], 16", "misaligned access to global memory: 16"),
        ("cg.shared.global [s+4096], [%rd1], 16", "beyond shared memory"),
        ("ca.shared.global [s], [%rd1+4096], 4", "not allocated"),
        ("ca.shared.global [s], [%rd1], 4, 8", "a copy of 8 bytes of 4"),
        ("cg.shared.global [s], [%rd1], 4", "UnknownInstruction"),
    ],
)
def test_copies_that_no_gpu_supports(copy, problem):
    with found(problem):
        run(f"cp.async.{copy}; cp.async.wait_all;", numbers(4), numbers(1))


# Matrices


@pytest.mark.parametrize("matrices", [1, 2, 4])
def test_matrices_are_loaded_by_a_warp(matrices):
    """Lane 8 i + j gives the address of row j of matrix i. Here the rows lie in reverse order."""
    registers = ", ".join(f"%r{20 + i}" for i in range(matrices))
    body = f"""
    mul.lo.u32 %r3, %r1, 16;
    cvt.u64.u32 %rd3, %r3;
    add.s64 %rd4, %rd1, %rd3;
    add.s64 %rd5, %rd2, %rd3;
    ld.global.v4.b32 {{%r10, %r11, %r12, %r13}}, [%rd4];
    st.shared.v4.b32 [%r3], {{%r10, %r11, %r12, %r13}};
    bar.warp.sync 0xffffffff;
    sub.u32 %r4, 496, %r3;
    ldmatrix.sync.aligned.m8n8.x{matrices}.shared.b16 {{{registers}}}, [%r4];
    st.global.v4.b32 [%rd5], {{%r20, %r21, %r22, %r23}};
    """
    x = np.arange(128, dtype=np.float32).reshape(32, 4)
    _, y = run(body, x, np.zeros((32, 4), np.float32), threads=32)
    expected = np.zeros((32, 4))
    expected[:, :matrices] = x[::-1].reshape(4, 32).T[:, :matrices]
    np.testing.assert_array_equal(y, expected)


def test_a_row_of_a_matrix_at_an_odd_address():
    with found("misaligned access to shared memory: 16 bytes"):
        run("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r3}, [s+8];", numbers(1), numbers(1), threads=32)


def to_bf16(x):
    """Rounded to the nearest, to even among two."""
    n = x.view(np.uint32).astype(np.uint64)
    return ((n + 0x7FFF + (n >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


@pytest.mark.parametrize(
    ("kind", "rounded"),
    [
        ("tf32", lambda x: (x.view(np.uint32) & 0xFFFFE000).view(np.float32)),  # not rounded but cut off
        ("bf16", to_bf16),
        ("f16", lambda x: x.astype(np.float16).astype(np.float32)),
    ],
)
def test_a_product_of_matrices(kind, rounded):
    """A (16, K) B (K, 8), the latter given column after column, so that both are read in the same way."""
    K, size = (8, 4) if kind == "tf32" else (16, 8)
    load = "ld.global.b32 %r{0}, [%rd4+{1}];"
    if kind != "tf32":  # two adjacent numbers; the first in the lower half
        load = f"ld.global.v2.f32 {{{{%f1, %f2}}}}, [%rd4+{{1}}]; cvt.rn.{kind}x2.f32 %r{{0}}, %f2, %f1;"
    pitch, b = 4 * K, 16 * 4 * K
    offsets = [0, 8 * pitch, 2 * size * 2, 8 * pitch + 2 * size * 2, b, b + 2 * size * 2]
    loads = "\n".join(load.format(10 + i, offset) for i, offset in enumerate(offsets))
    body = f"""
    shr.u32 %r3, %r1, 2;
    and.b32 %r4, %r1, 3;
    mul.lo.u32 %r5, %r3, {pitch};
    mad.lo.u32 %r5, %r4, {size}, %r5;
    cvt.u64.u32 %rd3, %r5;
    add.s64 %rd4, %rd1, %rd3;
    {loads}
    mul.lo.u32 %r6, %r1, 16;
    cvt.u64.u32 %rd5, %r6;
    add.s64 %rd6, %rd2, %rd5;
    ld.global.v4.f32 {{%f10, %f11, %f12, %f13}}, [%rd6];
    mma.sync.aligned.m16n8k{K}.row.col.f32.{kind}.{kind}.f32
        {{%f20, %f21, %f22, %f23}}, {{%r10, %r11, %r12, %r13}}, {{%r14, %r15}}, {{%f10, %f11, %f12, %f13}};
    st.global.v4.f32 [%rd6], {{%f20, %f21, %f22, %f23}};
    """
    rng = np.random.default_rng(1)
    A, B, C = (rng.normal(size=shape).astype(np.float32) for shape in ((16, K), (8, K), (16, 8)))

    def by_lane(matrix):
        """(32, 4): what each lane holds of a result."""
        return matrix.reshape(2, 8, 4, 2).transpose(1, 2, 0, 3).reshape(32, 4)

    _, D = run(body, np.concatenate([A, B]), by_lane(C), threads=32)
    np.testing.assert_allclose(D, by_lane(C + rounded(A) @ rounded(B).T), rtol=1e-5, atol=1e-5)
    assert abs(D - by_lane(C + A @ B.T)).max() > 1e-4


# What blocks share


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("add.u32 %r10, [%rd1], 5", (12, 7)),
        ("exch.b32 %r10, [%rd1], 5", (5, 7)),
        ("cas.b32 %r10, [%rd1], 7, 5", (5, 7)),
        ("cas.b32 %r10, [%rd1], 6, 5", (7, 7)),
        ("min.s32 %r10, [%rd1], -5", (2**32 - 5, 7)),
        ("max.u32 %r10, [%rd1], -5", (2**32 - 5, 7)),
    ],
)
def test_atomic_operations(operation, expected):
    body = f"atom.acq_rel.gpu.global.{operation}; st.release.gpu.global.b32 [%rd2], %r10;"
    x, y = run(body, np.array([7], np.uint32), np.array([0], np.uint32))
    assert (x, y) == expected


BARRIER = """
    mul.lo.u32 %r3, %r2, 4;
    cvt.u64.u32 %rd3, %r3;
    add.s64 %rd4, %rd2, %rd3;
    xor.b32 %r5, %r3, 4;
    cvt.u64.u32 %rd5, %r5;
    add.s64 %rd6, %rd2, %rd5;
    setp.ne.u32 %p1, %r1, 0;
    setp.ne.u32 %p2, %r1, 63;
    @%p2 bra $written;
    st.global.u32 [%rd4], %r2;
$written:
    bar.sync 0;
    @%p1 bra $arrived;
    red.release.gpu.global.add.u32 [%rd1], 1;
$again:
    ld.acquire.gpu.global.u32 %r4, [%rd1];
    setp.lt.u32 %p3, %r4, {arrivals};
    @%p3 bra $again;
$arrived:
    bar.sync 0;
    ld.global.u32 %r6, [%rd6];
    @%p2 bra $end;
    st.global.u32 [%rd4+64], %r6;
$end:
"""


def barrier(code=BARRIER, arrivals=16, blocks=16, cooperative=True):
    """The last thread of each block writes its number, and after a barrier of the grid reads its neighbor's.

    The first thread waits for the other blocks. Returns whether all have read what was written.
    """
    arrays = np.array([0], np.uint32), np.full(32, 99, np.uint32)
    code = code.format(arrivals=arrivals)
    _, y = run(code, *arrays, threads=64, blocks=blocks, cooperative=cooperative)
    return np.array_equal(y[16:], np.arange(16) ^ 1)


def test_a_barrier_of_our_own():
    assert barrier()


@pytest.mark.parametrize(
    ("order", "arrivals", "missing"), [("forward", 15, 3), ("forward", 16, 1), ("reverse", 16, 2)]
)
def test_a_faulty_barrier_of_our_own(monkeypatch, order, arrivals, missing):
    """Blocks go on too early, or a barrier of the block is missing: before it arrives, or after it waited."""
    monkeypatch.setattr(driver, "_order", driver.ORDERS.index(order))
    parts = [*BARRIER.split("bar.sync 0;"), ""]
    code = "bar.sync 0;".join(parts[:missing]) + "bar.sync 0;".join(parts[missing:])
    assert not barrier(code, arrivals)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("red.release.gpu", "red.relaxed.gpu"),
        ("red.release.gpu", "red.release.cta"),
        ("red.release.gpu.global", "red.global"),
        ("ld.acquire.gpu", "ld.relaxed.gpu"),
        ("ld.acquire.gpu", "ld.acquire.cta"),
        ("ld.acquire.gpu", "ld.volatile"),
    ],
)
def test_a_barrier_of_our_own_without_its_order_of_memory(right, wrong):
    with found("UnknownInstruction"):
        barrier(BARRIER.replace(right, wrong))


@pytest.mark.parametrize("cooperative", [True, False])
def test_blocks_that_wait_in_vain(cooperative):
    """For one that does not exist, or, in an ordinary launch, may never be on the GPU at the same time."""
    with found("threads wait for what no thread stores"):
        barrier(arrivals=17 if cooperative else 16, cooperative=cooperative)


def test_more_blocks_than_are_on_the_gpu_at_once():
    with pytest.raises(ValueError, match=r"grid size .* exceeds the limit"):  # as cuda-core says
        barrier(blocks=99_999)


# Banks


@pytest.mark.parametrize(
    ("address", "vector", "expected"),
    [
        ("mul.lo.u32 %r3, %r1, 4", "b32", 1),  # adjacent words
        ("mul.lo.u32 %r3, %r1, 8", "b32", 2),
        ("mul.lo.u32 %r3, %r1, 128", "b32", 32),  # the same bank
        ("mul.lo.u32 %r3, %r1, 132", "b32", 1),  # a row of 33 words each
        ("mov.u32 %r3, 0", "b32", 1),  # all lanes want the same word
        ("mul.lo.u32 %r3, %r1, 8", "v2.b32", 2),
        ("mul.lo.u32 %r3, %r1, 16", "v4.b32", 4),
        ("mul.lo.u32 %r3, %r1, 32", "v4.b32", 8),
        ("and.b32 %r3, %r1, 30; mul.lo.u32 %r3, %r3, 8", "v4.b32", 2),  # as the neighbor
        ("and.b32 %r3, %r1, 29; mul.lo.u32 %r3, %r3, 16", "v4.b32", 4),
        ("and.b32 %r3, %r1, 27; mul.lo.u32 %r3, %r3, 16", "v4.b32", 4),
    ],
)
def test_wavefronts(address, vector, expected):
    """Of a store that three warps of each block execute twice."""
    registers = {"b32": "%r10", "v2.b32": "{%r10, %r11}", "v4.b32": "{%r10, %r11, %r12, %r13}"}[vector]
    body = f"""
    setp.lt.u32 %p1, %r1, 32;
    @%p1 bra $end;
    and.b32 %r1, %r1, 31;
    {address};
    mov.u32 %r4, 2;
$again:
    st.shared.{vector} [%r3], {registers};
    sub.u32 %r4, %r4, 1;
    setp.gt.u32 %p2, %r4, 0;
    @%p2 bra $again;
$end:
    """
    with driver.counted_wavefronts() as launches:
        run(body, numbers(1), numbers(1), threads=128, blocks=2)
    ((name, (store,)),) = launches
    assert (name, store.executed, store.wavefronts) == ("kernel", 6, 6 * expected)
    assert store.instruction == f"st.shared.{vector} [%r3], {registers}"

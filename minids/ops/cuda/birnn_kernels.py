"""The recurrence as two kinds of kernels: one frame per launch, or all frames in one launch.

    forward     h_t = g(z_t + Wr h_{t∓1})               backward     δ_t = (dh_t + Wrᵀ δ_{t±1}) ⊙ g'(h_t)

Both have the form out_t = activate(inputs_t + W out_previous), where W is Wr or its transpose. A block owns
some units, that is, rows of W, and computes them for all utterances. It needs the whole previous state (B, H)
from all other blocks, so each frame is a launch, or ends with a barrier of the blocks of its direction.

The warps of a block divide the sum over k among themselves, and the lanes of a warp form groups that divide
the warp's part. The threads of a group cover all units x utterances of the block: four units and half of the
utterances each, which takes 64 registers for sums. So a warp needs no other warp until its sums are complete.
It loads states along k in chunks, through its own part of shared memory; the next chunk is under way while
the current one is multiplied. At the end the groups of a warp add their sums by shuffles, and the warps
theirs through shared memory.

A kernel for one frame also loads its weights in chunks. A kernel for all frames reads each weight only once:
it keeps those of the first chunks in registers, the others in shared memory. Of 32 units with H = 2048, 48 KB
are in registers, though twice, and 208 KB in shared memory.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numba import float32, int64, uint32

from minids.ops.common import CLIP
from minids.ops.cuda.barrier import arrive, global_from, narrow, thread_index, wait
from minids.ops.cuda.device import cuda
from minids.ops.cuda.vector_io import (
    load4,
    load4_aligned,
    load4_unaligned,
    store4,
    store4_aligned,
    store4_unaligned,
)

_ZERO, _CLIP = np.float32(0), np.float32(CLIP)
LANES, _ALL_LANES = 32, 0xFFFFFFFF  # of a warp


class BlockShape(NamedTuple):
    """The work of a block: `units` units, `utterances` utterances at a time, by `warps` warps.

    A warp multiplies `depth` numbers along k at a time; a chunk is what all warps multiply at a time. A
    thread keeps its weights of the first `register_chunks` chunks in registers.
    """

    units: int
    utterances: int
    warps: int
    depth: int
    register_chunks: int

    @property
    def threads(self) -> int:
        return self.warps * LANES

    @property
    def pitch(self) -> int:
        """The distance between utterances in shared memory: a warp reads two at once, in different banks."""
        return self.depth | 16

    def shared_bytes(self, H: int, resident: bool) -> int:
        """Shared memory of a block. `resident`: it keeps its weights, as the kernel for all frames does."""
        chunks = -(-H // (self.warps * self.depth)) - self.register_chunks
        weights = max(0, chunks) * self.depth * self.units if resident else 0  # per warp
        return 4 * self.warps * (self.utterances * self.pitch + weights)


@cache
def kernels(shape: BlockShape, backward: bool, vectorized: bool):
    """(one_frame, all_frames) for blocks of this shape. `vectorized`: see vector_io.aligned.

    W_f, W_b are the recurrent weights (H, H) of the two directions, in both passes. `progress` is
    [first step, T, arrivals of each direction].
    """
    compute_one, _, _ = _device_functions(shape, backward, vectorized, resident=False)
    compute, load_all_weights, WEIGHTS = _device_functions(shape, backward, vectorized, resident=True)

    @cuda.jit(launch_bounds=(shape.threads, 1))
    def one_frame(inputs, W_f, W_b, lengths, h_f, h_b, out_f, out_b, progress, number, B, H):
        """The step progress[0] + number, if there is one, of both directions: blocks (x, direction)."""
        s = cuda.shared.array(0, float32, alignment=16)
        step, T = int64(progress[0]) + number, int64(progress[1])
        W, h, out = (W_f, h_f, out_f) if cuda.blockIdx.y == 0 else (W_b, h_b, out_b)
        if step < T:
            compute_one(s, None, inputs, W, lengths, h, out, progress, cuda.blockIdx.y, step, T, B, H)

    @cuda.jit(launch_bounds=(shape.threads, 1))
    def all_frames(inputs, W_f, W_b, lengths, h_f, h_b, out_f, out_b, progress, first_direction, B, H):
        """All steps. Blocks (x, y) compute the direction `first_direction` + y."""
        s = cuda.shared.array(0, float32, alignment=16)
        registers = cuda.local.array((WEIGHTS, 4), float32)
        direction, T = first_direction + cuda.blockIdx.y, int64(progress[1])
        W, h, out = (W_f, h_f, out_f) if direction == 0 else (W_b, h_b, out_b)
        load_all_weights(s, registers, global_from(W, 0), H)
        step = int64(0)
        while step < T:  # range would take a register more
            compute(s, registers, inputs, W, lengths, h, out, progress, direction, step, T, B, H)
            arrive(progress, 2 + direction)
            step += 1

    return one_frame, all_frames


def unrolled(function, count):
    """A function that calls function(0, …) … function(count - 1, …).

    Registers cannot be indexed: loops over them must be unrolled, and not every compiler unrolls long ones.
    """
    if count == 0:
        return cuda.jit(device=True)(lambda *arguments: None)
    call_others = unrolled(function, count - 1)

    @cuda.jit(device=True)
    def call(*arguments):
        call_others(*arguments)
        function(count - 1, *arguments)

    return call


def _device_functions(shape, backward, vectorized, resident):
    """compute_frame, load_all_weights, the number of quads of weights that a thread keeps in registers.

    compute_frame(…) computes out_t for the units of a block; load_all_weights(…) loads those that it keeps.
    Numbers are moved four at a time, as "quads". This also saves Numba's checks for negative indices.
    """
    UNITS, UTTERANCES, WARPS, DEPTH, REGISTER_CHUNKS = shape
    PITCH = shape.pitch
    ROWS, UNIT_THREADS = UTTERANCES // 2, UNITS // 4
    GROUPS = LANES // (2 * UNIT_THREADS)  # of a warp
    GROUP_QUADS = DEPTH // (4 * GROUPS)  # along k, that a thread multiplies at a time
    WEIGHTS = 4 * GROUP_QUADS  # quads of a thread and chunk
    QUADS_PER_LINE = DEPTH // 4
    LINES = LANES // QUADS_PER_LINE  # of states, that a warp loads at once
    STATE_QUADS = UTTERANCES // LINES  # per thread and chunk
    REGION = UTTERANCES * PITCH  # of shared memory, for a warp's states and then its sums
    KEPT = ROWS // GROUPS  # rows of a thread after its warp has added the sums of its groups
    PASSES = max(1, UNITS // DEPTH)  # in which sums are stored, so that they fit
    PASS_UTTERANCES = UTTERANCES // PASSES
    ACTIVE_THREADS = UTTERANCES * UNIT_THREADS  # that apply the activation, to a quad each
    load_quad, store_quad = (
        (load4_aligned, store4_aligned) if vectorized else (load4_unaligned, store4_unaligned)
    )

    @cuda.jit(device=True)
    def place(thread):
        """The warp, group, unit thread and utterance thread of a thread.

        Lanes that differ in bit 0 only read the same states, and in bit 1 only the same weights. Shared
        memory is twice as fast for 16-byte accesses if all pairs of such lanes want the same address.
        """
        warp, lane = thread // LANES, thread % LANES
        unit_lane = lane // 4 * 2 + lane % 2
        return warp, unit_lane // UNIT_THREADS, unit_lane % UNIT_THREADS, lane // 2 % 2

    @cuda.jit(device=True)
    def load_weights(chunk, thread, W, H, w, first):
        """Load this thread's quads of weights of a chunk into w[first:], zeros for k that do not exist.

        Here and below, units and utterances that do not exist are replaced by some that do, whose results
        nobody uses: so all lanes load without a branch.
        """
        warp, group, unit_thread, _ = place(thread)
        unit = cuda.blockIdx.x * UNITS + unit_thread * 4
        for q in range(GROUP_QUADS):
            k = (chunk * WARPS + warp) * DEPTH + (q * GROUPS + group) * 4
            for j in range(4):
                if backward:  # four units of row k + j of Wr, the transpose of W
                    first_unit = unit if unit < H else 0
                    start = narrow(j * H + first_unit) + uint32(k * H)
                    valid = 4 if vectorized else H - first_unit
                    values = load_quad(W, uint32(start), valid if (k if vectorized else k + j) < H else 0)
                    for i in range(4):
                        w[first + q * 4 + i, j] = values[i]
                else:
                    start = narrow(min(unit + j, H - 1) * H) + uint32(k)
                    values = load_quad(W, uint32(start), H - k)
                    for i in range(4):
                        w[first + q * 4 + j, i] = values[i]

    @cuda.jit(device=True)
    def load_register_chunk(chunk, thread, W, H, registers):
        load_weights(chunk, thread, W, H, registers, chunk * WEIGHTS)

    load_registers = unrolled(load_register_chunk, REGISTER_CHUNKS)

    @cuda.jit(device=True)
    def shared_weights(thread, chunk):
        """Where this thread's quads of a chunk start: all lanes' first quads, then their second ones …"""
        warp, group, unit_thread, _ = place(thread)
        start = WARPS * REGION + ((chunk - REGISTER_CHUNKS) * WARPS + warp) * DEPTH * UNITS
        return start + (group * UNIT_THREADS + unit_thread) * 4

    @cuda.jit(device=True)
    def load_all_weights(s, registers, W, H):
        """Load this thread's weights of the first chunks into registers, all others into shared memory."""
        thread, w = thread_index(), cuda.local.array((WEIGHTS, 4), float32)
        _, _, _, utterance_thread = place(thread)
        load_registers(thread, W, H, registers)
        for chunk in range(REGISTER_CHUNKS, (H + WARPS * DEPTH - 1) // (WARPS * DEPTH)):
            load_weights(chunk, thread, W, H, w, 0)
            if utterance_thread == 0:
                for e in range(WEIGHTS):
                    store4(
                        s, shared_weights(thread, chunk) + e * LANES * 2, (w[e, 0], w[e, 1], w[e, 2], w[e, 3])
                    )

    @cuda.jit(device=True)
    def load_states(thread, states, rows, chunk, H, quads):
        """Load this thread's part of a chunk of states; k that do not exist are replaced, too."""
        warp, lane = thread // LANES, thread % LANES
        k = (chunk * WARPS + warp) * DEPTH + lane % QUADS_PER_LINE * 4
        k = k if k < H else 0
        for q in range(STATE_QUADS):
            start = narrow(min(lane // QUADS_PER_LINE + q * LINES, rows - 1) * H) + uint32(k)
            values = load_quad(states, uint32(start), 4 if vectorized else H - k)
            quads[q, 0], quads[q, 1], quads[q, 2], quads[q, 3] = values

    @cuda.jit(device=True)
    def share_states(thread, s, quads):
        """Store the chunk of states that the lanes of this warp have loaded in shared memory."""
        warp, lane = thread // LANES, thread % LANES
        position = warp * REGION + lane // QUADS_PER_LINE * PITCH + lane % QUADS_PER_LINE * 4
        cuda.syncwarp()  # all lanes have read the previous chunk
        for q in range(STATE_QUADS):
            values = (quads[q, 0], quads[q, 1], quads[q, 2], quads[q, 3])
            store4(s, position + q * LINES * PITCH, values)
        cuda.syncwarp()

    @cuda.jit(device=True)
    def multiply_quad(q, thread, s, w, first, part):
        """part[i, j] += Σ_k state[i, k] w[j, k] over four k of a chunk; quad first + 4 q + j has w[j, …]."""
        warp, group, _, utterance_thread = place(thread)
        start = warp * REGION + utterance_thread * PITCH + (q * GROUPS + group) * 4
        for i in range(ROWS):
            s0, s1, s2, s3 = load4(s, start + i * 2 * PITCH)
            for j in range(4):
                e = first + q * 4 + j
                part[i, j] += s0 * w[e, 0]
                part[i, j] += s1 * w[e, 1]
                part[i, j] += s2 * w[e, 2]
                part[i, j] += s3 * w[e, 3]

    multiply = unrolled(multiply_quad, GROUP_QUADS)

    @cuda.jit(device=True)
    def multiply_chunk(chunk, thread, s, registers, states, rows, H, quads, part):
        """Multiply a chunk by the weights in registers."""
        if chunk * WARPS * DEPTH < H:
            share_states(thread, s, quads)
            load_states(thread, states, rows, chunk + 1, H, quads)
            multiply(thread, s, registers, chunk * WEIGHTS, part)

    multiply_chunks = unrolled(multiply_chunk, REGISTER_CHUNKS)

    @cuda.jit(device=True)
    def multiply_resident(s, registers, W, states, rows, H, part):
        """part[i, j] += this thread's part of Σ_k states[…, k] W[…, k], with the weights that it keeps."""
        thread, quads = thread_index(), cuda.local.array((STATE_QUADS, 4), float32)
        w = cuda.local.array((WEIGHTS, 4), float32)
        load_states(thread, states, rows, 0, H, quads)
        chunks = (H + WARPS * DEPTH - 1) // (WARPS * DEPTH)
        multiply_chunks(thread, s, registers, states, rows, H, quads, part)
        thread = thread_index()  # what follows from it need not be kept from above
        for chunk in range(REGISTER_CHUNKS, chunks):
            share_states(thread, s, quads)
            load_states(thread, states, rows, chunk + 1, H, quads)
            start = shared_weights(thread, chunk)
            for e in range(WEIGHTS):
                w[e, 0], w[e, 1], w[e, 2], w[e, 3] = load4(s, start + e * LANES * 2)
            multiply(thread, s, w, 0, part)

    @cuda.jit(device=True)
    def multiply_streamed(s, registers, W, states, rows, H, part):
        """The same with weights that are loaded now."""
        thread, quads = thread_index(), cuda.local.array((STATE_QUADS, 4), float32)
        w = cuda.local.array((WEIGHTS, 4), float32)
        following = cuda.local.array((WEIGHTS, 4), float32)
        load_states(thread, states, rows, 0, H, quads)
        load_weights(0, thread, W, H, following, 0)
        for chunk in range((H + WARPS * DEPTH - 1) // (WARPS * DEPTH)):
            share_states(thread, s, quads)
            for e in range(WEIGHTS):
                for i in range(4):
                    w[e, i] = following[e, i]
            load_states(thread, states, rows, chunk + 1, H, quads)
            load_weights(chunk + 1, thread, W, H, following, 0)
            multiply(thread, s, w, 0, part)

    multiply_all = multiply_resident if resident else multiply_streamed

    @cuda.jit(device=True)
    def exchange_rows(part, rows, bit):
        """Exchange half of 2 x `rows` rows of sums for a partner's other half, and add: rows 0 … rows-1."""
        upper = thread_index() & bit
        for i in range(rows):
            for j in range(4):
                low, high = part[i, j], part[i + rows, j]
                own, other = (high, low) if upper else (low, high)
                part[i, j] = own + cuda.shfl_xor_sync(_ALL_LANES, other, bit)

    @cuda.jit(device=True)
    def add_groups(part):
        """Add the sums of a warp's groups. Group g keeps rows g * KEPT … as its first KEPT rows."""
        exchange_rows(part, ROWS // 2, LANES // 2)
        if GROUPS > 2:
            exchange_rows(part, ROWS // 4, LANES // 4)
        if GROUPS > 4:
            exchange_rows(part, ROWS // 8, LANES // 8)

    @cuda.jit(device=True)
    def add_warps(s, part, b, u, valid, z):
        """z + the sums of all warps for utterance b and units u … u+3."""
        warp, group, unit_thread, utterance_thread = place(thread_index())
        start = warp * REGION + (group * KEPT * 2 + utterance_thread) * UNITS + unit_thread * 4
        z0, z1, z2, z3 = z
        cuda.syncwarp()  # all lanes have read the last chunk of states
        for number in range(PASSES):
            first = number * PASS_UTTERANCES
            if group * PASSES // GROUPS == number:
                for i in range(KEPT):
                    values = (part[i, 0], part[i, 1], part[i, 2], part[i, 3])
                    store4(s, start + (2 * i - first) * UNITS, values)
            cuda.syncthreads()
            if valid > 0 and b // PASS_UTTERANCES == number:
                for w in range(WARPS):
                    s0, s1, s2, s3 = load4(s, w * REGION + (b - first) * UNITS + u)
                    z0, z1, z2, z3 = z0 + s0, z1 + s1, z2 + s2, z3 + s3
            if number + 1 < PASSES:
                cuda.syncthreads()
        return z0, z1, z2, z3

    @cuda.jit(device=True)
    def activate(z, h, t, length):
        if backward:
            return z if h > _ZERO and h < _CLIP else _ZERO
        z = _ZERO if z < _ZERO else z
        z = _CLIP if z > _CLIP else z
        return z if t < length else _ZERO

    @cuda.jit(device=True)
    def compute_frame(s, registers, inputs, W, lengths, h, out, progress, direction, step, T, B, H):
        forward_in_time = (direction == 0) != backward
        t = step if forward_in_time else T - 1 - step
        previous = t - 1 if forward_in_time else t + 1
        part = cuda.local.array((ROWS, 4), float32)
        for b0 in range(0, B, UTTERANCES):
            if step > 0:
                if resident and b0 == 0:
                    wait(progress, 2 + direction, step * cuda.gridDim.x)
                for i in range(ROWS):
                    for j in range(4):
                        part[i, j] = _ZERO
                states = global_from(out, (previous * B + b0) * H)
                multiply_all(s, registers, global_from(W, 0), states, B - b0, H, part)
            thread = thread_index()
            b, u = thread // UNIT_THREADS, thread % UNIT_THREADS * 4  # of this thread's quad in the block
            unit = cuda.blockIdx.x * UNITS + u
            valid = H - unit if thread < ACTIVE_THREADS and b0 + b < B else 0
            position = (t * B + b0 + b) * H + unit
            z = load_quad(inputs, position, valid)  # these loads are under way while sums are added
            h0, h1, h2, h3 = load_quad(h, position, valid if backward else 0)
            length = lengths[b0 + b] if valid > 0 else 0
            if step > 0:
                add_groups(part)
                z = add_warps(s, part, b, u, valid, z)
                if b0 + UTTERANCES < B:
                    cuda.syncthreads()  # the states of the next utterances overwrite the sums
            if valid > 0:
                outputs = (
                    activate(z[0], h0, t, length),
                    activate(z[1], h1, t, length),
                    activate(z[2], h2, t, length),
                    activate(z[3], h3, t, length),
                )
                store_quad(out, position, valid, outputs)

    return compute_frame, load_all_weights, REGISTER_CHUNKS * WEIGHTS

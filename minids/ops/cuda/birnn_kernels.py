"""The recurrence as two kinds of kernels: one frame per launch, or all frames in one launch.

    forward     h_t = g(z_t + Wr h_{t∓1})               backward     δ_t = (dh_t + Wrᵀ δ_{t±1}) ⊙ g'(h_t)

Both have the form out_t = activate(inputs_t + W out_previous), where W is Wr or its transposed copy. A block
owns some units, that is, rows of W, and computes them for all utterances. It needs the whole previous state
(B, H) from all other blocks, so each frame is a launch, or ends with a barrier of the whole grid.

The threads of a block form groups. The threads of one group cover all units x utterances of the block, a few
for each thread; the groups divide the sum over k among themselves, and at the end their sums are added.
States come through shared memory in chunks along k; the next chunk is loaded while the current one is
multiplied. In a kernel for one frame W comes the same way. A kernel for all frames keeps its rows of W from
the first frame to the last and reads each weight from global memory only once: each thread holds its weights
of the first chunk in registers, and the other chunks are in shared memory. The registers hold half of a
block's weights at H = 512; at H = 2048 and 16 units they hold 8 KB of 128 KB.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numba import float32

from minids.ops.common import CLIP
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
# Numbers after each row in shared memory, so that rows start in different banks. Rows that lie 8 apart still
# share theirs; threads that read weights together read rows that lie 4 apart.
PAD = 4


class BlockShape(NamedTuple):
    """The work of a block: `units` units, `utterances` utterances at a time, chunks of `depth` along k.

    `utterance_threads` x `unit_threads` threads form a group, which covers the utterances and units.
    """

    units: int
    utterances: int
    threads: int
    depth: int
    utterance_threads: int
    unit_threads: int

    @property
    def groups(self) -> int:
        """The number of parts into which a chunk is divided along k, one per group of threads."""
        return self.threads // (self.utterance_threads * self.unit_threads)

    def shared_bytes(self, H: int, resident: bool) -> int:
        """Shared memory of a block. `resident`: it keeps its weights, as the kernel for all frames does."""
        pitch = self.depth + PAD
        weights = (-(-H // self.depth) - 1) * self.depth + PAD if resident else 2 * pitch  # per unit
        sums = self.groups * self.utterances * (self.units + PAD)
        return 4 * (self.units * weights + max(2 * self.utterances * pitch, sums))


@cache
def kernels(shape: BlockShape, backward: bool, vectorized: bool):
    """(one_frame, all_frames) for blocks of this shape. `vectorized`: see vector_io.aligned."""
    return _one_frame(shape, backward, vectorized), _all_frames(shape, backward, vectorized)


def _one_frame(shape, backward, vectorized):
    compute_frame, *_, UNITS = _device_functions(shape, backward, vectorized, resident=False)

    @cuda.jit(launch_bounds=(shape.threads, 1))
    def one_frame(inputs, W_f, W_b, lengths, h_f, h_b, out_f, out_b, step, T, B, H):
        """One step, 0 … T-1, of both directions: blocks (x, direction)."""
        s = cuda.shared.array(0, float32, alignment=16)
        forward_in_time = (cuda.blockIdx.y == 0) != backward
        t = step if forward_in_time else T - 1 - step
        previous = t - 1 if forward_in_time else t + 1
        W, h, out = (W_f, h_f, out_f) if cuda.blockIdx.y == 0 else (W_b, h_b, out_b)
        compute_frame(s, None, inputs, W, lengths, h, out, t, previous, T, B, H, cuda.blockIdx.x * UNITS)

    return one_frame


def _all_frames(shape, backward, vectorized):
    compute_frame, load_model, REGISTER_QUADS, UNITS = _device_functions(
        shape, backward, vectorized, resident=True
    )

    @cuda.jit(launch_bounds=(shape.threads, 1))
    def all_frames(inputs, W_f, W_b, lengths, h_f, h_b, out_f, out_b, first_direction, T, B, H):
        """All steps. Blocks (x, y) compute the direction `first_direction` + y."""
        s = cuda.shared.array(0, float32, alignment=16)
        registers = cuda.local.array((REGISTER_QUADS, 4), float32)
        grid = cuda.cg.this_grid()
        direction = first_direction + cuda.blockIdx.y
        forward_in_time = (direction == 0) != backward
        W, h, out = (W_f, h_f, out_f) if direction == 0 else (W_b, h_b, out_b)
        load_model(s, registers, W, H, cuda.blockIdx.x * UNITS)
        for step in range(T):
            t = step if forward_in_time else T - 1 - step
            previous = t - 1 if forward_in_time else t + 1
            compute_frame(
                s, registers, inputs, W, lengths, h, out, t, previous, T, B, H, cuda.blockIdx.x * UNITS
            )
            grid.sync()

    return all_frames


def _device_functions(shape, backward, vectorized, resident):
    """compute_frame, load_model, the quads of weights in a thread's registers, the units of a block.

    compute_frame(…) computes out_t for the units of a block; load_model(…) loads the weights that it keeps.
    Numbers are moved four at a time, as "quads". This also saves Numba's checks for negative indices.
    """
    UNITS, UTTERANCES, THREADS, DEPTH, UTTERANCE_THREADS, UNIT_THREADS = shape
    GROUPS, GROUP_THREADS = shape.groups, UTTERANCE_THREADS * UNIT_THREADS
    PITCH = DEPTH + PAD
    ROWS, COLUMNS = UTTERANCES // UTTERANCE_THREADS, UNITS // UNIT_THREADS  # per thread
    COLUMN_QUADS, NEXT_QUAD = COLUMNS // 4, 4 * UNIT_THREADS  # a thread's units lie in quads, so far apart
    QUADS_PER_LINE = DEPTH // 4
    LINES = THREADS // QUADS_PER_LINE  # that all threads together load at once
    STATE_QUADS, WEIGHT_QUADS = UTTERANCES // LINES, UNITS // LINES  # per thread and chunk
    GROUP_QUADS = QUADS_PER_LINE // GROUPS
    REGISTER_QUADS = GROUP_QUADS * COLUMNS
    SUM_PITCH = UNITS + PAD
    SUMS = UTTERANCES * SUM_PITCH
    WEIGHTS = max(2 * UTTERANCES * PITCH, GROUPS * SUMS)  # where they begin: after the states, or the sums
    UNIT_QUADS = UNITS // 4
    ACTIVE_THREADS = UTTERANCES * UNIT_QUADS  # those that apply the activation, to a quad each
    load_quad, store_quad = (
        (load4_aligned, store4_aligned) if vectorized else (load4_unaligned, store4_unaligned)
    )
    assert ACTIVE_THREADS <= THREADS

    @cuda.jit(device=True)
    def load_chunk(source, row, rows, k0, H, quads, count):
        """Load a chunk of rows of H numbers, starting at `row`, into registers; zeros after `rows` rows."""
        k = k0 + cuda.threadIdx.x % QUADS_PER_LINE * 4
        first = cuda.threadIdx.x // QUADS_PER_LINE
        for q in range(count):
            line = first + q * LINES
            values = load_quad(source, (row + line) * H + k, H - k if line < rows else 0)
            quads[q, 0], quads[q, 1], quads[q, 2], quads[q, 3] = values

    @cuda.jit(device=True)
    def store_chunk(quads, s, start, count):
        position = start + cuda.threadIdx.x // QUADS_PER_LINE * PITCH + cuda.threadIdx.x % QUADS_PER_LINE * 4
        for q in range(count):
            store4(s, position + q * LINES * PITCH, (quads[q, 0], quads[q, 1], quads[q, 2], quads[q, 3]))

    @cuda.jit(device=True)
    def first_weight():
        """The unit and the k at which a thread's part of a chunk of weights begins."""
        return (
            cuda.threadIdx.x % GROUP_THREADS // UTTERANCE_THREADS * 4,
            cuda.threadIdx.x // GROUP_THREADS * GROUP_QUADS * 4,
        )

    @cuda.jit(device=True)
    def weight_pitch(H):
        """The distance between rows of the weights in shared memory, which hold all chunks but the first."""
        return ((H + DEPTH - 1) // DEPTH - 1) * DEPTH + PAD

    @cuda.jit(device=True)
    def load_model(s, registers, W, H, unit):
        """Load the first chunk of this thread's weights into registers, all others into shared memory."""
        first, k0 = first_weight()
        for q in range(GROUP_QUADS):
            for j in range(COLUMNS):
                line, k = unit + first + j // 4 * NEXT_QUAD + j % 4, k0 + q * 4
                values = load_quad(W, line * H + k, H - k if line < H else 0)
                for i in range(4):
                    registers[q * COLUMNS + j, i] = values[i]
        pitch = weight_pitch(H)
        quads_per_row = (pitch - PAD) // 4
        for e in range(cuda.threadIdx.x, UNITS * quads_per_row, THREADS):
            line, offset = e // quads_per_row, e % quads_per_row * 4
            k = DEPTH + offset
            values = load_quad(W, (unit + line) * H + k, H - k if unit + line < H else 0)
            store4(s, WEIGHTS + line * pitch + offset, values)

    @cuda.jit(device=True)
    def load_states(s, start, q, state):
        """Load quad q of this thread's states into registers."""
        start += (
            cuda.threadIdx.x % UTTERANCE_THREADS * PITCH
            + (cuda.threadIdx.x // GROUP_THREADS * GROUP_QUADS + q) * 4
        )
        for i in range(ROWS):
            values = load4(s, start + i * UTTERANCE_THREADS * PITCH)
            state[i, 0], state[i, 1], state[i, 2], state[i, 3] = values

    @cuda.jit(device=True)
    def multiply(state, w, j, part):
        """part[j, i] += Σ_k w[k] state[b + i UTTERANCE_THREADS, k] over the four k of a quad; w: unit j's."""
        for i in range(ROWS):
            part[j, i] += state[i, 0] * w[0]
            part[j, i] += state[i, 1] * w[1]
            part[j, i] += state[i, 2] * w[2]
            part[j, i] += state[i, 3] * w[3]

    @cuda.jit(device=True)
    def multiply_by_registers(s, states, registers, part):
        """Multiply this group's part of a chunk by the weights in registers."""
        state = cuda.local.array((ROWS, 4), float32)
        for q in range(GROUP_QUADS):
            load_states(s, states, q, state)
            for j in range(COLUMNS):
                e = q * COLUMNS + j
                multiply(state, (registers[e, 0], registers[e, 1], registers[e, 2], registers[e, 3]), j, part)

    @cuda.jit(device=True)
    def multiply_by_shared(s, states, weights, pitch, part):
        """Multiply this group's part of a chunk by weights in shared memory."""
        state = cuda.local.array((ROWS, 4), float32)
        first, k0 = first_weight()
        weights += first * pitch + k0
        for q in range(GROUP_QUADS):
            load_states(s, states, q, state)
            for j in range(COLUMNS):
                line = j // 4 * NEXT_QUAD + j % 4
                multiply(state, load4(s, weights + line * pitch + q * 4), j, part)

    @cuda.jit(device=True)
    def store_sums(s, part):
        """Store each group's sums in shared memory, [group, utterance, unit]."""
        lane, group = cuda.threadIdx.x % GROUP_THREADS, cuda.threadIdx.x // GROUP_THREADS
        position = group * SUMS + lane % UTTERANCE_THREADS * SUM_PITCH + lane // UTTERANCE_THREADS * 4
        for i in range(ROWS):
            for f in range(COLUMN_QUADS):
                values = (part[4 * f, i], part[4 * f + 1, i], part[4 * f + 2, i], part[4 * f + 3, i])
                store4(s, position + i * UTTERANCE_THREADS * SUM_PITCH + f * NEXT_QUAD, values)

    @cuda.jit(device=True)
    def sum_over_k(s, registers, W, out, row, rows, H, unit):
        """Σ_k out[row + b, k] W[unit + u, k], the part of each group, into shared memory."""
        part = cuda.local.array((COLUMNS, ROWS), float32)
        state_quads = cuda.local.array((STATE_QUADS, 4), float32)
        weight_quads = cuda.local.array((WEIGHT_QUADS, 4), float32)
        for j in range(COLUMNS):
            for i in range(ROWS):
                part[j, i] = _ZERO
        load_chunk(out, row, rows, 0, H, state_quads, STATE_QUADS)
        store_chunk(state_quads, s, 0, STATE_QUADS)
        if not resident:
            load_chunk(W, unit, H - unit, 0, H, weight_quads, WEIGHT_QUADS)
            store_chunk(weight_quads, s, WEIGHTS, WEIGHT_QUADS)
        cuda.syncthreads()
        buffer = 0
        for k0 in range(0, H, DEPTH):
            has_next = k0 + DEPTH < H
            if has_next:
                load_chunk(out, row, rows, k0 + DEPTH, H, state_quads, STATE_QUADS)
                if not resident:
                    load_chunk(W, unit, H - unit, k0 + DEPTH, H, weight_quads, WEIGHT_QUADS)
            states = buffer * UTTERANCES * PITCH
            if not resident:
                multiply_by_shared(s, states, WEIGHTS + buffer * UNITS * PITCH, PITCH, part)
            elif k0 == 0:
                multiply_by_registers(s, states, registers, part)
            else:
                multiply_by_shared(s, states, WEIGHTS + k0 - DEPTH, weight_pitch(H), part)
            buffer = 1 - buffer
            if has_next:
                store_chunk(state_quads, s, buffer * UTTERANCES * PITCH, STATE_QUADS)
                if not resident:
                    store_chunk(weight_quads, s, WEIGHTS + buffer * UNITS * PITCH, WEIGHT_QUADS)
            cuda.syncthreads()  # after the last chunk, too: the sums overwrite the states
        store_sums(s, part)
        cuda.syncthreads()

    @cuda.jit(device=True)
    def activate(z, h, t, length):
        if backward:
            return z if h > _ZERO and h < _CLIP else _ZERO
        z = _ZERO if z < _ZERO else z
        z = _CLIP if z > _CLIP else z
        return z if t < length else _ZERO

    @cuda.jit(device=True)
    def compute_frame(s, registers, inputs, W, lengths, h, out, t, previous, T, B, H, unit):
        b, u = cuda.threadIdx.x // UNIT_QUADS, cuda.threadIdx.x % UNIT_QUADS * 4  # of this thread's quad
        for b0 in range(0, B, UTTERANCES):
            valid = H - unit - u if cuda.threadIdx.x < ACTIVE_THREADS and b0 + b < B else 0
            position = (t * B + b0 + b) * H + unit + u
            z0, z1, z2, z3 = load_quad(inputs, position, valid)  # early, so that they arrive before the sums
            h0, h1, h2, h3 = load_quad(h, position, valid if backward else 0)
            if 0 <= previous < T:
                sum_over_k(s, registers, W, out, previous * B + b0, B - b0, H, unit)
                if valid > 0:
                    for group in range(GROUPS):
                        s0, s1, s2, s3 = load4(s, group * SUMS + b * SUM_PITCH + u)
                        z0, z1, z2, z3 = z0 + s0, z1 + s1, z2 + s2, z3 + s3
                if b0 + UTTERANCES < B:
                    cuda.syncthreads()  # the states of the next utterances overwrite the sums
            if valid > 0:
                n = lengths[b0 + b]
                outputs = (
                    activate(z0, h0, t, n),
                    activate(z1, h1, t, n),
                    activate(z2, h2, t, n),
                    activate(z3, h3, t, n),
                )
                store_quad(out, position, valid, outputs)

    return compute_frame, load_model, REGISTER_QUADS, UNITS

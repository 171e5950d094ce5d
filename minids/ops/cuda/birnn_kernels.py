"""One frame of the recurrence, and two kernels around it: one frame a launch, or all frames in one.

    forward     h_t = g(z_t + Wr h_{t∓1})               backward     δ_t = (dh_t + Wrᵀ δ_{t±1}) ⊙ g'(h_t)

Both are out_t = end(given_t + W out_before), W being Wr or its transposed copy. A block owns some units, rows
of W, and computes them for all utterances; it needs the whole state before, (B, H), from all other blocks. So
a frame is a launch, or ends in a barrier of the whole grid.

A block's threads share the sums. A few of them cover units x utterances, a few of each to a thread; others do
the same further along k, and at the end they add up what they have. States come through shared memory in
chunks along k, the next one on its way while this one is multiplied. So does W, where a launch is one frame.
A kernel that runs through all frames keeps its units' rows of W from the first to the last, and reads no
weight of global memory twice: each thread holds its weights of the first chunk in registers, and the other
chunks lie in shared memory. At H = 512 that is half of a block's weights, at 2048, of 16 units, 8 KB of 128.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numba import cuda, float32

from minids.ops.common import CLIP
from minids.ops.cuda.vector_io import (
    four_at_once,
    four_singly,
    load4,
    store4,
    store_four_at_once,
    store_four_singly,
)

_ZERO, _CLIP = np.float32(0), np.float32(CLIP)
PAD = 4  # numbers behind each row in shared memory: rows that are read together lie in different banks


class Shape(NamedTuple):
    """What a block does: so many units, for so many utterances at a time, in chunks of `depth` along k.

    `down` x `across` threads cover the utterances and units of a chunk.
    """

    units: int
    utterances: int
    threads: int
    depth: int
    down: int
    across: int

    @property
    def groups(self) -> int:
        """How many parts a chunk has along k, each with its own threads."""
        return self.threads // (self.down * self.across)

    def shared(self, H: int, resident: bool) -> int:
        """Bytes of shared memory of a block."""
        pitch = self.depth + PAD
        row = (-(-H // self.depth) - 1) * self.depth + PAD if resident else 2 * pitch  # of weights
        sums = self.groups * self.utterances * (self.units + PAD)
        return 4 * (self.units * row + max(2 * self.utterances * pitch, sums))


@cache
def kernels(shape: Shape, backward: bool, wide: bool):
    """(one_frame, all_frames) for blocks of this shape. `wide`: rows of H are read in fours, see vec.py."""
    return _one_frame(shape, backward, wide), _all_frames(shape, backward, wide)


def _one_frame(shape, backward, wide):
    frame, *_, UNITS = _frame(shape, backward, wide, resident=False)

    @cuda.jit(launch_bounds=(shape.threads, 1), cache=True)
    def one_frame(given, W_f, W_b, lengths, h_f, h_b, out_f, out_b, step, T, B, H):
        """Step 0 … T-1 of both directions: blocks (x, direction)."""
        s = cuda.shared.array(0, float32, alignment=16)
        rising = (cuda.blockIdx.y == 0) != backward
        t = step if rising else T - 1 - step
        before = t - 1 if rising else t + 1
        W, h, out = (W_f, h_f, out_f) if cuda.blockIdx.y == 0 else (W_b, h_b, out_b)
        frame(s, None, given, W, lengths, h, out, t, before, T, B, H, cuda.blockIdx.x * UNITS)

    return one_frame


def _all_frames(shape, backward, wide):
    frame, keep, HELD, UNITS = _frame(shape, backward, wide, resident=True)

    @cuda.jit(launch_bounds=(shape.threads, 1), cache=True)
    def all_frames(given, W_f, W_b, lengths, h_f, h_b, out_f, out_b, first, T, B, H):
        """All steps of the directions `first`, `first` + 1 …, as many as there are blocks (x, direction)."""
        s = cuda.shared.array(0, float32, alignment=16)
        held = cuda.local.array((HELD, 4), float32)
        grid = cuda.cg.this_grid()
        direction = first + cuda.blockIdx.y
        rising = (direction == 0) != backward
        W, h, out = (W_f, h_f, out_f) if direction == 0 else (W_b, h_b, out_b)
        keep(s, held, W, H, cuda.blockIdx.x * UNITS)
        for step in range(T):
            t = step if rising else T - 1 - step
            before = t - 1 if rising else t + 1
            frame(s, held, given, W, lengths, h, out, t, before, T, B, H, cuda.blockIdx.x * UNITS)
            grid.sync()

    return all_frames


def _frame(shape, backward, wide, resident):
    """frame(…) computes out_t for the units of a block; keep(…) brings their weights to stay, HELD quads of
    them into a thread's registers.

    Everything moves in fours: also because Numba asks of each single index whether it is negative.
    """
    UNITS, UTTERANCES, THREADS, DEPTH, DOWN, ACROSS = shape
    GROUPS, COVER = shape.groups, DOWN * ACROSS
    PITCH = DEPTH + PAD
    ROWS, COLUMNS = UTTERANCES // DOWN, UNITS // ACROSS  # of a thread
    FOURS = COLUMNS // 4
    QUADS_A_LINE = DEPTH // 4
    LINES = THREADS // QUADS_A_LINE  # that all threads fetch at once
    STATE_QUADS, WEIGHT_QUADS = UTTERANCES // LINES, UNITS // LINES  # of a thread, in a chunk
    GROUP_QUADS = QUADS_A_LINE // GROUPS
    HELD = GROUP_QUADS * COLUMNS
    SUM_PITCH = UNITS + PAD
    SUMS = UTTERANCES * SUM_PITCH
    SPACE = max(2 * UTTERANCES * PITCH, GROUPS * SUMS)  # of the states' chunks, and then of the sums
    UNIT_QUADS = UNITS // 4
    ENDING = UTTERANCES * UNIT_QUADS  # threads that end a quad of sums each
    four, store_four = (four_at_once, store_four_at_once) if wide else (four_singly, store_four_singly)
    assert ENDING <= THREADS

    @cuda.jit(device=True)
    def fetch(source, row, rows, k0, H, quads, count):
        """A chunk of lines of H numbers, from line `row` on, into registers; zeros beyond `rows` lines."""
        k = k0 + cuda.threadIdx.x % QUADS_A_LINE * 4
        first = cuda.threadIdx.x // QUADS_A_LINE
        for q in range(count):
            line = first + q * LINES
            values = four(source, (row + line) * H + k, H - k if line < rows else 0)
            quads[q, 0], quads[q, 1], quads[q, 2], quads[q, 3] = values

    @cuda.jit(device=True)
    def put(quads, s, start, count):
        place = start + cuda.threadIdx.x // QUADS_A_LINE * PITCH + cuda.threadIdx.x % QUADS_A_LINE * 4
        for q in range(count):
            store4(s, place + q * LINES * PITCH, (quads[q, 0], quads[q, 1], quads[q, 2], quads[q, 3]))

    @cuda.jit(device=True)
    def corner():
        """Where a thread's part of a chunk of weights begins: unit, k."""
        return cuda.threadIdx.x % COVER // DOWN * COLUMNS, cuda.threadIdx.x // COVER * GROUP_QUADS * 4

    @cuda.jit(device=True)
    def row_pitch(H):
        """From row to row of the weights in shared memory: all chunks but the first."""
        return ((H + DEPTH - 1) // DEPTH - 1) * DEPTH + PAD

    @cuda.jit(device=True)
    def keep(s, held, W, H, unit):
        """This thread's weights of the first chunk into registers, the block's others into shared memory."""
        first, k0 = corner()
        for q in range(GROUP_QUADS):
            for j in range(COLUMNS):
                line, k = unit + first + j, k0 + q * 4
                values = four(W, line * H + k, H - k if line < H else 0)
                for i in range(4):
                    held[q * COLUMNS + j, i] = values[i]
        pitch = row_pitch(H)
        quads_a_row = (pitch - PAD) // 4
        for e in range(cuda.threadIdx.x, UNITS * quads_a_row, THREADS):
            line, place = e // quads_a_row, e % quads_a_row * 4
            k = DEPTH + place
            values = four(W, (unit + line) * H + k, H - k if unit + line < H else 0)
            store4(s, SPACE + line * pitch + place, values)

    @cuda.jit(device=True)
    def look(s, start, q, state):
        """Quad q of this thread's states, into registers."""
        start += cuda.threadIdx.x % DOWN * PITCH + (cuda.threadIdx.x // COVER * GROUP_QUADS + q) * 4
        for i in range(ROWS):
            values = load4(s, start + i * DOWN * PITCH)
            state[i, 0], state[i, 1], state[i, 2], state[i, 3] = values

    @cuda.jit(device=True)
    def multiply(state, w, j, part):
        """part[j, i] += Σ_k W[u + j, k] state[b + i DOWN, k] over the four k of a quad."""
        for i in range(ROWS):
            part[j, i] += state[i, 0] * w[0]
            part[j, i] += state[i, 1] * w[1]
            part[j, i] += state[i, 2] * w[2]
            part[j, i] += state[i, 3] * w[3]

    @cuda.jit(device=True)
    def multiply_held(s, states, held, part):
        """A chunk, this group's k of it, by the weights in registers."""
        state = cuda.local.array((ROWS, 4), float32)
        for q in range(GROUP_QUADS):
            look(s, states, q, state)
            for j in range(COLUMNS):
                e = q * COLUMNS + j
                multiply(state, (held[e, 0], held[e, 1], held[e, 2], held[e, 3]), j, part)

    @cuda.jit(device=True)
    def multiply_shared(s, states, weights, pitch, part):
        """A chunk, this group's k of it, by weights in shared memory."""
        state = cuda.local.array((ROWS, 4), float32)
        first, k0 = corner()
        weights += first * pitch + k0
        for q in range(GROUP_QUADS):
            look(s, states, q, state)
            for j in range(COLUMNS):
                multiply(state, load4(s, weights + j * pitch + q * 4), j, part)

    @cuda.jit(device=True)
    def spread(s, part):
        """Each group's sums into shared memory, [group, utterance, unit]."""
        lane, group = cuda.threadIdx.x % COVER, cuda.threadIdx.x // COVER
        place = group * SUMS + lane % DOWN * SUM_PITCH + lane // DOWN * COLUMNS
        for i in range(ROWS):
            for f in range(FOURS):
                values = (part[4 * f, i], part[4 * f + 1, i], part[4 * f + 2, i], part[4 * f + 3, i])
                store4(s, place + i * DOWN * SUM_PITCH + 4 * f, values)

    @cuda.jit(device=True)
    def sum_over_k(s, held, W, out, row, rows, H, unit):
        """Leaves in shared memory, for each group, Σ_k out[row + b, k] W[unit + u, k]."""
        part = cuda.local.array((COLUMNS, ROWS), float32)
        state_quads = cuda.local.array((STATE_QUADS, 4), float32)
        weight_quads = cuda.local.array((WEIGHT_QUADS, 4), float32)
        for j in range(COLUMNS):
            for i in range(ROWS):
                part[j, i] = _ZERO
        fetch(out, row, rows, 0, H, state_quads, STATE_QUADS)
        put(state_quads, s, 0, STATE_QUADS)
        if not resident:
            fetch(W, unit, H - unit, 0, H, weight_quads, WEIGHT_QUADS)
            put(weight_quads, s, SPACE, WEIGHT_QUADS)
        cuda.syncthreads()
        half = 0
        for k0 in range(0, H, DEPTH):
            more = k0 + DEPTH < H
            if more:
                fetch(out, row, rows, k0 + DEPTH, H, state_quads, STATE_QUADS)
                if not resident:
                    fetch(W, unit, H - unit, k0 + DEPTH, H, weight_quads, WEIGHT_QUADS)
            states = half * UTTERANCES * PITCH
            if not resident:
                multiply_shared(s, states, SPACE + half * UNITS * PITCH, PITCH, part)
            elif k0 == 0:
                multiply_held(s, states, held, part)
            else:
                multiply_shared(s, states, SPACE + k0 - DEPTH, row_pitch(H), part)
            half = 1 - half
            if more:
                put(state_quads, s, half * UTTERANCES * PITCH, STATE_QUADS)
                if not resident:
                    put(weight_quads, s, SPACE + half * UNITS * PITCH, WEIGHT_QUADS)
            cuda.syncthreads()  # the last one: the sums go where the states were
        spread(s, part)
        cuda.syncthreads()

    @cuda.jit(device=True)
    def end(z, h, t, length):
        if backward:
            return z if h > _ZERO and h < _CLIP else _ZERO
        z = _ZERO if z < _ZERO else z
        z = _CLIP if z > _CLIP else z
        return z if t < length else _ZERO

    @cuda.jit(device=True)
    def frame(s, held, given, W, lengths, h, out, t, before, T, B, H, unit):
        b, u = cuda.threadIdx.x // UNIT_QUADS, cuda.threadIdx.x % UNIT_QUADS * 4  # of this thread's quad
        for b0 in range(0, B, UTTERANCES):
            inside = H - unit - u if cuda.threadIdx.x < ENDING and b0 + b < B else 0
            place = (t * B + b0 + b) * H + unit + u
            z0, z1, z2, z3 = four(given, place, inside)  # asked for early, to be here when the sums are
            h0, h1, h2, h3 = four(h, place, inside if backward else 0)
            if 0 <= before < T:
                sum_over_k(s, held, W, out, before * B + b0, B - b0, H, unit)
                if inside > 0:
                    for group in range(GROUPS):
                        s0, s1, s2, s3 = load4(s, group * SUMS + b * SUM_PITCH + u)
                        z0, z1, z2, z3 = z0 + s0, z1 + s1, z2 + s2, z3 + s3
                if b0 + UTTERANCES < B:
                    cuda.syncthreads()  # before the next utterances' states go where the sums are
            if inside > 0:
                n = lengths[b0 + b]
                ended = (end(z0, h0, t, n), end(z1, h1, t, n), end(z2, h2, t, n), end(z3, h3, t, n))
                store_four(out, place, inside, ended)

    return frame, keep, HELD, UNITS

"""One frame of the recurrence, and two kernels around it: one frame a launch, or all frames in one.

    forward     h_t = g(z_t + Wr h_{t∓1})               backward     δ_t = (dh_t + Wrᵀ δ_{t±1}) ⊙ g'(h_t)

Both are out_t = end(given_t + W out_before), W being Wr or its transposed copy. A block owns some units, rows
of W, and computes them for all utterances; it needs the whole state before, (B, H), from all other blocks. That
is why a frame is a launch, or ends in a barrier of the whole grid.

A block's threads share the sums. A few of them cover units x utterances, a few of each to a thread; others do
the same further along k, and at the end they add up what they have. States come through shared memory in
chunks along k, the next one on its way while this one is multiplied. So does W, where a launch is one frame;
a kernel that runs through all frames keeps its units' rows of W in shared memory from the first to the last:
at H = 2048 a multiprocessor holds 128 KB of it and reads no weight twice.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numba import cuda, float32

from minids.ops.common import CLIP
from minids.ops.cuda.vec import four_at_once, four_singly, load4, store4

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
        weights = self.units * (self.resident_pitch(H) if resident else 2 * pitch)
        sums = self.groups * (self.utterances * (self.units + PAD) + 16)
        return 4 * (weights + max(2 * self.utterances * pitch, sums))

    def resident_pitch(self, H: int) -> int:
        """From row to row of the weights that stay: whole chunks."""
        return -(-H // self.depth) * self.depth + PAD


@cache
def kernels(shape: Shape, backward: bool, wide: bool):
    """(one_frame, all_frames) for blocks of this shape. `wide`: rows of H are read in fours, see vec.py."""
    return _one_frame(shape, backward, wide), _all_frames(shape, backward, wide)


def _one_frame(shape, backward, wide):
    frame, _, UNITS = _frame(shape, backward, wide, resident=False)
    BLOCKS = 1

    @cuda.jit(launch_bounds=(shape.threads, BLOCKS))
    def one_frame(given, W_f, W_b, lengths, h_f, h_b, out_f, out_b, step, T, B, H):
        """Step 0 … T-1 of both directions: blocks (x, direction)."""
        s = cuda.shared.array(0, float32)
        rising = (cuda.blockIdx.y == 0) != backward
        t = step if rising else T - 1 - step
        before = t - 1 if rising else t + 1
        W, h, out = (W_f, h_f, out_f) if cuda.blockIdx.y == 0 else (W_b, h_b, out_b)
        frame(s, given, W, lengths, h, out, t, before, T, B, H, cuda.blockIdx.x * UNITS)

    return one_frame


def _all_frames(shape, backward, wide):
    frame, keep, UNITS = _frame(shape, backward, wide, resident=True)
    BLOCKS = 1

    @cuda.jit(launch_bounds=(shape.threads, BLOCKS))
    def all_frames(given, W_f, W_b, lengths, h_f, h_b, out_f, out_b, first, T, B, H):
        """All steps of the directions `first`, `first` + 1 …, as many as there are blocks (x, direction)."""
        s = cuda.shared.array(0, float32)
        grid = cuda.cg.this_grid()
        direction = first + cuda.blockIdx.y
        rising = (direction == 0) != backward
        W, h, out = (W_f, h_f, out_f) if direction == 0 else (W_b, h_b, out_b)
        keep(s, W, H, cuda.blockIdx.x * UNITS)
        for step in range(T):
            t = step if rising else T - 1 - step
            before = t - 1 if rising else t + 1
            frame(s, given, W, lengths, h, out, t, before, T, B, H, cuda.blockIdx.x * UNITS)
            grid.sync()

    return all_frames


def _frame(shape, backward, wide, resident):
    """frame(…) computes out_t for the units of a block; keep(…) brings their weights to stay."""
    UNITS, UTTERANCES, THREADS, DEPTH, DOWN, ACROSS = shape
    GROUPS, COVER = shape.groups, DOWN * ACROSS
    PITCH = DEPTH + PAD
    ROWS, COLUMNS = UTTERANCES // DOWN, UNITS // ACROSS  # of a thread
    OURS = UTTERANCES * UNITS // THREADS  # sums that a thread finishes
    STATE_QUADS = UTTERANCES * DEPTH // (4 * THREADS)
    WEIGHT_QUADS = UNITS * DEPTH // (4 * THREADS)
    QUADS_A_LINE = DEPTH // 4
    QUADS_A_GROUP = QUADS_A_LINE // GROUPS
    SUM_PITCH = UNITS + PAD
    SUMS = UTTERANCES * SUM_PITCH + 16  # 16: two groups of one warp write to different banks
    SPACE = max(
        2 * UTTERANCES * PITCH, GROUPS * SUMS
    )  # of the states' chunks, and of the sums when these are done
    FEW = min(COLUMNS, 4)
    four = four_at_once if wide else four_singly

    @cuda.jit(device=True, forceinline=True)
    def fetch(source, row, rows, k0, H, quads, count):
        """A chunk of lines of H numbers, from line `row` on, into registers; zeros beyond `rows` lines."""
        for q in range(count):
            e = cuda.threadIdx.x + q * THREADS
            line, k = e // QUADS_A_LINE, k0 + e % QUADS_A_LINE * 4
            values = four(source, (row + line) * H + k, H - k if line < rows else 0)
            quads[q, 0], quads[q, 1], quads[q, 2], quads[q, 3] = values

    @cuda.jit(device=True, forceinline=True)
    def put(quads, s, start, count):
        for q in range(count):
            e = cuda.threadIdx.x + q * THREADS
            place = start + e // QUADS_A_LINE * PITCH + e % QUADS_A_LINE * 4
            store4(s, place, (quads[q, 0], quads[q, 1], quads[q, 2], quads[q, 3]))

    @cuda.jit(device=True, forceinline=True)
    def keep(s, W, H, unit):
        quads_a_row = (H + DEPTH - 1) // DEPTH * QUADS_A_LINE
        for e in range(cuda.threadIdx.x, UNITS * quads_a_row, THREADS):
            line, k = e // quads_a_row, e % quads_a_row * 4
            values = four(W, (unit + line) * H + k, H - k if unit + line < H else 0)
            store4(s, SPACE + line * (quads_a_row * 4 + PAD) + k, values)

    @cuda.jit(device=True, forceinline=True)
    def columns(s, state, weights, pitch, part, first):
        for j in range(first, first + FEW):
            w0, w1, w2, w3 = load4(s, weights + j * ACROSS * pitch)
            for i in range(ROWS):
                part[i, j] += state[i, 0] * w0
                part[i, j] += state[i, 1] * w1
                part[i, j] += state[i, 2] * w2
                part[i, j] += state[i, 3] * w3

    @cuda.jit(device=True, forceinline=True)
    def multiply(s, states, weights, pitch, part):
        """part[i, j] += Σ_k state[b, k] W[u, k] over this group's k, four at a time."""
        state = cuda.local.array((ROWS, 4), float32)
        lane = cuda.threadIdx.x % COVER
        k0 = cuda.threadIdx.x // COVER * QUADS_A_GROUP * 4
        b, u = lane % DOWN, lane // DOWN
        for q in range(QUADS_A_GROUP):
            k = k0 + q * 4
            for i in range(ROWS):
                values = load4(s, states + (b + i * DOWN) * PITCH + k)
                state[i, 0], state[i, 1], state[i, 2], state[i, 3] = values
            columns(s, state, weights + u * pitch + k, pitch, part, 0)
            if COLUMNS > 4:
                columns(s, state, weights + u * pitch + k, pitch, part, 4)

    @cuda.jit(device=True, forceinline=True)
    def spread(s, part):
        lane, group = cuda.threadIdx.x % COVER, cuda.threadIdx.x // COVER
        for i in range(ROWS):
            for j in range(COLUMNS):
                b, u = lane % DOWN + i * DOWN, lane // DOWN + j * ACROSS
                s[group * SUMS + b * SUM_PITCH + u] = part[i, j]

    @cuda.jit(device=True, forceinline=True)
    def sum_over_k(s, W, out, row, rows, H, unit, part):
        """Leaves in shared memory, for each group, Σ_k out[row + b, k] W[unit + u, k]."""
        state_quads = cuda.local.array((STATE_QUADS, 4), float32)
        weight_quads = cuda.local.array((WEIGHT_QUADS, 4), float32)
        for i in range(ROWS):
            for j in range(COLUMNS):
                part[i, j] = _ZERO
        fetch(out, row, rows, 0, H, state_quads, STATE_QUADS)
        put(state_quads, s, 0, STATE_QUADS)
        pitch = PITCH
        if resident:
            pitch = (H + DEPTH - 1) // DEPTH * DEPTH + PAD
        else:
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
            weights = SPACE + k0 if resident else SPACE + half * UNITS * PITCH
            multiply(s, half * UTTERANCES * PITCH, weights, pitch, part)
            half = 1 - half
            if more:
                put(state_quads, s, half * UTTERANCES * PITCH, STATE_QUADS)
                if not resident:
                    put(weight_quads, s, SPACE + half * UNITS * PITCH, WEIGHT_QUADS)
            cuda.syncthreads()  # the last one: the sums go where the states were
        spread(s, part)
        cuda.syncthreads()

    @cuda.jit(device=True, forceinline=True)
    def frame(s, given, W, lengths, h, out, t, before, T, B, H, unit):
        part = cuda.local.array((ROWS, COLUMNS), float32)
        ours = cuda.local.array(OURS, float32)
        for b0 in range(0, B, UTTERANCES):
            for o in range(OURS):  # asked for early: it arrives while the sums are made
                e = cuda.threadIdx.x + o * THREADS
                b, u = b0 + e // UNITS, unit + e % UNITS
                ours[o] = given[(t * B + b) * H + u] if b < B and u < H else _ZERO
            if 0 <= before < T:
                sum_over_k(s, W, out, before * B + b0, B - b0, H, unit, part)
                for o in range(OURS):
                    e = cuda.threadIdx.x + o * THREADS
                    for group in range(GROUPS):
                        ours[o] += s[group * SUMS + e // UNITS * SUM_PITCH + e % UNITS]
                if b0 + UTTERANCES < B:
                    cuda.syncthreads()  # before the next utterances' states go where the sums are
            for o in range(OURS):
                e = cuda.threadIdx.x + o * THREADS
                b, u = b0 + e // UNITS, unit + e % UNITS
                if b < B and u < H:
                    i = (t * B + b) * H + u
                    if backward:
                        out[i] = ours[o] if h[i] > _ZERO and h[i] < _CLIP else _ZERO
                    else:
                        value = _ZERO if ours[o] < _ZERO else ours[o]
                        value = _CLIP if value > _CLIP else value
                        out[i] = value if t < lengths[b] else _ZERO

    return frame, keep, UNITS

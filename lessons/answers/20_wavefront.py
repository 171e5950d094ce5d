"""The answer to lesson 14, and common mistakes."""

import numpy as np

from minids.lesson.gpu import cuda
from minids.ops.cuda.ctc import log_sum
from minids.text import BLANK

ZERO, LOG0 = np.float32(0), np.float32(-1e30)


def walk(log_probs, lengths, states, sizes, alpha):
    b, s = cuda.blockIdx.x, cuda.threadIdx.x
    for t in range(lengths[b]):
        if s < sizes[b]:
            if t == 0:
                paths = ZERO if s < 2 else LOG0
            else:
                stay = alpha[b, t - 1, s]
                step = alpha[b, t - 1, s - 1] if s > 0 else LOG0
                skip = LOG0
                if s > 1 and states[b, s] != BLANK and states[b, s] != states[b, s - 2]:
                    skip = alpha[b, t - 1, s - 2]
                paths = log_sum(stay, step, skip)
            alpha[b, t, s] = log_probs[t, b, states[b, s]] + paths
        cuda.syncthreads()


def variant(log_probs, lengths, states, sizes, alpha, barrier="for all", skips="right", first=2, frames=None):
    """The forward pass with a mistake in it."""
    b, s = cuda.blockIdx.x, cuda.threadIdx.x
    if barrier == "without idle threads" and s >= sizes[b]:
        return
    for t in range(frames or lengths[b]):
        if s < sizes[b]:
            paths = ZERO if s < first else LOG0
            if t > 0:
                skip = s > 1 and states[b, s] != states[b, s - 2]
                if skips == "anywhere":
                    skip = s > 1
                elif skips == "into letters":
                    skip = s > 1 and states[b, s] != BLANK
                elif skips == "never":
                    skip = False
                step = alpha[b, t - 1, s - 1] if s > 0 else LOG0
                paths = log_sum(alpha[b, t - 1, s], step, alpha[b, t - 1, s - 2] if skip else LOG0)
            alpha[b, t, s] = log_probs[t, b, states[b, s]] + paths
            if barrier == "inside the guard":
                cuda.syncthreads()
        if barrier in ("for all", "without idle threads") or (barrier == "every second frame" and t % 2):
            cuda.syncthreads()


def no_barrier(log_probs, lengths, states, sizes, alpha):
    """Reads what another thread may not have written yet."""
    variant(log_probs, lengths, states, sizes, alpha, barrier=None)


def barrier_inside_the_guard(log_probs, lengths, states, sizes, alpha):
    """The barrier is inside the guard: threads without a state never reach it."""
    variant(log_probs, lengths, states, sizes, alpha, barrier="inside the guard")


def returns_early(log_probs, lengths, states, sizes, alpha):
    """Threads without a state return, and the barrier waits for them."""
    variant(log_probs, lengths, states, sizes, alpha, barrier="without idle threads")


def skips_anything(log_probs, lengths, states, sizes, alpha):
    """A skip from blank to blank would lose the letter between them."""
    variant(log_probs, lengths, states, sizes, alpha, skips="anywhere")


def skips_between_equal_letters(log_probs, lengths, states, sizes, alpha):
    """Between two equal letters there must be a blank; otherwise "ee" becomes "e"."""
    variant(log_probs, lengths, states, sizes, alpha, skips="into letters")


def begins_anywhere(log_probs, lengths, states, sizes, alpha):
    """If the first frame can be in any state, the beginning of the text may be missing."""
    variant(log_probs, lengths, states, sizes, alpha, first=99)


def computes_the_padding(log_probs, lengths, states, sizes, alpha):
    """Treats every utterance as if it were as long as the longest."""
    variant(log_probs, lengths, states, sizes, alpha, frames=log_probs.shape[0])


def never_skips(log_probs, lengths, states, sizes, alpha):
    """Between two different letters the blank is optional."""
    variant(log_probs, lengths, states, sizes, alpha, skips="never")


def thread_0_computes_everything(log_probs, lengths, states, sizes, alpha):
    """Thread 0 computes all states, and the others do nothing."""
    b = cuda.blockIdx.x
    if cuda.threadIdx.x == 0:
        for t in range(lengths[b]):
            for s in range(sizes[b]):
                paths = ZERO if s < 2 else LOG0
                if t > 0:
                    skip = s > 1 and states[b, s] != states[b, s - 2]
                    step = alpha[b, t - 1, s - 1] if s > 0 else LOG0
                    paths = log_sum(alpha[b, t - 1, s], step, alpha[b, t - 1, s - 2] if skip else LOG0)
                alpha[b, t, s] = log_probs[t, b, states[b, s]] + paths


def barrier_in_every_second_frame(log_probs, lengths, states, sizes, alpha):
    """Only every second frame has a barrier."""
    variant(log_probs, lengths, states, sizes, alpha, barrier="every second frame")


def before_the_first_frame(log_probs, lengths, states, sizes, alpha):
    """Reads alpha[b, -1] in frame 0: a GPU reads whatever is in memory there."""
    b, s = cuda.blockIdx.x, cuda.threadIdx.x
    for t in range(lengths[b]):
        if s < sizes[b]:
            before = alpha[b, t - 1, s]
            alpha[b, t, s] = log_probs[t, b, states[b, s]] + (ZERO if t == 0 and s < 2 else before)
        cuda.syncthreads()


HINTS = {
    "walk": [
        "b, s = cuda.blockIdx.x, cuda.threadIdx.x; for t in range(lengths[b]): …; cuda.syncthreads()",
        "The barrier is for all threads: put the work under `if s < sizes[b]:`, but not the barrier.",
        "In frame 0, paths is ZERO for s < 2, else LOG0; later log_sum(alpha[b, t - 1, s], step, skip).",
        "step = alpha[b, t - 1, s - 1] if s > 0 else LOG0; skip likewise, if s > 1 and it is allowed.",
    ],
}

WRONG = {
    "walk": [
        no_barrier,
        barrier_inside_the_guard,
        returns_early,
        barrier_in_every_second_frame,
        never_skips,
        thread_0_computes_everything,
        skips_anything,
        skips_between_equal_letters,
        begins_anywhere,
        computes_the_padding,
        before_the_first_frame,
    ],
}

"""Our answer to lesson 14, and the usual mistakes."""

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
                ways = ZERO if s < 2 else LOG0
            else:
                stay = alpha[b, t - 1, s]
                step = alpha[b, t - 1, s - 1] if s > 0 else LOG0
                skip = LOG0
                if s > 1 and states[b, s] != BLANK and states[b, s] != states[b, s - 2]:
                    skip = alpha[b, t - 1, s - 2]
                ways = log_sum(stay, step, skip)
            alpha[b, t, s] = log_probs[t, b, states[b, s]] + ways
        cuda.syncthreads()


def walked(log_probs, lengths, states, sizes, alpha, barrier="for all", skips="right", first=2, frames=None):
    """The walk with a mistake in it."""
    b, s = cuda.blockIdx.x, cuda.threadIdx.x
    if barrier == "for those who stay" and s >= sizes[b]:
        return
    for t in range(frames or lengths[b]):
        if s < sizes[b]:
            ways = ZERO if s < first else LOG0
            if t > 0:
                skip = s > 1 and states[b, s] != states[b, s - 2]
                if skips == "anywhere":
                    skip = s > 1
                elif skips == "into letters":
                    skip = s > 1 and states[b, s] != BLANK
                elif skips == "never":
                    skip = False
                step = alpha[b, t - 1, s - 1] if s > 0 else LOG0
                ways = log_sum(alpha[b, t - 1, s], step, alpha[b, t - 1, s - 2] if skip else LOG0)
            alpha[b, t, s] = log_probs[t, b, states[b, s]] + ways
            if barrier == "for those who work":
                cuda.syncthreads()
        if barrier in ("for all", "for those who stay") or (barrier == "every second frame" and t % 2):
            cuda.syncthreads()


def no_barrier(log_probs, lengths, states, sizes, alpha):
    """Reads what a neighbor may not have written yet."""
    walked(log_probs, lengths, states, sizes, alpha, barrier=None)


def barrier_for_those_who_work(log_probs, lengths, states, sizes, alpha):
    """The barrier stands within the guard: threads without a state never reach it."""
    walked(log_probs, lengths, states, sizes, alpha, barrier="for those who work")


def leaves_early(log_probs, lengths, states, sizes, alpha):
    """Threads without a state go home, and the barrier waits for them."""
    walked(log_probs, lengths, states, sizes, alpha, barrier="for those who stay")


def skips_anything(log_probs, lengths, states, sizes, alpha):
    """From blank to blank a letter would be lost."""
    walked(log_probs, lengths, states, sizes, alpha, skips="anywhere")


def skips_between_equal_letters(log_probs, lengths, states, sizes, alpha):
    """From a letter to the same letter there must be a blank: "ee" would become "e"."""
    walked(log_probs, lengths, states, sizes, alpha, skips="into letters")


def begins_anywhere(log_probs, lengths, states, sizes, alpha):
    """The first frame in any state: the beginning of the text may be missing."""
    walked(log_probs, lengths, states, sizes, alpha, first=99)


def walks_the_padding(log_probs, lengths, states, sizes, alpha):
    """Every utterance as long as the longest."""
    walked(log_probs, lengths, states, sizes, alpha, frames=log_probs.shape[0])


def never_skips(log_probs, lengths, states, sizes, alpha):
    """Between two different letters no blank is needed."""
    walked(log_probs, lengths, states, sizes, alpha, skips="never")


def walks_alone(log_probs, lengths, states, sizes, alpha):
    """Thread 0 has all states, and the others nothing to do."""
    b = cuda.blockIdx.x
    if cuda.threadIdx.x == 0:
        for t in range(lengths[b]):
            for s in range(sizes[b]):
                ways = ZERO if s < 2 else LOG0
                if t > 0:
                    skip = s > 1 and states[b, s] != states[b, s - 2]
                    step = alpha[b, t - 1, s - 1] if s > 0 else LOG0
                    ways = log_sum(alpha[b, t - 1, s], step, alpha[b, t - 1, s - 2] if skip else LOG0)
                alpha[b, t, s] = log_probs[t, b, states[b, s]] + ways


def barrier_now_and_then(log_probs, lengths, states, sizes, alpha):
    """Only every second frame has a barrier."""
    walked(log_probs, lengths, states, sizes, alpha, barrier="every second frame")


def before_the_first_frame(log_probs, lengths, states, sizes, alpha):
    """alpha[b, -1] in frame 0: on a GPU whatever lies there."""
    b, s = cuda.blockIdx.x, cuda.threadIdx.x
    for t in range(lengths[b]):
        if s < sizes[b]:
            before = alpha[b, t - 1, s]
            alpha[b, t, s] = log_probs[t, b, states[b, s]] + (ZERO if t == 0 and s < 2 else before)
        cuda.syncthreads()


WRONG = {
    "walk": [
        no_barrier,
        barrier_for_those_who_work,
        leaves_early,
        barrier_now_and_then,
        never_skips,
        walks_alone,
        skips_anything,
        skips_between_equal_letters,
        begins_anywhere,
        walks_the_padding,
        before_the_first_frame,
    ],
}

"""Checks of lesson 19: products against NumPy's, in three orders of threads, and what they cost."""

import numpy as np

from minids.lesson import exercise, gpu, scores
from minids.lesson.gpu import empty


def factors(M, N, K):
    rng = np.random.default_rng(M + N + K)
    return rng.normal(size=(M, K)), rng.normal(size=(N, K))


@exercise("19.1", rtol=1e-3, atol=1e-5, pure=False, keep=False, seconds=60)
def check_tiled(tiled):
    for M, N, K in (3, 5, 7), (18, 5, 17), (3, 20, 18):
        x, W = factors(M, N, K)
        blocks = -(-N // 16), -(-M // 16)
        launch = tiled, blocks, (16, 16), x, W, empty(M, N)
        words = f"x {x.shape}, W {W.shape}, blocks {blocks} of (16, 16)"
        yield words, *gpu.in_every_order(x @ W.T, *launch)
        advice = "load each number once per block, into a shared array"
        yield gpu.few_far_reads(K * (M * blocks[0] + N * blocks[1]), advice, *launch)


def served(words):
    """Wavefronts as they happen: in each, every bank delivers one word, to all that wait for it."""
    waiting, count = set(words), 0
    while waiting:
        banks = {word % 32: word for word in waiting}
        waiting -= set(banks.values())
        count += 1
    return count


@exercise("19.2", keep=False)
def check_wavefronts(wavefronts):
    cases = {
        "32 adjacent words": [*range(32)],
        "32 adjacent words from word 5 on": [*range(5, 37)],
        "the same word for all threads": [7] * 32,
        "every second word": [*range(0, 64, 2)],
        "a column of 16 rows of 16": [*range(0, 256, 16)],
        "a column of 32 rows of 33": [*range(0, 32 * 33, 33)],
        "a column of 32 rows of 32, from the last": [*range(31 * 32, -1, -32)],
        "two threads for each word of a column": [32 * (i // 2) for i in range(32)],
        "one thread": [100],
        "words 100, 8292 and 524388, far from each other": [100, 8292, 524388],
        "words 3, 35, 4, 35, 67, 4": [3, 35, 4, 35, 67, 4],
    }
    for description, words in cases.items():
        yield description, wavefronts(words), served(words)
    rng = np.random.default_rng(2)
    for n in range(4):
        words = rng.integers(0, 200, 32)
        yield f"random words {n}", wavefronts(words), served(words.tolist())


@exercise("19.3", rtol=1e-3, atol=1e-5, pure=False, keep=False, seconds=60)
def check_register_blocked(register_blocked):
    for M, N, K in (64, 128, 16), (128, 64, 8):
        x, W = factors(M, N, K)
        blocks = N // 64, M // 64
        launch = register_blocked, blocks, (8, 8), x, W, empty(M, N)
        words = f"x {x.shape}, W {W.shape}, blocks {blocks} of (8, 8)"
        yield words, *gpu.in_every_order(x @ W.T, *launch)
        advice = "load each number once per block, into a shared array"
        yield gpu.few_far_reads(K * (M * blocks[0] + N * blocks[1]), advice, *launch)
    advice = "read 8 numbers of a and 8 of b into cuda.local.array, then multiply all 64 pairs"
    yield scores.many_multiplications(0.75, advice, register_blocked)

"""What the backends share: the clip, dropout's hash, the length after the stride, the frames a label needs.

The hash is written so that the same text works on NumPy arrays and on Numba's scalars.
"""

from typing import NamedTuple

import numpy as np

CLIP = 20.0  # g(z) = min{max{0, z}, 20}  (§2)


class Dropout(NamedTuple):
    """Inverted dropout: each unit is 0 with probability `rate`, the others are divided by 1 - rate.

    `keys` (B,) uint32 holds one key per utterance, see `key`. Unit u of frame t of utterance b is dropped if
    mix(keys[b] + t H + u) < rate 2³²: a pure function, so that no mask is stored, and every backend and
    every resumed run draws the same.
    """

    rate: float
    keys: np.ndarray

    @property
    def threshold(self) -> np.uint32:
        return np.uint32(self.rate * 2.0**32)

    @property
    def scale(self) -> float:
        return 1.0 / (1.0 - self.rate)


def mix(x):
    """A bijection of uint32 that turns every output bit half of the time, whichever input bit changes."""
    x = np.uint32(x ^ (x >> np.uint32(16)))
    x = np.uint32(x * np.uint32(0x7FEB352D))
    x = np.uint32(x ^ (x >> np.uint32(15)))
    x = np.uint32(x * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


def key(*numbers):
    """One 32-bit key from several integers, such as (seed, epoch, utterance); of arrays, an array of keys."""
    state = np.full(1, 0x9E3779B9, np.uint32)
    for number in numbers:
        bits = (np.asarray(number) & 0xFFFFFFFF).astype(np.uint32)
        state = mix(state ^ mix(np.atleast_1d(bits) + np.uint32(0x9E3779B9)))
    return state if any(np.ndim(number) for number in numbers) else int(state[0])


def strided(lengths, stride: int):
    """Frames after keeping every stride-th one: T = ceil(T0 / stride) (§3.3)."""
    return -(-lengths // stride)


def min_frames(label) -> int:
    """U + adjacent equal pairs: the fewest frames that can spell a label; each pair needs a blank between."""
    label = np.asarray(label)
    return len(label) + int(np.count_nonzero(label[1:] == label[:-1]))

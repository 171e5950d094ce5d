"""What every backend shares: the clip, the dropout hash, the length after the stride, which labels are
possible.

The hash is written so that the same text works on NumPy arrays and on Numba's scalars.
"""

from typing import NamedTuple

import numpy as np

CLIP = 20.0  # g(z) = min{max{0, z}, 20}  (§2)


class Dropout(NamedTuple):
    """Inverted dropout of a layer: each unit is dropped with probability `rate`, the others are divided by 1
    - rate.

    `keys` (B,) uint32 holds one key per utterance, see `key`. Unit u of frame t of utterance b is dropped
    when `mix(keys[b] + t H + u)` < rate 2³²: a pure function, so that no mask is stored and every backend,
    rank and resumed run draws the same.
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
    """An integer hash:

    a bijection of uint32 in which every input bit turns each output bit half of the time.
    """
    x = np.uint32(x ^ (x >> np.uint32(16)))
    x = np.uint32(x * np.uint32(0x7FEB352D))
    x = np.uint32(x ^ (x >> np.uint32(15)))
    x = np.uint32(x * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


def key(*numbers: int) -> int:
    """One 32-bit key from several integers, such as (seed, epoch, utterance, layer)."""
    state = np.array([0x9E3779B9], np.uint32)
    for number in numbers:
        state = mix(state ^ mix(np.array([number & 0xFFFFFFFF], np.uint32) + np.uint32(0x9E3779B9)))
    return int(state[0])


def strided(lengths, stride: int):
    """Frames after keeping every stride-th one: T = ceil(T0 / stride) (§3.3)."""
    return -(-lengths // stride)


def least_frames(label) -> int:
    """The fewest frames that can spell a label:

    U + the number of adjacent equal pairs, which need a blank between.
    """
    label = np.asarray(label)
    return len(label) + int(np.count_nonzero(label[1:] == label[:-1]))

"""What the backends share: the clip, dropout's hash, scratch arrays, lengths after the stride.

The hash is written so that the same text works on NumPy arrays and on Numba's scalars.
"""

from typing import Any, NamedTuple

import numpy as np

CLIP = 20.0  # g(z) = min{max{0, z}, 20}  (§2)


class Dropout(NamedTuple):
    """Inverted dropout: each unit is 0 with probability `rate`, the others are divided by 1 - rate.

    `keys` (B,) uint32 holds one key per utterance, see `hash_key`. Unit u of frame t of utterance b is
    dropped if hash32(keys[b] + t H + u) < rate 2³²: a pure function, so that no mask is stored, and every
    backend and every resumed run drops the same units.
    """

    rate: float
    keys: np.ndarray

    @property
    def threshold(self) -> np.uint32:
        return np.uint32(self.rate * 2.0**32)

    @property
    def scale(self) -> float:
        return 1.0 / (1.0 - self.rate)


def hash32(x):
    """A bijection of uint32: when any input bit changes, each output bit changes with probability 1/2."""
    x = np.uint32(x ^ (x >> np.uint32(16)))
    x = np.uint32(x * np.uint32(0x7FEB352D))
    x = np.uint32(x ^ (x >> np.uint32(15)))
    x = np.uint32(x * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


def hash_key(*numbers):
    """One 32-bit key from several integers, such as (seed, epoch, utterance); of arrays, an array of keys."""
    state = np.full(1, 0x9E3779B9, np.uint32)
    for number in numbers:
        bits = (np.asarray(number) & 0xFFFFFFFF).astype(np.uint32)
        state = hash32(state ^ hash32(np.atleast_1d(bits) + np.uint32(0x9E3779B9)))
    return state if any(np.ndim(number) for number in numbers) else int(state[0])


class Workspace:
    """Arrays that are used again in every step: one flat buffer per name, as large as its largest request.

    Once the largest batch has been seen, nothing is allocated. `arrays` are those of a backend.
    """

    def __init__(self, arrays: Any, dtype: Any):
        self._arrays, self._dtype = arrays, np.dtype(dtype)
        self._buffers: dict[str, Any] = {}

    def __call__(self, name: str, *shape: int, dtype: Any = None):
        """An array of this shape, a prefix of the buffer `name`, with undefined content."""
        size = int(np.prod(shape))
        if name not in self._buffers or self._buffers[name].size < size:
            self._buffers.pop(name, None)  # free the old one first: memory may not suffice for both
            self._buffers[name] = self._arrays.empty((size,), dtype or self._dtype)
        return self._arrays.view(self._buffers[name], 0, shape)

    def to_device(self, name: str, array: np.ndarray):
        """The array where the backend computes: a copy in the buffer `name`, or itself if it is there."""
        if self._arrays.on_host or not isinstance(array, np.ndarray):
            return array
        dtype = {"f": self._dtype, "i": np.int32, "u": np.uint32}[array.dtype.kind]
        return self._arrays.copy(array, self(name, *array.shape, dtype=dtype))


def output_length(length, stride: int):
    """T = ceil(T0 / stride), the frames of the output when every stride-th one is kept (§3.3)."""
    return -(-length // stride)


def min_frames(label) -> int:
    """U + adjacent equal pairs: the fewest frames that can spell a label; each pair needs a blank between."""
    label = np.asarray(label)
    return len(label) + int(np.count_nonzero(label[1:] == label[:-1]))


def check_ctc(log_probs, lengths, labels, label_lengths) -> None:
    """Raises ValueError unless the arguments of `ctc` fit together."""
    T, B, K = log_probs.shape
    Umax = labels.shape[1] if labels.ndim == 2 else -1
    if Umax < 0 or not len(lengths) == len(labels) == len(label_lengths) == B:
        raise ValueError(f"lengths, label_lengths and labels (B, Umax) must be of {B} utterances")
    for name, values, high in (("lengths", lengths, T), ("label_lengths", label_lengths, Umax)):
        if B and not 0 <= values.min() <= values.max() <= high:
            raise ValueError(f"{name} must be from 0 to {high}, not {values.tolist()}")
    used = labels[np.arange(Umax) < label_lengths[:, None]]
    if used.size and not 1 <= used.min() <= used.max() < K:
        raise ValueError(f"labels must be from 1 to {K - 1}, not {used.min()} … {used.max()}")


def check_shapes(**shapes: tuple[Any, tuple[int, ...]]) -> None:
    """Raises ValueError unless every array, None excepted, has its shape: check_shapes(b=(b, (H,)))."""
    for name, (array, shape) in shapes.items():
        if array is not None and array.shape != shape:
            raise ValueError(f"{name} has the shape {array.shape}, not {shape}")

"""Random numbers as a function of a stream, a seed and a key: no two of them share their numbers."""

import hashlib

import numpy as np

from minids._utils.errors import InputError


def generator(stream: str, seed: int, *key: int) -> np.random.Generator:
    """The generator of (stream, seed, key): `stream` is its purpose, `key` for example (epoch, utterance).

    Raises InputError for a seed that is not a whole number from 0 on.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed = {seed!r} is not a whole number from 0 on")
    name = " ".join(map(str, (stream, seed, *key)))
    digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))

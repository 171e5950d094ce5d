"""Random streams: independent of each other, and a function of their key."""

import pytest

from minids._utils.errors import InputError
from minids._utils.random import generator


def test_streams_seeds_and_keys_never_share_numbers():
    keys = [(), (0,), (1,), (0, 0), (0, 1), (1, 0), (0, 0, 0), (2**32,), (2**32, 0), (0, 1, 0)]
    seeds = [0, 1, 2**32, 2**32 + 1, 2**64]
    streams = ["weights", "shuffle", "augment", "noise"]
    draws = {
        generator(stream, seed, *key).integers(1 << 62)
        for stream in streams
        for seed in seeds
        for key in keys
    }
    assert len(draws) == len(streams) * len(seeds) * len(keys)


def test_the_same_key_gives_the_same_numbers():
    assert generator("augment", 3, 1, 2).integers(1 << 62) == generator("augment", 3, 1, 2).integers(1 << 62)


@pytest.mark.parametrize("seed", [-1, 1.5, "1", None, True])
def test_an_invalid_seed_is_refused(seed):
    with pytest.raises(InputError, match="seed"):
        generator("shuffle", seed)

"""The hash table against its definition."""

import numpy as np

from minids.lm._hash_table import first_probe, grow, rehash


def test_a_table_finds_its_keys_while_it_grows():
    rng = np.random.default_rng(0)
    keys = np.zeros(0, np.int64)
    slots = np.zeros(2, np.int64)
    for n in (1, 10, 1000, 5000):
        slots = rehash(slots, keys, n)
        new = rng.integers(0, 1 << 62, n - len(keys))
        for index, key in enumerate(new, start=len(keys)):
            slot, tag = first_probe(key, slots)
            while slots[slot]:
                slot = (slot + 1) % len(slots)
            slots[slot] = tag << 32 | (index + 1)
        keys = np.append(keys, new)
    for index, key in enumerate(keys):
        slot, tag = first_probe(key, slots)
        while slots[slot] != (tag << 32 | (index + 1)):
            assert slots[slot] != 0
            slot = (slot + 1) % len(slots)
    assert grow(keys, 10) is keys
    assert grow(keys, 6000)[:5000].tolist() == keys.tolist()

"""The sounds of the lessons: voices and noise."""

import numpy as np

from minids.lesson.sounds import RATE, crowd, digits, hiss


def test_voices_of_the_test_set_are_in_no_training_data():
    train, test = digits("train"), digits("test")
    assert not {r.voice for r in train} & {r.voice for r in test}
    assert len({r.voice for r in train}) > len({r.voice for r in test}) > 5
    assert all(r.text and 0.3 < len(r.samples) / RATE < 5 and abs(r.samples).max() <= 1 for r in train + test)


def test_recordings_can_be_limited_to_short_ones():
    short = digits("test", max_seconds=1.5)
    assert 0 < len(short) < len(digits("test"))
    assert max(len(r.samples) for r in short) <= 1.5 * RATE


def test_noise_depends_on_its_seed_only():
    voices = [r.samples for r in digits("test")[:5]]
    for make in hiss, lambda rng, seconds: crowd(rng, seconds, voices):
        first, again, other = (make(np.random.default_rng(seed), 0.7) for seed in (1, 1, 2))
        assert first.shape == (round(0.7 * RATE),)
        assert np.array_equal(first, again)
        assert abs(np.corrcoef(first, other)[0, 1]) < 0.3
        assert np.isclose(first.std(), 0.1)

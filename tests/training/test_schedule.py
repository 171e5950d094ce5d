"""Learning rate and momentum over the epochs."""

import math
from itertools import pairwise

import pytest

from minids.training.schedule import learning_rate, momentum


def test_the_learning_rate_falls_by_a_constant_factor_each_epoch():
    assert learning_rate(0.01, 1.2, 0) == 0.01
    rates = [learning_rate(0.01, 1.2, epoch) for epoch in range(30)]
    for before, after in pairwise(rates):
        assert before / after == pytest.approx(1.2)
    assert learning_rate(0.01, 1.0, 1000) == 0.01
    assert learning_rate(1000, 10.0, 300) == pytest.approx(1e-297)


def test_momentum_goes_from_09_to_its_last_value_by_equal_factors():
    ramp = [momentum(0.99, 10, epoch) for epoch in range(15)]
    assert ramp[0] == pytest.approx(0.9)
    assert ramp[5] == pytest.approx(1 - math.sqrt(0.1 * 0.01))
    assert ramp[10:] == [pytest.approx(0.99)] * 5
    for before, after in pairwise(ramp[:11]):
        assert (1 - before) / (1 - after) == pytest.approx(10**0.1)


@pytest.mark.parametrize("last", [0.0, 0.5, 0.9])
def test_a_momentum_below_09_is_constant(last):
    assert [momentum(last, 10, epoch) for epoch in (0, 3, 10, 99)] == [pytest.approx(last)] * 4


def test_without_a_ramp_momentum_starts_at_the_last_value():
    assert momentum(0.99, 0, 0) == pytest.approx(0.99)
    assert momentum(0.99, 1, 0) == pytest.approx(0.9)
    assert momentum(0.99, 1, 1) == pytest.approx(0.99)


def test_all_allowed_settings_give_finite_values():
    for epoch in (0, 1, 10**6):
        for lr_decay in (1.0, 1.05, 10.0):
            assert 0 <= learning_rate(0.01, lr_decay, epoch) <= 0.01
        for last in (0.0, 0.9999):
            for ramp in (0, 10**6):
                assert 0 <= momentum(last, ramp, epoch) < 1

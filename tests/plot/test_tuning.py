"""The word error rate over alpha and beta."""

import numpy as np

from minids.decode.tune import Tuning
from minids.metrics import Score
from minids.plot.tuning import tuning
from tests.svg import texts


def score(errors):
    return Score.from_counts(np.array([[errors, 0, 0, 200]]))


def test_each_point_has_its_rate_and_the_title_names_the_best():
    errors = {(0.0, 0.0): 30, (0.5, 0.0): 20, (0.5, 1.0): 25, (0.25, 0.5): 10, (0.375, 0.25): 12}
    figure = tuning(Tuning(0.25, 0.5, {point: (score(n), score(n)) for point, n in errors.items()}, None))
    written = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert written == {point: f"{n / 2:.1f}" for point, n in errors.items()}
    assert "WER 5.0 % at alpha 0.25, beta 0.5" in texts(figure)


def test_equal_rates_can_be_drawn():
    table = dict.fromkeys([(0.0, 0.0), (0.5, 0.0)], (score(0), score(0)))
    assert texts(tuning(Tuning(0.0, 0.0, table, None))).count("0.0") >= 2

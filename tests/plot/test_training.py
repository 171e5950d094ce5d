"""The curves of a training."""

import numpy as np

from minids.plot.training import training
from tests.svg import texts

ROWS = [
    {"epoch": 1, "loss": 90.0, "dev_loss": 80.0, "wer": 1.0, "cer": 0.9, "learning_rate": 1e-3},
    {"epoch": 2, "loss": 50.0, "dev_loss": 60.0, "wer": 0.4, "cer": 0.2, "learning_rate": 9e-4},
    {"epoch": 3, "loss": 30.0, "dev_loss": 61.0, "wer": 0.5, "cer": 0.3, "learning_rate": 8e-4},
]


def test_the_curves_are_those_of_the_metrics():
    loss, errors, *_ = training(ROWS).axes
    np.testing.assert_allclose([line.get_ydata() for line in loss.lines], [[80, 60, 61], [90, 50, 30]])
    np.testing.assert_allclose([line.get_ydata() for line in errors.lines[:2]], [[100, 40, 50], [90, 20, 30]])
    expected = {"dev 61", "training 30", "WER 50 %", "CER 30 %", "best: 40 % in epoch 2"}
    assert expected <= set(texts(training(ROWS)))


def test_the_epoch_of_the_saved_weights_is_marked():
    """It need not be that with the lowest WER: above 90 % the CER decides."""
    assert "best: 50 % in epoch 3" in texts(training(ROWS, best_epoch=3))


def test_metrics_that_are_missing_are_not_drawn():
    shown = texts(training([{"epoch": 1, "loss": 90.0, "wer": None}, {"epoch": 2, "loss": 50.0}]))
    assert "training 50" in shown
    assert not [text for text in shown if text.startswith(("dev ", "WER", "best"))]
    assert "Training, 0 epochs" in texts(training([]))

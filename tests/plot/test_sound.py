"""draw/sound.py: samples, windows, spectra and letters stand where and as what they should."""

from itertools import pairwise

import numpy as np
import pytest

from minids.plot import sound
from minids.text import Alphabet

RATE = 1000
WAVE = np.sin(2 * np.pi * 100 * np.arange(500) / RATE)  # 100 Hz, half a second


def texts(axes):
    return [text.get_text() for text in axes.texts]


def log_powers(size, step):
    windows = np.lib.stride_tricks.sliding_window_view(WAVE, size)[::step]
    return np.log(abs(np.fft.rfft(windows)) ** 2 + 1e-7)


def test_numbers_are_those_of_the_array():
    figure = sound.numbers(np.arange(500) / 1000 - 0.25, RATE, at=0.1, count=4)
    assert texts(figure.axes[2]) == ["−.15", "−.15", "−.15", "−.15"]
    assert figure.axes[0].get_title() == "500 numbers, 0.50 seconds"
    assert "20 numbers" in figure.axes[1].get_title()


def test_a_question_tells_the_power_of_its_bin():
    i = np.arange(16)
    x = np.cos(2 * np.pi * 2 * i / 16) + 0.5 * np.sin(2 * np.pi * 5 * i / 16)
    figure = sound.question(x, 5)
    assert texts(figure.axes[3]) == ["0.0", "0.0", "64.0", "0.0", "0.0", "16.0"]
    assert "0.0² + 4.0² = 16.0" in figure.axes[3].get_title()
    assert figure.axes[3].get_xlim()[1] > 8, "there is room for all bins"


def test_all_steps_of_hearing_have_the_same_axes_and_the_image_grows():
    size, step = 40, 20
    x = log_powers(size, step)
    first, last = (sound.hearing(WAVE, RATE, size, step, x, t) for t in (0, len(x) - 1))
    for one, other in zip(first.axes, last.axes, strict=True):
        assert one.get_xlim() == other.get_xlim()
        assert one.get_ylim() == other.get_ylim()
    columns = [
        np.isfinite(np.ma.filled(f.axes[2].images[0].get_array(), np.nan)).all(axis=0) for f in (first, last)
    ]
    assert [c.sum() for c in columns] == [1, len(x)]
    spectrum = last.axes[3].lines[0]
    assert spectrum.get_ydata()[spectrum.get_xdata().argmax()] == pytest.approx(0.1), "100 Hz, in kHz"


def test_a_column_stands_at_the_middle_of_its_window():
    figure = sound.spectrogram(log_powers(40, 20), RATE, 40, 20, "windows of 40 ms")
    left, right, low, high = figure.axes[0].images[0].get_extent()
    count = len(log_powers(40, 20))
    assert ((left + right) / 2, (low, high)) == (pytest.approx(0.25, abs=0.01), (0, RATE / 4000))
    assert left + (right - left) / count / 2 == pytest.approx(0.02), "the first window ends after 40 ms"


def test_letters_stand_at_their_peaks_and_not_in_one_another():
    path = [0, 2, 3, 0, 1, 0]
    probs = np.full((6, 4), 0.01)
    probs[np.arange(6), path] = 0.97
    figure = sound.letters(np.zeros((6, 3)), np.log(probs), Alphabet(" ab"), 0.01, RATE)
    labels = figure.axes[1].texts
    assert [label.get_text() for label in labels] == ["a", "b", "␣"]
    np.testing.assert_allclose([label.xy for label in labels], [(0.015, 0.97), (0.025, 0.97), (0.045, 0.97)])
    assert figure.axes[0].images[0].get_extent()[1] == pytest.approx(0.06)


def test_near_letters_take_turns_in_height():
    path = np.arange(60) % 2 + 1
    probs = np.full((60, 3), 0.01)
    probs[np.arange(60), path] = 0.98
    labels = sound.letters(np.zeros((60, 3)), np.log(probs), Alphabet("ab"), 0.01, RATE).axes[1].texts
    heights = [label.xyann[1] for label in labels]
    assert len(labels) == 60
    assert all(one != other for one, other in pairwise(heights))

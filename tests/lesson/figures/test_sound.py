"""Samples, frames, spectra and characters are drawn with the right values at the right times."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from minids.lesson.figures import sound
from minids.text import Alphabet
from tests.svg import texts

RATE = 1000
WAVE = np.sin(2 * np.pi * 100 * np.arange(500) / RATE)  # 100 Hz, half a second


def log_powers(size, step):
    frames = np.lib.stride_tricks.sliding_window_view(WAVE, size)[::step]
    return np.log(abs(np.fft.rfft(frames)) ** 2 + 1e-7)


def test_zoom_shows_the_samples_of_the_array():
    shown = texts(sound.zoom(np.arange(500) / 1000 - 0.25, RATE, start=0.1, count=4))
    assert shown.count("−.15") == 4
    assert {"500 numbers, 0.50 seconds", "the 20 ms marked above: 20 numbers"} <= set(shown)


def test_a_narrow_picture_has_room_for_8_samples():
    figure = sound.zoom(np.arange(500) / 1000 - 0.25, RATE, start=0.1)
    assert "the first 16 of them, as stored in the array" in texts(figure)
    assert "the first 8 of them, as stored in the array" in texts(figure.narrow)
    assert figure.narrow.get_figwidth() < 4 < 8 < figure.get_figwidth()


def test_dft_bin_shows_the_power_of_each_bin():
    i = np.arange(16)
    x = np.cos(2 * np.pi * 2 * i / 16) + 0.5 * np.sin(2 * np.pi * 5 * i / 16)
    shown = texts(sound.dft_bin(x, 5))
    assert [shown.count(power) for power in ("64.0", "16.0", "0.0")] == [1, 1, 4]
    assert "power of bin 5: 0.0² + 4.0² = 16.0" in shown


def test_steps_of_a_spectrogram_share_their_axes():
    powers = log_powers(40, 20)
    first, last = (sound.spectrum_step(WAVE, RATE, 40, 20, powers, t) for t in (0, len(powers) - 1))
    for a, b in zip(first.axes, last.axes, strict=True):
        assert (a.get_xlim(), a.get_ylim()) == (b.get_xlim(), b.get_ylim())
    log_power, frequency = last.axes[3].lines[0].get_data()
    assert frequency[log_power.argmax()] == pytest.approx(0.1), "100 Hz, in kHz"


def test_a_frame_of_a_spectrogram_is_drawn_at_its_middle():
    figure = sound.spectrogram(log_powers(40, 20), RATE, 40, 20, "frames of 40 ms")
    left, right, *frequencies = figure.axes[0].images[0].get_extent()
    assert frequencies == [0, RATE / 4000]
    assert (left + right) / 2 == pytest.approx(0.25, abs=0.01)
    assert left + (right - left) / len(log_powers(40, 20)) / 2 == pytest.approx(0.02)


def test_each_character_labels_its_peak():
    path = [0, 2, 3, 0, 1, 0]
    probs = np.full((6, 4), 0.01)
    probs[np.arange(6), path] = 0.97
    figure = sound.features_and_probabilities(np.zeros((6, 3)), np.log(probs), Alphabet(" ab"), 0.01, RATE)
    assert [text for text in texts(figure) if text in ("a", "b", "␣")] == ["a", "b", "␣"]
    curves = [line.get_ydata() for line in figure.axes[1].lines]
    np.testing.assert_allclose(curves, probs.T)


def test_a_filter_bank_shows_each_band_in_one_color():
    power = np.ones(17)  # 16 equal steps up to half the rate; 3 bands of 8 bins each
    _, weights, sums = sound.filter_bank(power, 3, RATE).axes
    for line, bar in zip(weights.lines, sums.patches, strict=True):
        hertz, weight = line.get_data()
        assert line.get_color() == to_hex(bar.get_facecolor())
        assert bar.get_x() + bar.get_width() / 2 == pytest.approx(hertz[weight.argmax()])
        assert bar.get_y() + bar.get_height() == pytest.approx(np.log(weight.sum() + 1e-7))


def test_a_pair_of_features_shares_its_colors_and_leaves_out_the_energy():
    quiet, loud = np.zeros((5, 4)), np.ones((5, 4))
    loud[:, -1] = 9
    figure = sound.feature_pair(quiet, loud, RATE, ("quiet", "loud"))
    (above,), (below,) = (axes.images for axes in figure.axes)
    assert above.get_clim() == below.get_clim()
    assert np.array_equal(below.get_array(), loud[:, :-1].T)
    assert {"quiet", "loud"} <= set(texts(figure))


def test_letters_of_neighboring_peaks_stand_above_each_other():
    places = sound.stagger([0.1, 0.5, 0.51, 0.52, 0.53, 0.9], [1, 0.9, 0.6, 1, 0.7, 0.8], width=1)
    assert places == [(1, 0), (0.9, 0), (0.9, 1), (1, 2), (0.7, 0), (0.8, 0)]

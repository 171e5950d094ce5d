"""draw/: a picture shows what was given, at the right second, and is written without a warning."""

import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from minids.decode.tune import Tuning
from minids.metrics import Score
from minids.plot import ACCENT, GRAY
from minids.plot.recognition import recognition
from minids.plot.training import training
from minids.plot.tuning import tuning
from minids.text import Alphabet

RATE, HOP, STRIDE = 8000, 0.02, 2
ALPHABET = Alphabet(" ab")


def png(figure):
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=40)
    return file.getvalue()


def picture(path=(0, 2, 2, 0, 3, 0, 1, 0, 2, 0), samples=None, text="ab a"):
    """A recognition of 10 output frames, 0.2 s; the second frame of the first letter is its peak."""
    probs = np.full((len(path), len(ALPHABET)), 0.05)
    probs[np.arange(len(path)), path] = 0.85
    probs[1, 2] = 0.7
    if samples is None:
        samples = np.sin(np.arange(round(len(path) * HOP * RATE))).astype(np.float32)
    frames = np.arange(len(path) * STRIDE * 5.0).reshape(-1, 5)
    return recognition(samples, RATE, frames, np.log(probs), ALPHABET, HOP, text), probs


def test_a_recognition_has_one_time_axis():
    figure, _ = picture()
    waveform, features, probabilities, heard = figure.axes
    assert {axes.get_xlim() for axes in figure.axes} == {(0, 0.2)}
    assert tuple(features.images[0].get_extent()) == pytest.approx((0, 0.2, 0, RATE / 2000))
    drawn = waveform.collections[0].get_paths()[0].vertices
    assert (drawn[:, 0].min(), drawn[:, 0].max()) == pytest.approx((0, 0.2), abs=2 / RATE)
    times = probabilities.lines[0].get_xdata()
    assert (times[0], times[-1]) == pytest.approx((0.01, 0.19))
    assert heard.get_xlabel() == "time (s)"
    assert png(figure).startswith(b"\x89PNG")


def test_a_text_is_no_formula():
    assert png(picture(text="$5 \\cost_$6")[0])


def test_letters_stand_at_their_peaks():
    figure, probs = picture()
    labels = [child for child in figure.axes[2].texts if "blank" not in child.get_text()]
    assert [label.get_text() for label in labels] == ["a", "b", "␣", "a"]
    peaks = [2, 4, 6, 8]
    np.testing.assert_allclose([label.xy[0] for label in labels], (np.array(peaks) + 0.5) * HOP)
    np.testing.assert_allclose([label.xy[1] for label in labels], [probs[t].max() for t in peaks])


def test_only_the_blank_is_grey():
    figure, probs = picture()
    lines = figure.axes[2].lines
    (blank,) = [line for line in lines if to_rgb(line.get_color()) == to_rgb(GRAY)]
    np.testing.assert_allclose(blank.get_ydata(), probs[:, 0])
    assert len(lines) == len(ALPHABET)


def test_words_stand_where_they_are_heard():
    figure, _ = picture()
    heard = figure.axes[3]
    assert [word.get_text() for word in heard.texts] == ["ab", "a"]
    assert [word.get_position()[0] for word in heard.texts] == pytest.approx([0.06, 0.17])
    assert [(box.get_x(), box.get_width()) for box in heard.patches] == [
        pytest.approx((0.02, 0.08)),
        pytest.approx((0.16, 0.02)),
    ]


def test_a_long_waveform_keeps_its_shortest_click():
    samples = np.zeros(100_000, np.float32)
    samples[77_777] = 0.5
    figure, _ = picture(samples=samples)
    drawn = figure.axes[0].collections[0].get_paths()[0].vertices
    assert len(drawn) < 20_000
    assert drawn[drawn[:, 1].argmax(), 0] == pytest.approx(77_777 / RATE, abs=0.01)
    assert drawn[:, 1].max() == 0.5


def test_silence_and_a_long_text_can_be_drawn():
    figure, _ = picture(path=[0] * 4, samples=np.zeros(640, np.float32), text="a b " * 100)
    assert len(figure.axes[3].texts) == 0
    assert max(map(len, figure.get_suptitle().split("\n"))) < 80
    png(figure)


ROWS = [
    {"epoch": 1, "loss": 90.0, "dev_loss": 80.0, "wer": 1.0, "cer": 0.9, "learning_rate": 1e-3},
    {"epoch": 2, "loss": 50.0, "dev_loss": 60.0, "wer": 0.4, "cer": 0.2, "learning_rate": 9e-4},
    {"epoch": 3, "loss": 30.0, "dev_loss": 61.0, "wer": 0.5, "cer": 0.3, "learning_rate": 8e-4},
]


def words_of(axes):
    return [text.get_text() for text in axes.texts]


def test_a_training_shows_its_rows():
    loss, errors, rate, *_ = training(ROWS).axes
    assert [line.get_ydata().tolist() for line in loss.lines] == [[80, 60, 61], [90, 50, 30]]
    np.testing.assert_allclose([line.get_ydata() for line in errors.lines[:2]], [[100, 40, 50], [90, 20, 30]])
    assert rate.lines[0].get_xdata().tolist() == [1, 2, 3]
    assert words_of(errors) == ["WER 50 %", "CER 30 %", "best: 40 % in epoch 2"]
    assert words_of(loss) == ["dev 61", "training 30"]
    png(training(ROWS))


def test_a_training_without_a_dev_set_shows_what_it_has():
    loss, errors, *_ = training([{"epoch": 1, "loss": 90.0, "wer": None}, {"epoch": 2, "loss": 50.0}]).axes
    assert [line.get_ydata().tolist() for line in loss.lines] == [[90, 50]]
    assert words_of(errors) == []
    png(training([]))


def test_a_tuning_has_its_rate_in_every_cell_and_frames_the_best():
    rates = {
        (0.0, 0.0): 30,
        (0.5, 0.0): 20,
        (0.5, 1.0): 25,
        (0.25, 0.5): 10,
        (0.25, 0.0): 15,
        (0.375, 0.25): 12,
    }
    table = {point: (Score.from_counts(np.array([[rate, 0, 0, 200]])),) * 2 for point, rate in rates.items()}
    figure = tuning(Tuning(0.25, 0.5, table, None))
    (axes,) = figure.axes
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written == {point: f"{rate / 2:.1f}" for point, rate in rates.items()}
    *cells, frame = axes.patches
    middles = [(cell.get_x() + cell.get_width() / 2, cell.get_y() + cell.get_height() / 2) for cell in cells]
    assert sorted(middles) == sorted(rates)
    width = dict(zip(middles, (cell.get_width() for cell in cells), strict=True))
    assert [width[point] for point in rates] == [0.5, 0.5, 0.5, 0.25, 0.25, 0.125]
    assert (frame.get_x() + frame.get_width() / 2, frame.get_y() + frame.get_height() / 2) == (0.25, 0.5)
    assert to_rgb(frame.get_edgecolor()) == to_rgb(ACCENT)
    assert "5.0 %" in figure.get_suptitle()
    png(figure)


def test_a_tuning_where_nothing_matters_can_be_drawn():
    perfect = Score.from_counts(np.array([[0, 0, 0, 5]]))
    png(tuning(Tuning(0.0, 0.0, {(0.0, 0.0): (perfect, perfect), (0.5, 0.0): (perfect, perfect)}, None)))

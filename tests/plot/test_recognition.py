"""The figure of an utterance: its words and characters at the right times."""

import numpy as np
import pytest

from minids.plot.recognition import recognition, waveform
from minids.plot.svg import svg
from minids.text import Alphabet, display_width
from tests.svg import texts

RATE, FRAME_SECONDS = 8000, 0.02
ALPHABET = Alphabet(" ab")


def figure_of(path=(0, 2, 2, 0, 3, 0, 1, 0, 2, 0), text="ab a"):
    """Ten output frames of 20 ms whose best path is "ab a"."""
    probs = np.full((len(path), len(ALPHABET)), 0.05)
    probs[np.arange(len(path)), path] = 0.85
    samples = np.sin(np.arange(round(len(path) * FRAME_SECONDS * RATE))).astype(np.float32)
    frames = np.arange(len(path) * 2 * 5.0).reshape(-1, 5)
    return recognition(samples, RATE, frames, np.log(probs), ALPHABET, FRAME_SECONDS, text), probs


def test_the_plots_share_one_time_axis():
    figure, probs = figure_of()
    assert {axes.get_xlim() for axes in figure.axes} == {(0, 0.2)}
    assert figure.axes[1].images[0].get_extent() == pytest.approx((0, 0.2, 0, RATE / 2000))
    for k, line in enumerate(figure.axes[2].lines):
        np.testing.assert_allclose(line.get_data(), [(np.arange(10) + 0.5) * FRAME_SECONDS, probs[:, k]])


def test_a_figure_has_no_more_points_and_pixels_than_can_be_seen():
    """15 s of noise and a network that is unsure of 28 characters, as on speech unlike its training data."""
    rng = np.random.default_rng(0)
    logits = 6 * rng.normal(size=(750, 28))
    log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    samples, frames = rng.normal(size=15 * RATE), rng.normal(size=(1500, 81))
    alphabet = Alphabet(" abcdefghijklmnopqrstuvwxyz")
    figure = recognition(samples, RATE, frames, log_probs, alphabet, FRAME_SECONDS, "a b c " * 50)
    assert len(svg(figure, "", "x")) < 1_800_000  # 6 million with every point


def test_characters_and_words_are_written_at_their_times():
    figure, _ = figure_of()
    characters = [label.get_text() for label in figure.axes[2].texts]
    assert characters == ["a", "b", "␣", "a", "gray: blank"]
    words = {word.get_text(): word.get_position()[0] for word in figure.axes[3].texts}
    assert words == {"ab": pytest.approx(0.06), "a": pytest.approx(0.17)}


def test_a_text_with_dollars_is_not_a_formula():
    assert "“$5 \\cost_$6”" in texts(figure_of(text="$5 \\cost_$6")[0])


@pytest.mark.parametrize("text", ["a b " * 100, "漢字" * 60, "漢字 かな " * 30])
@pytest.mark.filterwarnings("ignore:no installed font")
def test_a_long_text_is_wrapped(text):
    lines = figure_of(path=[0] * 4, text=text)[0].get_suptitle().split("\n")
    assert "".join(lines).replace(" ", "") == f"“{text}”".replace(" ", "")
    assert max(map(display_width, lines)) <= 72


def test_an_utterance_without_frames_is_an_error():
    with pytest.raises(ValueError, match="must not be empty"):
        recognition(np.zeros(9), RATE, np.zeros((0, 5)), np.zeros((0, 4)), ALPHABET, FRAME_SECONDS, "")


def test_a_long_waveform_keeps_its_shortest_click():
    from minids.plot import subplots

    samples = np.zeros(100_000, np.float32)
    samples[77_777] = 0.5
    _, axes = subplots(8, 3)
    waveform(axes, samples, RATE)
    drawn = axes.collections[0].get_paths()[0].vertices
    assert len(drawn) < 2000
    np.testing.assert_allclose(drawn[drawn[:, 1].argmax()], [77_777 / RATE, 0.5], atol=0.03)

"""The figure of the findings shows every row."""

import runpy

from minids.plot import ACCENT, GRAY, SIGNAL
from tests import ROOT
from tests.svg import texts

plot_findings = runpy.run_path(str(ROOT / "examples" / "findings.py"))["plot_findings"]


def row(subject, setting, wer, change=None):
    interval = wer - 2, wer + 2
    return {
        "subject": subject,
        "setting": setting,
        "wer": wer,
        "interval": interval,
        "change_interval": change,
    }


ROWS = [
    row("jitter", "without", 10.0),
    row("jitter", "±5 ms", 9.0, (-1.5, -0.2)),
    row("dropout", "with", 10.0),
    row("dropout", "without", 12.0, (0.5, 3.0)),
    row("tested in: tap, 10 dB", "trained clean", 40.0),
    row("tested in: tap, 10 dB", "trained in noise", 20.0, (-25.0, -15.0)),
    row("tested in: tap, 0 dB", "trained clean", 80.0),
    row("tested in: tap, 0 dB", "trained in noise", 50.0, (-35.0, -20.0)),
]


def test_each_setting_has_its_rate_and_significant_changes_a_color():
    figure = plot_findings(ROWS)
    assert {"jitter", "dropout", "±5 ms", "9.0", "12.0"} <= set(texts(figure))
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [dot.get_xdata()[0] for dot in dots] == [10.0, 9.0, 10.0, 12.0]
    assert [dot.get_color() for dot in dots] == [GRAY, SIGNAL, GRAY, ACCENT]


def test_each_noise_and_training_has_a_line_against_the_snr():
    _, right = plot_findings(ROWS).axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in right.lines}
    assert lines == {
        "tap, trained clean": [[0, 80], [10, 40]],
        "tap, trained in noise": [[0, 50], [10, 20]],
    }


def test_without_noise_there_is_one_panel():
    assert not [text for text in texts(plot_findings(ROWS[:4])) if "SNR" in text]

"""The picture of the findings: every row stands in it, and what is sure is colored."""

import runpy

from minids.plot import ACCENT, GRAY, SIGNAL
from tests import ROOT

findings = runpy.run_path(str(ROOT / "examples" / "findings.py"))["findings"]


def row(subject, setting, wer, change=None):
    return {
        "subject": subject,
        "setting": setting,
        "wer": wer,
        "interval": (wer - 2, wer + 2),
        "change_interval": change,
    }


ROWS = [
    row("jitter", "without", 10.0),
    row("jitter", "±5 ms", 9.0, (-1.5, -0.2)),
    row("dropout", "with", 10.0),
    row("dropout", "without", 12.0, (0.5, 3.0)),
    row("heard in: tap, 10 dB", "trained clean", 40.0),
    row("heard in: tap, 10 dB", "trained in noise", 20.0, (-25.0, -15.0)),
    row("heard in: tap, 0 dB", "trained clean", 80.0),
    row("heard in: tap, 0 dB", "trained in noise", 50.0, (-35.0, -20.0)),
]


def test_every_setting_has_its_rate_and_what_is_sure_its_color():
    left, _ = findings(ROWS).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["without", "±5 ms", "with", "without"]
    dots = [line for line in left.lines if line.get_marker() == "o"]
    assert [dot.get_xdata()[0] for dot in dots] == [10.0, 9.0, 10.0, 12.0]
    assert [dot.get_color() for dot in dots] == [GRAY, SIGNAL, GRAY, ACCENT]
    assert {"jitter", "dropout", "9.0"} <= {text.get_text() for text in left.texts}


def test_rates_stand_against_the_snr_by_noise_and_training():
    _, right = findings(ROWS).axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in right.lines}
    assert lines == {
        "tap, trained clean": [[0, 80], [10, 40]],
        "tap, trained in noise": [[0, 50], [10, 20]],
    }


def test_without_noise_there_is_one_panel():
    _, right = findings(ROWS[:4]).axes
    assert not right.axison

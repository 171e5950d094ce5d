"""examples/reproduce_paper.py on the language of tones: each finding has its rows, a second run resumes."""

import argparse
import importlib
import json
from dataclasses import replace

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.training.settings import NoiseSettings, read_settings
from tests import ROOT, tones

SUBJECTS = {
    "language model",
    "beam size",
    "dropout",
    "context",
    "stride",
    "all together",
}


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    return importlib.import_module("reproduce_paper")


@pytest.fixture
def study(script, tmp_path, monkeypatch):
    """The study with tiny networks for tones."""
    for name, count in (("train", 12), ("dev", 4), ("test", 6)):
        tones.corpus(tmp_path, name, count, seed=len(name))
    hiss = tones.hiss(tmp_path / "hiss.wav")
    base = read_settings(tones.settings(tmp_path, epochs=3))

    def settings(self, experiment, seed):
        model = replace(base.model, **script.EXPERIMENTS[experiment].get("model", {}))
        settings = replace(base, train=replace(base.train, seed=seed), model=model)
        return replace(settings, noise=NoiseSettings([str(hiss)])) if experiment == "noise" else settings

    monkeypatch.setattr(script.Study, "settings", settings)
    monkeypatch.setattr(script, "SNRS", (10,))
    monkeypatch.setattr(script, "RATE", tones.RATE)
    monkeypatch.setattr(script, "BEAM_WIDTHS", (1, 10))
    monkeypatch.setattr(script, "BEAM_WIDTH", 20)
    arguments = argparse.Namespace(out=tmp_path / "out", data=tmp_path, full=False, backend="cpu")
    arguments.noise = arguments.test_noise = [hiss]
    return script, arguments


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::minids.lm.kneser_ney.DiscountWarning")  # of twelve texts
def test_every_finding_has_its_rows_and_scores_are_reused(study, monkeypatch):
    script, arguments = study
    first = script.Study(arguments)
    first.train()
    first.all()
    subjects = {row.subject for row in first.rows}
    assert {subject for subject in subjects if "," not in subject} == SUBJECTS | {"tested in: clean"}
    assert {subject.split(",")[0] for subject in subjects if "," in subject} == {
        "tested in: hiss",
        "jitter",
        "ensemble",
    }
    for row in first.rows:
        assert row.interval[0] <= row.wer <= row.interval[1]
        assert row.setting in script.table(first.rows)
    assert len(first.step_times()) == 3
    assert all(minutes > 0 for minutes in first.minutes("clean"))
    monkeypatch.setattr(script.Recognizer, "load", None)  # nothing is recognized a second time
    again = script.Study(arguments)
    again.all()
    assert again.rows == first.rows
    json.dumps([vars(row) for row in again.rows])


def test_the_interval_of_a_change_is_paired_by_utterance(script):
    """Two systems that differ in a few utterances: the change is small, and its interval narrow."""
    words = np.full(100, 10)
    base = np.random.default_rng(0).integers(0, 10, 100)
    other = base.copy()
    other[:20] -= np.minimum(other[:20], 1)
    change = (other - base) / words.sum()
    low, high = script.paired_interval(change, words)
    assert low < 100 * change.sum() < high < 0
    assert high - low < 2  # points; unpaired it would be about 16


def test_a_missing_noise_recording_is_named(study, tmp_path):
    script, arguments = study
    with pytest.raises(InputError, match=r"gone\.wav: no such file"):
        script.Study(arguments).noisy_test_set(tmp_path / "gone.wav", 5)

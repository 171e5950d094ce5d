"""examples/reproduce_paper.py, whole, on the language of tones: each finding has its rows, and it goes on."""

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
    """Its arms as tiny networks for tones, whose settings are our own."""
    for name, count in (("train", 12), ("dev", 4), ("test", 6)):
        tones.corpus(tmp_path, name, count, seed=len(name))
    hiss = tones.hiss(tmp_path / "hiss.wav")
    base = read_settings(tones.settings(tmp_path, epochs=3))

    def settings(self, arm, seed):
        made = replace(base, train=replace(base.train, seed=seed))
        made = replace(made, model=replace(made.model, **script.ARMS[arm].get("model", {})))
        return replace(made, noise=NoiseSettings([str(hiss)])) if arm == "noise" else made

    monkeypatch.setattr(script.Study, "settings", settings)
    monkeypatch.setattr(script, "SNRS", (10,))
    monkeypatch.setattr(script, "RATE", tones.RATE)
    monkeypatch.setattr(script, "BEAMS", (1, 10))
    monkeypatch.setattr(script, "BEAM", 20)
    given = argparse.Namespace(out=tmp_path / "out", data=tmp_path, full=False, backend="cpu")
    given.noise = given.test_noise = [hiss]
    return script, given


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::minids.lm.kneser_ney.DiscountWarning")  # of twelve texts
def test_every_finding_has_its_rows_and_what_is_scored_is_kept(study, monkeypatch):
    script, given = study
    first = script.Study(given)
    first.train()
    first.all()
    subjects = {row.subject for row in first.rows}
    assert {subject for subject in subjects if "," not in subject} == SUBJECTS | {"heard in: clean"}
    assert {subject.split(",")[0] for subject in subjects if "," in subject} == {
        "heard in: hiss",
        "jitter",
        "ensemble",
    }
    for row in first.rows:
        assert row.interval[0] <= row.wer <= row.interval[1]
        assert row.setting in script.table(first.rows)
    assert len(first.steps()) == 3
    assert all(minutes > 0 for minutes in first.minutes("clean"))
    monkeypatch.setattr(script.Recognizer, "load", None)  # nothing is heard a second time
    again = script.Study(given)
    again.all()
    assert again.rows == first.rows
    json.dumps([vars(row) for row in again.rows])


def test_a_change_is_paired_utterance_by_utterance(script):
    """Two systems that differ in one utterance of many: the change is small, and its interval narrow."""
    words = np.full(100, 10)
    base = np.random.default_rng(0).integers(0, 10, 100)
    other = base.copy()
    other[:20] -= np.minimum(other[:20], 1)
    change = (other - base) / words.sum()
    low, high = script.paired(change, words)
    assert low < 100 * change.sum() < high < 0
    assert high - low < 2  # points; unpaired it would be about 16


def test_noise_that_is_not_there_is_named(study, tmp_path):
    script, given = study
    with pytest.raises(InputError, match=r"gone\.wav: no such file"):
        script.Study(given).noisy(tmp_path / "gone.wav", 5)

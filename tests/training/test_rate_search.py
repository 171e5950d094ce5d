"""The search for a learning rate: what it suggests, and what it leaves behind."""

import json

import numpy as np
import pytest
from matplotlib.image import imread

from minids import cli
from minids._utils.errors import InputError
from minids.training import rate_search
from minids.training.rate_search import FIRST, MAX_STEPS, MEDIAN, SAFETY, find_rate
from minids.training.settings import read_settings
from minids.training.trainer import Trainer
from tests import tones


def trainer(place, run, **values):
    """With batches of one utterance, since many small epochs are slower to read."""
    values = {"batch_size": 1, "momentum": 0.99, "epochs": 2, "grad_clip_norm": 1e9} | values
    return Trainer(read_settings(tones.settings(place, **values)), place / run)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rates")
    tones.corpus(folder, "train", 10)
    tones.corpus(folder, "dev", 3, seed=1)
    return folder


@pytest.fixture(scope="module")
def found(place):
    """What was found and printed."""
    lines = []
    run = trainer(place, "found")
    run.log = lines.append
    return find_rate(run), lines[-1]


def test_the_sweep_ends_where_the_loss_diverges(found):
    found, line = found
    steps = len(found.rates)
    assert 2 * MEDIAN < steps < MAX_STEPS
    np.testing.assert_allclose(found.rates, FIRST * 10 ** (np.arange(steps) / 10))
    guessing = np.log(5) / 2  # K = 5, stride 2
    medians = [np.median(found.losses[n - MEDIAN : n]) for n in range(MEDIAN, steps + 1)]
    assert medians[0] < guessing, "the texts of a few letters can be spelled in many ways"
    assert min(medians) < 0.7 * medians[0], "it learns"
    assert medians[-1] > max(guessing, 2 * medians[0])
    assert max(medians[MEDIAN:-1]) <= max(guessing, 2 * medians[0])
    assert found.rate == pytest.approx(found.rates[-1] / SAFETY * 0.1), "μ rises from 0.9 to 0.99"
    assert f"{steps} steps" in line
    assert line.endswith(f"suggested: {found.rate:.2g} with momentum 0.99")


def test_nothing_but_the_picture_remains(found):
    picture = found[0].picture
    assert [path.name for path in picture.parent.iterdir()] == ["learning_rate.png"]
    assert imread(picture).shape == (600, 1050, 4)


@pytest.mark.parametrize("json_output", [False, True])
def test_the_command_prints_the_rate(place, found, monkeypatch, capsys, json_output):
    monkeypatch.setattr(rate_search, "find_rate", lambda trainer: found[0])
    settings, run = tones.settings(place), place / "command"
    with pytest.raises(SystemExit) as end:
        cli.main(["train", str(settings), "--run", str(run), "--find-rate", *["--json"] * json_output])
    assert not end.value.code
    printed = json.loads(capsys.readouterr().out)
    assert (printed["rate"] if json_output else printed) == pytest.approx(found[0].rate, rel=0.05)
    assert not run.exists(), "nothing was trained"


def test_training_at_the_suggested_rate_learns(place, found):
    losses = []
    for name, factor in (("low", 0.01), ("good", 1)):
        run = trainer(place, name, learning_rate=factor * found[0].rate)
        run.run()
        losses.append(run.state.rows[-1]["loss"])
    assert losses[1] < 0.8 * losses[0]


def test_the_search_starts_as_a_new_run_does(place, found):
    run = trainer(place, "trained", learning_rate=0.05)
    run.run()
    before = {path.name: path.read_bytes() for path in run.folder.path.iterdir()}
    again = find_rate(trainer(place, "trained", learning_rate=0.05))
    assert (again.rate, again.losses) == (found[0].rate, found[0].losses)
    after = {path.name: path.read_bytes() for path in run.folder.path.iterdir()}
    assert after.pop("learning_rate.png")
    assert after == before


def test_a_search_without_divergence_suggests_nothing(place, monkeypatch):
    run = trainer(place, "flat")
    monkeypatch.setattr(run, "step", lambda batch, rate, momentum: (np.ones(len(batch.indices)), 1.0))
    with pytest.raises(InputError, match="does not diverge up to 79; raise grad_clip_norm"):
        find_rate(run)


def test_a_loss_that_is_not_a_number_names_the_recording(place, monkeypatch):
    run = trainer(place, "broken")
    monkeypatch.setattr(run, "step", lambda batch, rate, momentum: (np.full(1, np.nan), np.nan))
    with pytest.raises(InputError, match=r"the loss is not a number any more, first for .*\.wav"):
        find_rate(run)


def test_a_corpus_without_a_usable_recording_ends_the_search(tmp_path):
    for name in ("train", "dev"):
        tones.corpus(tmp_path, name, 2)
        (tmp_path / f"{name}.jsonl").write_text('{"path": "gone.wav", "duration": 1.0, "text": "a"}\n')
    settings = tones.settings(tmp_path)
    settings.write_text(settings.read_text().replace("[features]", '[features]\nnormalize = "utterance"'))
    with pytest.raises(InputError, match="no utterance could be used"):
        find_rate(Trainer(read_settings(settings), tmp_path / "run"))

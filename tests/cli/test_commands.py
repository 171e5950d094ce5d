"""What the commands print, and where, for a small model and synthetic recordings."""

import json
import shutil
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from minids import cli
from minids.audio import load_audio, save_audio
from minids.data.manifest import Utterance, read_manifest, write_manifest
from minids.features import Features
from minids.metrics import Evaluation
from minids.model import DeepSpeech, ModelSettings
from minids.recognizer import Recognizer
from minids.text import Alphabet
from minids.training.checkpoint import RunFolder
from minids.training.inputs import load_noise, training_batches
from minids.training.parallel import ProcessGroup
from minids.training.settings import read_settings
from minids.weights import SavedModel, load_model, save_model
from tests import tones

pytestmark = pytest.mark.filterwarnings("default::minids.audio.AudioWarning")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a model of random weights and six recordings of noise, where the commands run."""
    rng = np.random.default_rng(0)
    features = Features(rate=8000, bands=20, normalize="utterance")
    model = DeepSpeech(ModelSettings(features.size, 5, hidden=8, context=1, stride=2), seed=3)
    save_model(tmp_path / "m.safetensors", SavedModel(model, features, Alphabet(" abc"), {}, {}))
    utterances = []
    for i in range(6):
        path = tmp_path / f"{i}.wav"
        save_audio(path, rng.normal(0, 0.1, 4000 + 800 * i), 8000)
        utterances.append(
            Utterance(path, "abc ab", 0.5 + 0.1 * i, "ann" if i < 2 else "bob", extra={"room": i % 3})
        )
    write_manifest(tmp_path / "m.jsonl", utterances)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def minids(capsys):
    """Call `minids …`: exit code, stdout, stderr, without the note of compiling, which other tests decide."""

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(arguments)
        out, err = capsys.readouterr()
        lines = err.splitlines(keepends=True)
        return end.value.code or 0, out, "".join(line for line in lines if "note: compiling" not in line)

    return call


def test_transcribe_prints_the_text_or_names_with_texts(place, minids):
    text = Recognizer.load("m.safetensors").transcribe("0.wav").text
    assert minids("transcribe", "0.wav", "--model", "m.safetensors") == (0, f"{text}\n", "")
    code, out, _ = minids("transcribe", "0.wav", "1.wav", "--model", "m.safetensors")
    assert code == 0
    assert out.startswith(f"0.wav: {text}\n1.wav: ")


def test_transcribe_continues_after_a_bad_file_and_fails_at_the_end(place, minids):
    (place / "bad.wav").write_bytes(b"RIFF")
    code, out, err = minids(
        "transcribe", "bad.wav", "1.wav", "none.wav", "--model", "m.safetensors", "--json"
    )
    assert code == 1
    assert [line.split(":")[2].strip() for line in err.splitlines()] == ["bad.wav", "none.wav"]
    (row,) = map(json.loads, out.splitlines())
    assert row["path"] == "1.wav"
    assert " ".join(word["text"] for word in row["words"]) == row["text"]
    assert all(0 <= word["start"] < word["end"] <= 0.61 for word in row["words"])


def test_a_file_below_the_models_rate_is_noted(place, minids):
    save_audio(place / "low.wav", np.sin(np.arange(4000)), 4000)
    code, _, err = minids("transcribe", "low.wav", "--model", "m.safetensors")
    assert code == 0
    assert err.startswith("minids: note: low.wav: 4000 Hz is below the model's 8000 Hz")
    assert err.count("\n") == 1


def test_evaluate_prints_rates_groups_and_worst_utterances(place, minids):
    code, out, err = minids(
        "evaluate", "m.jsonl", "--model", "m.safetensors", "--by", "speaker", "--worst", "1"
    )
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "6 utterances"
    assert "of 12" in next(line for line in lines if line.startswith("WER"))
    assert [line.split()[:2] for line in lines if line.startswith(("ann", "bob"))] == [
        ["ann", "4"],
        ["bob", "8"],
    ]
    assert sum(line.startswith("REF:") for line in lines) == 1


def test_evaluate_json_omits_unreadable_recordings(place, minids):
    (place / "3.wav").write_bytes(b"")
    code, out, err = minids("evaluate", "m.jsonl", "--model", "m.safetensors", "--by", "room", "--json")
    assert code == 0
    output = json.loads(out)
    assert output["utterances"] == 5
    assert sorted(result["name"][-5:] for result in output["results"]) == [
        f"{i}.wav" for i in (0, 1, 2, 4, 5)
    ]
    assert {result["reference"] for result in output["results"]} == {"abc ab"}
    assert output["wer"]["reference_length"] == 10
    assert {room: group["wer"]["reference_length"] for room, group in output["groups"].items()} == {
        "0": 2,
        "1": 4,
        "2": 4,
    }
    assert "3.wav: the file is empty" in err


def test_evaluate_lists_the_available_fields(place, minids):
    code, _, err = minids("evaluate", "m.jsonl", "--model", "m.safetensors", "--by", "gender")
    assert code == 1
    assert err == ("minids: error: m.jsonl: no utterance has the field 'gender'; use room, speaker\n")


def test_train_prints_the_model_and_leaves_its_curves(place, minids):
    (place / "small.toml").write_text(
        '[data]\ntrain = "m.jsonl"\ndev = "m.jsonl"\nalphabet = " abc"\n[features]\nrate = 8000\nbands = 20\n'
        "[model]\nhidden = 8\ncontext = 1\n[train]\nepochs = 2\nbatch_size = 3\n"
    )
    code, out, err = minids("train", "small.toml", "--json")
    assert code == 0
    output = json.loads(out)
    assert output["model"] == "runs/small/best.safetensors"
    rows = [
        json.loads(line) for line in (place / "runs" / "small" / "metrics.jsonl").read_text().splitlines()
    ]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert output["wer"] == min(row["wer"] for row in rows)
    assert (place / "runs" / "small" / "training.png").read_bytes().startswith(b"\x89PNG")
    assert "epoch   2/2" in err
    assert minids("transcribe", "0.wav", "--model", output["model"])[0] == 0
    code, out, _ = minids("train", "small.toml")
    assert (code, out) == (0, "runs/small/best.safetensors\n"), "a finished run is finished"


def test_transcribe_reads_the_standard_input(place, minids, monkeypatch):
    text = Recognizer.load("m.safetensors").transcribe("0.wav").text
    with (place / "0.wav").open("rb") as file:
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=file))
        assert minids("transcribe", "-", "--model", "m.safetensors") == (0, f"{text}\n", "")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=BytesIO(b"not sound")))
    code, out, err = minids("transcribe", "-", "--model", "m.safetensors")
    assert (code, out, err.count("\n")) == (1, "", 1)


def test_transcribe_takes_one_channel(place, minids):
    left, right = (load_audio(f"{n}.wav")[0][:4000] for n in (0, 1))
    soundfile.write(place / "two.wav", np.stack([left, right], axis=1), 8000, subtype="FLOAT")
    recognizer, arguments = Recognizer.load("m.safetensors"), ("--model", "m.safetensors", "--channel")
    for channel, samples in enumerate((left, right)):
        text = recognizer.transcribe(samples).text
        assert minids("transcribe", "two.wav", *arguments, str(channel))[:2] == (0, f"{text}\n")
    assert minids("transcribe", "two.wav", *arguments, "2")[0] == 1


def test_names_cannot_control_the_terminal(place, minids):
    name = "\x1b[31mred\n.wav"
    (place / "0.wav").rename(place / name)
    manifest = (place / "m.jsonl").read_text().replace("0.wav", json.dumps(name)[1:-1])
    (place / "m.jsonl").write_text(manifest.replace('"ann"', '"\\u001b[1mann"'))
    commands = [("transcribe", name, "1.wav"), ("evaluate", "m.jsonl", "--by", "speaker", "--worst", "6")]
    for command in commands:
        for options in ((), ("--json",)):
            code, out, err = minids(*command, "--model", "m.safetensors", *options)
            assert code == 0
            assert "\x1b" not in out + err


@pytest.mark.parametrize("option", ["--alpha", "--beta"])
@pytest.mark.parametrize("value", ["nan", "inf", "1e308"])
def test_weights_that_are_not_finite_are_rejected(option, value, place, minids):
    tones.language(place / "lm.arpa")
    arguments = ("--model", "m.safetensors", "--lm", "lm.arpa", option, value)
    code, out, err = minids("transcribe", "0.wav", *arguments)
    assert (code > 0, out, err.count("\n")) == (True, "", 1)
    assert option[2:] in err


def test_transcribe_with_a_language_model(place, minids):
    tones.language(place / "lm.arpa")
    arguments = [
        "--model",
        "m.safetensors",
        "--lm",
        "lm.arpa",
        "--alpha",
        "2",
        "--beta",
        "1",
        "--beam-width",
        "40",
    ]
    recognizer = Recognizer.load("m.safetensors", "lm.arpa", 2.0, 1.0, 40)
    text = recognizer.transcribe("0.wav").text
    assert minids("transcribe", "0.wav", *arguments)[:2] == (0, f"{text}\n")
    (segment,) = recognizer.n_best("0.wav", 3)
    code, out, _ = minids("transcribe", "0.wav", *arguments, "--n-best", "3")
    head, names, *lines = out.splitlines()
    assert (code, head) == (0, "0.wav 0.00 to 0.50 s")
    assert names.split()[:4] == ["score", "acoustic", "language", "model"]
    assert [line.split(None, 3)[3] for line in lines] == [h.text for h in segment.hypotheses]
    numbers = [[float(n) for n in line.split()[:3]] for line in lines]
    np.testing.assert_allclose(numbers, [h[1:4] for h in segment.hypotheses], atol=0.005)
    code, out, _ = minids("transcribe", "0.wav", "1.wav", *arguments, "--n-best", "3", "--json")
    first, second = map(json.loads, out.splitlines())
    assert (code, first["path"], second["path"]) == (0, "0.wav", "1.wav")
    assert first["segments"] == [
        {"start": 0.0, "end": 0.5, "hypotheses": [h.to_dict() for h in segment.hypotheses]}
    ]


def test_bench_json_has_the_sizes_and_the_rates(place, minids):
    code, out, _ = minids("bench", "--hidden", "8", "--batch", "2", "--frames", "10", "--json")
    row = json.loads(out)
    assert (code, row["hidden"], row["batch"], row["frames"]) == (0, 8, 2, 10)
    assert row["frames_per_second"] == pytest.approx(20 / row["seconds"])
    assert sum(row["parts"].values()) < 2 * row["seconds"]


def test_evaluate_reports_search_errors_and_model_errors(place, minids):
    tones.language(place / "lm.arpa")
    arguments = ("evaluate", "m.jsonl", "--model", "m.safetensors", "--lm", "lm.arpa", "--beam-width", "1")
    code, out, _ = minids(*arguments)
    assert code == 0
    lines = out.splitlines()
    assert "beam 1, lm.arpa, alpha 0.5, beta 1" in lines
    errors = {
        name: int(line.split()[2]) for line in lines for name in ("search", "model") if line.startswith(name)
    }
    assert sum(errors.values()) == 6
    assert any(line.startswith("oracle WER, the best of up to 100 texts") for line in lines)
    output = json.loads(minids(*arguments, "--json")[1])["search"]
    assert {"search": output["search_errors"], "model": output["model_errors"]} == errors
    assert (output["alpha"], output["beta"], output["beam_width"]) == (0.5, 1, 1)
    assert [e["search_error"] for e in output["errors"]] == [
        e["reference"]["score"] > e["hypothesis"]["score"] for e in output["errors"]
    ]
    assert json.loads(minids(*arguments[:4], "--json")[1])["search"] is None


def test_several_models_are_an_ensemble(place, minids):
    twice = ("--model", "m.safetensors", "--model", "m.safetensors")
    text = Recognizer.load("m.safetensors", jitter=True).transcribe("0.wav").text
    assert minids("transcribe", "0.wav", *twice, "--jitter") == (0, f"{text}\n", "")
    code, out, _ = minids("evaluate", "m.jsonl", *twice, "--worst", "0")
    assert code == 0
    assert out == minids("evaluate", "m.jsonl", "--model", "m.safetensors", "--worst", "0")[1]


def test_data_noise_writes_the_mixtures_of_training(place, minids):
    save_audio(place / "whistle.wav", np.sin(np.arange(32000) * 0.9) / 2, 8000)
    code, out, err = minids("data", "noise", "0.wav", "--noise", ".", "--snr", "10", "--out", "listen")
    assert (code, out) == (0, "listen/0-10dB.wav: 10 dB\n")
    assert "rejected: whistle.wav, 0.0 to 2.0 s: " in err
    clean, mixed = (load_audio(path)[0] for path in ("0.wav", "listen/0-10dB.wav"))
    assert 10 * np.log10(np.var(clean) / np.var(mixed - clean)) == pytest.approx(10, abs=0.1)
    code, out, err = minids("data", "noise", "0.wav", "a/0.wav", "--noise", ".", "--out", "listen")
    assert (code, out) == (1, "")
    assert "2 recordings are named 0" in err
    code, out, err = minids("data", "noise", "0.wav", "--noise", "gone.wav", "--out", "listen")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "gone.wav" in err


def test_data_augment_writes_what_training_hears(place, minids):
    train = read_manifest(tones.corpus(place, "train", 5))
    for utterance in train:
        save_audio(utterance.path, 3 * load_audio(utterance.path)[0], 8000)
    tones.hiss(place / "hiss.wav")
    read = read_settings(tones.settings(place, ["hiss.wav"], codec_prob=0.5, reverb_prob=0.5, seed=4))
    code, out, err = minids("data", "augment", "tones.toml", "--count", "3", "--out", "listen")
    assert (code, err) == (0, "minids: note: 2 clips of noise, 0 rejected\n")
    noise = load_noise(read, read.features.rate, lambda line: None)
    batches = training_batches(read, train, read.features, noise, ProcessGroup())
    assert ", scaled by 1/1." in out
    for line, i in zip(out.splitlines(), (0, 2, 4), strict=True):
        name, text = line.split(", scaled")[0].split(": ")
        assert (name, text) == (f"listen/{i + 1}-{i}.wav", train[i].text)
        heard = batches.augmented(i, epoch=0)
        np.testing.assert_allclose(load_audio(name)[0], heard / max(1, abs(heard).max()), atol=1e-4)
        assert not np.array_equal(heard, load_audio(train[i].path)[0])
    Path("fine.toml").write_text('[data]\ntrain = "train.jsonl"\ndev = ""\n[train]\ninit = "m.safetensors"\n')
    code, out, _ = minids("data", "augment", "fine.toml", "--count", "1", "--out", "fine")
    assert code == 0
    assert load_audio(out.split(":")[0])[1] == 8000  # the rate of the model, as in training
    (place / "train" / "2.wav").unlink()
    code, _, err = minids("data", "augment", "tones.toml", "--out", "listen")
    assert code == 1
    assert err.splitlines()[-1].startswith("minids: error: ")
    assert "2.wav" in err.splitlines()[-1]


def test_tune_saves_its_result_in_the_model(place, minids):
    tones.language(place / "lm.arpa")
    code, out, err = minids(
        "tune", "m.jsonl", "--model", "m.safetensors", "--lm", "lm.arpa", "--beam-width", "9"
    )
    assert code == 0
    lines = out.splitlines()
    rates = {
        name: line
        for line in lines
        for name in ("greedy", "untuned", "tuned", "expected")
        if line.startswith(name)
    }
    assert len(rates) == 4
    alone = Recognizer.load("m.safetensors", lm="none").recognize(read_manifest("m.jsonl"))[0]
    assert rates["greedy"] == f"greedy   WER {Evaluation(alone).wer}"
    assert lines[-1].startswith("saved in m.safetensors: lm.arpa, alpha ")
    tuned = Recognizer.load("m.safetensors").search
    assert f"alpha {tuned.alpha:g}, beta {tuned.beta:g}, beam 9" in lines[-1]
    output = json.loads(minids("evaluate", "m.jsonl", "--model", "m.safetensors", "--json")[1])
    assert f"WER {100 * output['wer']['rate']:.1f} %" in rates["tuned"]
    assert output["search"]["alpha"] == tuned.alpha
    for name in ("greedy", "tuned"):  # six recordings
        assert f"m.jsonl has too few right or wrong words to calibrate the scores of {name} decoding" in err
    notes = load_model("m.safetensors").notes
    assert notes["confidence"] == {"weights": {"greedy": None, "tuned": None}, "max_doubt": None}
    transcript = json.loads(minids("transcribe", "0.wav", "--model", "m.safetensors", "--json")[1])
    assert (transcript["calibrated"], transcript["unlike"]) == (False, None)


def test_speech_that_is_unlike_is_told(place, minids):
    """With a limit of doubt that all speech exceeds, or none; the scores are those of the weights."""
    saved = load_model("m.safetensors")
    for limit, told in ((0.0, True), (9.0, False)):
        saved.notes["confidence"] = {"weights": {"greedy": [0, 0, 0, 0]}, "max_doubt": limit}
        save_model("m.safetensors", saved)
        code, out, err = minids("transcribe", "0.wav", "--model", "m.safetensors", "--json")
        assert (code, json.loads(out)["calibrated"], json.loads(out)["unlike"]) == (0, True, told)
        assert {word["score"] for word in json.loads(out)["words"]} == {0.5}
        assert ("0.wav: unlike what the model learned" in err) == told


def test_a_model_whose_output_is_all_blanks_is_not_tuned(place, minids):
    saved = load_model("m.safetensors")
    saved.model.params["b6"][0] = 100  # blanks alone
    save_model("silent.safetensors", saved)
    arguments = ("--model", "silent.safetensors", "--lm", str(tones.language(place / "lm.arpa")))
    code, out, err = minids("tune", "m.jsonl", *arguments)
    assert (code, out) == (1, "")
    assert "silent.safetensors: its output for m.jsonl is all blanks; train it longer before tuning" in err


def test_a_model_in_training_is_not_tuned_in_place(place, minids):
    tones.language(place / "lm.arpa")
    arguments = ("m.jsonl", "--model", "run/m.safetensors", "--lm", "lm.arpa", "--beam-width", "9")
    Path("run").mkdir()
    shutil.copy("m.safetensors", "run")
    before = Path("run/m.safetensors").read_bytes()
    with RunFolder(Path("run")).locked():
        code, out, err = minids("tune", *arguments)
        assert (code, out) == (1, "")
        assert "a training is running in" in err
        assert Path("run/m.safetensors").read_bytes() == before
        code, _, err = minids("tune", *arguments, "--out", "tuned.safetensors")
        assert code == 0, err


def test_tune_writes_to_another_file_and_plots(place, minids):
    tones.language(place / "lm.arpa")
    before = (place / "m.safetensors").read_bytes()
    arguments = (
        "--lm",
        "lm.arpa",
        "--beam-width",
        "9",
        "--out",
        "out.safetensors",
        "--plot",
        "tuning.png",
        "--json",
    )
    code, out, _ = minids("tune", "m.jsonl", "--model", "m.safetensors", *arguments)
    output = json.loads(out)
    assert (code, output["model"], output["utterances"]) == (0, "out.safetensors", 6)
    search = Recognizer.load("out.safetensors").search
    assert (output["alpha"], output["beta"], output["beam_width"]) == (
        search.alpha,
        search.beta,
        search.beam_width,
    )
    best = min(output["table"], key=lambda row: row["wer"])
    assert output["wer"]["rate"] == best["wer"]
    assert (place / "m.safetensors").read_bytes() == before
    assert (place / "tuning.png").read_bytes().startswith(b"\x89PNG")

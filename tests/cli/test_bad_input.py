"""Bad input on the command line: one line that names the file, an exit code, and no half-written file."""

import json
import os
import resource
import shutil
import subprocess
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.numpy import save_file

from minids.cli import main
from minids.weights import load_model
from tests import ROOT, tones


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A corpus of tones with its settings, a model, and a run of one epoch."""
    folder = tmp_path_factory.mktemp("prepared")
    tones.corpus(folder, "train", 9)
    tones.corpus(folder, "dev", 3, seed=1)
    tones.settings(folder, epochs=1)
    tones.model(folder / "model.safetensors")
    with warnings.catch_warnings(), pytest.raises(SystemExit) as end:
        main(["train", f"{folder}/tones.toml", "--run", f"{folder}/run"])
    assert not end.value.code
    return folder


@pytest.fixture
def here(prepared, tmp_path, monkeypatch):
    """A copy of it as the working directory."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main() replaces it
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def minids(here, capsys):
    """Run a command line: exit code, stdout, stderr."""

    def run(line: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main(line.split())
        return end.value.code or 0, *capsys.readouterr()

    return run


@pytest.fixture
def refused(here, minids):
    """Run a command line that must fail without changing the folder: its error line."""

    def run(line: str, *words: str) -> str:
        before = contents(here)
        code, _, err = minids(line)
        errors = [line for line in err.splitlines() if not line.startswith("minids: note: ")]
        while errors and "weights; about" in errors[0]:  # the estimate before a training
            errors.pop(0)
        assert code == 1
        assert len(errors) == 1, err
        assert errors[0].startswith("minids: error: ")
        for word in words:
            assert word in errors[0]
        assert contents(here) == before
        return errors[0]

    return run


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@contextmanager
def file_size_limit(size: int):
    """Writes beyond `size` bytes fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def read_rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def write_rows(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


# --- recordings ----------------------------------------------------------------------------------------


def no_such_file(path: Path) -> None:
    pass


def empty(path: Path) -> None:
    path.touch()


def text_named_wav(path: Path) -> None:
    path.write_text("This is not sound.\n" * 100)


def truncated_flac(path: Path) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(tones.RATE)
    soundfile.write(path, noise, tones.RATE, format="FLAC")
    path.write_bytes(path.read_bytes()[:5000])


def nan_samples(path: Path) -> None:
    samples = tones.speak("abc", np.random.default_rng(0))
    samples[100] = np.nan
    soundfile.write(path, samples, tones.RATE, subtype="FLOAT", format="WAV")


def zero_length(path: Path) -> None:
    soundfile.write(path, np.zeros(0), tones.RATE, format="WAV")


def folder(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


RECORDINGS = [no_such_file, empty, text_named_wav, truncated_flac, nan_samples, zero_length, folder, pipe]


@pytest.mark.parametrize("bad", RECORDINGS)
def test_transcribe_names_a_bad_recording(here, refused, bad):
    bad(here / "bad.wav")
    refused("transcribe bad.wav --model model.safetensors", "bad.wav")


def test_transcribe_continues_with_the_other_files(here, minids):
    empty(here / "bad.wav")
    code, out, err = minids("transcribe dev/0.wav bad.wav dev/1.wav --model model.safetensors")
    assert code == 1
    assert [line.partition(":")[0] for line in out.splitlines()] == ["dev/0.wav", "dev/1.wav"]
    assert err.startswith("minids: error: bad.wav: ")
    assert err.count("\n") == 1


def longer_than_said(path: Path) -> None:
    """A recording of a minute that the manifest says lasts 0.3 s: its batch would need far more memory."""
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(60 * tones.RATE), tones.RATE)


def test_a_few_bad_recordings_among_many_are_skipped_counted_and_named(here, minids):
    rows = read_rows(here / "train.jsonl")
    recordings = [*RECORDINGS, longer_than_said]
    for bad in recordings:
        bad(here / "train" / f"{bad.__name__}.wav")
        rows.append({"path": f"train/{bad.__name__}.wav", "text": "abc", "duration": 0.3})
    write_rows(here / "train.jsonl", rows)
    skipped = [f"skipped: {here}/train/{bad.__name__}.wav: " for bad in recordings]
    code, _, err = minids("train tones.toml --run new")
    assert code == 0
    assert all(words in err for words in skipped)
    assert "9 of 18 train utterances" in err
    (row,) = read_rows(here / "new" / "metrics.jsonl")
    assert (row["skipped"], row["utterances"]) == (9, 9)

    code, out, err = minids("evaluate train.jsonl --model new/best.safetensors --json")
    assert code == 0
    assert all(words in err for words in skipped)
    assert "9 of 18 utterances" in err
    assert (json.loads(out)["utterances"], len(json.loads(out)["skipped"])) == (9, 9)


def test_a_name_that_is_not_utf_8(here, minids):
    shutil.copy(here / "dev" / "0.wav", os.fsencode(here / "dev") + b"/\xff.wav")
    code, out, _ = minids("transcribe dev/\udcff.wav --model model.safetensors")
    assert (code, out) == (0, minids("transcribe dev/0.wav --model model.safetensors")[1])


def test_only_bad_recordings(here, minids):
    for path in (here / "dev").iterdir():
        path.write_bytes(b"")
    for line in ("evaluate dev.jsonl --model model.safetensors", "train tones.toml --run new"):
        code, _, err = minids(line)
        assert code == 1
        assert err.splitlines()[-1].startswith("minids: error: dev.jsonl: no utterance could be used")
    assert not (here / "new").exists()


# --- manifests and alphabets ---------------------------------------------------------------------------


def test_an_invalid_line_of_a_manifest_is_named(here, refused):
    lines = (here / "train.jsonl").read_text().splitlines()
    lines[6] = lines[6][:20]
    (here / "train.jsonl").write_text("\n".join(lines))
    refused("train tones.toml --run new", "train.jsonl:7: not JSON")
    refused("evaluate train.jsonl --model model.safetensors", "train.jsonl:7: not JSON")


@pytest.mark.parametrize("bad", [no_such_file, empty, folder, pipe])
def test_no_manifest(here, refused, bad):
    (here / "dev.jsonl").unlink()
    bad(here / "dev.jsonl")
    refused("train tones.toml --run new", "dev.jsonl")
    refused("evaluate dev.jsonl --model model.safetensors", "dev.jsonl")
    if bad is not empty:  # the error of an empty one has other words
        refused("data doctor dev.jsonl", "dev.jsonl")


def test_the_alphabet_lacks_a_letter(here, refused):
    replace(here / "tones.toml", '" abc"', '" ab"')
    line = 1 + ["c" in row["text"] for row in read_rows(here / "train.jsonl")].index(True)
    refused("train tones.toml --run new", f"train.jsonl:{line}: the alphabet has no 'c'")


def test_characters_outside_the_alphabet_count_as_errors(here, minids):
    rows = read_rows(here / "dev.jsonl")
    rows[0]["text"] = "déjà vu!"
    write_rows(here / "dev.jsonl", rows)
    code, out, _ = minids("evaluate dev.jsonl --model model.safetensors --json")
    assert code == 0
    assert json.loads(out)["utterances"] == 3


def test_evaluate_by_an_unknown_field(here, refused):
    refused("evaluate dev.jsonl --by snr --model model.safetensors", "dev.jsonl", "'snr'", "speaker")


# --- models --------------------------------------------------------------------------------------------


def truncated_model(path: Path) -> None:
    tones.model(path)
    path.write_bytes(path.read_bytes()[:-100])


def truncated_header(path: Path) -> None:
    tones.model(path)
    path.write_bytes(path.read_bytes()[:300])


def turned_bit(path: Path) -> None:
    tones.model(path)
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)


def foreign_model(path: Path) -> None:
    save_file({"weight": np.zeros((3, 3), np.float32)}, path, {"format": "pt"})


@pytest.mark.parametrize(
    "bad",
    [
        *(no_such_file, empty, text_named_wav, folder, pipe),
        *(truncated_model, truncated_header, turned_bit, foreign_model),
    ],
)
def test_no_model(here, refused, bad):
    bad(here / "bad.safetensors")
    refused("transcribe dev/0.wav --model bad.safetensors", "bad.safetensors")
    refused("evaluate dev.jsonl --model bad.safetensors", "bad.safetensors")
    refused("data doctor dev.jsonl --model bad.safetensors", "bad.safetensors")


def test_a_checkpoint_can_be_used_as_a_model(minids):
    checkpoint = minids("transcribe dev/0.wav --json --model run/last.safetensors")
    assert checkpoint == minids("transcribe dev/0.wav --json --model run/best.safetensors")
    assert checkpoint[0] == 0


# --- language models -----------------------------------------------------------------------------------

RECOGNIZE = ("transcribe dev/0.wav --model model.safetensors", "evaluate dev.jsonl --model model.safetensors")
TUNE = "tune dev.jsonl --model model.safetensors"


@pytest.mark.parametrize("bad", [no_such_file, empty, text_named_wav, folder, pipe])
def test_no_language_model(here, refused, bad):
    bad(here / "bad.arpa")
    for line in (*RECOGNIZE, TUNE):
        refused(f"{line} --lm bad.arpa", "bad.arpa")


def test_a_language_model_of_another_alphabet(here, refused):
    tones.language(here / "lm.arpa", ("привет", "мир"))
    for line in (*RECOGNIZE, TUNE):
        refused(f"{line} --lm lm.arpa", "no word of lm.arpa", "' abc'")


@pytest.mark.parametrize("bad", [no_such_file, empty, folder])
def test_a_language_model_that_is_missing_after_tuning(here, minids, refused, bad):
    tones.language(here / "lm.arpa")
    assert minids(f"{TUNE} --lm lm.arpa --beam-width 5")[0] == 0
    (here / "lm.arpa").unlink()
    bad(here / "lm.arpa")
    for line in RECOGNIZE:
        refused(line, "lm.arpa")
        refused(f"{line} --beam-width 5", "lm.arpa")
        assert minids(f"{line} --lm none")[0] == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--lm lm.arpa --beam-width 0", "beam_width is 0"),
        ("--lm lm.arpa --beam-width -5", "beam_width is -5"),
        ("--lm lm.arpa --alpha -1", "alpha is -1.0; give a number from 0"),
        ("--lm none --alpha 1", "alpha is the weight of a language model"),
        ("--beam-width 0", "beam_width is 0"),
    ],
)
def test_impossible_searches(here, refused, options, words):
    tones.language(here / "lm.arpa")
    for line in RECOGNIZE:
        refused(f"{line} {options}", words)


def test_alternatives_of_greedy_decoding(here, refused):
    refused("transcribe dev/0.wav --model model.safetensors --n-best 3", "greedy decoding has one result")


def test_nothing_to_tune(here, refused):
    tones.language(here / "lm.arpa")
    (here / "empty.jsonl").touch()
    refused("tune empty.jsonl --model model.safetensors --lm lm.arpa", "empty.jsonl")
    rows = read_rows(here / "dev.jsonl")
    write_rows(here / "dev.jsonl", [row | {"text": ""} for row in rows])
    refused(f"{TUNE} --lm lm.arpa", "no words to tune on")


def test_an_unwritable_output_is_reported_before_tuning(here, refused):
    tones.language(here / "lm.arpa")
    refused("tune dev.jsonl --lm lm.arpa", "the included model is not overwritten", "--out FILE")
    refused(f"{TUNE} --lm lm.arpa --plot tuning.gif", "tuning.gif", ".png")


def test_a_tuned_model_that_cannot_be_written(here, minids):
    tones.language(here / "lm.arpa")
    before = contents(here)
    for out in ("nowhere/out.safetensors", "dev"):
        code, out, err = minids(f"{TUNE} --lm lm.arpa --beam-width 5 --out {out}")
        assert code == 1
        assert out == "", "reported before the work, not after it"
        assert err.splitlines()[-1].startswith("minids: error: cannot write ")
    assert contents(here) == before


# --- settings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("epochs", "epoch", "'epoch' is unknown in [train]; did you mean epochs?"),
        ("[model]", "[network]", "'network' is unknown"),
        ("hidden = 16", "hidden = 0", "[model] hidden = 0 must be at least 1"),
        ("hidden = 16", "hidden = 1000000000", "must be at most 65536"),
        ("hidden = 16", "hidden = 65536", "GB are free"),
        ("hidden = 16", 'hidden = "16"', "must be a whole number"),
        ("hidden = 16", "hidden = 16.0", "must be a whole number"),
        ("hidden = 16", "hidden = true", "must be a whole number"),
        ("hidden = 16", "hidden = " + "9" * 5000, "is not valid TOML"),
        ("stride = 2", "stride = 0", "must be at least 1"),
        ("stride = 2", "stride = 2\ndropout = 1.0", "must be at most 0.95"),
        ("batch_size = 4", "batch_size = 1000000", "GB are free"),
        ("learning_rate = 0.01", "learning_rate = 0", "must be above 0"),
        ("learning_rate = 0.01", "learning_rate = nan", "must be above 0"),
        ("learning_rate = 0.01", "learning_rate = inf", "must be at most"),
        ("rate = 8000", "rate = -8000", "must be above 0"),
        ("rate = 8000", "rate = 1000000000", "at most 192000"),
        ("rate = 8000", "rate = 8000\nwindow_ms = inf", "at most 200"),
        ("rate = 8000", 'rate = 8000\nkind = "mel"', "use one of"),
        ("bands = 12", "bands = 100", "too many"),
        ('dev = "dev.jsonl"', "", "[data] dev is missing"),
        ('"dev.jsonl"', '"$NO_SUCH_NAME/dev.jsonl"', "the environment variable NO_SUCH_NAME is not set"),
        ('"dev.jsonl"', r'"d\u0000"', "cannot read the manifest"),
        ('"dev.jsonl"', f'"{"d" * 5000}"', "cannot read the manifest"),
        ('" abc"', '" abca"', "names 'a' twice"),
        ('" abc"', '""', "no symbols"),
        ("[data]", "[data", "is not valid TOML"),
        ("[data]", "[data]\x00", "is not valid TOML"),
    ],
)
def test_impossible_settings(here, refused, monkeypatch, old, new, words):
    monkeypatch.setattr("minids.training.reporting.available_memory", lambda *_: 16 * 10**9)
    replace(here / "tones.toml", old, new)
    refused("train tones.toml --run new", words)


@pytest.mark.parametrize("bad", [no_such_file, text_named_wav, folder, pipe])
def test_no_settings(here, refused, bad):
    bad(here / "bad.toml")
    refused("train bad.toml", "bad.toml")


def test_divergence_is_reported(here, minids):
    replace(here / "tones.toml", "learning_rate = 0.01", "learning_rate = 1000\ngrad_clip_norm = 1e30")
    replace(here / "tones.toml", "epochs = 1", "epochs = 3")
    code, _, err = minids("train tones.toml --run new")
    assert code == 1
    assert err.splitlines()[-1].startswith("minids: error: epoch 2: training diverges")
    assert "lower learning_rate (now 1000.0)" in err


# --- where results go ----------------------------------------------------------------------------------


def test_an_output_below_a_file(here, refused):
    lay_out_fsdd(here)
    (here / "file").write_text("I was here first.")
    for place in ("file", "file/below"):
        refused(f"train tones.toml --run {place}", place)
        refused(f"data import fsdd fsdd --out {place}", place)


def test_no_corpus_to_import(here, refused):
    (here / "file").touch()
    for corpus in ("an4", "fsdd", "librispeech"):
        for root in ("nowhere", "file", "dev"):
            refused(f"data import {corpus} {root} --out out", root)


def lay_out_fsdd(folder: Path) -> None:
    (folder / "fsdd" / "recordings").mkdir(parents=True)
    for i in range(12):
        shutil.copy(folder / "dev" / "0.wav", folder / "fsdd" / "recordings" / f"7_theo_{i}.wav")


@pytest.mark.parametrize("size", [0, 100])
def test_no_space_for_a_manifest(here, refused, size):
    lay_out_fsdd(here)
    with file_size_limit(size):
        refused("data import fsdd fsdd --out out", "out/", "File too large")


@pytest.mark.parametrize(("size", "file"), [(0, "steps.jsonl"), (5000, "best.safetensors")])
def test_no_space_for_the_first_checkpoint(here, refused, size, file):
    with file_size_limit(size):
        refused("train tones.toml --run new", f"new/{file}", "File too large")


def test_no_space_for_the_next_checkpoint(here, minids):
    before = contents(here / "run")
    sizes = {name: len(data) for name, data in before.items()}
    replace(here / "tones.toml", "epochs = 1", "epochs = 2")
    with file_size_limit(sizes["last.safetensors"] - 1000):  # enough for the others
        code, _, err = minids("train tones.toml --run run")
    assert code == 1
    assert err.splitlines()[-1].startswith("minids: error: cannot write run/last.safetensors: File too large")
    after = contents(here / "run")
    assert after.keys() == before.keys()
    assert after["last.safetensors"] == before["last.safetensors"]
    load_model("run/best.safetensors")
    code, _, err = minids("train tones.toml --run run")
    assert (code, "resuming run" in err) == (0, True)


# --- runs ----------------------------------------------------------------------------------------------


def test_a_run_resumes_only_with_the_same_settings(here, refused):
    replace(here / "tones.toml", "learning_rate = 0.01", "learning_rate = 0.02")
    refused("train tones.toml --run run", "learning_rate = 0.01", "tones.toml has 0.02")


def test_a_run_resumes_only_with_the_same_manifests(here, refused):
    with open(here / "train.jsonl", "a") as file:
        file.write("\n")
    refused("train tones.toml --run run", "another train.jsonl")


def test_a_damaged_checkpoint_is_named(here, refused):
    data = (here / "run" / "last.safetensors").read_bytes()
    (here / "run" / "last.safetensors").write_bytes(data[: len(data) // 2])
    refused("train tones.toml --run run", "run/last.safetensors")


def test_a_model_without_velocity_is_refused_as_a_checkpoint(here, refused):
    shutil.copy(here / "model.safetensors", here / "run" / "last.safetensors")
    refused("train tones.toml --run run", "run/last.safetensors is a model, not a checkpoint")


def test_two_trainings_do_not_share_a_folder(here, refused):
    import fcntl

    with open(here / "run" / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused("train tones.toml --run run", "another training is running in run")


def test_an_empty_path_is_refused(here, minids):
    """An unset variable of a shell must not become the current folder."""
    before = contents(here)
    for line in (
        "train tones.toml --run",
        "data import fsdd fsdd --out",
        "report",
        "evaluate dev.jsonl --model",
    ):
        with pytest.raises(SystemExit) as end:
            main([*line.split(), ""])
        assert end.value.code == 2
    assert contents(here) == before


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("option", ["--alpha", "--beta"])
def test_numbers_that_are_not_finite_are_refused(minids, option, value):
    code, out, err = minids(f"evaluate dev.jsonl --model model.safetensors {option} {value}")
    assert (code, out) == (2, "")
    assert f"{value} is not a finite number" in err


def test_the_help_names_only_the_limits_that_a_number_has(minids):
    _, out, _ = minids("evaluate --help")
    assert "--alpha FLOAT" in out
    assert "None" not in out
    _, out, _ = minids("data noise --help")
    assert "-50<=x<=100" in out


@pytest.mark.parametrize("redirection", [">&- 2>&- <&-", ">/dev/full 2>/dev/full"])
def test_training_does_not_need_a_reader(here, redirection):
    """Closed or full standard streams neither stop a training nor end up in its files."""
    command = f"'{sys.executable}' -m minids train tones.toml --run new {redirection}"
    done = subprocess.run(["bash", "-c", command], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == 0
    assert load_model("new/best.safetensors").notes["dev"]["epoch"] == 1
    assert len(read_rows(here / "new" / "metrics.jsonl")) == 1


def test_control_characters_of_a_file_name_are_escaped(here, minids):
    _, _, err = minids("transcribe bad\x1b[31m.wav --model model.safetensors")
    assert "\x1b" not in err
    assert r"bad\x1b[31m.wav" in err


def test_unusual_corpora_can_be_used_for_training(here, minids):
    """Empty texts, one recording twice, one shorter than the random cut at its start, a batch of one."""
    rng = np.random.default_rng(0)
    soundfile.write(here / "short.wav", 0.1 * rng.standard_normal(tones.RATE // 200), tones.RATE)
    soundfile.write(here / "silence.wav", np.zeros(tones.RATE), tones.RATE)
    rows = read_rows(here / "train.jsonl")
    rows += [rows[0], {"path": "short.wav", "text": ""}, {"path": "silence.wav", "text": " "}, rows[0]]
    write_rows(here / "train.jsonl", rows)  # 13 in batches of 4
    replace(here / "tones.toml", "epochs = 1", "epochs = 3")
    replace(here / "tones.toml", "[augment]\n", "[augment]\nmax_shift_ms = 30.0\n")
    code, _, err = minids("train tones.toml --run new")
    assert code == 0
    assert "skipped" not in err
    for row in read_rows(here / "new" / "metrics.jsonl"):
        assert (row["utterances"], row["skipped"]) == (13, 0)

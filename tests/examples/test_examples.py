"""The example programs work, and the settings files are valid."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import MISSING, fields
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

import minids
from minids.audio import load_audio, save_audio
from minids.data import importers
from minids.data.manifest import Utterance, read_manifest, write_manifest
from minids.decode.beam_search import Hypothesis
from minids.decode.path import Word
from minids.lesson import data
from minids.lm.kneser_ney import DiscountWarning
from minids.ops import driver
from minids.training.settings import SECTIONS, read_settings
from minids.training.trainer import Trainer
from minids.weights import SHIPPED_MODEL, load_model
from tests import ROOT, tones
from tests.tones import RATE, speak

EXAMPLES = ROOT / "examples"


@pytest.fixture
def program(monkeypatch):
    """A program as a module."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module


@pytest.fixture
def run(monkeypatch, capsys, program):
    """main() of a program with these arguments -> what it prints."""

    def call(name: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        program(name).main()
        return capsys.readouterr().out

    return call


def test_the_readme_lists_every_example():
    links = re.findall(r"\]\((\S+?)\)", (EXAMPLES / "README.md").read_text())
    assert all((EXAMPLES / link).exists() for link in links)
    listed = [link for link in links if not link.startswith("../")]
    files = {path.name for path in EXAMPLES.iterdir() if not path.name.startswith((".", "_"))}
    assert sorted(listed) == sorted(files - {"README.md"})


def test_transcribe_prints_words_and_times(run):
    recording = data("three_one_four.flac")
    text, *lines = run("transcribe", recording, data("digits.safetensors")).splitlines()
    assert text == "three one four"
    matches = [re.fullmatch(r" *(\S+) to +(\S+) s +\d+%  (\w+)", line).groups() for line in lines]
    start, end, words = zip(*matches, strict=True)
    assert words == ("three", "one", "four")
    samples, rate = load_audio(recording)
    times = np.array([start, end], float).T.ravel()
    assert (np.diff([0, *times, len(samples) / rate]) >= -0.005).all(), "printed with two digits"


@pytest.mark.parametrize("name", ["transcribe", "own_recordings", "language_model", "microphone"])
def test_a_missing_file_is_one_line_on_stderr(name, tmp_path):
    arguments = {
        "own_recordings": ["nothing", "run"],
        "language_model": ["nothing.txt", "nothing.jsonl"],
        "microphone": ["--file", "nothing.wav"],
    }
    command = [sys.executable, EXAMPLES / f"{name}.py", *arguments.get(name, ["nothing.wav"])]
    environment = os.environ | {"PYTHONPATH": str(EXAMPLES.parent)}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"[^\n]*nothing[^\n]*; [^\n]+\n", done.stderr)


@pytest.fixture
def recordings(tmp_path):
    """Recordings of three speakers and their texts, in a folder, in the language of tones."""
    rng = np.random.default_rng(0)
    for i, text in enumerate(["a", "ab", "ba", "cab", "a b", "Abc", "b a", "ca", "bb", "c a b", "b", "ac"]):
        speaker = tmp_path / "recordings" / f"s{i % 3}"
        speaker.mkdir(parents=True, exist_ok=True)
        save_audio(speaker / f"{i}.wav", speak(text.lower(), rng), RATE)
        (speaker / f"{i}.txt").write_text(f"{text}\n")
    return tmp_path / "recordings"


@pytest.mark.filterwarnings("ignore:.*is below the model's")
def test_own_recordings_fine_tunes_and_scores_a_folder(run, recordings, tmp_path, program, monkeypatch):
    monkeypatch.setattr(
        program("own_recordings"), "read_settings", lambda path: read_settings(path, epochs=1)
    )
    output = run("own_recordings", recordings, tmp_path / "run")
    test = read_manifest(tmp_path / "run" / "test.jsonl")
    words = sum(len(u.text.split()) for u in test)
    best = tmp_path / "run" / "best.safetensors"
    assert re.search(rf"{re.escape(str(best))}: WER .* of {words}\n$", output)
    saved, base = load_model(best), load_model(SHIPPED_MODEL)
    assert abs(saved.model.params["Wr_f"] - base.model.params["Wr_f"]).max() < 0.1, "it starts from the model"
    assert "wav" not in run("own_recordings", recordings, tmp_path / "run"), "nothing is prepared twice"


@pytest.mark.filterwarnings(f"ignore::{DiscountWarning.__module__}.{DiscountWarning.__name__}")
def test_a_language_model_corrects_a_homophone(run, tmp_path):
    """Without a language model, the lessons' network recognizes "two five"."""
    write_manifest(tmp_path / "dev.jsonl", [Utterance(data("two_five.flac"), "to five", 0.9)])
    (tmp_path / "digits.txt").write_text("To five.\none to\nfive to\nsix five\nnumber 5\n")
    files = tmp_path / "digits.txt", tmp_path / "dev.jsonl", "--out", tmp_path / "words.arpa"
    output = run("language_model", *files, "--model", data("digits.safetensors"))
    assert "1 of 5 lines cannot be spelled" in output
    rates = dict(re.findall(r"^(\w+) +WER +(\S+) %", output, re.MULTILINE))
    assert rates == {"without": "50.0", "rescored": "50.0", "searched": "0.0"}  # no list has it
    assert minids.NGram.load(tmp_path / "words.arpa").order == 3


def test_rescoring_scores_as_the_search_does(program):
    lm = minids.NGram.load(SHIPPED_MODEL.with_name("an4.arpa.gz"))
    search = minids.BeamSearch(" abcdefghijklmnopqrstuvwxyz", lm, alpha=0.7, beta=1.3)
    log_probs = np.log(np.full((40, 28), 1 / 28))
    expected = search.score(log_probs, "two five nine")
    found = program("language_model").score(
        Hypothesis("two five nine", 0.0, expected.log_prob, 0.0, expected.labels), lm, 0.7, 1.3
    )
    assert found == pytest.approx(expected.score, abs=1e-4)


def spoken(rate: int, *bursts: tuple[float, float], seconds: float) -> np.ndarray:
    """Tones at `bursts` (start, end), in seconds, with some noise and an offset."""
    at = np.arange(int(seconds * rate)) / rate
    loud = sum(((begin <= at) & (at < end)) for begin, end in bursts)
    noise = 1e-3 * np.random.default_rng(0).standard_normal(len(at))
    return (0.3 * loud * np.sin(2 * np.pi * 440 * at) + noise + 0.05).astype(np.float32)


class AcousticModel:
    """Recognizes one word in each stretch of sound above a tenth of full scale."""

    def __init__(self, rate: int):
        self.rate = rate

    def transcribe(self, samples: np.ndarray) -> SimpleNamespace:
        loud = np.flatnonzero(np.abs(samples - np.median(samples)) > 0.1)
        ends = np.flatnonzero(np.diff(loud) > 0.05 * self.rate)
        edges = zip(loud[np.r_[0, ends + 1]], loud[np.r_[ends, -1]], strict=True) if len(loud) else []
        return SimpleNamespace(words=[Word("word", a / self.rate, b / self.rate, 1.0) for a, b in edges])


SHORT = [(0.3, 0.6), (0.8, 1.1), (2.4, 2.8), (3.0, 3.1), (4.5, 5.0)]
LONG = [(0.4 * i, 0.4 * i + 0.25) for i in range(60)]  # 24 s without a pause


@pytest.mark.parametrize("bursts", [SHORT, LONG], ids=["with pauses", "without a pause"])
def test_live_sound_is_split_in_silence_and_each_word_is_recognized_once(bursts, program):
    microphone, rate = program("microphone"), 8000
    sound = spoken(rate, *bursts, seconds=bursts[-1][1] + 1.5)
    size = int(microphone.BLOCK_SECONDS * rate)
    blocks = (sound[i : i + size] for i in range(0, len(sound), size))
    cut = list(microphone.phrases(blocks, rate))
    words = [word for phrase in cut for word in microphone.phrase_words(phrase, AcousticModel(rate))]
    assert [(word.start, word.end) for word in words] == [
        (pytest.approx(begin, abs=0.01), pytest.approx(end, abs=0.01)) for begin, end in bursts
    ]
    assert [0.0, *(phrase.end for phrase in cut[:-1])] == [phrase.begin for phrase in cut]
    assert bursts[-1][1] < cut[-1].end
    for phrase in cut[:-1]:
        assert not any(begin < phrase.end < end for begin, end in bursts)
        assert phrase.end - phrase.begin <= microphone.MAX_PHRASE_SECONDS
    assert len(cut) >= 3
    for before, phrase in pairwise(cut):
        assert phrase.start == pytest.approx(before.end - microphone.MARGIN_SECONDS)


def test_silence_is_not_transcribed(program):
    microphone, rate = program("microphone"), 8000
    sound = spoken(rate, (0.5, 1.0), seconds=60.0)
    cut = microphone.phrases(sound.reshape(-1, int(microphone.BLOCK_SECONDS * rate)), rate)
    assert [phrase.end for phrase in cut] == [pytest.approx(1.25, abs=microphone.BLOCK_SECONDS)]


def test_a_phrase_is_complete_half_a_second_after_its_end(program):
    microphone, rate = program("microphone"), 8000
    sound = spoken(rate, *SHORT, seconds=6.0)
    known = []
    for phrase in microphone.phrases(sound.reshape(-1, int(microphone.BLOCK_SECONDS * rate)), rate):
        words = microphone.phrase_words(phrase, AcousticModel(rate))
        known += [phrase.start + len(phrase.samples) / rate - words[-1].end] if words else []
    assert known == pytest.approx([0.5, 0.5, 0.5], abs=microphone.BLOCK_SECONDS)


def test_microphone_transcribes_a_file_as_if_it_were_live(run, tmp_path):
    names, pause = (
        ("two_five", "three_one_four", "seven"),
        1e-3 * np.random.default_rng(0).normal(size=12_000),
    )
    sounds = [load_audio(data(f"{name}.flac"))[0] for name in names]
    save_audio(tmp_path / "talk.wav", np.concatenate([np.r_[sound, pause] for sound in sounds]), 16_000)
    output = run("microphone", "--file", tmp_path / "talk.wav", "--model", data("digits.safetensors"))
    *lines, latency = output.splitlines()
    assert [line.split("s  ")[1] for line in lines] == ["two five", "three one four", "seven"]
    typical, worst = map(float, re.findall(r"(\d+\.\d+)[ ;]", latency)[:2])
    assert 0.4 < typical <= worst < 2.5  # the pause, and the rest of the phrase


def test_a_missing_microphone_is_reported_in_one_line(monkeypatch, program):
    microphone = program("microphone")
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(minids.InputError, match=r"sounddevice.*: pip install sounddevice .*--file"):
        next(microphone.microphone(16_000))

    class PortAudioError(Exception):
        pass

    def nothing(**settings):
        raise PortAudioError("Error querying device -1")

    fake = SimpleNamespace(PortAudioError=PortAudioError, InputStream=nothing)
    monkeypatch.setitem(sys.modules, "sounddevice", fake)
    with pytest.raises(minids.InputError, match=r"no microphone \(Error querying device -1\); .*--file"):
        next(microphone.microphone(16_000))


def test_blocks_of_a_microphone_arrive_in_order(monkeypatch, capsys, program):
    class Stream:
        def __init__(self, callback, blocksize, **settings):
            self.callback, self.size = callback, blocksize

        def __enter__(self):
            reused = np.empty((self.size, 1), np.float32)  # PortAudio reuses one buffer
            for value in (1, 2, 3):
                reused[:] = value
                self.callback(reused, self.size, None, None)

        def __exit__(self, *error):
            pass

    monkeypatch.setitem(
        sys.modules, "sounddevice", SimpleNamespace(InputStream=Stream, PortAudioError=OSError)
    )
    blocks = program("microphone").microphone(16_000)
    assert [np.unique(next(blocks)).tolist() for _ in range(3)] == [[1.0], [2.0], [3.0]]
    assert "Ctrl-C" in capsys.readouterr().err


def test_a_new_operation_is_checked(run):
    assert [line.split()[0] for line in run("add_operation").splitlines()[:3]] == ["dx", "dw", "cpu"]


def test_the_new_operation_computes_its_formula(program):
    rng, lengths = np.random.default_rng(1), np.array([7, 3])
    x, w = rng.normal(size=(7, 2, 4)), rng.normal(size=(9, 4))
    y = program("add_operation").lookahead_forward(x, w, lengths)
    for b, length in enumerate(lengths):
        for h in range(4):  # a correlation is a convolution with time backwards
            full = np.convolve(x[:length, b, h][::-1], w[:, h])[:length][::-1]
            np.testing.assert_allclose(y[:length, b, h], full, rtol=1e-12)
        assert not y[length:, b].any()


@pytest.mark.parametrize("wrong", ["dx past the end", "dw of the other side"])
def test_a_wrong_gradient_of_a_new_operation_is_noticed(wrong, monkeypatch, program):
    example = program("add_operation")
    right = example.lookahead_backward

    def backward(dy, x, w, lengths):
        dx, dw = right(dy, x, w, lengths)
        if wrong == "dx past the end":
            return right(dy, x, w, np.full(3, len(x)))[0], dw
        return dx, dw[::-1]

    monkeypatch.setattr(example, "lookahead_backward", backward)
    with pytest.raises(AssertionError):
        example.main()


def test_the_new_kernel_runs_on_the_gpu_or_in_its_simulator(run):
    if driver.simulated():
        pytest.importorskip("greenlet", reason="the simulator of a GPU needs greenlet")
    assert run("add_operation").splitlines()[3].startswith("cuda")


def test_the_notebook_runs_from_the_first_cell_to_the_last(tmp_path):
    pytest.importorskip("IPython", reason="the extra `lessons` is not installed")
    environment = os.environ | {"PYTHONPATH": str(EXAMPLES.parent)}
    command = [sys.executable, EXAMPLES / "notebook.py"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text, *rest = done.stdout.splitlines()
    assert text == "two five"
    best = [rest[i + 1].split()[3:] for i, line in enumerate(rest) if line.startswith("alpha")]
    assert best == [["two", "five"]] * 3
    (picture,) = (
        line.removeprefix("picture: ").split("#")[0] for line in rest if line.startswith("picture: ")
    )
    assert "<svg" in (tmp_path / picture).read_text()


@pytest.mark.parametrize("recipe", sorted(EXAMPLES.rglob("*.toml")), ids=lambda path: path.name)
def test_every_settings_file_is_valid(recipe):
    read_settings(recipe)


def test_an4_documents_every_setting_with_its_default():
    text = (EXAMPLES / "an4.toml").read_text()
    for name, section in SECTIONS.items():
        part = text.split(f"[{name}]\n")[1].split("\n\n")[0]
        documented = dict(re.findall(r"^(\w+) = .*?\[([^]]*)\]$", part, re.MULTILINE))
        settings = {f.name: f for f in fields(section) if f.name not in ("mean", "std")}
        assert set(re.findall(r"^(\w+) = ", part, re.MULTILINE)) == set(settings)
        for key, default in documented.items():
            if key not in (
                "alphabet",
                "codecs",
                "reference_recordings",
            ):  # their defaults are described in words
                value = settings[key].default
                number = re.split("[:;]", default)[0]  # words may follow
                assert number == ("none" if value in ("", MISSING) else str(value).lower()), key


@pytest.mark.slow
def test_the_librispeech_settings_train_on_a_small_corpus(tmp_path):
    letters = {"train-clean-100": ["ab", "ba", "aab", "bb"], "dev-clean": ["abb"], "test-clean": ["bab"]}
    for part, texts in letters.items():
        chapter = tmp_path / "LibriSpeech" / part / "19" / "198"
        chapter.mkdir(parents=True)
        lines = []
        for i, text in enumerate(texts):
            save_audio(chapter / f"19-198-{i:04d}.flac", speak(text, np.random.default_rng(i)), RATE)
            lines.append(f"19-198-{i:04d} {text.upper()}\n")
        (chapter / "19-198.trans.txt").write_text("".join(lines))
    corpus = importers.read("librispeech", tmp_path / "LibriSpeech")
    corpus.write(tmp_path / "data" / "librispeech")
    (tmp_path / "examples").mkdir()
    recipe = tmp_path / "examples" / "librispeech100.toml"
    shutil.copy(EXAMPLES / recipe.name, recipe)
    small = recipe.read_text().replace("hidden = 2048", "hidden = 16").replace("epochs = 20", "epochs = 1")
    recipe.write_text(small.replace("[features]", f"[features]\nrate = {RATE}"))

    trainer = Trainer(read_settings(recipe), tmp_path / "run")
    trainer.run()

    assert [row["utterances"] for row in trainer.state.rows] == [4]
    assert trainer.folder.best.exists()


def test_the_included_model_is_trained_in_two_stages(run, program, tmp_path, monkeypatch):
    for folder in ("an4", "libri5"):
        tones.corpus(tmp_path / folder, "train", 6, seed=len(folder))
    tones.corpus(tmp_path, "train", 2)
    tones.corpus(tmp_path, "dev", 2)
    settings = tones.settings(tmp_path, epochs=1)
    monkeypatch.setenv("MINIDS_DATA", str(tmp_path))
    monkeypatch.setattr(
        program("included_model"), "read_settings", lambda path, **options: read_settings(settings, **options)
    )
    best = run("included_model", "--run", tmp_path / "run").split()[-1]
    assert len(read_manifest(tmp_path / "run" / "train.jsonl")) == 12
    first, second = (
        load_model(tmp_path / "run" / stage / "best.safetensors") for stage in ("first", "second")
    )
    assert best == str(tmp_path / "run" / "second" / "best.safetensors")
    assert 0 < abs(second.model.params["Wr_f"] - first.model.params["Wr_f"]).max() < 0.1

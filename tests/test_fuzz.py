"""Damaged files and command lines of every kind: each is used or refused in one line, without delay, and
nothing changes but the output that the command line names.
"""

import io
import json
import os
import shlex
import shutil
import sys
import unicodedata
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import soundfile

import minids.gradcheck
import minids.training.bench
from minids._utils.checksum import file_checksum
from minids._utils.errors import InputError
from minids.audio import audio_info, load_audio
from minids.cli import main
from minids.data import importers
from minids.data.batches import Batches, ExampleLoader
from minids.data.doctor import validate_dataset
from minids.data.feature_cache import FeatureCache
from minids.data.manifest import read_manifest, write_manifest
from minids.decode.tuned import DecoderWeights, TunedDecoder
from minids.features import Features
from minids.lm.ngram import NGram
from minids.ops import driver
from minids.recognizer import Recognizer
from minids.text import Alphabet
from minids.training.settings import read_settings
from minids.training.trainer import Trainer
from minids.weights import copy_with_notes, load_model
from tests import fuzzing, tones
from tests.fuzzing import CASES, altered, changes, damage, damage_lines, damaged, fuzz, run_cases, snapshot

pytestmark = pytest.mark.slow


@pytest.fixture
def folder():
    with fuzzing.memory_folder() as folder:
        yield folder


@pytest.fixture
def quiet(monkeypatch):
    monkeypatch.setattr("minids.training.reporting.log", lambda line: None)


# --- recordings ----------------------------------------------------------------------------------------


def test_recordings_in_every_format(folder):
    """What libsndfile writes and reads is read in full; damaged, it is refused or read as finite samples."""
    features = Features(rate=tones.RATE, bands=12)
    samples = tones.speak("ab c", np.random.default_rng(0))
    originals = []
    for container in sorted(soundfile.available_formats().keys() - {"SDS"}):
        path = folder / f"sound.{container.lower()}"
        for coding in soundfile.available_subtypes(container):
            with suppress(soundfile.LibsndfileError):  # libsndfile does not write all pairs
                soundfile.write(path, samples, tones.RATE, format=container, subtype=coding)
                originals.append((path, path.read_bytes()))
            try:
                frames = len(soundfile.read(path)[0])
            except (soundfile.LibsndfileError, TypeError):  # RAW has no header
                continue
            loaded, _ = load_audio(path)
            assert len(samples) <= len(loaded) == frames <= 1.06 * len(samples)  # whole blocks
    assert len({path for path, _ in originals}) >= 24
    rng = np.random.default_rng(0)

    def use(path: Path) -> None:
        assert audio_info(path).duration >= 0
        loaded, _ = load_audio(path, tones.RATE)
        assert np.isfinite(features(loaded)).all()

    files = (originals[i % len(originals)] for i in range(CASES))
    fuzz("audio", None, ((path, damage(content, rng)) for path, content in files), use, 0.2, 0.2)


# --- manifests and tables ------------------------------------------------------------------------------


def test_manifests(folder):
    tones.corpus(folder, "good", 3)
    rows = [json.loads(line) for line in (folder / "good.jsonl").read_text().splitlines()]
    stereo = np.stack([tones.speak("ab c", np.random.default_rng(i)) for i in range(2)], axis=1)
    soundfile.write(folder / "stereo.wav", stereo, tones.RATE)
    rows.append({"path": "stereo.wav", "text": "a", "start": 0.03, "end": 0.11, "channel": 1})
    rows.append({"path": "stereo.wav", "text": "c", "offset": 0.12, "duration": 0.1, "channel": 0})
    features, alphabet = Features(rate=tones.RATE, bands=12, normalize="speaker"), Alphabet(" abc")

    def mutations():
        rng = np.random.default_rng(3)
        good = "\n".join(map(json.dumps, rows)).encode()
        for i in range(CASES):
            changed = altered(rows, rng)
            lines = changed if isinstance(changed, list) else [changed]
            yield "\n".join(map(json.dumps, lines)).encode() if i % 4 else damage(good, rng)

    def use(path: Path) -> None:
        report = validate_dataset(path, alphabet, features)
        json.dumps(report.to_dict())
        report.table()
        utterances = read_manifest(path)
        write_manifest(folder / "again.jsonl", utterances)
        assert list(map(content, read_manifest(folder / "again.jsonl"))) == list(map(content, utterances))
        batches = Batches(utterances, features, alphabet, batch_size=2)
        made = sum(len(batch.indices) for batch in batches.in_length_order())
        assert made + len(batches.skipped) == len(utterances)

    fuzz("manifest", folder / "bad.jsonl", mutations(), use, 0.05, 0.2)


def content(u) -> tuple:
    return u.path, u.text, u.speaker, u.channel, round(u.start, 4), u.end and round(u.end, 4)


CORPORA = {
    "table": (
        "bad.csv",
        b"wav_filename,wav_filesize,transcript,speaker,start,end\n"
        b'clips/0.wav,1,"a, ""b"" c",s1,,\nclips/1.wav,1,ab,s2,0.01,0.09\nclips/2.wav,1,c,,,\n',
        b",",
    ),
    "commonvoice": (
        "train.tsv",
        b"client_id\tpath\tsentence\tgender\tlocale\n"
        b'ab12\t0.wav\t"A - b!\tf\ten\ncd34\t1.wav\tAb\t\ten\ncd34\t2.wav\tc\tm\ttr\n',
        b"\t",
    ),
}


@pytest.mark.parametrize("name", CORPORA)
def test_tables_of_corpora(folder, name):
    """An import writes complete manifests, or nothing; it changes nothing else."""
    file_name, good, separator = CORPORA[name]
    corpus, out = folder / "corpus", folder / "out"
    tones.corpus(corpus, "clips", 3)
    for table in ("dev.tsv", "test.tsv") if name == "commonvoice" else ():
        (corpus / table).write_bytes(good.splitlines(keepends=True)[0])
    rng = np.random.default_rng(6)

    def use(path: Path) -> None:
        before = snapshot(corpus)
        try:
            manifests = importers.read(name, corpus).write(out)
            for manifest, utterances in manifests.items():
                read = read_manifest(manifest)
                assert [(u.path, u.text) for u in read] == [(u.path, nfc(u.text)) for u in utterances]
            assert sum(map(len, manifests.values())) > 0
            shutil.rmtree(out)
        finally:
            assert not changes(before, snapshot(corpus))
            assert not out.exists()

    mutations = (damage_lines(good, rng, separator) if i % 2 else damage(good, rng) for i in range(CASES))
    fuzz(f"table of {name}", corpus / file_name, mutations, use, 0.2, 0.2)


def nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


# --- files that minids writes and reads again ----------------------------------------------------------


def test_feature_cache(folder):
    """Features from a damaged cache are those without a cache, and the file is replaced."""
    features = Features(rate=tones.RATE, bands=12)
    (utterance,) = read_manifest(tones.corpus(folder, "one", 1))
    loader = ExampleLoader(features, Alphabet(" abc"), cache=FeatureCache(folder / "cache", features))
    log_powers = loader.log_powers(utterance)
    (path,) = (folder / "cache").rglob("*.npz")

    def use(path: Path) -> None:
        stored = loader.cache.read(utterance)
        assert stored is None or np.array_equal(stored, log_powers)
        assert np.array_equal(loader.log_powers(utterance), log_powers)
        assert np.array_equal(loader.cache.read(utterance), log_powers)
        if stored is None:
            raise InputError(f"{path}: damaged and replaced")

    fuzz("feature cache", path, damaged([path.read_bytes()], CASES, seed=7), use, 0.0, 0.5)


def test_models(folder):
    """A model with a tuned decoder transcribes, or is refused."""
    plain, tuned = tones.model(folder / "plain.safetensors"), folder / "good.safetensors"
    lm = tones.language(folder / "words.arpa")
    decoder = TunedDecoder.relative_to(lm, file_checksum(lm), DecoderWeights(beam_width=8), tuned)
    confidence = {"weights": {"tuned": [2.0, 0.5, 0.3, -20.0], "greedy": None}, "max_doubt": 0.1}
    notes = {"decoder": decoder._asdict(), "decoder_is_stale": False, "confidence": confidence}
    copy_with_notes(plain, tuned, load_model(plain), **notes)
    good = tuned.read_bytes()
    header, body = split_model(good)
    samples = tones.speak("ab c", np.random.default_rng(0))
    rng = np.random.default_rng(5)

    def mutations():
        for i in range(CASES):
            match i % 4:
                case 0:
                    yield damage(good, rng)
                case 1:
                    yield join_model(altered_header(header, rng, ["decoder", "confidence"]), body)
                case 2:
                    yield join_model(altered_header(header, rng), body)
                case 3:
                    name = rng.choice([name for name in header if name != "__metadata__"])
                    yield join_model(header | {name: altered(header[name], rng)}, body)

    def use(path: Path) -> None:
        recognizer = Recognizer.load(path)
        recognizer.transcribe(samples)
        if recognizer.search:
            recognizer.n_best(samples, 2)

    fuzz("model", folder / "bad.safetensors", mutations(), use, 0.02, 0.2, good)


def altered_header(header: dict, rng: np.random.Generator, notes: Sequence[str] = ()) -> dict:
    """The header with minids' entry altered, or these notes in it, and without the checksum, as if another
    program had written it.
    """
    entry = json.loads(header["__metadata__"]["minids"])
    del entry["checksum"]
    for name in notes:
        entry["notes"][name] = altered(entry["notes"][name], rng)
    entry = entry if notes else altered(entry, rng)
    return header | {"__metadata__": {"minids": json.dumps(entry)}}


def split_model(content: bytes) -> tuple[dict, bytes]:
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def join_model(header: dict, body: bytes) -> bytes:
    encoded = json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + body


@pytest.mark.parametrize("name", ["last", "best"])
def test_checkpoints(folder, quiet, name):
    """A run resumes from its checkpoint to the end, or refuses it; a damaged best model is replaced."""
    tones.corpus(folder, "train", 4)
    tones.corpus(folder, "dev", 2, seed=1)
    Trainer(read_settings(tones.settings(folder, epochs=1)), folder / "run").run()
    originals = {path.name: path.read_bytes() for path in (folder / "run").iterdir()}
    good = originals[f"{name}.safetensors"]
    settings = read_settings(tones.settings(folder, epochs=2))
    header, body = split_model(good)
    rng = np.random.default_rng(8)
    runs = 0

    def mutations():
        for i in range(CASES if name == "last" else CASES // 10):
            yield damage(good, rng) if i % 2 else join_model(altered_header(header, rng), body)

    def use(path: Path) -> None:
        nonlocal runs
        for file, content in originals.items():
            if file != path.name:
                (path.parent / file).write_bytes(content)
        before = snapshot(folder)
        try:
            trainer = Trainer(settings, folder / "run")
            runs += 1
            if runs % 5:
                with trainer.folder.locked():
                    trainer.prepare()
            else:
                trainer.run()
                assert load_model(folder / "run/last.safetensors").notes["progress"]["epoch"] == 2
            load_model(folder / "run/best.safetensors")
        except InputError:
            changed = changes(before, snapshot(folder))
            assert not changed, changed
            raise
        changed = changes(before, snapshot(folder))
        assert all(path.is_relative_to(folder / "run") for path in changed), changed

    min_refused = 0.9 if name == "last" else 0.0
    fuzz(f"checkpoint {name}", folder / f"run/{name}.safetensors", mutations(), use, 0.0, min_refused, good)


# --- settings ------------------------------------------------------------------------------------------


def test_settings(folder, monkeypatch, quiet):
    tones.corpus(folder, "train", 2)
    tones.corpus(folder, "dev", 1, seed=1)
    monkeypatch.setattr("minids.training.reporting.available_memory", lambda *_: 10**8)
    good = {
        "data": {"train": "train.jsonl", "dev": "dev.jsonl", "alphabet": " abc", "max_seconds": 120.0},
        "features": {
            **{"rate": tones.RATE, "kind": "filterbank", "bands": 12, "window_ms": 20.0, "hop_ms": 10.0},
            **{"normalize": "utterance"},
        },
        "model": {"hidden": 8, "context": 2, "stride": 2, "dropout": 0.1},
        "train": {
            **{"epochs": 1, "batch_size": 2, "learning_rate": 0.01, "lr_decay": 1.05, "momentum": 0.9},
            **{"momentum_ramp": 10, "grad_clip_norm": 50.0, "seed": 0, "checkpoint_minutes": 5.0},
        },
        "augment": {"max_shift_ms": 10.0, "max_speed_change": 0.1},
    }
    rng = np.random.default_rng(4)
    accepted = 0

    def mutations():
        for i in range(CASES):
            changed = altered(good, rng)
            content = toml(changed if isinstance(changed, dict) else {"train": changed}).encode()
            yield content if i % 2 else damage(toml(good).encode(), rng)

    def use(path: Path) -> None:
        nonlocal accepted
        settings = read_settings(path)
        trainer = Trainer(settings, folder / "run")
        with trainer.folder.locked():
            trainer.prepare()
            if accepted % 20 == 0 and settings.train.epochs < 3:
                while trainer.state.epoch < settings.train.epochs:
                    trainer.train_epoch()
                    trainer.finish_epoch(*trainer.evaluate())
                for file in (folder / "run").iterdir():
                    file.unlink()
        accepted += 1

    fuzz("settings (TOML)", folder / "bad.toml", mutations(), use, 0.05, 0.2, toml(good).encode())


def toml(table: dict) -> str:
    """Sections and keys; values that TOML does not have are written as JSON."""
    lines = []
    for section, values in table.items():
        if isinstance(values, dict):
            lines.append(f"[{section}]")
            lines += [f"{key} = {literal(value)}" for key, value in values.items()]
        else:
            lines.append(f"{section} = {literal(values)}")
    return "\n".join(lines) + "\n"


def literal(value) -> str:
    return str(value) if isinstance(value, float) else json.dumps(value)


# --- command lines -------------------------------------------------------------------------------------

_LINES = """
transcribe dev/0.wav dev/1.wav stereo.wav --model model.safetensors --json
transcribe stereo.wav --model model.safetensors --channel 1 --jitter
transcribe dev/0.wav --model tuned.safetensors --lm words.arpa --alpha 1 --beta 0.5 --beam-width 8 --n-best 3
transcribe - --model model.safetensors --beam-width 8 --no-pruning --json
train tones.toml --run new --json
train tones.toml --run run
train tones.toml
evaluate dev.jsonl --model model.safetensors --model model.safetensors --by speaker --worst 2 --json
evaluate dev.jsonl --model tuned.safetensors --lm words.arpa --beam-width 8
evaluate dev.jsonl --model model.safetensors --lm none
tune dev.jsonl --model run/best.safetensors --lm words.arpa --beam-width 4 --out out.safetensors --json
report run --manifest dev.jsonl --out page.html
data import table table.csv --out imported --json
data import commonvoice voices --out imported
data import json nemo.json --out imported
data doctor dev.jsonl train.jsonl --model model.safetensors
data doctor dev.jsonl --rate 8000 --stride 2 --json --alphabet ' abc'
data noise dev/0.wav dev/1.wav --noise hiss.wav --reference hiss.wav --snr 5 --tracks 2 --seed 3 --out noisy
data augment tones.toml --count 2 --out heard
lm train text.txt --order 3 --prune 0,1 --vocabulary 10 --out lm.arpa --json
lm train text.txt train.jsonl --alphabet ' abc' --characters --out lm.ngram
lm train - --model model.safetensors --order 2 --vocabulary words.txt --out lm.arpa.gz
lm perplexity words.arpa text.txt train.jsonl --json
lm perplexity words.arpa - --alphabet ' abc'
lm prune words.arpa --threshold 0.001 --out small.ngram --json
lessons
lessons --folder mine --json
lessons copy mine
lessons --folder lessons check 1.1
lessons --folder lessons hint 1.1
check --json
bench --hidden 8 --batch 2 --frames 10 --json
--version
transcribe --help
"""
LINES = [shlex.split(line) for line in _LINES.strip().splitlines()]
PATHS = "model.safetensors run/best.safetensors run dev dev.jsonl dev/0.wav table.csv tones.toml words.arpa"
PATHS += " text.txt empty . .. nope nope/x -x dev/0.wav/x voices link loop loop/x pipe é \udc80 /dev/null"
PATHS += " /dev/full"
WILD = [*PATHS.split(), "", " ", "x" * 300, "a\nb", "\x1b[31m", "none", "nan", "inf", "-inf", "1e999", "--"]
WILD += ["-1", "0", "1", "3", "1e-9", "0.5", "2.5", "17", "2147483648", "18446744073709551616", "٣", "1,2,1"]


@pytest.fixture
def home(tmp_path_factory, folder, monkeypatch):
    """The folders work/here, with files for all commands, and work/home; and a copy of them."""
    here = folder / "work/here"
    here.mkdir(parents=True)
    (folder / "work/home").mkdir()
    tones.corpus(here, "train", 4)
    tones.corpus(here, "dev", 2, seed=1)
    tones.settings(here, epochs=1)
    tones.model(here / "model.safetensors")
    tones.language(here / "words.arpa")
    tones.hiss(here / "hiss.wav")
    soundfile.write(here / "stereo.wav", np.tile(tones.speak("ab", np.random.default_rng(0)), (2, 1)).T, 8000)
    (here / "text.txt").write_text("a ab abc\nb ba c\nab ab c 1\n" * 5)
    (here / "words.txt").write_text("a ab c\n")
    (here / "nemo.json").write_text('{"audio_filepath": "dev/0.wav", "text": "ab", "duration": 0.12}\n')
    (here / "table.csv").write_text("wav_filename,wav_filesize,transcript\ndev/0.wav,1,ab\ndev/1.wav,1,c\n")
    voices = here / "voices"
    shutil.copytree(here / "dev", voices / "clips")
    for name in ("train", "dev", "test"):
        (voices / f"{name}.tsv").write_text("client_id\tpath\tsentence\nab\t0.wav\tAb.\n")
    (here / "empty").touch()
    (here / "link").symlink_to("text.txt")
    (here / "loop").symlink_to("loop")
    os.mkfifo(here / "pipe")
    monkeypatch.chdir(here)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main() replaces it
    bench, all_checks = minids.training.bench.bench, minids.gradcheck.all_checks
    monkeypatch.setattr(
        "minids.training.bench.bench",
        lambda ops, hidden, batch, frames: bench(ops, min(hidden, 16), min(batch, 2), min(frames, 20)),
    )
    monkeypatch.setattr("minids.gradcheck.all_checks", lambda backend: islice(all_checks(backend), 1))
    for line in (
        "train tones.toml --run run",
        "tune dev.jsonl --model model.safetensors --lm words.arpa --out tuned.safetensors",
        "lessons copy lessons",
    ):
        code, _, err, _ = run(line.split())
        assert code == 0, err
    shutil.copytree(here, folder / "copy", symlinks=True, ignore=lambda *_: ["pipe"])
    return here


def run(arguments: list[str]) -> tuple[int, str, str, tuple[str, dict, Any]]:
    """Exit code, stdout, stderr, and what click made of the command line: command, values, object."""
    parsed: tuple[str, dict, Any] = ("", {}, None)
    invoke = click.Command.invoke

    def record(command: click.Command, ctx: click.Context) -> Any:
        nonlocal parsed
        parsed = ctx.command_path.removeprefix("minids "), ctx.params, ctx.obj
        return invoke(command, ctx)

    stdin = sys.stdin
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    sys.stdin = io.TextIOWrapper(
        io.BytesIO(Path("stereo.wav" if "transcribe" in arguments else "text.txt").read_bytes())
    )
    click.Command.invoke = record  # type: ignore[method-assign]
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
            main(arguments)
    finally:
        sys.stdin, click.Command.invoke = stdin, invoke  # type: ignore[method-assign]
    texts = (stream.buffer.getvalue().decode("utf-8") for stream in (out, err))  # type: ignore[attr-defined]
    return end.value.code or 0, *texts, parsed


def outputs(command: str, values: dict, folder: Path | None) -> list[Path]:
    """The files or folders that a command line names for its results."""
    match command:
        case "train":
            return [values["run"] or Path("runs", os.path.splitext(values["settings"].name)[0])]
        case "tune":
            return [path for path in (values["out"] or values["model"], values["plot"]) if path]
        case "report":
            return [values["out"] or values["run"] / "report.html"]
        case "data import" | "data noise" | "data augment" | "lm train" | "lm prune":
            return [values["out"]]
        case "lessons copy":
            return [values["folder"]]
        case "lessons hint" | "lessons check" if folder:
            return [folder / "progress.json"]
    return []


def check_result(command: str, values: dict, out: list[Path], stdout: str) -> None:
    """The exit code is 0: the result is there and complete."""
    lines = stdout.splitlines()
    assert lines or command in ("data import", "transcribe"), "nothing was printed"
    if values.get("as_json"):
        for line in lines:
            json.loads(line, parse_constant=lambda name: pytest.fail(name))
    for path in out:
        assert path.exists(), path
        if not path.is_file() or command.startswith("lessons"):
            continue
        assert path.stat().st_size
        if command in ("lm train", "lm prune"):
            NGram.load(path)
        if command == "tune" and path == out[0]:
            load_model(path)
    if command == "train":
        load_model(out[0] / "best.safetensors")
    if command == "data import":
        assert [u for path in out[0].glob("*.jsonl") for u in read_manifest(path)]
    if command in ("data noise", "data augment"):
        assert all(load_audio(line.rsplit(": ", 1)[0])[1] for line in lines)
    if command == "transcribe":
        assert len(lines) >= len(values["files"])


def altered_line(rng: np.random.Generator) -> list[str]:
    """A good command line with up to four mistakes, which may make it another good one."""
    line = list(LINES[rng.integers(len(LINES))])
    names = (
        0 if rng.random() < 0.05 else 2 if line[0] in ("lm", "data") else 1
    )  # most mistakes are after them
    words = sorted({word for line in LINES for word in line} | {"--help", "--plot", "x.png"})
    if not driver.has_gpu():
        words += ["--backend=cuda", "--gemm=tf32"]
    for _ in range(rng.choice([0, 1, 1, 1, 2, 2, 3, 4])):
        at = int(rng.integers(min(names, len(line)), len(line) + 1))
        word = line[at] if at < len(line) else ""
        match rng.integers(8):
            case 0:
                del line[at : at + 1]
            case 1:
                line[at:at] = [str(rng.choice(words))]
            case 2 | 3 if not word.startswith("--"):
                line[at : at + 1] = [WILD[rng.integers(len(WILD))]]
            case 4:
                line[at : at + 1] = [str(rng.choice(words))]
            case 5 if word:
                i = rng.integers(len(word))
                line[at] = word[:i] + chr(rng.choice([*b"ax-.,=/0 9", 0xE9, 0x1F600])) + word[i + 1 :]
            case 6:
                line[at : at + 2] = reversed(line[at : at + 2])
            case 7:
                line[at : at + 2] = ["=".join(line[at : at + 2])]
    return line


def test_command_lines(home, folder, monkeypatch):
    """A result, or one line of error; nothing changes but what the command line names."""
    work, copy = folder / "work", folder / "copy"
    monkeypatch.setenv("HOME", str(work / "home"))
    monkeypatch.delenv("MINIDS_SIM", raising=False)
    before = snapshot(work)

    def use(arguments: list[str]) -> None:
        nonlocal before
        warnings.simplefilter("default")  # main() prints warnings
        code, out, err, (command, values, object_) = run(arguments)
        after = snapshot(work)
        changed = changes(before, after)
        named = [Path(os.path.abspath(path)) for path in outputs(command, values, object_)]
        named += [Path(os.path.realpath(path)) for path in named]
        try:
            for path in changed:
                is_parent = path.is_dir() and any(name.is_relative_to(path) for name in named)
                assert is_parent or any(path.is_relative_to(name) for name in named), f"{path} changed"
            assert "Warning: " not in err, err
            assert not code or arguments not in LINES or "check" in arguments
            errors = [line for line in err.splitlines() if line.startswith("minids: error: ")]
            if not code:
                assert not errors, err
                if "--help" not in arguments and "-h" not in arguments:
                    check_result(command, values, outputs(command, values, object_), out)
            elif code == 1 and command in ("data doctor", "check", "lessons check"):
                assert out or errors
            elif not errors:
                assert code == 2, (code, err)
                assert err.startswith("Usage: "), err  # a group without a command prints its help
            else:
                assert len(errors) == 1 or command == "transcribe", err
        except BaseException as error:
            error.add_note(f"minids {' '.join(map(repr, arguments))}\n{code}\n{out[:2000]}\n{err[:2000]}")
            raise
        finally:
            if changed:
                restore(copy, home)
                before = snapshot(work)
        if code:
            raise InputError(err)

    rng = np.random.default_rng(9)
    run_cases("command lines", (altered_line(rng) for _ in range(CASES)), use, 0.1, 0.3)


def restore(copy: Path, folder: Path) -> None:
    for path in [*folder.parent.iterdir(), *folder.iterdir()]:
        if path.name == "pipe" or path == folder:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    (folder.parent / "home").mkdir()
    shutil.copytree(copy, folder, symlinks=True, dirs_exist_ok=True)


# --- what only needs one case --------------------------------------------------------------------------


def refused(path: Path, read) -> None:
    with fuzzing.limits(), fuzzing.time_limit(), pytest.raises(InputError, match=path.name):
        read(path)


def test_one_line_of_100_megabytes(tmp_path):
    text = "a" * 100_000_000
    path = tmp_path / "long.jsonl"
    path.write_text(json.dumps({"path": "a.wav", "text": text, "duration": 1}))
    refused(path, read_manifest)
    path = tmp_path / "long.toml"
    path.write_text(f'[data]\ntrain = "{text}"\n')
    refused(path, read_settings)
    path = tmp_path / "long.csv"
    path.write_text(f"wav_filename,transcript\na.wav,{text}\n")
    refused(path, lambda path: importers.read("table", path))


def test_headers_that_state_too_much(tmp_path):
    """2**36 - 1 samples in a FLAC file, 2**62 bytes of weights."""
    path = tmp_path / "long.flac"
    soundfile.write(path, np.zeros(8000), 8000)
    data = bytearray(path.read_bytes())
    data[21:26] = bytes([data[21] | 0x0F, 255, 255, 255, 255])  # STREAMINFO's 36 bits of total samples
    path.write_bytes(data)
    assert soundfile.info(path).frames == 2**36 - 1
    refused(path, audio_info)  # it plans the memory of a training
    entry = {"dtype": "F32", "shape": [2**30, 2**30], "data_offsets": [0, 2**62]}
    path = tmp_path / "long.safetensors"
    path.write_bytes(join_model({"W1": entry}, b""))
    refused(path, load_model)

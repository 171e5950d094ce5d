"""Damaged files of every kind we read, at random but seeded: each is either used or refused in one line.

8000 mutations here and 2000 of manifests in test_corpus_manifest. No other exception, no wait, no flood of
memory: every case has some seconds and a part of the address space.
"""

import faulthandler
import json
import resource
import signal
import struct
import warnings
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from minids._utils.errors import InputError
from minids.audio import AudioWarning, audio_info, load_audio
from minids.data.batches import Batches
from minids.data.doctor import validate_dataset
from minids.data.manifest import read_manifest, write_manifest
from minids.features import Features
from minids.recognizer import Recognizer
from minids.text import Alphabet
from minids.training.settings import read_settings
from minids.training.trainer import Trainer
from minids.weights import load_weights
from tests import tones

pytestmark = pytest.mark.slow

SECONDS = 10  # for one case; the slowest good one takes a tenth of that on a busy machine
MEMORY = 1 << 30  # bytes that a case may add
NUMBERS = [0, 1, -1, 3, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**64 - 1]
VALUES = [*NUMBERS, -(2**63), 10**400, 0.5, -0.5, 1e-320, 1e308, float("nan"), float("inf"), -float("inf")]
VALUES += [True, None, "", "x", "\0", "é", "x" * 5000, [], [1], [[]], {}, {"x": 1}]


class Stuck(BaseException):
    """A case that takes too long."""


@contextmanager
def guarded():
    """Limits the address space, and each `case` within in time; a hang in C ends the process with a trace."""

    def stuck(number, frame):
        raise Stuck

    space = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, stuck)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, space[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, space)
        signal.signal(signal.SIGALRM, handler)
        faulthandler.cancel_dump_traceback_later()


def fuzz(path: Path, mutations, use, least_used: float, least_refused: float) -> None:
    """Write each mutation to `path` and `use` it. Of all at least these shares are used and refused: a test
    whose cases all end at the same door tests that door alone.
    """
    ends: Counter[str] = Counter()
    with guarded(), warnings.catch_warnings():
        warnings.simplefilter("ignore", AudioWarning)
        for number, content in enumerate(mutations):
            path.write_bytes(content)
            faulthandler.dump_traceback_later(6 * SECONDS, exit=True)
            signal.setitimer(signal.ITIMER_REAL, SECONDS)
            try:
                use(path)
                ends["used"] += 1
            except InputError as error:
                ends["refused"] += 1
                message = str(error)
                assert str(path.parent) in message, (number, message)
                assert "\n" not in message, (number, message)
                message.encode()  # it can be printed
            except BaseException as error:
                error.add_note(f"mutation {number} of {path.name}")
                raise
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    print(dict(ends))
    assert ends["used"] >= least_used * ends.total(), ends
    assert ends["refused"] >= least_refused * ends.total(), ends


# --- how files are damaged -----------------------------------------------------------------------------


def damaged(originals: list[bytes], count: int, seed: int):
    rng = np.random.default_rng(seed)
    for i in range(count):
        yield damage(originals[i % len(originals)], rng)


def damage(original: bytes, rng: np.random.Generator) -> bytes:
    """One to four of: a byte turned, a block cut out, doubled or put in, the end cut off, a wild number."""
    data = bytearray(original)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 4])):
        near = len(data) if rng.random() < 0.5 else min(len(data), 100)  # headers are worth half of the cases
        at = int(rng.integers(near + 1))
        length = int(rng.integers(1, 40))
        match rng.integers(7):
            case 0:
                data[at : at + 1] = bytes([rng.integers(256)])
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = data[at : at + length]
            case 3:
                data[at:at] = rng.bytes(length)
            case 4:
                del data[max(at, 20) :]
            case 5:
                size, order = int(rng.choice([1, 2, 4, 8])), rng.choice(["<", ">"])
                number = NUMBERS[rng.integers(len(NUMBERS))] % 256**size
                data[at : at + size] = struct.pack(f"{order}Q", number)[: size if order == "<" else 8][-size:]
            case 6:
                data[at : at + 1] = str(VALUES[rng.integers(len(VALUES))])[:400].encode()
    return bytes(data)


def altered(value, rng: np.random.Generator):
    """A JSON value with something in it, at any depth, replaced, removed, doubled or renamed."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        name = rng.choice(list(value))
        match rng.integers(8):
            case 0:
                return {k: v for k, v in value.items() if k != name}
            case 1:
                return value | {str(name) + "x": value[name]}
            case _:
                return value | {name: altered(value[name], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.integers(len(value))
        match rng.integers(4):
            case 0:
                return value[:at] + value[at + 1 :]
            case 1:
                return value[: at + 1] + value[at:]
            case _:
                return [*value[:at], altered(value[at], rng), *value[at + 1 :]]
    return VALUES[rng.integers(len(VALUES))]


# --- recordings ----------------------------------------------------------------------------------------

FORMATS = {
    "wav": [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAVEX", "PCM_24"), ("WAV", "IMA_ADPCM")],
    "flac": [("FLAC", "PCM_16"), ("FLAC", "PCM_24")],
    "ogg": [("OGG", "VORBIS"), ("OGG", "OPUS")],
}


@pytest.mark.parametrize("ending", FORMATS)
def test_recordings(tmp_path, ending):
    originals = []
    for container, coding in FORMATS[ending]:
        sound = tones.speak("ab c", np.random.default_rng(0))
        soundfile.write(tmp_path / "good", sound, tones.RATE, format=container, subtype=coding)
        originals.append((tmp_path / "good").read_bytes())
    features = Features(rate=tones.RATE, bands=12)

    def use(path: Path) -> None:
        info = audio_info(path)
        assert info.duration >= 0
        samples, _ = load_audio(path, tones.RATE)
        assert np.isfinite(features(samples)).all()

    mutations = damaged(originals, 1200, seed=list(FORMATS).index(ending))
    fuzz(tmp_path / f"bad.{ending}", mutations, use, 0.01, 0.2)  # FLAC and Ogg have checksums


# --- manifests -----------------------------------------------------------------------------------------


def test_manifests(tmp_path):
    tones.corpus(tmp_path, "good", 3)
    rows = [json.loads(line) for line in (tmp_path / "good.jsonl").read_text().splitlines()]
    features, alphabet = Features(rate=tones.RATE, bands=12, normalize="speaker"), Alphabet(" abc")

    def mutations():
        rng = np.random.default_rng(3)
        for _ in range(400):
            changed = altered(rows, rng)
            lines = changed if isinstance(changed, list) else [changed]
            yield "\n".join(map(json.dumps, lines)).encode()

    def use(path: Path) -> None:
        report = validate_dataset(path, alphabet, features)
        json.dumps(report.to_dict())
        report.table()
        utterances = read_manifest(path)
        batches = Batches(utterances, features, alphabet, batch_size=2)
        made = sum(len(batch.indices) for batch in batches.in_length_order())
        assert made + len(batches.skipped) == len(utterances)
        write_manifest(tmp_path / "again.jsonl", utterances)
        assert [u.path for u in read_manifest(tmp_path / "again.jsonl")] == [u.path for u in utterances]

    fuzz(tmp_path / "bad.jsonl", mutations(), use, 0.05, 0.2)


# --- settings ------------------------------------------------------------------------------------------


def test_settings(tmp_path, monkeypatch):
    tones.corpus(tmp_path, "train", 2)
    tones.corpus(tmp_path, "dev", 1, seed=1)
    monkeypatch.setattr("minids.training.trainer.say", lambda line: None)
    monkeypatch.setattr("minids.training.reporting.available_memory", lambda *_: 10**8)
    good = {
        "data": {"train": "train.jsonl", "dev": "dev.jsonl", "alphabet": " abc"},
        "features": {
            **{"rate": tones.RATE, "kind": "filterbank", "bands": 12, "window_ms": 20.0, "hop_ms": 10.0},
            **{"normalize": "utterance"},
        },
        "model": {"hidden": 8, "context": 2, "stride": 2, "dropout": 0.1},
        "train": {
            **{"epochs": 1, "batch_size": 2, "learning_rate": 0.01, "lr_decay": 1.05, "momentum": 0.9},
            **{
                "momentum_ramp": 10,
                "grad_clip_norm": 50.0,
                "max_shift_ms": 10.0,
                "max_speed_change": 0.1,
                "seed": 0,
            },
            **{"checkpoint_minutes": 5.0},
        },
    }

    def mutations():
        rng = np.random.default_rng(4)
        for _ in range(1000):
            yield damage(toml(good).encode(), rng)
        for _ in range(1000):
            changed = altered(good, rng)
            yield toml(changed if isinstance(changed, dict) else {"train": changed}).encode()

    accepted = 0

    def use(path: Path) -> None:
        nonlocal accepted
        read = read_settings(path)
        accepted += 1
        trainer = Trainer(read, tmp_path / "run")
        with trainer.folder.locked():
            trainer.prepare()
            if accepted % 20 == 0 and read.train.epochs < 3:
                while trainer.state.epoch < read.train.epochs:
                    trainer.train_epoch()
                    trainer.finish_epoch(*trainer.evaluate())
                for file in (tmp_path / "run").iterdir():
                    file.unlink()

    fuzz(tmp_path / "bad.toml", mutations(), use, 0.05, 0.2)


def toml(table: dict) -> str:
    """Sections and keys, each value in TOML's words, or at least in JSON's."""
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


# --- weights -------------------------------------------------------------------------------------------


def test_weights(tmp_path):
    good = tones.model(tmp_path / "good.safetensors").read_bytes()
    size = int.from_bytes(good[:8], "little")
    header, body = json.loads(good[8 : 8 + size]), good[8 + size :]
    samples = tones.speak("ab c", np.random.default_rng(0))

    def mutations():
        rng = np.random.default_rng(5)
        for _ in range(1000):
            yield damage(good, rng)
        for i in range(1000):
            yield with_header(altered_header(header, rng, i % 2 == 0), body)

    def use(path: Path) -> None:
        recognizer = Recognizer(load_weights(path))
        recognizer.transcribe(samples)

    fuzz(tmp_path / "bad.safetensors", mutations(), use, 0.02, 0.2)


def altered_header(header: dict, rng: np.random.Generator, tensors: bool) -> dict:
    """The header with a tensor's entry altered, or with one of our own; then without the checksum, as if
    another program had written it.
    """
    if tensors:
        name = rng.choice([name for name in header if name != "__metadata__"])
        return header | {name: altered(header[name], rng)}
    ours = json.loads(header["__metadata__"]["minids"])
    del ours["checksum"]
    return header | {"__metadata__": {"minids": json.dumps(altered(ours, rng))}}


def with_header(header: dict, body: bytes) -> bytes:
    encoded = json.dumps(header).encode()
    return len(encoded).to_bytes(8, "little") + encoded + body


# --- what only needs one case --------------------------------------------------------------------------


def refused(path: Path, read) -> None:
    with guarded():
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        with pytest.raises(InputError, match=path.name):
            read(path)
        signal.setitimer(signal.ITIMER_REAL, 0)


def test_one_line_of_100_megabytes(tmp_path):
    text = "a" * 100_000_000
    path = tmp_path / "long.jsonl"
    path.write_text(json.dumps({"path": "a.wav", "text": text, "duration": 1}))
    refused(path, read_manifest)
    path = tmp_path / "long.toml"
    path.write_text(f'[data]\ntrain = "{text}"\n')
    refused(path, read_settings)


def test_headers_that_promise_the_moon(tmp_path):
    """2**36 - 1 samples in a FLAC file, 2**62 bytes of weights."""
    soundfile.write(tmp_path / "moon.flac", np.zeros(8000), 8000)
    data = bytearray((tmp_path / "moon.flac").read_bytes())
    data[21:26] = bytes([data[21] | 0x0F, 255, 255, 255, 255])  # STREAMINFO's 36 bits of total samples
    (tmp_path / "moon.flac").write_bytes(data)
    assert soundfile.info(tmp_path / "moon.flac").frames == 2**36 - 1
    refused(tmp_path / "moon.flac", audio_info)  # it plans the memory of a training
    entry = {"dtype": "F32", "shape": [2**30, 2**30], "data_offsets": [0, 2**62]}
    (tmp_path / "moon.safetensors").write_bytes(with_header({"W1": entry}, b""))
    refused(tmp_path / "moon.safetensors", load_weights)

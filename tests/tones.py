"""A synthetic language: each letter is a tone of 60 ms, which a tiny network can learn.

For tests that need a complete run: recordings, manifests, settings and a model, created in any folder.
"""

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from minids.audio import save_audio
from minids.features import Features
from minids.model import DeepSpeech, ModelSettings
from minids.text import Alphabet
from minids.training.settings import AugmentSettings
from minids.weights import SavedModel, save_model

RATE = 8000
LETTERS = "abc"
PITCHES = {" ": 0, "a": 500, "b": 1200, "c": 2500}  # Hz


def speak(text: str, rng: np.random.Generator) -> np.ndarray:
    """The text as samples (N,) at RATE."""
    seconds = np.arange(int(0.06 * RATE)) / RATE
    letters = [0.3 * np.sin(2 * np.pi * PITCHES[letter] * seconds) for letter in text]
    sound = np.concatenate(letters or [np.zeros(RATE // 10)])
    return (sound + 0.01 * rng.standard_normal(len(sound))).astype(np.float32)


def corpus(folder: Path, name: str, count: int, seed: int = 0) -> Path:
    """`count` recordings of one to three words in folder/name, and the manifest folder/name.jsonl."""
    rng = np.random.default_rng(seed)
    (folder / name).mkdir(parents=True)
    lines = []
    for i in range(count):
        words = ["".join(rng.choice(list(LETTERS), rng.integers(1, 4))) for _ in range(rng.integers(1, 4))]
        text = " ".join(words)
        samples = speak(text, rng)
        save_audio(folder / name / f"{i}.wav", samples, RATE)
        duration = len(samples) / RATE
        lines.append({"path": f"{name}/{i}.wav", "duration": duration, "text": text, "speaker": f"s{i % 2}"})
    manifest = folder / f"{name}.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return manifest


def hiss(path: Path) -> Path:
    """Five seconds of noise."""
    save_audio(path, (0.1 * np.random.default_rng(0).standard_normal(5 * RATE)).astype(np.float32), RATE)
    return path


def settings(folder: Path, noise: Sequence[str] = (), **values: object) -> Path:
    """A settings file for folder/train.jsonl and folder/dev.jsonl, with `values` in [augment] or [train]."""
    known = {field.name for field in fields(AugmentSettings)}
    augment = {name: values.pop(name) for name in known & values.keys()}
    train = {"epochs": 2, "batch_size": 4, "learning_rate": 0.01, "momentum": 0.9} | values
    path = folder / "tones.toml"
    path.write_text(
        '[data]\ntrain = "train.jsonl"\ndev = "dev.jsonl"\nalphabet = " abc"\n'
        f"[features]\nrate = {RATE}\nbands = 12\n"
        "[model]\nhidden = 16\ncontext = 2\nstride = 2\n"
        f"[noise]\nrecordings = {json.dumps(noise)}\n"
        + _section("augment", augment)
        + _section("train", train)
    )
    return path


def _section(name: str, values: dict) -> str:
    return f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def model(path: Path) -> Path:
    """An untrained model for this language."""
    features = Features(rate=RATE, bands=12)
    features.mean, features.std = np.zeros(features.size, np.float32), np.ones(features.size, np.float32)
    alphabet = Alphabet(" " + LETTERS)
    network = DeepSpeech(ModelSettings(features.size, len(alphabet), hidden=16, context=2, stride=2))
    save_model(path, SavedModel(network, features, alphabet, {}, {}))
    return path


def language(path: Path, words: tuple[str, ...] = ("a", "ab", "abc", "b", "ba", "c", "ca", "cab")) -> Path:
    """A unigram ARPA file in which each word is twice as probable as the next."""
    probabilities = 2.0 ** -np.arange(1, len(words) + 1)
    unigrams = dict(zip(words, probabilities, strict=True)) | {"</s>": probabilities[-1], "<unk>": 1e-6}
    lines = ["\\data\\", f"ngram 1={len(unigrams) + 1}", "", "\\1-grams:", "-99\t<s>"]
    lines += [f"{np.log10(p):.6f}\t{word}" for word, p in unigrams.items()]
    path.write_text("\n".join([*lines, "", "\\end\\", ""]))
    return path

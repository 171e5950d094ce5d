"""Parts of a recording are what files with the same samples are; tests/cli/test_results.py evaluates them."""

import numpy as np
import pytest

from minids.audio import save_audio
from minids.data.batches import Batches
from minids.data.doctor import validate_dataset
from minids.data.feature_cache import FeatureCache
from minids.data.manifest import Utterance, read_manifest, write_manifest
from minids.text import Alphabet
from minids.weights import load_model
from tests import tones

COUNT, MINUTES = 40, 5


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """parts.jsonl: 40 parts of a recording of 5 minutes; files.jsonl: as files; an untrained model."""
    folder = tmp_path_factory.mktemp("parts")
    rng = np.random.default_rng(0)
    sound = (0.003 * rng.standard_normal(MINUTES * 60 * tones.RATE)).astype(np.float32)
    parts, files = [], []
    for i, start in enumerate(np.sort(rng.choice(MINUTES * 60 - 5, COUNT, replace=False))):
        text = "".join(rng.choice(list("abc "), rng.integers(5, 12))).strip() or "a"
        samples = tones.speak(text, rng)
        first = int(start * tones.RATE + rng.integers(1000))
        sound[first : first + len(samples)] = samples
        save_audio(folder / f"{i}.wav", samples, tones.RATE)
        times = {"start": first / tones.RATE, "end": (first + len(samples)) / tones.RATE}
        speaker = f"s{i % 3}"
        parts.append(Utterance(folder / "long.wav", text, times["end"] - times["start"], speaker, **times))
        files.append(Utterance(folder / f"{i}.wav", text, len(samples) / tones.RATE, speaker))
    save_audio(folder / "long.wav", sound, tones.RATE)
    write_manifest(folder / "parts.jsonl", parts)
    write_manifest(folder / "files.jsonl", files)
    tones.model(folder / "m.safetensors")
    return folder


def test_parts_are_trained_on_as_files_are_with_and_without_the_cache(place, tmp_path):
    saved = load_model(place / "m.safetensors")
    cache = FeatureCache(tmp_path, saved.features)
    batches = [
        list(
            Batches(
                read_manifest(place / f"{name}.jsonl"), saved.features, Alphabet(" abc"), 8, 2, **with_cache
            ).epoch(1)
        )
        for name, with_cache in (
            ("files", {}),
            ("parts", {}),
            ("parts", {"cache": cache}),
            ("parts", {"cache": cache}),
        )
    ]
    assert len(list(tmp_path.rglob("*.npz"))) == COUNT  # a file for each part
    for files, parts, stored, read in zip(*batches, strict=True):
        assert files.indices == parts.indices == read.indices
        np.testing.assert_array_equal(parts.frames, files.frames)
        np.testing.assert_array_equal(read.frames, stored.frames)
        np.testing.assert_allclose(read.frames, files.frames, atol=0.01)  # the cache has 16 bits


def test_parts_are_validated_as_files_are(place):
    features = load_model(place / "m.safetensors").features
    found = {}
    for name in ("parts", "files"):
        report = validate_dataset(place / f"{name}.jsonl", Alphabet(" abc"), features)
        found[name] = report.counts, report.summaries[0].to_dict() | {"manifest": ""}
    assert found["parts"] == found["files"]
    assert found["parts"][1]["utterances"] == COUNT

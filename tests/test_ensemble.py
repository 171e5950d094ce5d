"""Ensembles: the average over several models, or over copies of a recording shifted by 5 ms (§2.1)."""

from dataclasses import replace

import numpy as np
import pytest

from minids import DeepSpeech, Features, Recognizer
from minids._utils.errors import InputError
from minids.audio import load_audio, save_audio, shift
from minids.data.manifest import Utterance
from minids.model import ModelSettings
from minids.recognizer import AcousticModel, average
from minids.text import Alphabet
from minids.weights import SavedModel, save_model
from tests import tones
from tests.tolerances import FLOAT32_NETWORK

RATE = tones.RATE


def model(seed=0, symbols=" abc", stride=2, **features):
    """A random network with large output weights, so that its text depends on its input."""
    features = Features(**({"rate": RATE, "bands": 6, "normalize": "utterance"} | features))
    alphabet = Alphabet(symbols)
    network = DeepSpeech(ModelSettings(features.size, len(alphabet), 16, 2, stride), seed)
    network.params["W6"] *= 30
    return SavedModel(network, features, alphabet, {}, {})


def sound(seconds, seed=0):
    return (0.1 * np.random.default_rng(seed).normal(size=round(seconds * RATE))).astype(np.float32)


def test_probabilities_are_averaged_not_their_logarithms():
    y = np.log(np.array([[[0.8, 0.2]], [[0.4, 0.6]]], np.float32))
    np.testing.assert_allclose(np.exp(average(list(y))), [[0.6, 0.4]], rtol=1e-6)


def test_an_ensemble_is_the_average_of_its_models():
    samples, models = sound(1.3), [model(0), model(1), model(2, bands=9)]
    alone = [np.exp(Recognizer(each).log_probs(samples)) for each in models]
    together = np.exp(Recognizer(*models).log_probs(samples))
    np.testing.assert_allclose(together, np.mean(alone, axis=0), atol=1e-6)
    np.testing.assert_allclose(together.sum(axis=-1), 1, atol=1e-5)


def test_jitter_is_the_average_over_the_recording_shifted_by_five_milliseconds():
    samples, saved = sound(0.8), model()
    shifted = [np.exp(Recognizer(saved).log_probs(shift(samples, RATE, ms))) for ms in (-5, 0, 5)]
    together = np.exp(Recognizer(saved, jitter=True).log_probs(samples))
    np.testing.assert_allclose(together, np.mean(shifted, axis=0), atol=1e-6)
    assert not np.allclose(shifted[0], shifted[2], atol=1e-3)


@pytest.fixture
def utterances(tmp_path):
    utterances = []
    for i, seconds in enumerate((0.9, 0.4, 1.7, 0.6, 1.1)):
        save_audio(tmp_path / f"{i}.wav", sound(seconds, i), RATE)
        utterances.append(Utterance(tmp_path / f"{i}.wav", "a", seconds))
    return utterances


def test_infer_equals_log_probs_of_each_recording(utterances):
    recognizer = Recognizer(model(0), model(1, bands=9), jitter=True)
    inferred = [item for batch in recognizer.log_prob_batches(utterances, []) for item in batch]
    assert len(inferred) == len(utterances)
    for utterance, (log_probs,) in inferred:
        alone = recognizer.log_probs(load_audio(utterance.path)[0])
        np.testing.assert_allclose(log_probs, alone, atol=FLOAT32_NETWORK)


def test_an_unreadable_recording_is_reported_once(utterances, tmp_path):
    skipped = []
    gone = replace(utterances[0], path=tmp_path / "gone.wav")
    batches = list(Recognizer(model(), jitter=True).log_prob_batches([gone, *utterances], skipped))
    assert sum(map(len, batches)) == len(utterances)
    assert len(skipped) == 1
    assert "gone.wav" in skipped[0]


@pytest.mark.parametrize("count", [1, 3])
def test_a_recording_that_only_one_model_can_read_is_an_error(utterances, tmp_path, monkeypatch, count):
    """Its rows would be averaged with those of another recording."""
    recognizer = Recognizer(model(0), model(1, bands=9))
    second, gone = recognizer.acoustic_models[1], [replace(utterances[0], path=tmp_path / "gone.wav")]
    batches = AcousticModel.batches

    def with_a_file_gone(self, read):
        return batches(self, gone + list(read)[1:] if self is second else read)

    monkeypatch.setattr(AcousticModel, "batches", with_a_file_gone)
    with pytest.raises(InputError, match=r"changed while they were read: .*gone\.wav"):
        list(recognizer.log_prob_batches(utterances[:count], []))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (model(1, symbols=" abd"), "same alphabet"),
        (model(1, stride=1), "stride = 1"),
        (model(1, hop_ms=5.0), "hop_ms = 5.0"),
        (model(1, rate=16_000), "rate = 16000"),
    ],
)
def test_incompatible_models_are_rejected_by_name(other, message, tmp_path):
    first, second = tmp_path / "one.safetensors", tmp_path / "two.safetensors"
    save_model(first, model())
    save_model(second, other)
    with pytest.raises(InputError, match=rf"{second}.*{message}"):
        Recognizer.load([first, second])
    assert len(Recognizer.load([first, first], jitter=True).acoustic_models) == 6

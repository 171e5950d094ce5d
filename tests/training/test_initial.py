"""Fine-tuning: what a run takes from the model that it starts from, and what stays as it was."""

import json
import unicodedata
from dataclasses import replace

import numpy as np
import pytest

from minids import DeepSpeech
from minids._utils.errors import InputError
from minids.audio import save_audio
from minids.ops.common import hash_key
from minids.text import Alphabet
from minids.training import initial
from minids.training.settings import read_settings
from minids.training.step import step
from minids.training.trainer import Trainer
from minids.weights import SHIPPED_MODEL, load_model, save_model
from tests import tones
from tests.tolerances import FLOAT32_NETWORK
from tests.training.test_trainer import batch, network


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A corpus of tones, and a model for it with other weights and statistics than a new one has."""
    folder = tmp_path_factory.mktemp("corpus")
    tones.corpus(folder, "train", 8)
    tones.corpus(folder, "dev", 3, seed=1)
    base = load_model(tones.model(folder / "base.safetensors"))
    base.model.flat_params *= 1.1
    base.features.mean += 1
    save_model(folder / "base.safetensors", base)
    return folder


@pytest.fixture
def place(corpus, tmp_path):
    """A folder with the recordings and the model."""
    for path in corpus.iterdir():
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def settings(place, text="", **values):
    """Settings with little else than `init`; `text` are other sections, `values` go to [train]."""
    train = {"init": "base.safetensors", "epochs": 1, "batch_size": 4} | values
    data = '[data]\ntrain = "train.jsonl"\ndev = "dev.jsonl"\n'
    path = place / "tuning.toml"
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in train.items())
    path.write_text(data + text + "\n[train]\n" + lines)
    return read_settings(path)


def prepared(place, text="", run="run", **values):
    trainer = Trainer(settings(place, text, **values), place / run)
    trainer.prepare()
    return trainer


def test_a_run_starts_from_the_model_with_its_features_alphabet_and_size(place, capsys):
    base, run = load_model(place / "base.safetensors"), prepared(place)
    assert run.model.settings == replace(base.model.settings, dropout=0.1)
    np.testing.assert_array_equal(run.model.flat_params, base.model.flat_params)
    assert run.saved.features.to_dict() == base.features.to_dict()
    np.testing.assert_array_equal(run.saved.features.mean, base.features.mean)
    np.testing.assert_array_equal(run.saved.features.std, base.features.std)
    assert run.saved.alphabet == base.alphabet
    assert not run.velocity.any()
    assert run.settings.train.learning_rate == initial.LEARNING_RATE
    err = capsys.readouterr().err
    assert f"starting from {place / 'base.safetensors'}\n" in err
    assert "differ" not in err


def test_the_settings_file_decides_where_it_says_something(place, capsys):
    text = 'alphabet = " abcd"\n[features]\nrate = 6000\nbands = 12\n[model]\ndropout = 0.3\nhidden = 16\n'
    run = prepared(place, text, learning_rate=0.5)
    base = load_model(place / "base.safetensors")
    assert run.saved.alphabet == Alphabet(" abcd")
    assert run.settings.train.learning_rate == 0.5
    assert run.model.settings.dropout == 0.3
    assert run.saved.features.to_dict() == base.features.to_dict() | {"rate": 6000}
    assert abs(run.saved.features.mean - base.features.mean).max() > 0.5, "computed from the recordings"
    assert "[features] differ from the model's" in capsys.readouterr().err


def test_another_alphabet_keeps_the_rows_of_common_symbols(place, capsys):
    run = prepared(place, 'alphabet = ["ä", "c", " ", "b", "é", "a"]\n', seed=5)
    base, drawn = load_model(place / "base.safetensors"), DeepSpeech(run.model.settings, 5)
    sources = [0, None, 4, 1, 3, None, 2]  # rows of the blank and of " abc"
    for name in ("W6", "b6"):
        for k, source in enumerate(sources):
            expected = drawn.params[name][k] if source is None else base.model.params[name][source]
            np.testing.assert_array_equal(run.model.params[name][k], expected)
    for name in set(base.model.params) - {"W6", "b6"}:
        np.testing.assert_array_equal(run.model.params[name], base.model.params[name])
    assert "4 of 6 symbols keep their output weights; new: ä é\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model]\nhidden = 17", r"\[model\] hidden = 17, but .*base\.safetensors has 16; remove"),
        ("[model]\ncontext = 3", r"\[model\] context = 3, but .* has 2;"),
        ("[model]\nstride = 1", r"\[model\] stride = 1, but .* has 2;"),
        ("[features]\nbands = 20", r"\[features\] inputs per frame = 21, but .* has 13;"),
    ],
)
def test_another_size_is_refused(place, text, message):
    with pytest.raises(InputError, match=message) as error:
        prepared(place, text)
    assert "\n" not in str(error.value)
    assert not (place / "run").exists()


@pytest.mark.parametrize("name", ["nothing.safetensors", "train.jsonl", "train"])
def test_a_model_that_cannot_be_read_is_named(place, name):
    with pytest.raises(InputError, match=rf"{name}.*; "):
        prepared(place, init=name)


def test_the_shipped_model_is_named_shipped(place):
    run = prepared(place, init="shipped")
    np.testing.assert_array_equal(run.model.flat_params, load_model(SHIPPED_MODEL).model.flat_params)


@pytest.mark.parametrize("layers", [0, 1, 4, 5])
def test_frozen_layers_keep_their_weights(place, layers):
    run = Trainer(settings(place, freeze=layers), place / "run")
    run.run()
    base, velocity = load_model(place / "base.safetensors").model, DeepSpeech(run.model.settings, 0)
    velocity.flat_params[...] = run.velocity
    order = [
        ("W1", "b1"),
        ("W2", "b2"),
        ("W3", "b3"),
        ("W4", "b4", "Wr_f", "Wr_b"),
        ("W5", "b5"),
        ("W6", "b6"),
    ]
    for layer, names in enumerate(order, start=1):
        for name in names:
            frozen = layer <= layers
            assert np.array_equal(run.model.params[name], base.params[name]) == frozen, name
            assert velocity.params[name].any() != frozen, name


@pytest.mark.parametrize(
    ("backend", "layers"),
    [("reference", 2), ("reference", 5), ("cpu", 2), pytest.param("cuda", 2, marks=pytest.mark.slow)],
)
def test_the_gradient_of_frozen_layers_is_not_clipped_with_the_others(backend, layers):
    model, b, keys = network(backend, "float32"), batch(), hash_key(0, np.arange(3))
    arrays = model.ops.arrays
    model.loss_and_grad(b.frames, b.lengths, b.labels, b.label_lengths, keys)
    free = [name for name in model.grads if not name.startswith("Wr") and int(name[1]) > layers]
    free += ["Wr_f", "Wr_b"] if layers < 4 else []
    squares = sum(np.sum(arrays.to_host(model.grads[name]) ** 2) for name in free)
    before = {name: np.array(arrays.to_host(value)) for name, value in model.params.items()}
    velocity = arrays.from_host(np.zeros(model.flat_params.shape, np.float32))
    frozen = initial.frozen_parameters(model.settings, layers)
    _, norm = step(model, velocity, b, keys, 0.1, 0.9, 1e9, frozen=frozen)
    assert norm == pytest.approx(np.sqrt(squares) / 3, rel=FLOAT32_NETWORK)
    for name, value in model.params.items():
        assert np.array_equal(arrays.to_host(value), before[name]) == (name not in free), name


def test_a_resumed_run_does_not_need_the_model_any_more(place):
    Trainer(settings(place, epochs=2, freeze=1), place / "whole").run()
    Trainer(settings(place, epochs=1, freeze=1), place / "run").run()
    (place / "base.safetensors").rename(place / "moved.safetensors")
    Trainer(settings(place, epochs=2, freeze=1), place / "run").run()
    whole, resumed = (load_model(place / run / "last.safetensors") for run in ("whole", "run"))
    np.testing.assert_array_equal(resumed.model.flat_params, whole.model.flat_params)
    np.testing.assert_array_equal(resumed.extra_tensors["velocity"], whole.extra_tensors["velocity"])
    with pytest.raises(InputError, match=r"started with \[train\] init = 'base.safetensors', but .* 'moved"):
        prepared(place, init="moved.safetensors")


def test_the_shipped_model_learns_hangul(tmp_path):
    """New letters are learned on top of layers that have learned English."""
    texts = ["가", "나", "가나", "나 가"]
    pitches = dict(zip("가나 ", (500, 1500, 0), strict=True))
    lines, rng = [], np.random.default_rng(0)
    at = np.arange(4000) / 16000
    for i, text in enumerate(texts):
        sound = np.concatenate([0.3 * np.sin(2 * np.pi * pitches[c] * at) for c in text])
        save_audio(tmp_path / f"{i}.wav", sound + 0.01 * rng.standard_normal(len(sound)), 16000)
        lines.append(json.dumps({"path": f"{i}.wav", "text": text}) + "\n")
    for name in ("train", "dev"):
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))
    jamo = sorted(set(unicodedata.normalize("NFD", "".join(texts))))
    assert len(jamo) == 4
    run = Trainer(
        settings(tmp_path, f"alphabet = {json.dumps(jamo)}", init="shipped", epochs=9, batch_size=2),
        tmp_path / "run",
    )
    run.run()
    assert run.saved.alphabet.symbols == tuple(jamo)
    losses = [row["loss"] for row in run.state.rows]
    assert losses[-1] < 0.7 * losses[0]

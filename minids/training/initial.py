"""Fine-tuning: training that starts from the weights of a model, `[train] init`, instead of random ones.

    features, alphabet, size     the model's, unless the settings file says otherwise
    W1 b1 … W5 b5, Wr_f, Wr_b    the model's
    W6, b6                       the model's rows for the blank and for symbols that both alphabets have;
                                 the other rows are drawn as in a new network

The velocity starts from 0, as in every new run.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from minids._utils.errors import InputError
from minids.model import DeepSpeech, ModelSettings
from minids.training.settings import Settings
from minids.weights import load_model

LEARNING_RATE = 0.0001  # the default; three times as much makes trained weights forget


def with_initial(settings: Settings, checkpoint: Path) -> Settings:
    """The settings with the features, alphabet and sizes of the model `init`, and LEARNING_RATE, where the
    file leaves them open; unchanged without `init`. A run with a `checkpoint` finds all of these there.

    The features have the model's mean and deviation, unless the file changes them. Raises InputError for a
    size that is not the model's, and for a model that cannot be read.
    """
    if not settings.train.init:
        return settings
    path = checkpoint if checkpoint.exists() else settings.init_path()
    saved = load_model(path)
    network, features = saved.model.settings, saved.features

    def complete(section: str, **values: Any) -> Any:
        left_open = {key: values[key] for key in values if f"{section}.{key}" not in settings.given}
        return replace(getattr(settings, section), **left_open)

    completed = replace(
        settings,
        data=complete("data", alphabet=saved.alphabet.definition),
        features=complete("features", **features.to_dict()),
        model=complete("model", hidden=network.hidden, context=network.context, stride=network.stride),
        train=complete("train", learning_rate=LEARNING_RATE),
    )
    if completed.features.to_dict() == features.to_dict():
        completed = replace(completed, features=replace(features))
    for name, size in asdict(completed.model_settings).items():
        if name not in ("characters", "dropout") and size != getattr(network, name):
            section, unit = ("features", "inputs per frame") if name == "inputs" else ("model", name)
            raise InputError(
                f"{settings.source}: [{section}] {unit} = {size}, but {path} has {getattr(network, name)};"
                " remove that setting, or train without init"
            )
    return completed


def copy_weights(model: DeepSpeech, settings: Settings, log: Callable[[str], None]) -> None:
    """Set the weights of a new `model` to those of `init`; rows of new symbols stay as they were drawn."""
    path = settings.init_path()
    saved = load_model(path)
    old_rows = {symbol: k for k, symbol in enumerate(("", *saved.alphabet.symbols))}  # "": the blank
    symbols = ("", *settings.alphabet.symbols)
    kept = [k for k, symbol in enumerate(symbols) if symbol in old_rows]
    params = dict(saved.model.params)
    for name in ("W6", "b6"):
        new = np.array(model.ops.arrays.to_host(model.params[name]))  # (K, H), (K,)
        new[kept] = params[name][[old_rows[symbols[k]] for k in kept]]
        params[name] = new
    model.load_params(params)
    log(f"starting from {path}")
    if settings.features.to_dict() != saved.features.to_dict():
        log("[features] differ from the model's: its first layer has to learn them again")
    if drawn := [symbol for symbol in symbols if symbol not in old_rows]:
        log(
            f"{len(kept) - 1} of {len(symbols) - 1} symbols keep their output weights;"
            f" new: {' '.join(drawn[:20])}{' …' if len(drawn) > 20 else ''}"
        )


def frozen_parameters(settings: ModelSettings, layers: int) -> int:
    """The number of parameters of the lowest `layers` layers; they come first in the flat buffers."""
    shapes = settings.shapes()
    names = list(shapes)
    return sum(math.prod(shapes[name]) for name in names[: names.index(f"W{layers + 1}")])

"""A model in a file: safetensors with the weights, and in its header the alphabet, the features and the
settings.

Loading one never runs code.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minids.errors import InputError, reason
from minids.features import Features
from minids.files import atomic_write, open_file
from minids.model import DeepSpeech, ModelSettings
from minids.text import Alphabet

FORMAT = "minids-1"
SHIPPED = Path(__file__).parent / "models" / "an4.safetensors"


@dataclass
class Saved:
    """What a weights file holds.

    `state` are other arrays (a checkpoint's velocity), `notes` other JSON (its counters).
    """

    model: DeepSpeech
    features: Features
    alphabet: Alphabet
    state: dict[str, np.ndarray]
    notes: dict[str, Any]


def save_weights(path: str | Path, saved: Saved) -> None:
    """Write the file whole or not at all.

    Raises InputError naming it when there is no room, no folder, no permission.
    """
    from safetensors.numpy import save

    model, features = saved.model, saved.features
    to_host = model.ops.arrays.to_host
    tensors = {name: to_host(value) for name, value in model.params.items()} | saved.state
    for name in ("mean", "std"):
        if getattr(features, name) is not None:
            tensors[f"features.{name}"] = getattr(features, name)
    header = {
        "format": FORMAT,
        "model": asdict(model.settings),
        "features": features.as_dict(),
        "alphabet": list(saved.alphabet.symbols),
        "notes": saved.notes,
    }
    data = save(tensors, {name: json.dumps(value) for name, value in header.items()})
    with atomic_write(path) as file:
        file.write(data)


def load_weights(path: str | Path, backend: str = "cpu") -> Saved:
    """Read what `save_weights` wrote.

    Raises InputError naming the file when it is missing, truncated or foreign.
    """
    from safetensors import SafetensorError, safe_open

    try:
        open_file(path).close()  # safe_open has no words for a folder or a pipe
        with safe_open(path, framework="numpy") as file:
            header = {name: json.loads(value) for name, value in (file.metadata() or {}).items()}
            if header.get("format") != FORMAT:
                raise InputError(f"{path} is not a minids model; give a file that `minids train` wrote")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        settings = ModelSettings(**header["model"])
        alphabet = Alphabet(header["alphabet"])
        features = Features.from_dict(header["features"])
        if settings.inputs != features.size or settings.characters != len(alphabet):
            raise ValueError("its network, features and alphabet do not fit one another")
        for name in ("mean", "std"):
            value = tensors.pop(f"features.{name}", None)
            if value is not None and value.shape != (features.size,):
                raise ValueError(f"features.{name} has the shape {value.shape}, expected {(features.size,)}")
            setattr(features, name, value)
        if features.normalise == "corpus" and features.mean is None:
            raise ValueError("the features' mean is missing")
        params = {}
        for name, shape in settings.shapes().items():
            params[name] = tensors.pop(name)
            if params[name].shape != shape or params[name].dtype != np.float32:
                raise ValueError(
                    f"{name} is {params[name].dtype} {params[name].shape}, expected float32 {shape}"
                )
            if not np.isfinite(params[name]).all():
                raise ValueError(f"{name} holds a number that is not finite")
        model = DeepSpeech(settings, backend=backend)
        for name, value in params.items():
            model.params[name][...] = model.ops.arrays.from_host(value)
        return Saved(model, features, alphabet, tensors, header["notes"])
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give a model that `minids train` wrote") from None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, MemoryError) as error:
        raise InputError(
            f"{path} cannot be read as a model: {reason(error)}; copy it again or train anew"
        ) from error

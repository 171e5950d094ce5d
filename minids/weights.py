"""Model files: weights as safetensors, with the alphabet, features and settings in the header.

Loading a file never runs code from it.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minids import ops
from minids._utils.checksum import array_checksum
from minids._utils.errors import LOAD_ERRORS, InputError, reason
from minids._utils.files import atomic_write, open_file
from minids._utils.strict_json import to_json
from minids.features import Features
from minids.model import DeepSpeech, ModelSettings
from minids.ops import Backend
from minids.text import Alphabet

FORMAT = "minids"
VERSION = 1  # of the header; raise it when an older minids would misunderstand the file
SHIPPED_MODEL = Path(__file__).parent / "models" / "an4.safetensors"


class _NewerFormat(InputError):
    """A file whose header this version would misunderstand."""


@dataclass
class SavedModel:
    """The content of a model file.

    A checkpoint also has `extra_tensors` (the velocity); `notes` is other JSON (its settings and metrics).
    """

    model: DeepSpeech
    features: Features
    alphabet: Alphabet
    extra_tensors: dict[str, np.ndarray]
    notes: dict[str, Any]


def save_model(path: str | Path, saved: SavedModel) -> None:
    """Write a model file atomically.

    Raises InputError when the file cannot be written: no space, no folder, no permission.
    """
    from safetensors.numpy import save

    model, features = saved.model, saved.features
    to_host = model.ops.arrays.to_host
    tensors = {name: to_host(value) for name, value in model.params.items()} | saved.extra_tensors
    for name in ("mean", "std"):
        if getattr(features, name) is not None:
            tensors[f"features.{name}"] = getattr(features, name)
    header: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "model": asdict(model.settings),
        "features": features.to_dict(),
        "alphabet": list(saved.alphabet.symbols),
        "notes": saved.notes,
    }
    header["checksum"] = array_checksum(header, tensors)
    # One entry, because safetensors does not keep the order of several.
    data = save(tensors, {"minids": to_json(header)})
    with atomic_write(path) as file:
        file.write(data)


def load_model(
    path: str | Path, backend: str | Backend = "cpu", require_checksum: bool = False
) -> SavedModel:
    """Read a file that `save_model` wrote.

    A model that another program wrote may lack the checksum, unless `require_checksum`.

    Raises InputError when the file is missing, damaged or not a minids model.
    """
    from safetensors import SafetensorError, safe_open

    if isinstance(backend, str):
        backend = ops.load(backend)  # outside of `try`: the file may be good
    if os.path.isdir(path):
        best = Path(path) / "best.safetensors"
        remedy = f"give {best}" if best.is_file() else "give the file of a model"
        raise InputError(f"{path} is a folder, not a model; {remedy}")
    try:
        open_file(path).close()  # safe_open has no clear error for a pipe
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get("minids", "{}"))
            if header.get("format") != FORMAT:
                raise ValueError("it was not written by `minids train`")
            if header["version"] > VERSION:
                raise _NewerFormat(f"{path} was written by a newer minids; upgrade minids")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        checksum = header.pop("checksum", None)
        if checksum is None and require_checksum:
            raise ValueError("it has no checksum, so minids did not write it")
        if checksum is not None and checksum != array_checksum(header, tensors):
            raise ValueError("its checksum differs, so its content has changed")
        settings = ModelSettings(**header["model"])
        alphabet = Alphabet(header["alphabet"])
        features = Features.from_dict(header["features"])
        if settings.inputs != features.size or settings.characters != len(alphabet):
            raise ValueError("its network, features and alphabet do not fit together")
        if features.normalize == "corpus":
            features.mean = _pop_tensor(tensors, "features.mean", (features.size,))
            features.std = _pop_tensor(tensors, "features.std", (features.size,))
        params = {name: _pop_tensor(tensors, name, shape) for name, shape in settings.shapes().items()}
        notes = header.get("notes", {})
        if not isinstance(notes, dict):
            raise ValueError("its notes are not an object")
    except _NewerFormat:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give a model from `minids train`") from None
    except (SafetensorError, *LOAD_ERRORS) as error:
        problem = f"{path} cannot be read as a model: {reason(error)}"
        raise InputError(f"{problem}; copy it again, or train again") from error
    model = DeepSpeech(settings, None, backend)  # outside of `try`, as above
    model.load_params(params)
    return SavedModel(model, features, alphabet, tensors, notes)


def copy_with_notes(path: Path, out: Path, saved: SavedModel, **notes: Any) -> None:
    """Write the model file `path`, which was loaded as `saved`, to `out` with more notes.

    Raises InputError when the file no longer holds these weights, because its training has continued.
    """
    current = load_model(path)
    to_host = saved.model.ops.arrays.to_host
    if not np.array_equal(current.model.flat_params, to_host(saved.model.flat_params)):
        raise InputError(f"{path} has changed since it was read; repeat this when its training has finished")
    current.notes |= notes
    save_model(out.resolve(), current)


def _pop_tensor(tensors: dict[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Remove and return a tensor. Raises ValueError when it is missing or malformed."""
    value = tensors.pop(name, None)
    if value is None:
        raise ValueError(f"it has no {name}")
    if value.dtype != np.float32 or value.shape != shape:
        raise ValueError(f"{name} is {value.dtype} {value.shape}, expected float32 {shape}")
    if not np.isfinite(value).all():
        raise ValueError(f"{name} has values that are not finite")
    return value

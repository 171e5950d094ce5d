"""A model in a safetensors file: its weights, and in the header its alphabet, features and settings.

Loading one never runs code.
"""

import json
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minids import ops
from minids._utils.errors import InputError, reason
from minids._utils.files import atomic_write, open_file
from minids.features import Features
from minids.model import DeepSpeech, ModelSettings
from minids.text import Alphabet

FORMAT = "minids-1"
# What a damaged or foreign file can make of our own lines below.
LOAD_ERRORS = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, MemoryError)
SHIPPED_MODEL = Path(__file__).parent / "models" / "an4.safetensors"


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
    header: dict[str, Any] = {
        "format": FORMAT,
        "model": asdict(model.settings),
        "features": features.to_dict(),
        "alphabet": list(saved.alphabet.symbols),
        "notes": saved.notes,
    }
    header["checksum"] = _checksum(header, tensors)
    data = save(
        tensors, {"minids": json.dumps(header)}
    )  # one entry: of several the library shuffles the order
    with atomic_write(path) as file:
        file.write(data)


def load_weights(path: str | Path, backend: str = "cpu") -> Saved:
    """Read what `save_weights` wrote.

    Raises InputError naming the file when it is missing, truncated or foreign.
    """
    from safetensors import SafetensorError, safe_open

    ops.load(backend)  # where there is no GPU, that is not the file's fault
    try:
        open_file(path).close()  # safe_open has no words for a folder or a pipe
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get("minids", "{}"))
            if header.get("format") != FORMAT:
                raise ValueError("`minids train` did not write it")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        checksum = header.pop("checksum", None)
        if checksum is not None and checksum != _checksum(header, tensors):
            raise ValueError("it is not what was written: its checksum differs")
        settings = ModelSettings(**header["model"])
        alphabet = Alphabet(header["alphabet"])
        features = Features.from_dict(header["features"])
        if settings.inputs != features.size or settings.characters != len(alphabet):
            raise ValueError("its network, features and alphabet do not fit one another")
        if features.normalize == "corpus":
            features.mean = _take(tensors, "features.mean", (features.size,))
            features.std = _take(tensors, "features.std", (features.size,))
        params = {name: _take(tensors, name, shape) for name, shape in settings.shapes().items()}
        model = DeepSpeech(settings, None, backend)
        model.fill(params)
        return Saved(model, features, alphabet, tensors, header["notes"])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; give a model that `minids train` wrote") from None
    except (SafetensorError, *LOAD_ERRORS) as error:
        raise InputError(
            f"{path} cannot be read as a model: {reason(error)}; copy it again or train anew"
        ) from error


def _take(tensors: dict[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Out of a file's tensors the one of this name. Raises ValueError when it cannot be."""
    value = tensors.pop(name, None)
    if value is None:
        raise ValueError(f"it has no {name}")
    if value.dtype != np.float32 or value.shape != shape:
        raise ValueError(f"{name} is {value.dtype} {value.shape}, expected float32 {shape}")
    if not np.isfinite(value).all():
        raise ValueError(f"{name} holds a number that is not finite")
    return value


def _checksum(header: dict[str, Any], tensors: dict[str, np.ndarray]) -> int:
    """CRC-32 of all of a file: a disk or a copy that turned a bit is noticed, not learned from."""
    checksum = zlib.crc32(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        value = np.ascontiguousarray(tensors[name])
        checksum = zlib.crc32(f"{name} {value.dtype} {value.shape}".encode(), checksum)
        checksum = zlib.crc32(value.data, checksum)
    return checksum

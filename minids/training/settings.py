"""The settings of a run: a TOML file, checked key by key; `examples/an4.toml` explains each."""

import difflib
import os
import re
import tomllib
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from minids._utils.errors import InputError, reason
from minids._utils.files import open_file
from minids.features import Features
from minids.text import ENGLISH, Alphabet

LARGEST = 100_000  # bytes of a settings file
GEMMS = "fp32", "tf32", "cublas"  # who multiplies on a GPU
KINDS: dict[str, tuple[Any, str]] = {
    "int": (int, "a whole number"),
    "float": (float, "a number"),
    "str": (str, "text in quotes"),
    "list": (list, "a list of texts in quotes"),
}


def setting(default: Any, **limits: float) -> Any:
    """A dataclass field and the range of its values: `least`, `most`, `above`."""
    return field(default=default, metadata=limits)


@dataclass(frozen=True)
class Data:
    """[data]: manifests, relative to the settings file; `$NAME` stands for an environment variable."""

    train: str = field(default=MISSING)  # type: ignore[assignment]
    dev: str = field(default=MISSING)  # type: ignore[assignment]
    alphabet: str = ENGLISH
    cache: str = ""


@dataclass(frozen=True)
class Network:
    """[model]: see minids.model.ModelSettings."""

    hidden: int = setting(512, least=1, most=65536)
    context: int = setting(9, least=0, most=1000)
    stride: int = setting(2, least=1, most=16)
    dropout: float = setting(0.1, least=0, most=0.95)


@dataclass(frozen=True)
class Training:
    """[train]: the loop, see minids.training.trainer."""

    epochs: int = setting(60, least=1, most=10**6)
    batch_size: int = setting(8, least=1, most=10**6)
    learning_rate: float = setting(0.0003, above=0, most=1000)
    lr_decay: float = setting(1.03, least=1, most=10)
    momentum: float = setting(0.99, least=0, most=0.9999)
    momentum_ramp: int = setting(5, least=0, most=10**6)
    grad_clip_norm: float = setting(50.0, above=0, most=1e30)
    max_shift_ms: float = setting(10.0, least=0, most=1000)
    max_speed_change: float = setting(0.1, least=0, most=0.5)
    max_tilt_db: float = setting(0.0, least=0, most=20)
    checkpoint_minutes: float = setting(5.0, least=0)
    seed: int = setting(0, least=0, most=2**32 - 1)
    gemm: str = "fp32"

    def __post_init__(self) -> None:
        if self.gemm not in GEMMS:
            raise InputError(f"gemm = {self.gemm!r} must be one of {', '.join(GEMMS)}")


@dataclass(frozen=True)
class NoiseSettings:
    """[noise]: the noise that training recordings are heard in, see minids.data.noise."""

    recordings: list[str] = field(default_factory=list)
    like: list[str] = field(default_factory=list)
    layers: int = setting(3, least=1, most=100)
    noise_prob: float = setting(0.8, least=0, most=1)
    min_snr_db: float = setting(0.0, least=-50, most=100)
    max_snr_db: float = setting(20.0, least=-50, most=100)

    def __post_init__(self) -> None:
        if self.min_snr_db > self.max_snr_db:
            raise InputError(
                f"min_snr_db = {self.min_snr_db} is above max_snr_db = {self.max_snr_db}; swap them"
            )
        if self.like and not self.recordings:
            raise InputError("like tells which recordings are rejected, and there are none; add recordings")


@dataclass(frozen=True)
class Settings:
    """All of a run's settings, and the file they came from."""

    data: Data
    features: Features
    model: Network
    noise: NoiseSettings
    train: Training
    source: Path

    @property
    def alphabet(self) -> Alphabet:
        return Alphabet(self.data.alphabet)

    def path(self, name: str) -> Path:
        """The path of data.train, data.dev or data.cache, from the folder of the settings file."""
        return self._path(f"[data] {name}", getattr(self.data, name))

    def recordings(self, name: str) -> list[Path]:
        """The paths of noise.recordings or noise.like, from the folder of the settings file."""
        return [self._path(f"[noise] {name}", value) for value in getattr(self.noise, name)]

    def _path(self, where: str, value: str) -> Path:
        expanded = os.path.expanduser(os.path.expandvars(value))
        if unset := re.search(r"\$\{?(\w+)", expanded):
            raise InputError(
                f"{self.source}: {where} = {value!r}: the environment variable {unset[1]} is not set;"
                f" export {unset[1]}=FOLDER, or write the path itself"
            )
        return self.source.parent / expanded

    def to_dict(self) -> dict[str, Any]:
        return {
            **{"data": asdict(self.data), "features": self.features.to_dict()},
            **{"model": asdict(self.model), "noise": asdict(self.noise), "train": asdict(self.train)},
        }


def read_settings(path: str | Path) -> Settings:
    """Settings from a TOML file.

    Raises InputError naming file, section and key: unknown, missing, of a wrong type, out of range.
    """
    path = Path(path)
    try:
        with open_file(path) as file:
            content = file.read(LARGEST)
        if len(content) == LARGEST:
            raise ValueError(f"it is longer than {LARGEST:,} bytes")
        table = tomllib.loads(content.decode())
    except OSError as error:
        raise InputError(f"cannot read the settings {path}: {reason(error)}; check the path") from error
    except (ValueError, RecursionError) as error:  # ValueError: also a number of 5000 digits
        raise InputError(f"{path} is not TOML: {reason(error)}; see examples/an4.toml") from error
    sections: dict[str, type] = {"data": Data, "features": Features, "model": Network}
    sections |= {"noise": NoiseSettings, "train": Training}
    _known(path, "the settings", table, sections)
    made = {name: _section(path, name, kind, table.get(name, {})) for name, kind in sections.items()}
    settings = Settings(**made, source=path)
    try:
        _ = settings.alphabet
    except ValueError as error:
        raise InputError(f"{path}: [data] alphabet: {reason(error)}; name each character once") from error
    return settings


def _section(path: Path, name: str, kind: type, table: Any) -> Any:
    if not isinstance(table, dict):
        raise InputError(f"{path}: {name} is a section; write [{name}] on a line of its own")
    known = {f.name: f for f in fields(kind) if f.name not in ("mean", "std")}
    _known(path, f"[{name}]", table, known)
    values = {key: _value(f"{path}: [{name}] {key}", known[key], value) for key, value in table.items()}
    needed = [f.name for f in known.values() if f.default is f.default_factory is MISSING]
    missing = [name for name in needed if name not in values]
    if missing:
        raise InputError(f'{path}: [{name}] lacks {missing[0]}; add {missing[0]} = "…"')
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(f"{path}: [{name}] {error}") from None


def _known(path: Path, where: str, table: dict, names: Any) -> None:
    for key in table:
        if key not in names:
            near = difflib.get_close_matches(key, names, n=1)
            advice = f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
            raise InputError(f"{path}: {where} has no {key!r}; {advice}")


def _value(where: str, known: Any, value: Any) -> Any:
    kind, words = KINDS[getattr(known.type, "__name__", known.type)]
    if kind is float and type(value) is int:
        value = float(value) if abs(value) < 2**53 else value
    if type(value) is not kind or (kind is list and not all(type(item) is str for item in value)):
        raise InputError(f"{where} = {value!r} must be {words}")
    limits = known.metadata
    if "above" in limits and not value > limits["above"]:
        raise InputError(f"{where} = {value!r} must be above {limits['above']}")
    if "least" in limits and not value >= limits["least"]:
        raise InputError(f"{where} = {value!r} must be at least {limits['least']}")
    if "most" in limits and not value <= limits["most"]:
        raise InputError(f"{where} = {value!r} must be at most {limits['most']}")
    return value

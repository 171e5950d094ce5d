"""The settings of a run: a TOML file, checked key by key. examples/an4.toml documents all of them."""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable
from dataclasses import MISSING, Field, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from minids._utils.errors import InputError, reason
from minids._utils.files import open_file
from minids.data.augment import CODECS
from minids.features import Features
from minids.model import ModelSettings
from minids.text import ENGLISH, Alphabet
from minids.weights import SHIPPED_MODEL

MAX_FILE_BYTES = 100_000
GEMMS = "fp32", "tf32", "3xtf32"  # implementations of the matrix product on a GPU
VALUE_TYPES: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((float,), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "text in quotes"),
    "list": ((list,), "a list of texts in quotes"),
    "str | list[str]": ((str, list), "text in quotes, or a list of texts"),
}


def setting(default: Any, **limits: Any) -> Any:
    """A dataclass field with limits of its value: `minimum`, `maximum`, `above` or `choices`."""
    return field(default=default, metadata=limits)


@dataclass(frozen=True)
class DataSettings:
    """[data]: manifests, relative to the settings file; `$NAME` is an environment variable."""

    train: str = field(default=MISSING)  # type: ignore[assignment]
    dev: str = field(default=MISSING)  # type: ignore[assignment]
    alphabet: str | list[str] = ENGLISH
    cache: str = ""
    max_seconds: float = setting(120.0, above=0, maximum=14400)


@dataclass(frozen=True)
class ModelSection:
    """[model]: see minids.model.ModelSettings."""

    hidden: int = setting(512, minimum=1, maximum=65536)
    context: int = setting(9, minimum=0, maximum=1000)
    stride: int = setting(2, minimum=1, maximum=16)
    dropout: float = setting(0.1, minimum=0, maximum=0.95)


@dataclass(frozen=True)
class NoiseSettings:
    """[noise]: noise that is added to training recordings, see minids.data.noise."""

    recordings: list[str] = field(default_factory=list)
    reference_recordings: list[str] = field(default_factory=list)
    tracks: int = setting(3, minimum=1, maximum=100)
    noise_prob: float = setting(0.8, minimum=0, maximum=1)
    colored_prob: float = setting(0.0, minimum=0, maximum=1)
    min_snr_db: float = setting(0.0, minimum=-50, maximum=100)
    max_snr_db: float = setting(20.0, minimum=-50, maximum=100)

    def __post_init__(self) -> None:
        if self.min_snr_db > self.max_snr_db:
            raise InputError(
                f"min_snr_db = {self.min_snr_db} is above max_snr_db = {self.max_snr_db}; swap them"
            )
        if self.reference_recordings and not self.recordings:
            raise InputError("reference_recordings without recordings; add recordings")


@dataclass(frozen=True)
class AugmentSettings:
    """[augment]: how training recordings change from epoch to epoch, see minids.data.augment."""

    max_shift_ms: float = setting(10.0, minimum=0, maximum=1000)
    max_speed_change: float = setting(0.1, minimum=0, maximum=0.5)
    max_tilt_db: float = setting(0.0, minimum=0, maximum=20)
    max_gain_db: float = setting(0.0, minimum=0, maximum=60)
    band_prob: float = setting(0.0, minimum=0, maximum=1)
    min_band_hz: float = setting(3400.0, above=0, maximum=96_000)
    codec_prob: float = setting(0.0, minimum=0, maximum=1)
    codecs: list[str] = field(default_factory=lambda: list(CODECS), metadata={"choices": tuple(CODECS)})
    reverb_prob: float = setting(0.0, minimum=0, maximum=1)
    max_reverb_ms: float = setting(300.0, above=0, maximum=2000)
    time_masks: int = setting(0, minimum=0, maximum=100)
    max_time_mask_ms: float = setting(100.0, minimum=0, maximum=1000)
    frequency_masks: int = setting(0, minimum=0, maximum=100)
    max_frequency_mask: float = setting(0.15, minimum=0, maximum=1)


@dataclass(frozen=True)
class TrainSettings:
    """[train]: the training loop, see minids.training.trainer."""

    init: str = ""
    freeze: int = setting(0, minimum=0, maximum=5)
    epochs: int = setting(60, minimum=1, maximum=10**6)
    minutes: float = setting(0.0, minimum=0, maximum=10**7)
    patience: int = setting(0, minimum=0, maximum=10**6)
    plateau: int = setting(0, minimum=0, maximum=10**6)
    batch_size: int = setting(8, minimum=1, maximum=10**6)
    batch_seconds: float = setting(0.0, minimum=0, maximum=10**6)
    accumulate: int = setting(1, minimum=1, maximum=10**4)
    learning_rate: float = setting(0.0003, above=0, maximum=1000)
    lr_decay: float = setting(1.03, minimum=1, maximum=10)
    momentum: float = setting(0.99, minimum=0, maximum=0.9999)
    momentum_ramp: int = setting(5, minimum=0, maximum=10**6)
    grad_clip_norm: float = setting(50.0, above=0, maximum=1e30)
    ema: float = setting(0.0, minimum=0, maximum=0.9999)
    checkpoint_minutes: float = setting(5.0, minimum=0)
    seed: int = setting(0, minimum=0, maximum=2**32 - 1)
    select: str = setting("wer", choices=("wer", "cer", "loss"))
    gemm: str = setting("fp32", choices=GEMMS)
    tensorboard: bool = False


SECTIONS: dict[str, type] = {
    "data": DataSettings,
    "features": Features,
    "model": ModelSection,
    "augment": AugmentSettings,
    "noise": NoiseSettings,
    "train": TrainSettings,
}


@dataclass(frozen=True)
class Settings:
    """All settings of a run, the file that they were read from, and which keys it has."""

    data: DataSettings
    features: Features
    model: ModelSection
    augment: AugmentSettings
    noise: NoiseSettings
    train: TrainSettings
    source: Path
    given: frozenset[str] = frozenset()  # the keys in the file, as "section.key"

    @property
    def model_settings(self) -> ModelSettings:
        """[model], with the inputs and outputs that features and alphabet define."""
        m = self.model
        return ModelSettings(self.features.size, len(self.alphabet), m.hidden, m.context, m.stride, m.dropout)

    @property
    def alphabet(self) -> Alphabet:
        return Alphabet(self.data.alphabet)

    def path(self, name: str) -> Path:
        """The path of data.train, data.dev or data.cache, relative to the folder of the settings file."""
        return self._resolve(f"[data] {name}", getattr(self.data, name))

    def init_path(self) -> Path:
        """The path of train.init; "shipped" is the model that comes with minids."""
        name = self.train.init
        return SHIPPED_MODEL if name == "shipped" else self._resolve("[train] init", name)

    def recordings(self, name: str) -> list[Path]:
        """The paths of a list of [noise], relative to the folder of the settings file."""
        return [self._resolve(f"[noise] {name}", value) for value in getattr(self.noise, name)]

    def _resolve(self, location: str, value: str) -> Path:
        expanded = os.path.expanduser(os.path.expandvars(value))
        if unset := re.search(r"\$\{?(\w+)", expanded):
            raise InputError(
                f"{self.source}: {location} = {value!r}: the environment variable {unset[1]} is not set;"
                f" export {unset[1]}=FOLDER, or write the path itself"
            )
        return self.source.parent / expanded

    def to_dict(self) -> dict[str, Any]:
        sections = {name: asdict(getattr(self, name)) for name in SECTIONS if name != "features"}
        return sections | {"features": self.features.to_dict()}


def read_settings(path: str | Path, **options: Any) -> Settings:
    """Settings from a TOML file. `options` replace those of [train], unless they are None.

    Raises InputError naming file, section and key: unknown, missing, of a wrong type, out of range.
    """
    path = Path(path)
    try:
        with open_file(path) as file:
            content = file.read(MAX_FILE_BYTES)
        if len(content) == MAX_FILE_BYTES:
            raise ValueError(f"it is longer than {MAX_FILE_BYTES:,} bytes")
        table = tomllib.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot read the settings {path}: {reason(error)}; check the path") from error
    except (ValueError, RecursionError) as error:  # ValueError: also a number of 5000 digits
        raise InputError(f"{path} is not valid TOML: {reason(error)}; see examples/an4.toml") from error
    _check_keys(path, "the file", table, SECTIONS)
    if chosen := {key: value for key, value in options.items() if value is not None}:
        section = table.setdefault("train", {})
        if isinstance(section, dict):
            section |= chosen
    sections = {name: _read_section(path, name, kind, table.get(name, {})) for name, kind in SECTIONS.items()}
    given = frozenset(f"{name}.{key}" for name, section in table.items() for key in section)
    settings = Settings(**sections, source=path, given=given)
    if settings.train.freeze and not settings.train.init:
        raise InputError(f"{path}: [train] freeze keeps weights at random values; add init, or remove freeze")
    try:
        _ = settings.alphabet
    except ValueError as error:
        raise InputError(f"{path}: [data] alphabet: {reason(error)}; list each character once") from error
    return settings


def _read_section(path: Path, name: str, kind: type, table: Any) -> Any:
    if not isinstance(table, dict):
        raise InputError(f"{path}: {name} is a section; write [{name}] on its own line")
    known = {f.name: f for f in fields(kind) if f.name not in ("mean", "std")}
    _check_keys(path, f"[{name}]", table, known)
    values = {key: _check_value(f"{path}: [{name}] {key}", known[key], value) for key, value in table.items()}
    for f in known.values():
        if f.default is f.default_factory is MISSING and f.name not in values:
            raise InputError(f'{path}: [{name}] {f.name} is missing; add {f.name} = "…"')
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(f"{path}: [{name}] {error}") from None


def _check_keys(path: Path, location: str, table: dict, known: Iterable[str]) -> None:
    for key in table:
        if key not in known:
            similar = difflib.get_close_matches(key, known, n=1)
            advice = f"did you mean {similar[0]}?" if similar else f"known are {', '.join(known)}"
            raise InputError(f"{path}: {key!r} is unknown in {location}; {advice}")


def _check_value(location: str, known: "Field[Any]", value: Any) -> Any:
    types, description = VALUE_TYPES[getattr(known.type, "__name__", str(known.type))]
    if types == (float,) and type(value) is int:
        value = float(value) if abs(value) < 2**53 else value
    items = value if type(value) is list else [value]
    if type(value) not in types or (type(value) is list and not all(type(item) is str for item in value)):
        raise InputError(f"{location} = {value!r} must be {description}")
    limits = known.metadata
    if "above" in limits and not value > limits["above"]:
        raise InputError(f"{location} = {value!r} must be above {limits['above']}")
    if "minimum" in limits and not value >= limits["minimum"]:
        raise InputError(f"{location} = {value!r} must be at least {limits['minimum']}")
    if "maximum" in limits and not value <= limits["maximum"]:
        raise InputError(f"{location} = {value!r} must be at most {limits['maximum']}")
    if "choices" in limits and not set(items) <= set(limits["choices"]):
        raise InputError(f"{location} = {value!r} must be one of {', '.join(limits['choices'])}")
    return value

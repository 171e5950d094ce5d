"""From samples to frames, the input of the network (§2, §5).

    samples ─ normalize_power ─▶ (N,) ─ frames ─▶ (T0, n) ─ window, power spectrum ─▶ (T0, n/2+1)
                                            ─ linear bands ─▶ (T0, F) ─ log ─▶ (T0, F) ─ normalize ─▶ (T0, F)

N samples, n samples in a window (20 ms), T0 whole windows, one every hop (10 ms), F features of a frame.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

from minids._utils.errors import InputError

if TYPE_CHECKING:
    from minids.audio.spectrum import Plan

MIN_STD = 0.05  # a bin that never changes is divided by this; the deviation of speech is 3 to 4
KINDS = ("filterbank", "spectrogram")
NORMALIZATIONS = ("corpus", "speaker", "utterance")

MAX_VALUES: dict[str, tuple] = {  # type and maximum of each setting; all are above 0
    "rate": (int, 192_000),
    "bands": (int, 1000),
    "window_ms": (int | float, 200),
    "hop_ms": (int | float, 1000),
}


def normalize_power(samples: np.ndarray) -> np.ndarray:
    """(x - mean) / sqrt(mean power): no offset, and power 1 at any distance of the microphone (§5.2).

    Silence stays silence; float64 stays float64. Raises InputError for samples that are empty, not of shape
    (N,), or not finite.
    """
    from minids.audio.spectrum import scale_to_power_1

    if samples.ndim != 1 or not len(samples):
        raise InputError(
            f"samples have the shape {samples.shape}, not (N,); give one channel of at least one sample"
        )
    samples = np.ascontiguousarray(samples, np.result_type(samples, np.float32))
    scaled = np.empty_like(samples)  # (N,)
    if not np.isfinite(scale_to_power_1(samples, scaled)):
        raise InputError("samples are not finite (NaN, infinite or too large); check the recording")
    return scaled


def frames(samples: np.ndarray, window: int, hop: int) -> np.ndarray:
    """frames[t] = samples[t hop : t hop + window] for every whole window: (T0, window), a view."""
    return np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]


def hann(window: int) -> np.ndarray:
    """w[i] ~ sin²(πi/n) with Σ w² = 1: white noise of power 1 has power 1 in every bin. (n,) float32."""
    w = np.sin(np.pi * np.arange(window) / window) ** 2
    return (w / np.sqrt(np.sum(w**2))).astype(np.float32)


def power_spectrum(windowed: np.ndarray) -> np.ndarray:
    """|X[p]|², X[p] = Σ_i x[i] exp(-2πj p i/n), the power at p·rate/n Hz: (T, n) -> (T, n/2+1)."""
    spectrum = np.fft.rfft(windowed)  # (T, n/2+1)
    return spectrum.real**2 + spectrum.imag**2


def linear_bands(bands: int, window: int) -> np.ndarray:
    """Filter bank as a matrix (n/2+1, bands + 1): power spectrum @ matrix = power per band, then the energy.

    Band j is a triangle around (j + 1) / (bands + 1) of the Nyquist frequency that falls to 0 at its
    neighbors' centers. All bands are equally wide in Hz (§5.1: "linearly spaced"; mel bands grow wider), and
    between the first and the last center the weights add up to 1. The last column gives the energy of the
    windowed frame: by Parseval's theorem Σ x[i]² = 1/n Σ |X[p]|²; inner bins count twice, for p and n - p.
    """
    bins = np.arange(window // 2 + 1)
    position = bins[:, None] * (bands + 1) / (window / 2)  # (n/2+1, 1), in centers of bands
    triangles = np.maximum(0, 1 - abs(position - np.arange(1, bands + 1)))  # (n/2+1, bands)
    energy = np.where((bins == 0) | (2 * bins == window), 1, 2) / window  # (n/2+1,)
    return np.column_stack([triangles, energy]).astype(np.float32)


class Statistics:
    """Mean and standard deviation of each bin over any number of frames, from running sums."""

    def __init__(self) -> None:
        self.count = 0
        self.sum: np.ndarray | float = 0.0  # (F,) float64
        self.squares: np.ndarray | float = 0.0  # (F,) float64

    def add(self, frames: np.ndarray) -> None:
        """Add frames (T0, F) to the sums."""
        x = frames.astype(np.float64)  # (T0, F)
        self.count += len(x)
        self.sum = self.sum + x.sum(axis=0)
        self.squares = self.squares + (x * x).sum(axis=0)

    def mean_std(self) -> tuple[np.ndarray, np.ndarray]:
        """(mean (F,), standard deviation (F,)) in float32, the deviation at least MIN_STD."""
        mean = np.asarray(self.sum / self.count)
        variance = np.asarray(self.squares / self.count) - mean**2
        std = np.sqrt(np.maximum(variance, MIN_STD**2))
        return mean.astype(np.float32), std.astype(np.float32)


@dataclass
class Features:
    """The feature settings; calling the object turns samples into frames.

    kind: "filterbank" (`bands` linear log filter banks and the log energy) or "spectrogram" (all bins).
    normalize: the source of the mean and the deviation that each bin is normalized by: the training "corpus"
    (§5.2; set by `fit`), the "speaker" (§5.1; an argument of the call) or the "utterance" itself.
    floor_db: this power, relative to the utterance's mean, is added before the logarithm: what is far below
    it is silence, however quiet.
    Raises InputError for invalid settings.
    """

    rate: int = 16_000
    kind: str = "filterbank"
    bands: int = 80
    window_ms: float = 20.0
    hop_ms: float = 10.0
    normalize: str = "corpus"
    floor_db: float = -40.0
    mean: np.ndarray | None = field(default=None, repr=False, compare=False)  # (F,), of the corpus
    std: np.ndarray | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, known in (("kind", KINDS), ("normalize", NORMALIZATIONS)):
            if getattr(self, name) not in known:
                raise InputError(
                    f"{name} = {getattr(self, name)!r} is unknown; use one of {', '.join(known)}"
                )
        for name, (kind, maximum) in MAX_VALUES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, kind) or not 0 < value <= maximum:
                raise InputError(f"{name} = {value!r} is invalid; it must be above 0 and at most {maximum}")
        floor = self.floor_db
        if isinstance(floor, bool) or not isinstance(floor, int | float) or not -100 <= floor <= 0:
            raise InputError(f"floor_db = {floor!r} is invalid; it must be from -100 to 0")
        if self.window < 3 or self.hop < 1:
            raise InputError(
                f"window_ms = {self.window_ms}, hop_ms = {self.hop_ms}: too short at {self.rate} Hz"
            )
        if self.kind == "filterbank" and self.bands > self.window // 2:
            raise InputError(
                f"bands = {self.bands} is too many; a window of {self.window_ms} ms at {self.rate} Hz"
                f" resolves at most {self.window // 2}"
            )

    @property
    def window(self) -> int:
        """n, samples in a window."""
        return round(self.rate * self.window_ms / 1000)

    @property
    def hop(self) -> int:
        """Samples from the start of one window to the start of the next."""
        return round(self.rate * self.hop_ms / 1000)

    @property
    def size(self) -> int:
        """F, features of a frame."""
        return self.bands + 1 if self.kind == "filterbank" else self.window // 2 + 1

    @property
    def floor(self) -> float:
        """`floor_db` as a power."""
        return 10 ** (self.floor_db / 10)

    def length(self, samples: int) -> int:
        """T0, the number of frames of `samples` samples: whole windows, at least one."""
        return 1 + max(0, samples - self.window) // self.hop

    def log_powers(self, samples: np.ndarray) -> np.ndarray:
        """Samples (N,) -> log powers (T0, F) float32, before the normalization of each bin.

        Sound shorter than a window is padded with zeros.
        """
        from minids.audio.spectrum import log_powers

        _keep_freed_memory()
        samples = np.asarray(samples)
        if samples.dtype.kind not in "fiu":
            raise InputError(f"samples have the type {samples.dtype}; give real numbers")
        with np.errstate(over="ignore"):  # normalize_power reports what is too large
            samples = samples.astype(np.float32, copy=False)
        samples = normalize_power(samples)
        if len(samples) < self.window:
            samples = np.pad(samples, (0, self.window - len(samples)))
        return log_powers(samples, self._plan)

    def __call__(
        self, samples: np.ndarray, statistics: tuple[np.ndarray, np.ndarray] | None = None
    ) -> np.ndarray:
        """Samples (N,) -> frames (T0, F) float32: `log_powers` followed by `normalized`."""
        return self.normalized(self.log_powers(samples), statistics)

    def normalized(
        self, x: np.ndarray, statistics: tuple[np.ndarray, np.ndarray] | None = None
    ) -> np.ndarray:
        """Log powers (T0, F) -> (log power - mean) / std, in place.

        `statistics` is the (mean, std) of the speaker; without it, "speaker" uses the utterance's own.
        Before `fit`, "corpus" leaves the log powers unchanged.
        """
        if self.normalize == "corpus":
            statistics = None if self.mean is None or self.std is None else (self.mean, self.std)
        elif self.normalize == "utterance" or statistics is None:
            utterance = Statistics()
            utterance.add(x)
            statistics = utterance.mean_std()
        if statistics is not None:
            if any(np.shape(values) != x.shape[-1:] for values in statistics):
                raise InputError(f"mean and std must have the shape {x.shape[-1:]} of a frame")
            x -= statistics[0]
            x /= statistics[1]
        return x

    def fit(self, log_powers: Iterable[np.ndarray]) -> None:
        """Set `mean` and `std` to those of a training set; `log_powers` are its log powers (T0, F)."""
        corpus = Statistics()
        for x in log_powers:
            corpus.add(x)
        if not corpus.count:
            raise InputError("no recording could be read to compute mean and deviation; check the paths")
        self.mean, self.std = corpus.mean_std()

    def to_dict(self) -> dict:
        """The settings as JSON values, without `mean` and `std`."""
        return {name: value for name, value in asdict(self).items() if name not in ("mean", "std")}

    @classmethod
    def from_dict(cls, settings: dict) -> "Features":
        """The inverse of `to_dict`; without `floor_db`, of a time when it was -70.

        Raises InputError for an unknown setting.
        """
        unknown = set(settings) - set(cls().to_dict())
        if unknown:
            raise InputError(f"unknown feature setting {min(unknown)!r}; remove it")
        return cls(**{"floor_db": -70.0} | settings)

    @cached_property
    def _plan(self) -> "Plan":
        from minids.audio.spectrum import make_plan

        filterbank = self.kind == "filterbank"
        filters = linear_bands(self.bands, self.window) if filterbank else None
        return make_plan(hann(self.window), self.hop, self.floor, filters)


@cache
def _keep_freed_memory() -> None:
    """Make glibc keep freed blocks of up to 16 MB for reuse: it does once it has seen such a block freed.

    Otherwise the arrays of every block are mapped and zeroed again, which can cost more than the arithmetic.
    """
    np.empty(1 << 24, np.uint8)

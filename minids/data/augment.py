"""Augmentation: random changes of a recording in each epoch (§4): shift, speed, spectral tilt, noise."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from minids._utils.errors import InputError
from minids.audio.processing import change_rate, check_number, check_samples
from minids.data.noise import Noise

MAX_AMOUNTS = {"max_shift_ms": 1000, "max_speed_change": 0.5, "max_tilt_db": 20, "noise_prob": 1}
SPEED_STEPS = 100  # the largest denominator of a speed factor, so that filters can be cached


@dataclass(frozen=True)
class Augmentation:
    """How a recording is changed from epoch to epoch.

    A random cut of up to `max_shift_ms` at the start moves the frames. A random factor between
    1 / (1 + `max_speed_change`) and 1 + `max_speed_change` changes speed, pitch and tempo together. The
    spectrum is tilted by up to `max_tilt_db` dB per octave either way (see `spectral_tilt`). Then, with
    probability `noise_prob`, noise is added at a random SNR in the range `snr_db` (§4.1). The volume stays as
    it is, since features do not depend on it.
    """

    max_shift_ms: float = 0.0
    max_speed_change: float = 0.0
    max_tilt_db: float = 0.0
    noise: Noise | None = None
    noise_prob: float = 1.0
    snr_db: tuple[float, float] = (0.0, 20.0)

    def __post_init__(self) -> None:
        for name, maximum in MAX_AMOUNTS.items():
            if not 0 <= check_number(name, getattr(self, name)) <= maximum:
                raise InputError(f"{name} = {getattr(self, name)!r} is not from 0 to {maximum}")
        if len(self.snr_db) != 2:
            raise InputError(f"snr_db = {self.snr_db!r} is not a range")
        low, high = (check_number("snr_db", value) for value in self.snr_db)
        if low > high:
            raise InputError(f"snr_db = {self.snr_db!r}: the lower end comes first")

    def __bool__(self) -> bool:
        return bool(
            self.max_shift_ms or self.max_speed_change or self.max_tilt_db or (self.noise and self.noise_prob)
        )

    def __call__(self, samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        """Samples (N,) at `rate` Hz -> changed samples (N',) float32."""
        factor = (1 + self.max_speed_change) ** rng.uniform(-1, 1)
        samples = samples[int(rng.integers(0, int(self.max_shift_ms * rate / 1000) + 1)) :]
        if self.max_speed_change and len(samples):
            samples = change_rate(samples, Fraction(1 / factor).limit_denominator(SPEED_STEPS))
        if self.max_tilt_db and len(samples):
            samples = spectral_tilt(samples, rate, rng.uniform(-self.max_tilt_db, self.max_tilt_db))
        if self.noise and len(samples) and rng.random() < self.noise_prob:
            samples = self.noise.add_to(samples, rng.uniform(*self.snr_db), rng)
        return samples


def spectral_tilt(samples: np.ndarray, rate: int, db_per_octave: float) -> np.ndarray:
    """Samples (N,) with the spectrum tilted around 1 kHz by `db_per_octave`, at the same power. (N,) float32

    In noise people speak louder and brighter (Lombard effect). The paper recorded speakers with noise in
    their headphones (§4.2); this tilt is our rough substitute. Frequencies below 100 Hz count as 100 Hz.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    check_number("db_per_octave", db_per_octave)
    samples = check_samples(samples)
    if not len(samples):
        return samples
    size = next_fast_len(len(samples), real=True)
    frequency = np.maximum(np.arange(size // 2 + 1) * rate / size, 100.0)
    gain = 10 ** (db_per_octave * np.log2(frequency / 1000) / 20)
    tilted = irfft(rfft(samples, size) * gain.astype(np.float32), size)[: len(samples)]
    power = float(np.var(tilted))
    return (tilted * np.float32(np.sqrt(np.var(samples) / power) if power else 1)).astype(np.float32)

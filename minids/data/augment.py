"""Augmentation: random changes of a recording in each epoch (§4): shift, speed, spectral tilt, noise.

Not in the paper: reverberation, synthetic noise, gain, band limits, codecs, and the masks of SpecAugment
(Park et al. 2019).
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from minids._utils.errors import InputError
from minids.audio.processing import change_rate, check_number, check_samples, mix, resample
from minids.data.noise import Noise

RATIO_STEPS = 100  # the largest denominator of a ratio of rates, so that filters can be cached
COLORS_DB = -9.0, 3.0  # slope of the spectrum per octave: from the rumble of a car to the hiss of water
DIRECT_DB = 0.0, 12.0  # the direct sound above its reverberation: across a room, and near the microphone
CODECS = {  # libsndfile's format, and its compression levels for speech at 16 kHz of the stated bit rates
    "mp3": ("MP3", "MPEG_LAYER_III", 0.0, 0.9),  # 66 to 25 kbit/s
    "vorbis": ("OGG", "VORBIS", 0.3, 1.0),  # 70 to 40 kbit/s
    "opus": ("OGG", "OPUS", 0.84, 0.98),  # 47 to 14 kbit/s
}
CODEC_RATES = 8000, 12_000, 16_000, 24_000, 48_000  # Hz, those of Opus; the others know them, too


@dataclass(frozen=True)
class Augmentation:
    """How a recording is changed from epoch to epoch.

    A random cut of up to `max_shift_ms` at the start moves the frames. A random factor between
    1 / (1 + `max_speed_change`) and 1 + `max_speed_change` changes speed, pitch and tempo together. The
    spectrum is tilted by up to `max_tilt_db` dB per octave either way (see `spectral_tilt`). With probability
    `noise_prob`, noise is added at a random SNR in the range `snr_db` (§4.1).

    Not in the paper: with `reverb_prob`, before the noise, a room with a reverberation time of up to
    `max_reverb_ms` (see `reverberate`). With `colored_prob`, after it, synthetic noise at another SNR in
    `snr_db`, with a slope in COLORS_DB. Then a gain of up to `max_gain_db` either way into 16 bits (features
    depend on what it clips or rounds, not on the volume); with `band_prob`, a lower sampling rate, so that
    nothing remains above a random frequency from `min_band_hz` to the Nyquist frequency; and with
    `codec_prob` one of the `codecs` at a random bit rate (see `compress`). `mask` changes the frames.

    Raises InputError for a codec that the installed libsndfile cannot write.
    """

    max_shift_ms: float = 0.0
    max_speed_change: float = 0.0
    max_tilt_db: float = 0.0
    noise: Noise | None = None
    noise_prob: float = 1.0
    colored_prob: float = 0.0
    snr_db: tuple[float, float] = (0.0, 20.0)
    reverb_prob: float = 0.0
    max_reverb_ms: float = 300.0
    max_gain_db: float = 0.0
    band_prob: float = 0.0
    min_band_hz: float = 3400.0
    codec_prob: float = 0.0
    codecs: Sequence[str] = tuple(CODECS)
    time_masks: int = 0
    max_time_mask_ms: float = 100.0
    frequency_masks: int = 0
    max_frequency_mask: float = 0.15

    def __post_init__(self) -> None:
        import soundfile

        for codec in self.codecs if self.codec_prob else ():
            if not soundfile.check_format(*CODECS[codec][:2]):
                raise InputError(f"this libsndfile cannot write {codec}: pip install --upgrade soundfile")

    def __bool__(self) -> bool:
        """Whether it changes samples."""
        amounts = self.max_shift_ms, self.max_speed_change, self.max_tilt_db, self.max_gain_db
        probabilities = self.colored_prob, self.reverb_prob, self.band_prob, self.codec_prob
        return any((*amounts, *probabilities, self.noise and self.noise_prob))

    def __call__(self, samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        """Samples (N,) at `rate` Hz -> changed samples (N',) float32."""

        def chance(probability: float) -> bool:  # draws nothing for what is off, which then changes nothing
            return probability > 0 and rng.random() < probability

        factor = (1 + self.max_speed_change) ** rng.uniform(-1, 1)
        samples = samples[int(rng.integers(0, int(self.max_shift_ms * rate / 1000) + 1)) :]
        if not len(samples):
            return samples
        if self.max_speed_change:
            samples = change_rate(samples, Fraction(1 / factor).limit_denominator(RATIO_STEPS))
        if self.max_tilt_db:
            samples = spectral_tilt(samples, rate, rng.uniform(-self.max_tilt_db, self.max_tilt_db))
        if chance(self.reverb_prob):
            reverb_ms, direct_db = rng.uniform(0, self.max_reverb_ms), rng.uniform(*DIRECT_DB)
            samples = reverberate(samples, rate, reverb_ms, direct_db, rng)
        if self.noise and chance(self.noise_prob):
            samples = self.noise.add_to(samples, rng.uniform(*self.snr_db), rng)
        if chance(self.colored_prob):
            white = rng.standard_normal(len(samples), np.float32)
            noise = spectral_tilt(white, rate, rng.uniform(*COLORS_DB))
            samples = mix(samples, noise, rng.uniform(*self.snr_db))
        if self.max_gain_db:
            gain = 10 ** (rng.uniform(-self.max_gain_db, self.max_gain_db) / 20)
            samples = np.rint(np.clip(samples * gain, -1, 1) * 32767) / 32767
        if chance(self.band_prob):
            band = rng.uniform(self.min_band_hz, max(self.min_band_hz, rate / 2))
            ratio = Fraction(2 * band / rate).limit_denominator(RATIO_STEPS)
            samples = change_rate(change_rate(samples, ratio), 1 / ratio)[: len(samples)]
        if self.codecs and chance(self.codec_prob):
            codec = self.codecs[int(rng.integers(len(self.codecs)))]
            samples = compress(samples, rate, codec, rng.random())
        return samples

    def mask(self, frames: np.ndarray, hop_ms: float, rng: np.random.Generator) -> None:
        """Set parts of normalized frames (T0, F) to 0, which is the mean: SpecAugment, not in the paper.

        `time_masks` times up to `max_time_mask_ms` of frames, `frequency_masks` times up to the fraction
        `max_frequency_mask` of the F features.
        """
        for masks, width, rows in (
            (self.time_masks, self.max_time_mask_ms / hop_ms, frames),
            (self.frequency_masks, self.max_frequency_mask * frames.shape[1], frames.T),
        ):
            for size in rng.integers(0, min(int(width), len(rows)) + 1, size=masks):
                first = int(rng.integers(0, len(rows) - size + 1))
                rows[first : first + size] = 0


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
    kilohertz = np.maximum(np.arange(size // 2 + 1, dtype=np.float32) * np.float32(rate / size / 1000), 0.1)
    gain = kilohertz ** np.float32(db_per_octave / (20 * np.log10(2)))  # 10^(dB/20), log2 of the frequency
    return _at_power_of(samples, irfft(rfft(samples, size) * gain, size))


def reverberate(
    samples: np.ndarray, rate: int, reverb_ms: float, direct_db: float, rng: np.random.Generator
) -> np.ndarray:
    """Samples (N,) in a synthetic room h[0] = 1, h[t] = g ε_t 10^(-3t/τ), at the same power. (N,) float32

    The direct sound comes first, without delay. Its reverberation is white noise ε that falls by 60 dB in
    τ = `reverb_ms`, with the gain g that leaves its energy `direct_db` below that of the direct sound.
    """
    from scipy.signal import fftconvolve

    M = 1 + int(reverb_ms * rate / 1000)
    h = (rng.standard_normal(M) * 10 ** (-3 * np.arange(M) / M)).astype(np.float32)  # (M,)
    h /= np.sqrt(10 ** (direct_db / 10) * np.sum(h**2))
    h[0] = 1
    return _at_power_of(samples, fftconvolve(samples, h))


def _at_power_of(samples: np.ndarray, changed: np.ndarray) -> np.ndarray:
    """The first N changed samples at the power of the samples (N,), float32."""
    changed = changed[: len(samples)]
    power = float(np.var(changed))
    return (changed * np.float32(np.sqrt(np.var(samples) / power) if power else 1)).astype(np.float32)


def compress(samples: np.ndarray, rate: int, codec: str, compression: float) -> np.ndarray:
    """Samples (N,) after "mp3", "vorbis" or "opus", encoded and decoded in memory. (N,) float32

    `compression` from 0 to 1 goes through the bit rates of `CODECS`. Sound at another than one of the
    CODEC_RATES is resampled to the next and back. libsndfile removes the codec's delay.
    """
    import soundfile

    container, subtype, least, most = CODECS[codec]
    inner = next((known for known in CODEC_RATES if known >= rate), CODEC_RATES[-1])
    scale = max(1.0, float(abs(samples).max(initial=0)))  # encoders clip
    file, level = io.BytesIO(), least + (most - least) * compression
    encoded = resample(samples / scale, rate, inner)
    soundfile.write(file, encoded, inner, subtype, format=container, compression_level=level)
    file.seek(0)
    decoded = resample(soundfile.read(file, dtype="float32")[0], inner, rate)
    return np.resize(decoded, len(samples)) * np.float32(scale)

"""Synthesis by superposition (§4.1): speech in noise that nobody had to record, x̂ = x + ξ_1 + ξ_2 + …

One short recording of noise, mixed into thousands of hours of speech, would be learned by heart and
subtracted. So every ξ is a chain of short clips, drawn anew for each utterance in each epoch, and several are
summed. A clip whose spectrum is not that of noise as it really occurs would teach nothing and is rejected.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from minids._utils.errors import InputError
from minids.audio import audio_info, load_audio, mix
from minids.features import frames, hann, level, power_spectrum

CLIP = 2.0  # seconds
RAMP = 0.05  # seconds in which one clip of a chain fades into the next
BANDS = 24  # of equal width, up to half the rate
QUIET = 1e-6  # 60 dB below the clip's power is as good as nothing in a band
LEAST_SPREAD = 4.0  # dB; clips may differ by that even where the model recordings do not
FARTHEST = 3.0  # spreads; what is farther than that from real noise is rejected
LOUDNESS = 6.0  # dB; the summed chains differ by up to that, either way
MOST_SECONDS = 4 * 3600  # of noise in memory, two bytes a sample; of more, clips are left out evenly


@dataclass(frozen=True)
class Rejected:
    """A clip that does not pass for real noise, and why."""

    path: Path
    start: float  # seconds
    end: float
    reason: str

    def __str__(self) -> str:
        return f"{self.path}, {self.start:.1f} to {self.end:.1f} s: {self.reason}"


class Noise:
    """Clips of noise to be superposed.

    `recordings` are sound files, and folders of them. `like` are recordings of speech or of anything else
    with the noise that is to be expected: clips far from all of these are `rejected`. Without any, the clips
    are compared with one another, and the strangest go.

    Raises InputError for a recording that cannot be read or is silent, and when no clip is left.
    """

    def __init__(
        self, recordings: Sequence[str | Path], rate: int, like: Sequence[str | Path] = (), layers: int = 3
    ):
        self.rate, self.layers = rate, layers
        self.length, self.ramp = round(CLIP * rate), round(RAMP * rate)
        paths = [path for recording in recordings for path in sound_files(recording)]
        there = sum(max(1, int(audio_info(path).duration / CLIP)) for path in paths)
        cut = ((path, i, clip) for path in paths for i, clip in enumerate(self._clips(path)))
        taken = [  # 11 bits, 66 dB
            (path, i, profile(clip, rate), clip.astype(np.float16))
            for path, i, clip in islice(cut, 0, None, max(1, -int(-there * CLIP // MOST_SECONDS)))
        ]
        profiles = np.array([each for _, _, each, _ in taken])  # (M, BANDS) dB
        models = profiles
        if like:
            real = [path for recording in like for path in sound_files(recording)]
            models = np.array([profile(clip, rate) for path in real for clip in self._clips(path)])
        reasons = strange(profiles, models, rate)
        self.rejected = [
            Rejected(path, i * CLIP, (i + 1) * CLIP, reason)
            for (path, i, *_), reason in zip(taken, reasons, strict=True)
            if reason
        ]
        kept = [clip for (*_, clip), reason in zip(taken, reasons, strict=True) if not reason]
        if not kept:
            raise InputError(f"no clip of noise is usable; the first: {self.rejected[0]}; give other noise")
        self.clips = np.array(kept)  # (M, length) float16
        fade = np.sin(np.linspace(0, np.pi / 2, self.ramp, dtype=np.float32))
        self._window = np.concatenate([fade, np.ones(self.length - 2 * self.ramp, np.float32), fade[::-1]])

    def _clips(self, path: Path) -> Iterator[np.ndarray]:
        """A recording at power 1, cut into clips (length,); one that is shorter than a clip is repeated."""
        samples = level(load_audio(path, self.rate)[0])
        if not samples.any():
            raise InputError(f"{path}: the noise is silent; leave it out")
        samples = np.resize(samples, max(len(samples), self.length))
        return (samples[i : i + self.length] for i in range(0, len(samples) - self.length + 1, self.length))

    def track(self, N: int, rng: np.random.Generator) -> np.ndarray:
        """ξ_1 + ξ_2 + …, (N,) float32: of each ξ, clips drawn by `rng` that fade into one another.

        They fade as sine and cosine, which keeps the power of two clips that have nothing in common.
        """
        step = self.length - self.ramp
        count = N // step + 2
        total = np.zeros(count * step + self.ramp, np.float32)
        for _ in range(self.layers):
            gain = np.float32(10 ** (rng.uniform(-LOUDNESS, LOUDNESS) / 20))
            for i, clip in enumerate(rng.integers(len(self.clips), size=count)):
                total[i * step : i * step + self.length] += gain * self._window * self.clips[clip]
        first = int(rng.integers(self.ramp, step))  # not every utterance begins where a clip does
        return total[first : first + N]

    def over(self, speech: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
        """x̂ = x + g (ξ_1 + ξ_2 + …), g such that the signal is `snr_db` above the noise. (N,) float32."""
        return mix(speech, self.track(len(speech), rng), snr_db)


def sound_files(path: str | Path) -> list[Path]:
    """The file itself, or all sound files of a folder and of those in it, by name. InputError for none."""
    import soundfile

    path = Path(path)
    if not path.is_dir():
        return [path]
    endings = {f".{name.lower()}" for name in soundfile.available_formats()} | {".sph"}
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in endings)
    if not found:
        raise InputError(f"{path}: no sound files in this folder; give one that holds some")
    return found


def profile(clip: np.ndarray, rate: int) -> np.ndarray:
    """The clip's average power in each of BANDS frequency bands, in dB of its whole power: (BANDS,).

    How loud it is does not matter, for the SNR is drawn.
    """
    window = round(0.02 * rate)
    power = power_spectrum(frames(clip, window, window) * hann(window)).mean(axis=0)  # (window/2+1,)
    bands = np.array([band.sum() for band in np.array_split(power[1:], BANDS)])
    return 10 * np.log10(bands / max(bands.sum(), 1e-30) + QUIET)


def strange(profiles: np.ndarray, models: np.ndarray, rate: int) -> list[str]:
    """For each profile (M, BANDS), what sets it apart from the model ones (any number, BANDS); "" if nothing.

    d = sqrt(mean over bands of ((profile - median) / spread)²), the median and spread (1.48 × the median
    deviation, which is σ where it is normal) of the models, so that a few strange ones do not move them.
    """
    middle = np.median(models, axis=0)  # (BANDS,)
    spread = np.maximum(LEAST_SPREAD, 1.4826 * np.median(abs(models - middle), axis=0))
    away = (profiles - middle) / spread  # (M, BANDS)
    reasons = []
    for each, distance in zip(away, np.sqrt(np.square(away).mean(axis=1)), strict=True):
        worst = int(abs(each).argmax())
        low, high = worst * rate / 2000 / BANDS, (worst + 1) * rate / 2000 / BANDS
        reasons.append(
            f"{distance:.1f} times as far from real noise as that varies (at most {FARTHEST});"
            f" {abs(each[worst]) * spread[worst]:.0f} dB too {'loud' if each[worst] > 0 else 'quiet'}"
            f" at {low:.1f} to {high:.1f} kHz"
            if distance > FARTHEST
            else ""
        )
    return reasons


def tilted(samples: np.ndarray, rate: int, db_per_octave: float) -> np.ndarray:
    """The spectrum raised above 1 kHz and lowered below by so many dB an octave, at the same power. (N,)

    Who speaks against noise speaks louder and brighter (Lombard). The paper recorded people with noise in
    their headphones (§4.2); this tilt is a rough stand-in, ours. Frequencies below 100 Hz count as 100 Hz.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    size = next_fast_len(len(samples), real=True)
    frequency = np.maximum(np.arange(size // 2 + 1) * rate / size, 100.0)
    gain = 10 ** (db_per_octave * np.log2(frequency / 1000) / 20)
    changed = irfft(rfft(samples, size) * gain.astype(np.float32), size)[: len(samples)]
    power = float(np.var(changed))
    return (changed * np.float32(np.sqrt(np.var(samples) / power) if power else 1)).astype(np.float32)

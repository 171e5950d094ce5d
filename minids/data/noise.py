"""Synthesis by superposition (§4.1): speech in noise without recording it, x̂ = x + ξ_1 + ξ_2 + …

A network trained with one short recording of noise in thousands of hours of speech could memorize and
subtract it. So every ξ is a sequence of short clips, drawn for each utterance in each epoch, and several are
summed. Clips whose spectrum differs from that of real noise are rejected.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from minids._utils.errors import InputError
from minids.audio import SOUND_SUFFIXES, audio_info, load_audio, mix
from minids.audio.processing import check_rate
from minids.features import frames, hann, normalize_power, power_spectrum

CLIP_SECONDS = 2.0
FADE_SECONDS = 0.05  # cross-fade between two clips
BANDS = 24  # of equal width, up to the Nyquist frequency
POWER_FLOOR = 1e-6  # lower limit of a band's share of the power: -60 dB
MIN_SPREAD_DB = 4.0  # clips may differ by this much even where the reference clips do not
MAX_DISTANCE = 3.0  # spreads; clips farther than this from real noise are rejected
MAX_TRACK_GAIN_DB = 6.0  # the gain of each track is random, up to this much either way
MAX_NOISE_SECONDS = 4 * 3600  # in memory, at two bytes a sample; of more noise, clips are left out evenly


class Noise:
    """Clips of noise to add to speech.

    `recordings` are sound files, or folders of sound files. `reference_recordings` (speech or anything else)
    contain the expected noise: clips far from all of them are `rejected`. Without them, clips are compared
    with each other and the outliers are rejected. `tracks` is the number of ξ that are summed.

    Raises InputError for a recording that is silent or cannot be read, and when every clip is rejected.
    """

    def __init__(
        self,
        recordings: Sequence[str | Path],
        rate: int,
        reference_recordings: Sequence[str | Path] = (),
        tracks: int = 3,
    ):
        if isinstance(tracks, bool) or not isinstance(tracks, int) or tracks < 1:
            raise InputError(f"tracks = {tracks!r} is not a number of noise tracks; give at least 1")
        self.rate, self.tracks = check_rate("rate", rate), tracks
        self.length, self.fade = round(CLIP_SECONDS * rate), round(FADE_SECONDS * rate)
        paths = [path for recording in recordings for path in sound_files(recording)]
        count = sum(max(1, int(audio_info(path).duration / CLIP_SECONDS)) for path in paths)
        step = max(1, -int(-count * CLIP_SECONDS // MAX_NOISE_SECONDS))
        candidates = ((path, i, clip) for path in paths for i, clip in enumerate(self._cut(path)))
        selected = [  # 11 bits, 66 dB
            (path, i, band_profile(clip, rate), clip.astype(np.float16))
            for path, i, clip in islice(candidates, 0, None, step)
        ]
        profiles = np.array([profile for _, _, profile, _ in selected])  # (M, BANDS) dB
        references = profiles
        if reference_recordings:
            real = [path for recording in reference_recordings for path in sound_files(recording)]
            references = np.array([band_profile(clip, rate) for path in real for clip in self._cut(path)])
        reasons = rejection_reasons(profiles, references, rate)
        self.rejected = [
            f"{path}, {i * CLIP_SECONDS:.1f} to {(i + 1) * CLIP_SECONDS:.1f} s: {reason}"
            for (path, i, *_), reason in zip(selected, reasons, strict=True)
            if reason
        ]
        accepted = [clip for (*_, clip), reason in zip(selected, reasons, strict=True) if not reason]
        if not accepted:
            raise InputError(f"every clip of noise was rejected (first: {self.rejected[0]}); use other noise")
        self.clips = np.array(accepted)  # (M, length) float16
        ramp = np.sin(np.linspace(0, np.pi / 2, self.fade, dtype=np.float32))
        self._window = np.concatenate([ramp, np.ones(self.length - 2 * self.fade, np.float32), ramp[::-1]])

    def _cut(self, path: Path) -> Iterator[np.ndarray]:
        """A recording at power 1, cut into clips (length,); a recording shorter than a clip is repeated."""
        samples = normalize_power(load_audio(path, self.rate)[0])
        if not samples.any():
            raise InputError(f"{path}: the noise is silent; remove it")
        samples = np.resize(samples, max(len(samples), self.length))
        return (samples[i : i + self.length] for i in range(0, len(samples) - self.length + 1, self.length))

    def sum_tracks(self, N: int, rng: np.random.Generator) -> np.ndarray:
        """ξ_1 + ξ_2 + …, (N,) float32; each ξ is a sequence of random clips with cross-fades.

        Sine and cosine fades keep the power constant where the two clips are uncorrelated.
        """
        step = self.length - self.fade
        max_db = MAX_TRACK_GAIN_DB
        tracks = [
            (rng.uniform(-max_db, max_db), rng.integers(len(self.clips), size=N // step + 2))
            for _ in range(self.tracks)
        ]
        first = int(rng.integers(self.fade, step))  # so that utterances do not all start with a new clip
        total = np.zeros(N, np.float32)
        for gain_db, clips in tracks:
            window = np.float32(10 ** (gain_db / 20)) * self._window
            for i, clip in enumerate(clips):
                start = i * step - first  # of the clip, in total
                part = slice(max(0, -start), max(0, min(self.length, N - start)))
                total[max(0, start) : max(0, start + self.length)] += window[part] * self.clips[clip, part]
        return total

    def add_to(self, speech: np.ndarray, snr_db: float, rng: np.random.Generator) -> np.ndarray:
        """x̂ = x + g (ξ_1 + ξ_2 + …) with the gain g that gives a signal-to-noise ratio of `snr_db`. (N,)"""
        return mix(speech, self.sum_tracks(len(speech), rng), snr_db)


def sound_files(path: str | Path) -> list[Path]:
    """The file itself, or all sound files in a folder and its subfolders, sorted. InputError for none.

    Hidden files are left out, such as ._x.wav, which macOS adds to x.wav and which is not a sound file.
    """
    path = Path(path)
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.rglob("[!.]*") if file.suffix.lower() in SOUND_SUFFIXES)
    if not files:
        raise InputError(f"{path}: no sound files in this folder; name a folder with sound files")
    return files


def band_profile(clip: np.ndarray, rate: int) -> np.ndarray:
    """The clip's mean power in BANDS frequency bands, in dB relative to its total power: (BANDS,).

    It does not depend on the volume of the clip, since the SNR is random.
    """
    window = round(0.02 * rate)
    power = power_spectrum(frames(clip, window, window) * hann(window)).mean(axis=0)  # (window/2+1,)
    bands = np.array([band.sum() for band in np.array_split(power[1:], BANDS)])
    return 10 * np.log10(bands / max(bands.sum(), 1e-30) + POWER_FLOOR)


def rejection_reasons(profiles: np.ndarray, references: np.ndarray, rate: int) -> list[str]:
    """For each profile (M, BANDS) how it differs from the references (any number, BANDS); "" if it does not.

    d = sqrt(mean over bands of ((profile - median) / spread)²), where median and spread (1.48 × the median
    absolute deviation, which is σ for a normal distribution) are those of the references: robust to outliers.
    """
    median = np.median(references, axis=0)  # (BANDS,)
    spread = np.maximum(MIN_SPREAD_DB, 1.4826 * np.median(abs(references - median), axis=0))
    deviations = (profiles - median) / spread  # (M, BANDS)
    reasons = []
    for deviation, distance in zip(deviations, np.sqrt(np.square(deviations).mean(axis=1)), strict=True):
        worst = int(abs(deviation).argmax())
        low, high = worst * rate / 2000 / BANDS, (worst + 1) * rate / 2000 / BANDS
        level_db, sign = abs(deviation[worst]) * spread[worst], "loud" if deviation[worst] > 0 else "quiet"
        band = f"{level_db:.0f} dB too {sign} at {low:.1f} to {high:.1f} kHz"
        reason = f"{distance:.1f} deviations from real noise (at most {MAX_DISTANCE}); {band}"
        reasons.append(reason if distance > MAX_DISTANCE else "")
    return reasons

"""A sound with its waveform, spectrogram and letters under one playhead, as HTML: <minids-player>."""

import io
import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minids.audio import load_audio
from minids.features import Features
from minids.html.page import HERE, render
from minids.plot import visible
from minids.plot.recognition import character_color
from minids.text import BLANK, Alphabet

if TYPE_CHECKING:
    from markupsafe import Markup

ASSETS = (HERE / "player.css", HERE / "player.js")
WAVE_COLUMNS = 400
COLOR_RANGE = 5, 99.8  # percentiles of a spectrogram's values
PROGRESS = "training", "epoch"  # by these, the last version is the best
MAX_COLUMNS = 1200  # of a spectrogram: longer sounds are averaged

Letters = np.ndarray | Sequence[tuple]  # log_probs (T, K), or (text, start s, end s[, probability])
Run = tuple[
    str, float, float, list[int], int
]  # symbol ("": blank), start s, end s, percent of frames, character


def player(
    sound: Path | np.ndarray | None,
    rate: int | None,
    letters: Letters | None,
    alphabet: Alphabet | None,
    versions: Mapping[str, Any] | None,
    by: str,
    title: str,
) -> "Markup":
    """The player of a sound, or of its `versions`. The arguments are those of minids.lesson.listen."""
    items = [("", sound, letters)]
    if versions:
        items = [(name, *_parts(value, sound)) for name, value in versions.items()]
    loaded = [(name, *_load(source, rate), shown) for name, source, shown in items]
    if not all(len(samples) for _, samples, _, _ in loaded):
        raise ValueError("a sound without samples")
    peak = max(1.0, *(abs(samples).max(initial=0) for _, samples, _, _ in loaded))
    spectra = [log_powers(samples, hertz) for _, samples, hertz, _ in loaded]
    low, high = np.percentile(np.concatenate([x.ravel() for x in spectra]), COLOR_RANGE)
    shown: list[dict[str, Any]] = []
    for (name, samples, hertz, letters_), x in zip(loaded, spectra, strict=True):
        source = _wav(samples / peak, hertz)
        seconds = len(samples) / hertz
        found = [] if letters_ is None else runs(letters_, alphabet, seconds)
        shown.append(
            {
                "name": re.sub(r"(?<!\w)-(?=\d)", "−", name),
                "seconds": round(seconds, 4),
                "source": "" if shown and source == shown[0]["source"] else source,  # "": that of the first
                "wave": _wave(samples / peak),
                "columns": WAVE_COLUMNS,
                "spectrogram": png(np.clip((x - low) / max(high - low, 1e-9), 0, 1)),
                "khz": f"{hertz / 2000:g}",
                "runs": json.dumps([run[:4] for run in found], ensure_ascii=False, separators=(",", ":")),
                "letters": None if letters_ is None else _labels(found, seconds),
                "bars": _bars(found, seconds),
                "ticks": _ticks(seconds),
            }
        )
    opens_at = len(shown) - 1 if by in PROGRESS else 0
    return render("player.html", versions=shown, by=by, title=title, opens_at=opens_at)


def _parts(value: Any, sound: Any) -> tuple[Any, Letters | None]:
    """The sound and the letters of a version, which is a sound or a pair of both."""
    source, letters = value if isinstance(value, tuple) else (value, None)
    return (sound if source is None else source), letters


def _load(source: Any, rate: int | None) -> tuple[np.ndarray, int]:
    """The samples of a file or of an array, and their rate."""
    if isinstance(source, (str, Path)):
        return load_audio(source)
    if source is None:
        raise ValueError("no sound: give `sound`, or a sound for every version")
    if rate is None:
        raise ValueError("samples need their `rate` in Hz")
    return np.asarray(source, np.float32), rate


def log_powers(samples: np.ndarray, rate: int) -> np.ndarray:
    """The spectrogram (columns, bins) of samples (N,), which may be silent or shorter than a window."""
    padded = np.pad(samples, (0, max(0, rate // 25 - len(samples))))
    x = Features(rate, kind="spectrogram", floor_db=-70).log_powers(padded)
    size = -(-len(x) // MAX_COLUMNS)
    return x[: len(x) // size * size].reshape(-1, size, x.shape[1]).mean(axis=1)


def png(x: np.ndarray) -> str:
    """Values (columns, bins) from 0 to 1 as the URL of a PNG in the colors of "magma", bin 0 below."""
    from matplotlib import colormaps
    from PIL import Image

    image = Image.fromarray(np.uint8(x.T[::-1] * 63 + 0.5))  # 64 colors, which compress better
    image.putpalette(
        (colormaps["magma"].resampled(64)(np.arange(64))[:, :3] * 255).astype(np.uint8).tobytes()
    )
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return _url(file.getvalue(), "image/png")


def _wav(samples: np.ndarray, rate: int) -> str:
    """Samples as a WAV file of 16 bits, in which every browser can seek (Chromium fails in FLAC)."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="wav", subtype="PCM_16")
    return _url(file.getvalue(), "audio/wav")


def _url(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{b64encode(content).decode()}"


def _wave(samples: np.ndarray) -> str:
    """The path of the largest and smallest sample of each column, in units of 1/128 of the peak."""
    limit = abs(samples).max(initial=0) or 1
    parts = (
        np.array_split(samples, WAVE_COLUMNS) if len(samples) >= WAVE_COLUMNS else [samples] * WAVE_COLUMNS
    )
    tops = [128 - round(124 * float(part.max(initial=0)) / limit) for part in parts]
    bottoms = [129 - round(124 * float(part.min(initial=0)) / limit) for part in parts]
    there = "".join(f"L{i} {y}" for i, y in enumerate(tops))
    back = "".join(f"L{i} {bottoms[i]}" for i in reversed(range(WAVE_COLUMNS)))
    return f"M0 128{there}{back}Z"


def runs(letters: Letters, alphabet: Alphabet | None, seconds: float) -> list[Run]:
    """The most probable symbol of each frame, equal neighbors together; or the texts at their times."""
    if not isinstance(letters, np.ndarray):
        return [
            (visible(text), round(start, 4), round(end, 4), [round(100 * (p[0] if p else 1))], i + 1)
            for i, (text, start, end, *p) in enumerate(letters)
        ]
    if alphabet is None:
        raise ValueError("log_probs need their `alphabet`")
    best, percent = letters.argmax(axis=1), np.rint(100 * np.exp(letters.max(axis=1))).astype(int)
    frame = seconds / len(letters)
    found: list[Run] = []
    for k, group in groupby(range(len(best)), key=lambda t: int(best[t])):
        frames = list(group)
        symbol = "" if k == BLANK else visible(alphabet.symbols[k - 1])
        start, end = round(frames[0] * frame, 4), round((frames[-1] + 1) * frame, 4)
        found.append((symbol, start, end, [int(percent[t]) for t in frames], k))
    return found


def _color(k: int) -> str:
    """The color of a character, as in figures, in the scheme of the page."""
    color = character_color(k)
    return f"var(--c{color[1:]}, {color})"


def _labels(runs: list[Run], seconds: float) -> list[dict[str, Any]]:
    return [
        {"text": symbol, "percent": round(50 * (start + end) / seconds, 2), "color": _color(k)}
        for symbol, start, end, _, k in runs
        if symbol
    ]


def _bars(runs: list[Run], seconds: float) -> list[dict[str, Any]]:
    """A bar for each frame, as high as its probability: one path for each color and for the blank."""
    paths: dict[tuple[str, bool], str] = {}
    for symbol, start, end, percents, k in runs:
        key, width = (_color(k), not symbol), 1000 * (end - start) / seconds / len(percents)
        steps = "".join(f"V{100 - percent}h{width:.4g}" for percent in percents)
        paths[key] = paths.get(key, "") + f"M{1000 * start / seconds:.4g} 100{steps}V100Z"
    return [{"color": color, "blank": blank, "path": path} for (color, blank), path in paths.items()]


def _ticks(seconds: float) -> list[dict[str, Any]]:
    """About five round times, and where they are."""
    step = next(step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 600) if seconds / step <= 6)
    count = int(seconds / step * 0.98) + 1
    return [{"text": f"{i * step:g}", "percent": round(100 * i * step / seconds, 2)} for i in range(count)]

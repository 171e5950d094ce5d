"""Word errors of a model when AN4's test set went through codecs, band limits, other rates, and noise.

    MINIDS_DATA=~/data python -m benchmarks.robustness --json benchmarks/results/robustness.json
    MINIDS_DATA=~/data python -m benchmarks.robustness --model runs/an4/best.safetensors --limit 60

Every condition changes the samples in memory. The noise is not that of training: a running tap, and another
mixture of eight voices. "ratio" divides the word errors by those of the unchanged recordings, and the last
interval is that of the difference of both error rates, in points, by a paired bootstrap. Codecs encode the
recordings' own 16 kHz, at which MP3 removes everything above 7 kHz.
"""

import argparse
import io
import os
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from benchmarks.machine import headline, machine, save
from minids import InputError, Recognizer
from minids.audio import resample
from minids.audio.processing import change_rate
from minids.data.manifest import read_manifest
from minids.data.noise import Noise
from minids.decode.greedy import greedy_text
from minids.metrics import Score, paired_difference, wer
from minids.text import normalize

RATE = 16_000  # Hz
MP3_KBITS, OPUS_KBITS = (160, 8), (256, 6)  # libsndfile's bit rates at the compression levels 0 and 1
Condition = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def coded(container: str, subtype: str, limits: tuple[int, int], kbits: int) -> Condition:
    """A codec at a bit rate between the `limits` of libsndfile's compression levels."""
    import soundfile

    most, least = limits
    level = (most - kbits) / (most - least)

    def change(samples: np.ndarray, _: np.random.Generator) -> np.ndarray:
        file = io.BytesIO()
        mode = "CONSTANT" if container == "MP3" else None  # Opus has the stated rate on average
        soundfile.write(
            file, samples, RATE, subtype, format=container, compression_level=level, bitrate_mode=mode
        )
        file.seek(0)
        return soundfile.read(file, dtype="float32")[0]

    return change


def low_pass(hertz: int) -> Condition:
    """Nothing remains above a frequency."""
    ratio = Fraction(2 * hertz, RATE)
    return lambda samples, _: change_rate(change_rate(samples, ratio), 1 / ratio)


def through(rate: int) -> Condition:
    """A recording at another rate, which the recognizer resamples."""
    return lambda samples, _: resample(resample(samples, RATE, rate), rate, RATE)


def sixteen_bits(gain: float = 1.0, offset: float = 0.0) -> Condition:
    """Another volume, or a constant added to all samples, clipped and rounded to 16 bits."""
    return lambda samples, _: (
        np.rint(np.clip(gain * samples + offset, -1, 1) * 32767).astype(np.float32) / 32767
    )


def conditions(noise: Noise) -> dict[str, Condition]:
    noisy = {
        f"noise, {snr} dB": lambda samples, rng, snr=snr: noise.add_to(samples, snr, rng) for snr in (20, 10)
    }
    return {
        "unchanged": lambda samples, _: samples,
        "MP3, 128 kbit/s": coded("MP3", "MPEG_LAYER_III", MP3_KBITS, 128),
        "MP3, 64 kbit/s": coded("MP3", "MPEG_LAYER_III", MP3_KBITS, 64),
        "Opus, 24 kbit/s": coded("OGG", "OPUS", OPUS_KBITS, 24),
        "low-pass, 6.8 kHz": low_pass(6800),
        "low-pass, 3.8 kHz": low_pass(3800),
        "through 44.1 kHz": through(44_100),
        "through 48 kHz": through(48_000),
        **noisy,
        "offset of 5 %": sixteen_bits(offset=0.05),
        "gain of -20 dB": sixteen_bits(gain=0.1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, nargs="+", help="default: the included model")
    parser.add_argument("--lm", help="default: the language model that the model was tuned with")
    parser.add_argument("--limit", type=int, help="only so many recordings")
    parser.add_argument("--json", metavar="FILE", help="keep the results, with machine and versions")
    options = parser.parse_args()
    if "MINIDS_DATA" not in os.environ or (options.limit is not None and options.limit < 1):
        parser.error("set MINIDS_DATA to the folder with an4 and noise; --limit is at least 1")
    print(headline(machine()), flush=True)
    data = Path(os.environ["MINIDS_DATA"])
    recognizer = Recognizer.load(options.model, lm=options.lm)
    utterances = read_manifest(data / "an4" / "test.jsonl")[: options.limit]
    recordings = [utterance.load_audio(RATE)[0] for utterance in utterances]
    references = [normalize(utterance.text, recognizer.alphabet) for utterance in utterances]
    noise = Noise(
        [data / "noise/audio" / f"{name}.flac" for name in ("running_tap", "babble8_test")], RATE, tracks=1
    )
    rows: list[dict] = []
    clean: dict[str, Score] = {}
    print(f"\n{'':18}  {'WER %':>6} {'95 % interval':>14} {'ratio':>6} {'difference':>14}")
    for name, change in conditions(noise).items():
        changed = [change(x, np.random.default_rng(i)) for i, x in enumerate(recordings)]
        outputs = [recognizer.log_probs(x) for x in changed]
        decoded = {"greedy": [greedy_text(y, recognizer.alphabet) for y in outputs]}
        if recognizer.search:
            best = recognizer.search.decode_batch(outputs, n_best=1)
            decoded["with LM"] = [hypotheses[0].text for hypotheses in best]
        for decoder, texts in decoded.items():
            score = wer(references, texts)
            base = clean.setdefault(decoder, score)
            ratio = score.errors / max(1, base.errors)
            _, low, high = difference = paired_difference(base, score)
            result = {
                "wer": score.rate,
                "interval": score.interval(),
                "ratio": ratio,
                "difference": difference,
            }
            rows.append({"condition": name, "decoder": decoder, **result})
            interval = "{:5.1f} to {:5.1f}".format(*(100 * x for x in score.interval()))
            print(
                f"{name:18}  {100 * score.rate:6.1f} {interval:>14} {ratio:6.2f}"
                f" {100 * low:+5.1f} to {100 * high:+5.1f}  {decoder}",
                flush=True,
            )
    save(options.json, {"recordings": len(utterances), "rows": rows})


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        sys.exit(str(error))

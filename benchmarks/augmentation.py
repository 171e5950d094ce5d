"""CPU time of each augmentation per second of audio, next to that of loading and of the features.

    python -m benchmarks.augmentation $MINIDS_DATA/an4/train.jsonl --noise $MINIDS_DATA/noise

Each row changes every recording (probability 1), in one thread; the table has the median over the recordings.
Training prepares batches in half of the cores, at least two threads (minids._utils.threads.ordered_map).
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from minids.data.augment import CODECS, Augmentation
from minids.data.manifest import read_manifest
from minids.data.noise import Noise
from minids.features import Features

RECORDINGS = 60
CHANGES: dict[str, dict[str, Any]] = {
    "shift and speed": {"max_shift_ms": 10, "max_speed_change": 0.1},
    "spectral tilt": {"max_tilt_db": 3},
    "reverberation": {"reverb_prob": 1},
    "noise, 3 tracks": {"noise_prob": 1},
    "gain": {"max_gain_db": 12},
    "band limit": {"band_prob": 1},
    **{f"codec {name}": {"codec_prob": 1, "codecs": [name]} for name in CODECS},
}
MASKS: dict[str, Any] = {"time_masks": 2, "frequency_masks": 2}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("manifest")
    parser.add_argument("--noise", required=True)
    arguments = parser.parse_args()
    features = Features()
    utterances = read_manifest(arguments.manifest)
    utterances = utterances[:: max(1, len(utterances) // RECORDINGS)]
    noise = Noise([arguments.noise], features.rate)
    rows: dict[str, list[float]] = {}

    def timed(name: str, seconds: float, function: Callable[[], Any]) -> Any:
        start = time.thread_time()
        result = function()
        rows.setdefault(name, []).append((time.thread_time() - start) / seconds)
        return result

    for i, utterance in enumerate([utterances[0], *utterances]):  # the first time may compile
        if i == 1:
            rows.clear()
        samples, rate = timed("load", utterance.duration, lambda: utterance.load_audio(features.rate))  # noqa: B023
        seconds = len(samples) / rate
        frames = timed("features", seconds, lambda: features(samples))  # noqa: B023
        for name, change in CHANGES.items():
            augment = Augmentation(**change, noise=noise if "noise_prob" in change else None)
            timed(name, seconds, lambda: augment(samples, rate, np.random.default_rng(i)))  # noqa: B023
        masks = Augmentation(**MASKS)
        timed("4 masks", seconds, lambda: masks.mask(frames, features.hop_ms, np.random.default_rng(i)))  # noqa: B023
    print(f"{len(utterances)} recordings, {features.rate} Hz\n\n| | ms CPU per s of audio |\n|---|---|")
    for name, values in rows.items():
        print(f"| {name} | {1000 * statistics.median(values):.2f} |")


if __name__ == "__main__":
    main()

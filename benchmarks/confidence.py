"""Are the included model's probabilities right, and does it notice speech that is unlike what it learned?

    MINIDS_DATA=~/data python -m benchmarks.confidence --json benchmarks/results/confidence.json

The calibration was fitted on AN4's development set. Here its test set, 10 other speakers, shows the share of
right words among those with a probability from 0 to 10 %, 10 to 20 % and so on, for both decoders; the
expected calibration error (ECE) is the mean distance of the two over all words, NCE the share of the entropy
of right and wrong that the probabilities remove (0: none, below 0: worse than the mean), AUC the probability
that a right word has a higher score than a wrong one. Then the share of recordings that the model calls
unlike: AN4 itself, with noise, and other speech. "At 1 %" has the lowest threshold that at most 1 % of AN4's
test set exceed.
"""

import argparse
import os
import warnings
from pathlib import Path

import numpy as np

from benchmarks.machine import headline, machine, save
from minids.audio import load_audio, mix
from minids.confidence import letter_doubts
from minids.data.manifest import read_manifest
from minids.metrics import CORRECT, align, wer
from minids.recognizer import Recognizer
from minids.text import normalize

BINS = 10
FALSE_ALARMS = 0.01
Output = tuple[np.ndarray, str]  # log_probs (T, K), reference


def outputs(
    recognizer: Recognizer, manifest: Path, noise: Path | None = None, snr_db: float = 0
) -> list[Output]:
    """The network's output for the recordings of a manifest, with noise from a random place of a file."""
    rng = np.random.default_rng(0)
    rate = recognizer.features.rate
    added = load_audio(noise, rate)[0] if noise else None
    result = []
    for utterance in read_manifest(manifest):
        samples, _ = utterance.load_audio(rate)
        if added is not None:
            start = rng.integers(len(added) - len(samples))
            samples = mix(samples, added[start : start + len(samples)], snr_db)
        result.append((recognizer.log_probs(samples), normalize(utterance.text, recognizer.alphabet)))
    return result


def scores(recognizer: Recognizer, results: list[Output]) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """For every word: its score, its calibrated score, and whether it is right; and the word error rate."""
    rows, texts = [], []
    for log_probs, reference in results:
        _, words, hypotheses = recognizer.words(log_probs)
        calibrated = recognizer.confidence.calibrate(words, hypotheses, log_probs)
        texts.append(" ".join(word.text for word in words))
        edits = [e for e in align(reference, texts[-1]) if e.hypothesis]
        rows += [
            (w.score, c.score, e.op == CORRECT) for w, c, e in zip(words, calibrated, edits, strict=True)
        ]
    raw, calibrated, right = np.array(rows, float).T
    return raw, calibrated, right, wer([reference for _, reference in results], texts).rate


def quality(p: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """ECE, NCE and AUC of probabilities."""
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    gaps = [abs((p - right)[bins == b].sum()) for b in range(BINS)]
    q = np.clip(p, 1e-6, 1 - 1e-6)
    entropy = [-np.mean(right * np.log(x) + (1 - right) * np.log(1 - x)) for x in (q, right.mean())]
    pairs = p[right == 1][:, None] - p[right == 0]
    return {
        "ece": float(sum(gaps) / len(p)),
        "nce": float(1 - entropy[0] / entropy[1]),
        "auc": float(np.mean((pairs > 0) + (pairs == 0) / 2)),
    }


def curve(p: np.ndarray, right: np.ndarray) -> list[dict[str, float]]:
    """For each bin that is not empty: its words, their mean probability, and the share that is right."""
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    return [
        {
            "words": int((bins == b).sum()),
            "probability": p[bins == b].mean(),
            "right": right[bins == b].mean(),
        }
        for b in np.unique(bins)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", metavar="FILE", help="keep the results, with machine and versions")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # FSDD has 8 kHz
    print(headline(machine()), flush=True)
    data = Path(os.environ["MINIDS_DATA"])
    tuned, greedy = Recognizer.load(), Recognizer.load(lm="none")
    test = outputs(tuned, data / "an4" / "test.jsonl")
    results: dict[str, dict] = {"calibration": {}, "unlike": {}}
    for name, recognizer in {"greedy": greedy, "tuned": tuned}.items():
        raw, p, right, _ = scores(recognizer, test)
        rows, after, before = curve(p, right), quality(p, right), quality(raw, right)
        results["calibration"][name] = {"curve": rows, "calibrated": after, "uncalibrated": before}
        print(
            f"\n{name}: {len(p)} words, {right.mean():.1%} right\n{'words':>6}{'probability':>13}{'right':>8}"
        )
        for row in rows:
            print(f"{row['words']:>6}{row['probability']:>13.1%}{row['right']:>8.1%}")
        for state, values in (("calibrated", after), ("uncalibrated", before)):
            print(f"{state:>14}: ECE {values['ece']:.1%}, NCE {values['nce']:.2f}, AUC {values['auc']:.3f}")
    noise = data / "noise" / "audio" / "running_tap.flac"  # no noise of the training
    sets = {"AN4 test": test}
    sets |= {f"AN4, noise {db} dB": outputs(tuned, data / "an4/test.jsonl", noise, db) for db in (20, 10, 0)}
    others = {"LibriSpeech": "libri5/manifest.jsonl", "FSDD, 8 kHz": "fsdd/test.jsonl"}
    sets |= {name: outputs(tuned, data / path) for name, path in others.items()}
    doubts = {n: [letter_doubts(y) for y, _ in rows] for n, rows in sets.items()}
    means = {n: np.array([d.mean() if len(d) else -1 for d in found]) for n, found in doubts.items()}
    strict = float(np.sort(means["AN4 test"])[-1 - int(FALSE_ALARMS * len(test))])
    limit = tuned.confidence.max_doubt
    print(f"\nunlike above a doubt of {limit:.3f}; at most 1 % of AN4's test set above {strict:.3f}")
    print(f"{'':>18}{'recordings':>12}{'WER':>8}{'probability':>13}{'right':>8}{'unlike':>8}{'at 1 %':>8}")
    for name, rows in sets.items():
        _, p, right, rate = scores(tuned, rows)
        row = {
            "recordings": len(rows),
            "wer": rate,
            "probability": float(p.mean()),
            "right": float(right.mean()),
            "unlike": float(np.mean([bool(tuned.confidence.is_unlike([d])) for d in doubts[name]])),
            "at_1_percent": float(np.mean(means[name] > strict)),
        }
        results["unlike"][name] = row
        shares = (
            f"{row['probability']:>13.1%}{row['right']:>8.1%}{row['unlike']:>8.1%}{row['at_1_percent']:>8.1%}"
        )
        print(f"{name:>18}{len(rows):>12}{row['wer']:>8.1%}{shares}")
    save(options.json, results)


if __name__ == "__main__":
    main()

"""Train a language model on your text, and measure its effect on a recognizer.

    python examples/language_model.py books.txt dev.jsonl
    python examples/language_model.py books.txt dev.jsonl --model runs/mine/best.safetensors --out words.arpa

dev.jsonl: recordings with their texts, on which neither model was trained. alpha and beta are chosen on them,
so the last two error rates are optimistic; `minids evaluate test.jsonl --lm words.arpa --alpha A --beta B`
gives unbiased ones. `minids lm train` and `minids tune` do the same as this program and save their results.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

import minids
from minids.data.manifest import read_manifest
from minids.decode.beam_search import Hypothesis
from minids.decode.tune import tune
from minids.lm.text_filter import NormalizedText
from minids.text import normalize


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("text", type=Path, help="one sentence per line; plain or gzip")
    parser.add_argument("dev", type=Path, help="a manifest")
    parser.add_argument("--model", type=Path, help="default: the included AN4 model")
    parser.add_argument("--out", type=Path, default=Path("words.arpa"))
    parser.add_argument("--order", type=int, default=3)
    arguments = parser.parse_args()

    recognizer = minids.Recognizer.load(arguments.model, lm="none")
    alphabet = recognizer.alphabet
    text = NormalizedText(arguments.text, alphabet)  # lower case, no punctuation: as the recognizer writes
    lm = minids.NGram.train(text, order=arguments.order)
    lm.save(arguments.out)
    print(f"{arguments.out}: {lm.size_summary}; {text.skipped} of {text.lines} lines cannot be spelled")

    # The network runs once; each search below works on these log-probabilities.
    skipped, log_probs, references = [], [], []
    for batch in recognizer.log_prob_batches(read_manifest(arguments.dev), skipped):
        log_probs += [np.concatenate(segments) for _, segments in batch]  # each (T, K)
        references += [normalize(utterance.text, alphabet) for utterance, _ in batch]
    for reason in skipped:
        print(f"skipped: {reason}")
    print(f"perplexity of the dev texts: {lm.perplexity(references).perplexity:.1f}")

    # Rescoring re-ranks the n-best list, so it can only choose a text from the list.
    without_lm = minids.BeamSearch(alphabet, beam_width=100)
    n_best = without_lm.decode_batch(log_probs, n_best=20)
    # A search with the language model also finds others. alpha and beta minimize the word error rate.
    tuning = tune(log_probs, references, lm, alphabet, beam_width=100)
    alpha, beta = tuning.alpha, tuning.beta
    rescored = [max(hypotheses, key=lambda h: score(h, lm, alpha, beta)).text for hypotheses in n_best]
    print(f"without    WER {minids.wer(references, [best.text for best, *_ in n_best])}")
    print(f"rescored   WER {minids.wer(references, rescored)}")
    print(f"searched   WER {tuning.wer}    alpha {alpha:g}, beta {beta:g}")


def score(hypothesis: Hypothesis, lm: minids.NGram, alpha: float, beta: float) -> float:
    """Q(c) = log P(c|x) + alpha log P_lm(c) + beta words(c)  (§2.2)."""
    words = hypothesis.text.split()
    return hypothesis.log_prob + alpha * lm.log_prob(words) + beta * len(words)


if __name__ == "__main__":
    try:
        main()
    except minids.InputError as error:
        sys.exit(str(error))

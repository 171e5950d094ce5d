"""A language model of your text, and what it does to what a recognizer hears.

    python examples/language_model.py books.txt dev.jsonl
    python examples/language_model.py books.txt dev.jsonl --model runs/mine/best.safetensors --out words.arpa

dev.jsonl: recordings and their texts; neither model has learned from them. alpha and beta are chosen on them,
so the last two error rates flatter; `minids evaluate test.jsonl --lm words.arpa --alpha A --beta B` does not.
`minids lm train` and `minids tune` do the same as this, and keep what they find.
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
    parser.add_argument("text", type=Path, help="a sentence on each line; plain or gzip")
    parser.add_argument("dev", type=Path, help="a manifest")
    parser.add_argument("--model", type=Path, help="default: the one that ships")
    parser.add_argument("--out", type=Path, default=Path("words.arpa"))
    parser.add_argument("--order", type=int, default=3)
    given = parser.parse_args()

    recognizer = minids.Recognizer.load(given.model, lm="none")
    alphabet = recognizer.alphabet
    spelled = NormalizedText(given.text, alphabet)  # small letters, no punctuation: as the recognizer writes
    lm = minids.NGram.train(spelled, order=given.order)
    lm.save(given.out)
    print(f"{given.out}: {lm.size_summary}; {spelled.skipped} of {spelled.lines} lines cannot be spelled")

    # The network hears everything once; whatever weighs its words works on these log-probabilities.
    skipped, log_probs, references = [], [], []
    for batch in recognizer.infer(read_manifest(given.dev), skipped):
        log_probs += [np.concatenate(pieces) for _, pieces in batch]  # each (T, K)
        references += [normalize(utterance.text, alphabet) for utterance, _ in batch]
    for reason in skipped:
        print(f"skipped: {reason}")
    print(f"the dev texts: {lm.perplexity(references).perplexity:.1f} words to choose from at each word")

    # Rescoring: the recognizer's own n best texts, ordered anew. A model can do no more than is in the list.
    plain = minids.BeamSearch(alphabet, beam_width=100)
    n_best = plain.decode_batch(log_probs, n_best=20)
    # Searching with the model finds texts that no such list has. alpha and beta: by the word error rate.
    tuned = tune(log_probs, references, lm, alphabet, beam_width=100)
    alpha, beta = tuned.alpha, tuned.beta
    rescored = [max(some, key=lambda h: quality(h, lm, alpha, beta)).text for some in n_best]
    print(f"without    WER {minids.wer(references, [best.text for best, *_ in n_best])}")
    print(f"rescored   WER {minids.wer(references, rescored)}")
    print(f"searched   WER {tuned.wer}    alpha {alpha:g}, beta {beta:g}")


def quality(hypothesis: Hypothesis, lm: minids.NGram, alpha: float, beta: float) -> float:
    """Q(c) = log P(c|x) + alpha log P_lm(c) + beta words(c)  (§2.2)."""
    words = hypothesis.text.split()
    return hypothesis.log_prob + alpha * lm.log_prob(words) + beta * len(words)


if __name__ == "__main__":
    try:
        main()
    except minids.InputError as error:
        sys.exit(str(error))

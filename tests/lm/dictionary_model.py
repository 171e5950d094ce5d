"""A language model as a dictionary, read with `split`: what the tests of minids/lm compare with."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from minids.lm.ngram import NGram

DATA = Path(__file__).parent / "data"
LN10 = math.log(10)


class DictionaryModel:
    """A well-formed ARPA file; grams[words] = (log10 probability, log10 back-off weight)."""

    def __init__(self, text: str):
        self.grams = {}
        order = 0
        for line in text.splitlines():
            if line.startswith("\\") and line.endswith("-grams:"):
                order = int(line[1:].split("-")[0])
            elif line and line[0] in "-0123456789" and order:
                number, *rest = line.split()
                words, weight = tuple(rest[:order]), rest[order:]
                self.grams[words] = float(number), float(weight[0]) if weight else 0.0
        self.words = [words[0] for words in self.grams if len(words) == 1]

    def score(self, history: Sequence[str], word: str) -> float:
        """The natural logarithm of p(word | history), however long the history."""
        *history, word = (w if (w,) in self.grams else "<unk>" for w in (*history, word))
        total = 0.0
        while (*history, word) not in self.grams:
            total += self.grams.get(tuple(history), (0.0, 0.0))[1]
            history = history[1:]
        return LN10 * (total + self.grams[*history, word][0])


def random_arpa(rng: np.random.Generator, order: int, words: int, density: float) -> str:
    """A model with random numbers. Its contexts are complete, as required, but some suffixes are missing,
    as in a model that SRILM pruned, and many back-off weights are 0 or missing.
    """
    names = ["<unk>", "<s>", "</s>", *(f"w{i}" for i in range(words))]
    sections = [[(name,) for name in names]]
    for _ in range(order - 1):
        longer = [(*g, name) for g in sections[-1] for name in names if rng.random() < density]
        sections.append([longer[i] for i in rng.permutation(len(longer))])
    lines = ["\\data\\", *(f"ngram {n}={len(s)}" for n, s in enumerate(sections, start=1))]
    for n, section in enumerate(sections, start=1):
        lines += ["", f"\\{n}-grams:"]
        for gram in section:
            weight = ["", "\t0", f"\t{rng.normal():.6f}"][rng.integers(3)] if n < order else ""
            lines.append(f"{-rng.exponential():.6f}\t{' '.join(gram)}{weight}")
    return "\n".join([*lines, "", "\\end\\", ""])


def ngrams(model: NGram) -> dict[tuple[str, ...], tuple[float, float]]:
    """Words -> (log p, log back-off weight), natural logarithms, of a model in memory."""
    names, numbers = [()], {}
    for i in range(1, len(model.word)):
        names.append((*names[model.context[i]], model.words[model.word[i]]))
        numbers[names[i]] = float(model.log_probs[i]), float(model.backoff[i])
    return numbers


def random_lines(seed: int, sentences: int = 200, vocabulary: int = 30) -> list[str]:
    rng = np.random.default_rng(seed)
    words = rng.zipf(1.3, size=(sentences, 12)) % vocabulary
    return [" ".join(f"w{w}" for w in row[: rng.integers(0, 12)]) for row in words]

"""A language model as a dictionary, read by `split`: the truth that the tests of minids/lm compare with."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data"
LN10 = math.log(10)


class SlowModel:
    """grams: words -> (log10 probability, log10 back-off weight), of a well-formed file."""

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
    """A model with random numbers: contexts are there, as they must be, but not all suffixes (as in a pruned
    model of SRILM), and many back-off weights are 0 or missing.
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

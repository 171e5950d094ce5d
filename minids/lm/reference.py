"""A readable n-gram language model with interpolated modified Kneser-Ney smoothing.

Chen & Goodman, "An empirical study of smoothing techniques for language modeling" (1998). How likely is the
word w after the history h, the few words before it? Relative frequencies give probability 0 to all that was
not seen. So every count is *discounted* a little, and the probability that this frees goes to all words, in
proportion to their probability after the shorter history h' (h without its first word):

    p(w | h) = (c(hw) - D(c(hw))) / Σ_v c(hv)  +  γ(h) p(w | h')

minids/lm/count.py and minids/lm/kneser_ney.py do the same, a hundred times faster.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

WordTuple = tuple[str, ...]
BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
DEFAULT_DISCOUNTS = [0.0, 0.5, 1.0, 1.5]


def adjusted_counts(sentences: Iterable[WordTuple], order: int) -> dict[WordTuple, int]:
    """c(g) of every n-gram g of 1 to `order` words.

    An n-gram of the highest order counts as often as it occurs. A shorter one is used only when the longer
    history was never seen; what matters then is not how often it occurs but after how many different words:
    "francisco" is frequent, but only after "san". An n-gram that begins with <s> has no word before it and
    keeps its number of occurrences.
    """
    occurrences = Counter(
        sentence[i : i + n]
        for sentence in sentences
        for n in range(1, order + 1)
        for i in range(len(sentence) - n + 1)
    )
    del occurrences[(BEGIN,)]  # every sentence has it: nothing to predict
    words_before = Counter(g[1:] for g in occurrences)  # each distinct n-gram once: v g[1:] for a new v
    return {
        g: times if len(g) == order or g[0] == BEGIN else words_before[g] for g, times in occurrences.items()
    }


def discounts(counts: Iterable[int]) -> list[float]:
    """D(0), D(1), D(2) and D(3 and more), from the adjusted counts of all n-grams of one order:

        t_k = the number of them with the count k,    Y = t1 / (t1 + 2 t2)
        D(k) = k - (k+1) Y t_{k+1} / t_k

    This estimate follows from leaving out one occurrence at a time. Where a text has none of some count, or
    0 < D(k) ≤ k does not hold, the default discounts are used. (D(k) = 0 could leave no probability for the
    words that were never seen after a history.)
    """
    t = Counter(counts)
    if not (t[1] and t[2] and t[3]):
        return DEFAULT_DISCOUNTS
    Y = t[1] / (t[1] + 2 * t[2])
    D = [0.0] + [k - (k + 1) * Y * t[k + 1] / t[k] for k in (1, 2, 3)]
    return D if all(0 < D[k] <= k for k in (1, 2, 3)) else DEFAULT_DISCOUNTS


class ReferenceNGram:
    """A model of lines of text; every line is a sentence <s> w1 … wm </s>."""

    def __init__(self, lines: Iterable[str], order: int = 3):
        sentences = [(BEGIN, *line.split(), END) for line in lines if line.split()]
        self.order = order
        self.vocabulary = {UNKNOWN, END}.union(*sentences) - {BEGIN}  # all that can be predicted
        self.after: dict[WordTuple, dict[str, int]] = defaultdict(dict)  # after[h][w] = c(hw)
        by_order: dict[int, list[int]] = defaultdict(list)
        for gram, count in adjusted_counts(sentences, order).items():
            self.after[gram[:-1]][gram[-1]] = count
            by_order[len(gram)].append(count)
        self.D = {n: discounts(counts) for n, counts in by_order.items()}

    def discount(self, history: WordTuple, count: int) -> float:
        return self.D[len(history) + 1][min(count, 3)]

    def gamma(self, history: WordTuple) -> float:
        """γ(h) = Σ_v D(c(hv)) / Σ_v c(hv): the probability that the discounts free after h.

        With it the probabilities after h sum to 1 if those after h' do. It is also the back-off weight: a
        word that was never seen after h has p(w | h) = γ(h) p(w | h').
        """
        if history not in self.after:
            return 1.0
        counts = self.after[history].values()
        return sum(self.discount(history, c) for c in counts) / sum(counts)

    def probability(self, word: str, history: Sequence[str] = ()) -> float:
        """p(w | h). Below the empty history all words are equally likely: <unk>, never seen, has γ() / V."""
        h = tuple(history)[max(0, len(history) - self.order + 1) :]
        shorter = self.probability(word, h[1:]) if h else 1 / len(self.vocabulary)
        if h not in self.after:
            return shorter
        c = self.after[h].get(word, 0)
        return (c - self.discount(h, c)) / sum(self.after[h].values()) + self.gamma(h) * shorter

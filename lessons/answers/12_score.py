"""The answers to lesson 11, and common mistakes."""

import numpy as np

from minids.metrics import wer


def edit_distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        new = [i]
        for j, y in enumerate(b, start=1):
            new.append(min(row[j - 1] + (x != y), row[j] + 1, new[j - 1] + 1))
        row = new
    return row[-1]


def word_error_rate(references, hypotheses):
    pairs = [(r.split(), h.split()) for r, h in zip(references, hypotheses, strict=True)]
    errors = sum(edit_distance(r, h) for r, h in pairs)
    return errors / sum(len(r) for r, _ in pairs)


def drawn_rates(wrong, words, draws):
    return wrong[draws].sum(axis=1) / words[draws].sum(axis=1)


def fill_table(a, b, cell, first=lambda k: k):
    """A table like that of edit_distance with other rules: cell(upper left, upper, left, equal)."""
    row = [first(j) for j in range(len(b) + 1)]
    for i, x in enumerate(a, start=1):
        new = [first(i)]
        for j, y in enumerate(b, start=1):
            new.append(cell(row[j - 1], row[j], new[j - 1], x == y))
        row = new
    return row[-1]


def substitution_costs_two(a, b):
    """Counts a substitution as a deletion and an insertion."""
    return fill_table(a, b, lambda diagonal, up, left, same: min(diagonal + 2 * (not same), up + 1, left + 1))


def equal_costs_one(a, b):
    """Counts equal words as an error, too."""
    return fill_table(a, b, lambda diagonal, up, left, same: min(diagonal, up, left) + 1)


def begins_with_zeros(a, b):
    """Fills the first row and column with 0: errors at the start are free."""
    return fill_table(
        a, b, lambda diagonal, up, left, same: min(diagonal + (not same), up + 1, left + 1), first=lambda k: 0
    )


def never_inserts(a, b):
    """Leaves out the left neighbor."""
    return fill_table(a, b, lambda diagonal, up, left, same: min(diagonal + (not same), up + 1))


def never_substitutes(a, b):
    """Allows equal words, deletions and insertions only."""
    return fill_table(a, b, lambda diagonal, up, left, same: diagonal if same else min(up, left) + 1)


def position_by_position(a, b):
    """Compares the first with the first, the second with the second, …"""
    return sum(x != y for x, y in zip(a, b, strict=False)) + abs(len(a) - len(b))


def difference_of_bags(a, b):
    """Counts the words that the other text lacks, in any order."""
    longest = max(len(a), len(b))
    return longest - sum(min(list(a).count(x), list(b).count(x)) for x in {*a})


def swaps_neighbors(a, b):
    """Counts two exchanged neighbors as one error."""
    d = np.add.outer(np.arange(len(a) + 1), np.arange(len(b) + 1))
    for i, x in enumerate(a, start=1):
        for j, y in enumerate(b, start=1):
            d[i, j] = min(d[i - 1, j - 1] + (x != y), d[i - 1, j] + 1, d[i, j - 1] + 1)
            if i > 1 and j > 1 and (x, a[i - 2]) == (b[j - 2], y):
                d[i, j] = min(d[i, j], d[i - 2, j - 2] + 1)
    return d[-1, -1]


def joins_the_words(a, b):
    """Joins lists of words into texts first."""
    return edit_distance("".join(a), "".join(b))


def mean_of_the_rates(references, hypotheses):
    """Averages the rates of the utterances, short or long."""
    return float(np.mean([wer(r, h).rate for r, h in zip(references, hypotheses, strict=True)]))


def divides_by_hypothesis_words(references, hypotheses):
    """Divides by the words of the hypotheses."""
    return wer(references, hypotheses).errors / max(1, sum(len(h.split()) for h in hypotheses))


def limits_to_one(references, hypotheses):
    """Limits the rate to 100 %."""
    return min(1.0, wer(references, hypotheses).rate)


def counts_letters(references, hypotheses):
    """Counts wrong letters instead of wrong words."""
    total = sum(edit_distance(r, h) for r, h in zip(references, hypotheses, strict=True))
    return total / sum(len(r.split()) for r in references)


def word_by_word(references, hypotheses):
    """Compares words by position: after a deleted word all are wrong."""
    pairs = [(r.split(), h.split()) for r, h in zip(references, hypotheses, strict=True)]
    return sum(position_by_position(r, h) for r, h in pairs) / sum(len(r) for r, _ in pairs)


def ignores_the_order(references, hypotheses):
    """Counts the words that the other text lacks, in any order."""
    pairs = [(r.split(), h.split()) for r, h in zip(references, hypotheses, strict=True)]
    return sum(difference_of_bags(r, h) for r, h in pairs) / sum(len(r) for r, _ in pairs)


def joins_the_utterances(references, hypotheses):
    """Aligns all utterances as one text, so words match across them."""
    return wer(" ".join(references), " ".join(hypotheses)).rate


def utterances_wrong(references, hypotheses):
    """Returns the rate of utterances with an error."""
    return sum(r != h for r, h in zip(references, hypotheses, strict=True)) / len(references)


def mean_of_the_rates_drawn(wrong, words, draws):
    """Averages the rates of the utterances, short or long."""
    return (wrong / words)[draws].mean(axis=1)


def draws_only_the_errors(wrong, words, draws):
    """Divides by the words of all utterances, drawn or not."""
    return wrong[draws].sum(axis=1) / words.sum()


def sums_over_the_draws(wrong, words, draws):
    """Sums over the wrong axis."""
    return wrong[draws].sum(axis=0) / words[draws].sum(axis=0)


def draws_once(wrong, words, draws):
    """Counts an utterance once, even if it was drawn twice."""
    return np.array([wrong[np.unique(d)].sum() / words[np.unique(d)].sum() for d in draws])


def one_rate(wrong, words, draws):
    """Puts all samples into one sum."""
    return wrong[draws].sum() / words[draws].sum()


def list_of_rates(wrong, words, draws):
    """Returns a list of arrays instead of an array."""
    return [wrong[draw].sum() / words[draw].sum() for draw in draws]


HINTS = {
    "edit_distance": [
        "keep one row at a time: the first is [0, 1, 2, …, len(b)], the next begins with 1",
        "row[j] needs the row before at j - 1 and j, and row[j - 1]",
        "new.append(min(row[j - 1] + (x != y), row[j] + 1, new[j - 1] + 1))",
    ],
    "word_error_rate": [
        "the errors of a pair are the distance of its lists of words: text.split()",
        "sum the errors of all pairs and the words of all references; divide once",
    ],
    "drawn_rates": [
        "wrong[draws] has the shape of draws: the errors of every utterance that was drawn",
        "a rate is a sum of errors over a sum of words: sum both over axis 1, then divide",
    ],
}

WRONG = {
    "edit_distance": [
        substitution_costs_two,
        equal_costs_one,
        begins_with_zeros,
        never_inserts,
        never_substitutes,
        position_by_position,
        difference_of_bags,
        swaps_neighbors,
        joins_the_words,
    ],
    "word_error_rate": [
        mean_of_the_rates,
        divides_by_hypothesis_words,
        limits_to_one,
        counts_letters,
        word_by_word,
        ignores_the_order,
        joins_the_utterances,
        utterances_wrong,
    ],
    "drawn_rates": [
        mean_of_the_rates_drawn,
        draws_only_the_errors,
        sums_over_the_draws,
        draws_once,
        one_rate,
        list_of_rates,
    ],
}

"""Lesson 11: our answers, and the usual wrong ones."""

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
    return wer(references, hypotheses).rate


def drawn_rates(wrong, words, draws):
    return wrong[draws].sum(axis=1) / words[draws].sum(axis=1)


def filled(a, b, cell, first=lambda k: k):
    """A table like edit_distance's with other rules: cell(left upper, upper, left, whether equal)."""
    row = [first(j) for j in range(len(b) + 1)]
    for i, x in enumerate(a, start=1):
        new = [first(i)]
        for j, y in enumerate(b, start=1):
            new.append(cell(row[j - 1], row[j], new[j - 1], x == y))
        row = new
    return row[-1]


def substitution_costs_two(a, b):
    """As if it were a deletion and an insertion."""
    return filled(a, b, lambda both, up, left, same: min(both + 2 * (not same), up + 1, left + 1))


def equal_costs_one(a, b):
    """A diagonal step costs 1 even where the words are equal."""
    return filled(a, b, lambda both, up, left, same: min(both, up, left) + 1)


def begins_with_zeros(a, b):
    """The first row and column are 0: what is missing at the front is free."""
    return filled(
        a, b, lambda both, up, left, same: min(both + (not same), up + 1, left + 1), first=lambda k: 0
    )


def never_inserts(a, b):
    """The left neighbor is forgotten."""
    return filled(a, b, lambda both, up, left, same: min(both + (not same), up + 1))


def takes_the_diagonal_when_equal_only(a, b):
    """Equal, deleted or inserted, never substituted."""
    return filled(a, b, lambda both, up, left, same: both if same else min(up, left) + 1)


def place_by_place(a, b):
    """Compares the first with the first, the second with the second, …"""
    return sum(x != y for x, y in zip(a, b, strict=False)) + abs(len(a) - len(b))


def difference_of_bags(a, b):
    """Counts the words that the other lacks; order does not matter."""
    most = max(len(a), len(b))
    return most - sum(min(list(a).count(x), list(b).count(x)) for x in {*a})


def swaps_neighbors(a, b):
    """Two neighbors in the wrong order count as one error."""
    d = np.add.outer(np.arange(len(a) + 1), np.arange(len(b) + 1))
    for i, x in enumerate(a, start=1):
        for j, y in enumerate(b, start=1):
            d[i, j] = min(d[i - 1, j - 1] + (x != y), d[i - 1, j] + 1, d[i, j - 1] + 1)
            if i > 1 and j > 1 and (x, a[i - 2]) == (b[j - 2], y):
                d[i, j] = min(d[i, j], d[i - 2, j - 2] + 1)
    return d[-1, -1]


def of_the_letters(a, b):
    """Lists of words are joined first."""
    return edit_distance("".join(a), "".join(b))


def mean_of_the_rates(references, hypotheses):
    """Every utterance counts the same, however short."""
    return float(np.mean([wer(r, h).rate for r, h in zip(references, hypotheses, strict=True)]))


def over_the_words_heard(references, hypotheses):
    """Divides by the words of the hypotheses."""
    return wer(references, hypotheses).errors / max(1, sum(len(h.split()) for h in hypotheses))


def never_over_one(references, hypotheses):
    """At most 100 %."""
    return min(1.0, wer(references, hypotheses).rate)


def letter_by_letter(references, hypotheses):
    """Distances of the texts instead of their words: the letters wrong."""
    total = sum(edit_distance(r, h) for r, h in zip(references, hypotheses, strict=True))
    return total / sum(len(r.split()) for r in references)


def word_by_word(references, hypotheses):
    """Compares the first with the first: one word lost, and all behind it are wrong."""
    pairs = [(r.split(), h.split()) for r, h in zip(references, hypotheses, strict=True)]
    return sum(place_by_place(r, h) for r, h in pairs) / sum(len(r) for r, _ in pairs)


def order_does_not_matter(references, hypotheses):
    """The words that the other lacks, wherever they stand."""
    pairs = [(r.split(), h.split()) for r, h in zip(references, hypotheses, strict=True)]
    return sum(difference_of_bags(r, h) for r, h in pairs) / sum(len(r) for r, _ in pairs)


def all_in_one_line(references, hypotheses):
    """One long text: a word of one utterance may stand for a word of the next."""
    return wer(" ".join(references), " ".join(hypotheses)).rate


def utterances_wrong(references, hypotheses):
    """The share of utterances with an error."""
    return sum(r != h for r, h in zip(references, hypotheses, strict=True)) / len(references)


def mean_of_drawn_rates(wrong, words, draws):
    """Every utterance counts the same, however short."""
    return (wrong / words)[draws].mean(axis=1)


def draws_only_the_errors(wrong, words, draws):
    """Divides by the words of the whole corpus, drawn or not."""
    return wrong[draws].sum(axis=1) / words.sum()


def sums_over_the_draws(wrong, words, draws):
    """The wrong axis."""
    return wrong[draws].sum(axis=0) / words[draws].sum(axis=0)


def draws_once(wrong, words, draws):
    """Every utterance of a draw once, even if it came twice."""
    return np.array([wrong[np.unique(d)].sum() / words[np.unique(d)].sum() for d in draws])


def one_rate(wrong, words, draws):
    """All draws in one sum."""
    return wrong[draws].sum() / words[draws].sum()


WRONG = {
    "edit_distance": [
        substitution_costs_two,
        equal_costs_one,
        begins_with_zeros,
        never_inserts,
        takes_the_diagonal_when_equal_only,
        place_by_place,
        difference_of_bags,
        swaps_neighbors,
        of_the_letters,
    ],
    "word_error_rate": [
        mean_of_the_rates,
        over_the_words_heard,
        never_over_one,
        letter_by_letter,
        word_by_word,
        order_does_not_matter,
        all_in_one_line,
        utterances_wrong,
    ],
    "drawn_rates": [
        mean_of_drawn_rates,
        draws_only_the_errors,
        sums_over_the_draws,
        draws_once,
        one_rate,
    ],
}

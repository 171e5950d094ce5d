"""Our answers to lesson 12, other right ones, and common mistakes."""

from fractions import Fraction
from functools import cache

import numpy as np


def edit_distance(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        new = [i]
        for j, y in enumerate(b, start=1):
            new.append(min(row[j - 1] + (x != y), row[j] + 1, new[j - 1] + 1))
        row = new
    return row[-1]


def word_error_rate(references, hypotheses):
    errors = words = 0
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        errors += edit_distance(reference.split(), hypothesis.split())
        words += len(reference.split())
    return errors / words


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
    return fill_table(
        a,
        b,
        lambda diagonal, up, left, same: min(
            diagonal + 2 * (not same), up + 1, left + 1
        ),
    )


def equal_costs_one(a, b):
    """Counts equal words as an error, too."""
    return fill_table(
        a, b, lambda diagonal, up, left, same: min(diagonal, up, left) + 1
    )


def begins_with_zeros(a, b):
    """Fills the first row and column with 0: errors at the start are free."""
    return fill_table(
        a,
        b,
        lambda diagonal, up, left, same: min(diagonal + (not same), up + 1, left + 1),
        first=lambda k: 0,
    )


def never_inserts(a, b):
    """Leaves out the left neighbor."""
    return fill_table(
        a, b, lambda diagonal, up, left, same: min(diagonal + (not same), up + 1)
    )


def never_substitutes(a, b):
    """Allows equal words, deletions and insertions only."""
    return fill_table(
        a, b, lambda diagonal, up, left, same: diagonal if same else min(up, left) + 1
    )


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


def limited(a, b):
    """Counts no more than nine errors."""
    return min(edit_distance(a, b), 9)


def joins_the_words(a, b):
    """Joins lists of words into texts first."""
    return edit_distance("".join(a), "".join(b))


def computes_cells_again(a, b):
    """The formula as a recursion that remembers nothing: each cell is computed again for all that ask for it."""
    if len(a) == 0 or len(b) == 0:
        return len(a) + len(b)
    return min(
        computes_cells_again(a[:-1], b[:-1]) + (a[-1] != b[-1]),
        computes_cells_again(a[:-1], b) + 1,
        computes_cells_again(a, b[:-1]) + 1,
    )


def reads_index_minus_one(a, b):
    """Compares a[i - 1] with b[j - 1] for i = 0 and j = 0, too: index -1 is the last word."""
    d = np.zeros((len(a) + 1, len(b) + 1), int)
    for i in range(len(a) + 1):
        for j in range(len(b) + 1):
            if i or j:
                same = len(a) > 0 and len(b) > 0 and a[i - 1] == b[j - 1]
                d[i, j] = min(
                    d[i - 1, j - 1] + (not same), d[i - 1, j] + 1, d[i, j - 1] + 1
                )
    return d[-1, -1]


def compares_the_next_words(a, b):
    """Compares a[i] with b[j] in cell (i, j): the words one further, from the second row and column on."""
    d = np.add.outer(np.arange(len(a) + 1), np.arange(len(b) + 1))
    for i in range(1, len(a)):
        for j in range(1, len(b)):
            d[i, j] = min(
                d[i - 1, j - 1] + (a[i] != b[j]), d[i - 1, j] + 1, d[i, j - 1] + 1
            )
    return d[-1, -1]


def returns_the_last_row(a, b):
    """Returns the whole last row instead of its last cell."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        new = [i]
        for j, y in enumerate(b, start=1):
            new.append(min(row[j - 1] + (x != y), row[j] + 1, new[j - 1] + 1))
        row = new
    return row


def overwrites_the_row(a, b):
    """Keeps one row and overwrites it: the upper left neighbor is already a new one."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        row[0] = i
        for j, y in enumerate(b, start=1):
            row[j] = min(row[j - 1] + (x != y), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def mean_of_the_rates(references, hypotheses):
    """Averages the rates of the utterances, short or long."""
    pairs = zip(references, hypotheses, strict=True)
    return sum(word_error_rate([r], [h]) for r, h in pairs) / len(references)


def divides_by_hypothesis_words(references, hypotheses):
    """Divides by the words of the hypotheses."""
    errors = word_error_rate(references, hypotheses) * sum(
        len(r.split()) for r in references
    )
    return errors / max(1, sum(len(h.split()) for h in hypotheses))


def limits_to_one(references, hypotheses):
    """Limits the rate to 100 %."""
    return min(1.0, word_error_rate(references, hypotheses))


def counts_letters(references, hypotheses):
    """Counts wrong letters instead of wrong words."""
    total = sum(
        edit_distance(r, h) for r, h in zip(references, hypotheses, strict=True)
    )
    return total / sum(len(r.split()) for r in references)


def ignores_capitals(references, hypotheses):
    """Compares words without regard to capital letters: “Monday” and “monday” are two words."""
    return word_error_rate(
        [r.lower() for r in references], [h.lower() for h in hypotheses]
    )


def divides_letters_by_letters(references, hypotheses):
    """Wrong letters / letters: the character error rate. Words need split()."""
    pairs = list(zip(references, hypotheses, strict=True))
    return sum(edit_distance(r, h) for r, h in pairs) / sum(len(r) for r, _ in pairs)


def divides_words_by_letters(references, hypotheses):
    """Divides wrong words by letters: len of a text, not of its list of words."""
    pairs = list(zip(references, hypotheses, strict=True))
    errors = sum(edit_distance(r.split(), h.split()) for r, h in pairs)
    return errors / sum(len(r) for r, _ in pairs)


def divides_by_the_longer(references, hypotheses):
    """Divides by the words of the longer text of each pair."""
    pairs = [
        (r.split(), h.split()) for r, h in zip(references, hypotheses, strict=True)
    ]
    errors = sum(edit_distance(r, h) for r, h in pairs)
    return errors / sum(max(len(r), len(h)) for r, h in pairs)


def word_by_word(references, hypotheses):
    """Compares words by position: after a deleted word all are wrong."""
    pairs = [
        (r.split(), h.split()) for r, h in zip(references, hypotheses, strict=True)
    ]
    return sum(position_by_position(r, h) for r, h in pairs) / sum(
        len(r) for r, _ in pairs
    )


def ignores_the_order(references, hypotheses):
    """Counts the words that the other text lacks, in any order."""
    pairs = [
        (r.split(), h.split()) for r, h in zip(references, hypotheses, strict=True)
    ]
    return sum(difference_of_bags(r, h) for r, h in pairs) / sum(
        len(r) for r, _ in pairs
    )


def joins_the_utterances(references, hypotheses):
    """Aligns all utterances as one text, so words match across them."""
    return word_error_rate([" ".join(references)], [" ".join(hypotheses)])


def utterances_wrong(references, hypotheses):
    """Returns the rate of utterances with an error."""
    return sum(r != h for r, h in zip(references, hypotheses, strict=True)) / len(
        references
    )


def splits_at_each_space(references, hypotheses):
    """split(" ") instead of split(): two spaces have an empty word between them, an empty text is one."""
    pairs = [
        (r.split(" "), h.split(" "))
        for r, h in zip(references, hypotheses, strict=True)
    ]
    return sum(edit_distance(r, h) for r, h in pairs) / sum(len(r) for r, _ in pairs)


def in_percent(references, hypotheses):
    """Returns 30 instead of 0.3."""
    return 100 * word_error_rate(references, hypotheses)


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
    return np.array(
        [wrong[np.unique(d)].sum() / words[np.unique(d)].sum() for d in draws]
    )


def one_rate(wrong, words, draws):
    """Puts all samples into one sum."""
    return wrong[draws].sum() / words[draws].sum()


def list_of_rates(wrong, words, draws):
    """A list of rates: `<` compares two lists by their first difference only."""
    return [wrong[draw].sum() / words[draw].sum() for draw in draws]


def list_of_arrays(wrong, words, draws):
    """A list of arrays with one rate each: `<` compares two lists by their first difference only."""
    return [np.array(wrong[draw].sum() / words[draw].sum()) for draw in draws]


def tuple_of_rates(wrong, words, draws):
    """A tuple of rates: `<` compares two tuples by their first difference only."""
    return tuple(wrong[draw].sum() / words[draw].sum() for draw in draws)


def one_column(wrong, words, draws):
    """A column (samples, 1): compared with another sample by sample, it becomes a square."""
    return wrong[draws].sum(axis=1, keepdims=True) / words[draws].sum(
        axis=1, keepdims=True
    )


def mean_of_the_drawn_rates(wrong, words, draws):
    """Averages errors over averages of words in each column, then over the samples."""
    return np.full(len(draws), wrong[draws].mean() / words[draws].mean())


def whole_numbers(wrong, words, draws):
    """Divides with //, so that most rates are 0."""
    return wrong[draws].sum(axis=1) // words[draws].sum(axis=1)


def recursively(a, b):
    """The formula as a recursion that remembers its results."""

    @cache
    def d(i, j):
        if i == 0 or j == 0:
            return i + j
        return min(
            d(i - 1, j - 1) + int(a[i - 1] != b[j - 1]),
            d(i - 1, j) + 1,
            d(i, j - 1) + 1,
        )

    return d(len(a), len(b))


def recursively_with_a_dict(a, b, known=None):
    """A recursion over shorter and shorter sequences, with a dictionary of lengths."""
    known = {} if known is None else known
    if not len(a) or not len(b):
        return len(a) + len(b)
    key = len(a), len(b)
    if key not in known:
        known[key] = min(
            recursively_with_a_dict(a[:-1], b[:-1], known) + (a[-1] != b[-1]),
            recursively_with_a_dict(a[:-1], b, known) + 1,
            recursively_with_a_dict(a, b[:-1], known) + 1,
        )
    return known[key]


def with_an_array(a, b):
    """The whole table in an array of NumPy; returns one of its integers."""
    d = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
    d[:, 0] = np.arange(len(a) + 1)
    d[0] = np.arange(len(b) + 1)
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            substituted = d[i - 1, j - 1] + (0 if a[i - 1] == b[j - 1] else 1)
            d[i, j] = min(substituted, d[i - 1, j] + 1, d[i, j - 1] + 1)
    return d[-1, -1]


def column_by_column(a, b):
    """Fills the table by columns, as floats."""
    column = [float(i) for i in range(len(a) + 1)]
    for j in range(len(b)):
        diagonal, column[0] = column[0], j + 1.0
        for i in range(len(a)):
            cost = min(diagonal + (a[i] != b[j]), column[i + 1] + 1, column[i] + 1)
            diagonal, column[i + 1] = column[i + 1], cost
    return column[len(a)]


def with_numpy_sums(references, hypotheses):
    """Lists of errors and words, and a quotient of sums of NumPy."""
    errors = [
        edit_distance(references[i].split(), hypotheses[i].split())
        for i in range(len(references))
    ]
    words = [len(reference.split()) for reference in references]
    return np.sum(errors) / np.sum(words)


def of_joined_references(references, hypotheses):
    """Counts the words of all references joined."""
    errors = sum(
        edit_distance(r.split(), h.split())
        for r, h in zip(references, hypotheses, strict=False)
    )
    return errors / len(" ".join(references).split())


def as_a_fraction(references, hypotheses):
    """An exact fraction."""
    pairs = [
        (r.split(), h.split()) for r, h in zip(references, hypotheses, strict=True)
    ]
    return Fraction(
        int(sum(edit_distance(r, h) for r, h in pairs)), sum(len(r) for r, _ in pairs)
    )


def in_a_loop(wrong, words, draws):
    """One sample at a time, then an array."""
    rates = np.zeros(len(draws))
    for s, draw in enumerate(draws):
        rates[s] = wrong[draw].sum() / words[draw].sum()
    return rates


def by_counting_the_draws(wrong, words, draws):
    """How often each utterance was drawn, times its errors and words."""
    times = np.stack([np.bincount(draw, minlength=len(wrong)) for draw in draws])
    return (times @ wrong) / (times @ words)


def with_take(wrong, words, draws):
    """np.take and means instead of sums."""
    return np.take(wrong, draws).mean(axis=-1) / np.take(words, draws).mean(axis=-1)


HINTS = {
    "edit_distance": [
        "keep one row at a time: the first is [0, 1, 2, …, len(b)], the next begins with 1",
        "cell j needs the row before at j - 1 and j, and cell j - 1 of its own row",
        "new.append(min(row[j - 1] + (x != y), row[j] + 1, new[j - 1] + 1))",
    ],
    "word_error_rate": [
        "the errors of a pair are the distance of its lists of words: text.split()",
        "sum the errors of all pairs and the words of all references; divide once",
        "errors += edit_distance(r.split(), h.split()); words += len(r.split()); return errors / words",
    ],
    "drawn_rates": [
        "wrong[draws] has the shape of draws: the errors of every utterance that was drawn",
        "a rate is a sum of errors over a sum of words: sum both over axis 1, then divide",
        "wrong[draws].sum(axis=1) / words[draws].sum(axis=1)",
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
        limited,
        joins_the_words,
        computes_cells_again,
        reads_index_minus_one,
        compares_the_next_words,
        returns_the_last_row,
        overwrites_the_row,
    ],
    "word_error_rate": [
        mean_of_the_rates,
        divides_by_hypothesis_words,
        limits_to_one,
        counts_letters,
        ignores_capitals,
        divides_letters_by_letters,
        divides_words_by_letters,
        divides_by_the_longer,
        word_by_word,
        ignores_the_order,
        joins_the_utterances,
        utterances_wrong,
        splits_at_each_space,
        in_percent,
    ],
    "drawn_rates": [
        mean_of_the_rates_drawn,
        draws_only_the_errors,
        sums_over_the_draws,
        draws_once,
        one_rate,
        list_of_rates,
        list_of_arrays,
        tuple_of_rates,
        one_column,
        mean_of_the_drawn_rates,
        whole_numbers,
    ],
}

RIGHT = {
    "edit_distance": [
        recursively,
        recursively_with_a_dict,
        with_an_array,
        column_by_column,
    ],
    "word_error_rate": [with_numpy_sums, of_joined_references, as_a_fraction],
    "drawn_rates": [in_a_loop, by_counting_the_draws, with_take],
}

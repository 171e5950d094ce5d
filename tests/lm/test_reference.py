"""The reference against examples worked by hand, and against the law that probabilities sum to 1."""

import pytest

from minids.lm.reference import (
    BEGIN,
    DEFAULT_DISCOUNTS,
    END,
    UNKNOWN,
    ReferenceNGram,
    adjusted_counts,
    discounts,
)

LINES = ["a b", "a b", "c b"]


def test_adjusted_counts_of_three_sentences():
    counts = adjusted_counts([(BEGIN, *line.split(), END) for line in LINES], 2)
    assert counts == {
        ("a",): 1,  # only <s> precedes it
        ("b",): 2,  # a and c precede it, though it occurs three times
        ("c",): 1,
        (END,): 1,
        (BEGIN, "a"): 2,  # bigrams are the highest order: occurrences
        (BEGIN, "c"): 1,
        ("a", "b"): 2,
        ("c", "b"): 1,
        ("b", END): 3,
    }


def test_an_ngram_that_begins_a_sentence_keeps_its_occurrences():
    counts = adjusted_counts([(BEGIN, *line.split(), END) for line in LINES], 3)
    assert counts[BEGIN, "a"] == 2
    assert counts["a", "b"] == 1
    assert counts["b", END] == 2


def test_discounts_by_hand():
    """t = 4, 2, 1, 1: Y = 1/2; D(1) = 1 - 2/2 2/4, D(2) = 2 - 3/2 1/2, D(3) = 3 - 4/2 1/1."""
    assert discounts([1, 1, 1, 1, 2, 2, 3, 4, 9]) == [0, 0.5, 1.25, 1.0]


@pytest.mark.parametrize(
    "counts",
    [[1, 1, 2], [2, 2, 3, 3, 4], [1, 1, 1, 1, 2, 3, 3], [1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 4]],
    ids=["no 3", "no 1", "D(2) is negative", "D(3) is 0"],
)
def test_discounts_that_cannot_be_estimated_are_the_defaults(counts):
    assert discounts(counts) is DEFAULT_DISCOUNTS


def test_probabilities_by_hand():
    """LINES, order 2, five words.

    Words: no count is 3, so D = 1/2, 1, 3/2. γ() = (1/2 + 1 + 1/2 + 1/2) / 5 = 1/2,
    p(b) = (2 - 1)/5 + 1/2 1/5 = 3/10, p(a) = (1 - 1/2)/5 + 1/2 1/5 = 1/5.
    Pairs: t = 2, 2, 1, 0, Y = 1/3, D = 1/3, 3/2, 3. a is followed by b, twice: γ(a) = 3/2 / 2 = 3/4,
    p(b | a) = (2 - 3/2)/2 + 3/4 3/10 = 19/40, p(a | a) = 3/4 1/5.
    """
    model = ReferenceNGram(LINES, order=2)
    assert model.D[1] == DEFAULT_DISCOUNTS
    assert model.D[2] == pytest.approx([0, 1 / 3, 3 / 2, 3])
    assert model.gamma(("a",)) == pytest.approx(3 / 4)
    assert model.probability("b") == pytest.approx(3 / 10)
    assert model.probability("a") == pytest.approx(1 / 5)
    assert model.probability(UNKNOWN) == pytest.approx(1 / 10)
    assert model.probability("b", ["a"]) == pytest.approx(19 / 40)
    assert model.probability("a", ["a"]) == pytest.approx(3 / 20)
    assert model.probability("b", ["never seen"]) == model.probability("b")
    assert model.probability("b", ["anything", "a"]) == model.probability("b", ["a"])


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_probabilities_sum_to_1_after_every_history(order):
    lines = ["the cat sat on the mat", "the cat ate", "a dog sat on the cat", "", "the dog"]
    model = ReferenceNGram(lines, order)
    for history in [*model.after, ("never", "seen")]:
        assert sum(model.probability(word, history) for word in model.vocabulary) == pytest.approx(1)

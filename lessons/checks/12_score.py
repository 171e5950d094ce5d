"""Checks of lesson 12."""

import numpy as np

import minids
from minids.lesson import exercise


def by_edits(start, longest=4):
    """{text: the fewest edits from `start` to it}, for all texts of a and b, edit by edit."""
    edits, queue = {start: 0}, [start]
    for text in queue:  # the queue grows in the loop
        for i in range(len(text) + 1):
            deleted = [text[:i] + text[i + 1 :]]
            others = [text[:i] + c + text[j:] for c in "ab" for j in (i, i + 1)]
            for edited in deleted + others:
                if edited not in edits and len(edited) <= longest:
                    edits[edited] = edits[text] + 1
                    queue.append(edited)
    return edits


class Word(str):
    """A word that counts how often words are compared."""

    comparisons = 0
    __hash__ = str.__hash__

    def __eq__(self, other):
        Word.comparisons += 1
        return str.__eq__(self, other)

    def __ne__(self, other):
        Word.comparisons += 1
        return str.__ne__(self, other)


@exercise("12.1")
def check_edit_distance(edit_distance):
    for a in "", "a", "ab", "aab", "abba":
        for b, edits in by_edits(a).items():
            yield f"edit_distance({a!r}, {b!r})", edit_distance(a, b), edits
    reference, hypothesis = (
        ["can", "we", "recognize", "speech"],
        ["we", "wreck", "a", "nice", "beach"],
    )
    yield "the distance of two lists of words", edit_distance(reference, hypothesis), 5
    a, b = [Word(c) for c in "abcdefgh"], [Word(c) for c in "ijklmnop"]
    Word.comparisons = 0
    edit_distance(a, b)
    words = f"{Word.comparisons:,} comparisons, where 64 are enough; compute each d(i, j) only once, in a table"
    yield "two lists of 8 words", Word.comparisons < 1000, True, words
    if Word.comparisons >= 1000:
        return  # it would not end
    rng = np.random.default_rng(11)
    a, b = ("".join(rng.choice(list("abc"), 200)) for _ in range(2))
    yield "two texts of 200 letters", edit_distance(a, b), minids.cer([a], [b]).errors
    for _ in range(20):
        a, b, c = ("".join(rng.choice(list("abc"), rng.integers(9))) for _ in range(3))
        d = edit_distance(a, b)
        yield f"from {a!r} to {b!r} and back", edit_distance(b, a), d
        detour = d + edit_distance(b, c)
        yield (
            f"{a!r} to {c!r} is not longer than by way of {b!r}",
            edit_distance(a, c) <= detour,
            True,
        )


REFERENCES = [
    "what is the weather like in boston right now",
    "prime minister narendra modi",
    "are there any tickets for the game",
]
HYPOTHESES = [
    "what is the weather like in bostin right now",
    "prime miniter nerenr modi",
    "arther n tickets for the game",
]


@exercise("12.2")
def check_word_error_rate(word_error_rate):
    yield "“yes” as “yes it is”", word_error_rate(["yes"], ["yes it is"]), 2.0
    yield "“turn left” as an empty text", word_error_rate(["turn left"], [""]), 1.0
    yield (
        "four words right, one wrong",
        word_error_rate(["a b c d", "a"], ["a b c d", "b"]),
        0.2,
    )
    yield "the first word deleted", word_error_rate(["a b c d"], ["b c d"]), 0.25
    yield (
        "“turn left” as “left turn”",
        word_error_rate(["turn left"], ["left turn"]),
        1.0,
    )
    yield (
        "a word in the next utterance is two errors",
        word_error_rate(["a b", "c"], ["a", "b c"]),
        2 / 3,
    )
    yield (
        "“turn left” as “turn lift”: one wrong word",
        word_error_rate(["turn left"], ["turn lift"]),
        0.5,
    )
    yield (
        "“Monday” as “monday”: another word",
        word_error_rate(["Monday"], ["monday"]),
        1.0,
    )
    yield "two spaces between words are one", word_error_rate(["a b"], ["a  b "]), 0.0
    yield (
        "table 1: 1 + 2 + 3 errors in 20 words",
        word_error_rate(REFERENCES, HYPOTHESES),
        6 / 20,
    )


@exercise("12.3")
def check_drawn_rates(drawn_rates):
    wrong, words = np.array([1, 0, 3]), np.array([4, 2, 4])
    draws = np.array([[0, 1, 2], [2, 2, 2], [0, 0, 1], [1, 1, 1]])
    got = drawn_rates(wrong, words, draws)
    yield "the type of the result", type(got).__name__, "ndarray"
    yield "four samples of three utterances", got, np.array([0.4, 0.75, 0.2, 0])
    rng = np.random.default_rng(3)
    for n, samples in (6, 5), (5, 6), (1, 3):
        wrong, words = rng.integers(5, size=n), rng.integers(1, 9, size=n)
        draws = rng.integers(n, size=(samples, n))
        slowly = [
            sum(wrong[u] for u in draw) / sum(words[u] for u in draw) for draw in draws
        ]
        yield (
            f"{samples} samples of {n}",
            drawn_rates(wrong, words, draws),
            np.array(slowly),
        )

"""Checks of lesson 11."""

import math
from itertools import product

import numpy as np

from minids.lesson import exercise
from minids.lm.reference import ReferenceNGram
from minids.text import collapse

LINES = [
    "we can speak",
    "a nice day",
    "we had a nice day",
    "a day at the beach",
    "we can wreck a car",
    "speak",
]


def reference():
    """A small model, its tables {n-gram: p}, {history: γ}."""
    model = ReferenceNGram(LINES, order=3)
    p = {(*h, w): model.probability(w, h) for h in model.after for w in model.after[h]}
    p |= {(w,): model.probability(w) for w in model.vocabulary}
    return model, p, {h: model.gamma(h) for h in model.after}


@exercise("11.1", atol=0)
def check_smoothed(smoothed):
    shorter = {"a": 0.2, "b": 0.3, "c": 0.1, "d": 0.4}
    got = smoothed({"b": 2}, [0, 1 / 3, 3 / 2, 3], shorter)
    yield (
        "b seen twice, D(2) = 3/2, so γ = 1.5/2",
        got,
        {"a": 0.15, "b": 0.25 + 0.225, "c": 0.075, "d": 0.3},
    )
    got = smoothed({"b": 7, "d": 1}, [0, 1 / 2, 1, 3 / 2], shorter)
    yield (
        "b seen 7 times, d once: γ = 2/8",
        got,
        {"a": 0.05, "b": 5.5 / 8 + 0.075, "c": 0.025, "d": 1 / 16 + 0.1},
    )
    got = smoothed(
        {"b": 1}, [0, 1, 1, 1], {"a": 0.75, "b": 0.25 - 1e-15, "c": 0.0, "d": 1e-15}
    )
    yield (
        "D(1) = 1, c is impossible",
        got,
        {"a": 0.75, "b": 0.25 - 1e-15, "c": 0.0, "d": 1e-15},
    )
    model, _, _ = reference()
    for h in [h for h in model.after if h]:
        shorter = {w: model.probability(w, h[1:]) for w in model.vocabulary}
        got = smoothed(model.after[h], model.D[len(h) + 1], shorter)
        yield f"the sum of p(w | {' '.join(h)})", sum(got.values()), 1.0
        yield (
            f"p(w | {' '.join(h)})",
            got,
            {w: model.probability(w, h) for w in model.vocabulary},
        )


@exercise("11.2", atol=0)
def check_backed_off(backed_off):
    p = {("a", "b", "c"): 0.7, ("b", "c"): 0.6, ("a",): 0.5, ("b",): 0.3, ("c",): 0.2}
    gamma = {("a", "b"): 0.25, ("b",): 0.5, ("a",): 0.1}
    yield "p(c | a b), which was seen", backed_off("c", ("a", "b"), p, gamma), 0.7
    yield (
        "p(a | a b) = γ(a b) γ(b) p(a)",
        backed_off("a", ("a", "b"), p, gamma),
        0.25 * 0.5 * 0.5,
    )
    yield (
        "p(c | b b): nothing follows “b b”, but “b c” was seen",
        backed_off("c", ("b", "b"), p, gamma),
        0.6,
    )
    yield "p(b | c) = p(b): nothing follows c", backed_off("b", ("c",), p, gamma), 0.3
    long = {("a", "b", "a", "b", "c"): 0.9, ("b", "a", "b", "c"): 0.8, **p}
    yield (
        "p(c | a b a b), which was seen",
        backed_off("c", ("a", "b", "a", "b"), long, gamma),
        0.9,
    )
    yield (
        "p(c | b b a b) = p(c | b a b)",
        backed_off("c", ("b", "b", "a", "b"), long, gamma),
        0.8,
    )
    yield "p(c) without a history", backed_off("c", (), p, gamma), 0.2
    model, p, gamma = reference()
    for h in [*model.after, ("wreck", "nice"), ("never", "seen"), ("seen", "a")]:
        got = {w: backed_off(w, h, p, gamma) for w in model.vocabulary}
        yield f"the sum of p(w | {' '.join(h)})", sum(got.values()), 1.0
        yield (
            f"p(w | {' '.join(h)})",
            got,
            {w: model.probability(w, h) for w in model.vocabulary},
        )


def lm(text, end=True):
    """log P_lm of an invented model: words of a are likely, others not, and long sentences end at once."""
    words = text.split()
    each = [math.log(0.5 if set(word) == {"a"} else 0.05) for word in words]
    return sum(each) + (math.log(0.9 if len(words) > 1 else 0.1) if end else 0.0)


@exercise("11.3")
def check_Q(Q):
    for text in "recognize speech", "a nice beach", "a aa a", "", "a ", "a  b":
        for alpha, beta in (0, 0), (1, 0), (0, 1), (0.7, -1.5):
            for end in True, False:
                what = f"Q(“{text}”), α = {alpha}, β = {beta}, {'with' if end else 'without'} the end"
                log_prob = -5.7 - len(text)
                expected = log_prob + alpha * lm(text, end) + beta * len(text.split())
                yield what, Q(text, log_prob, lm, alpha, beta, end), expected
    yield (
        "Q with the end, if `end` is not given",
        Q("a", -1.0, lm, 1, 0),
        -1.0 + math.log(0.5) + math.log(0.1),
    )


def by_enumeration(Y, letters, width, lm, alpha, beta):
    """{text: Q} from all paths; after each frame, the paths of pruned texts are dropped."""

    def score(text, p, end):
        words = text if end else text[: text.rfind(" ") + 1]
        return math.log(p) + alpha * lm(words, end) + beta * len(words.split())

    paths = {(): 1.0}
    for y in Y:
        paths = {
            (*path, k): p * y[k] for path, p in paths.items() for k in range(len(y))
        }
        texts = {}
        for path, p in paths.items():
            text = _read(path, letters)
            texts[text] = texts.get(text, 0.0) + p
        kept = sorted(texts, key=lambda text: -score(text, texts[text], end=False))[
            :width
        ]
        paths = {path: p for path, p in paths.items() if _read(path, letters) in kept}
    return {text: score(text, texts[text], end=True) for text in kept}


def _read(path, letters):
    return "".join(letters[k - 1] for k in collapse(path))


@exercise("11.4")
def check_beam_search_with_lm(beam_search_with_lm):
    Y = np.random.default_rng(11).dirichlet(
        np.ones(4), (3, 5)
    )  # (examples, T, K): the blank, a, b, space
    for y, width, (alpha, beta) in product(
        Y, (1, 3, 10**6), ((0, 0), (1, 0), (0.5, 1.5), (2, -1))
    ):
        with np.errstate(divide="ignore"):  # log 0, of a text that no path reads
            got = beam_search_with_lm(y, "ab ", width, lm, alpha, beta)
        truth = by_enumeration(y, "ab ", width, lm, alpha, beta)
        what = f"beam of {width}, α = {alpha}, β = {beta}"
        if width < 10**6:
            yield f"the texts of a {what}", {*got}, {*truth}
        for text in truth:
            yield f"Q(“{text}”), {what}", got.get(text, -math.inf), truth[text]

"""Checks of lesson 10."""

import numpy as np

from minids.lesson import exercise
from minids.text import collapse


def by_enumeration(Y, letters, width=10**9):
    """{text: (p_b, p_nb)} from all paths; after each frame, the paths of pruned texts are dropped."""
    paths = {(): 1.0}
    for y in Y:
        paths = {
            (*path, k): p * y[k] for path, p in paths.items() for k in range(len(y))
        }
        sums = {}
        for path, p in paths.items():
            sums.setdefault(_read(path, letters), [0.0, 0.0])[path[-1] != 0] += p
        kept = sorted(sums, key=lambda text: -sum(sums[text]))[:width]
        paths = {path: p for path, p in paths.items() if _read(path, letters) in kept}
    return {text: tuple(sums[text]) for text in kept}


def _read(path, letters):
    return "".join(letters[k - 1] for k in collapse(path))


def random_frames(letters, T, seed=9):
    return np.random.default_rng(seed).dirichlet(np.ones(len(letters) + 1), T)  # (T, K)


def _pair(texts, text):
    """The two numbers of a text that is there; a text of probability 0 may be missing."""
    return {"p_b": texts.get(text, (0, 0))[0], "p_nb": texts.get(text, (0, 0))[1]}


@exercise("10.1")
def check_beam_step(beam_step):
    y = np.array([0.5, 0.3, 0.2])  # blank, a, b
    got, truth = (
        beam_step({"a": (0.2, 0.3)}, y, "ab"),
        {"a": (0.25, 0.09), "aa": (0, 0.06), "ab": (0, 0.1)},
    )
    yield (
        "the texts that follow “a”",
        {text for text in got if sum(got[text])},
        {*truth},
    )
    for text in truth:
        yield (
            f"p_b, p_nb of “{text}” after “a” with (0.2, 0.3)",
            _pair(got, text),
            _pair(truth, text),
        )
    for letters, T in ("a", 3), ("ab", 4), ("abc", 3):
        Y = random_frames(letters, T)
        for order in "", " (given from the longest to the shortest)":
            texts = {"": (1.0, 0.0)}
            for t in range(1, T + 1):
                given = dict(
                    sorted(
                        texts.items(),
                        key=lambda item: len(item[0]),
                        reverse=bool(order),
                    )
                )
                texts, truth = (
                    beam_step(given, Y[t - 1], letters),
                    by_enumeration(Y[:t], letters),
                )
                for text in sorted({*texts, *truth}):
                    what = (
                        f"p_b, p_nb of “{text}” after {t} frames of “{letters}”{order}"
                    )
                    yield what, _pair(texts, text), _pair(truth, text)


@exercise("10.2")
def check_beam_search(beam_search):
    for seed in range(5):  # random, so that no two texts are equally probable
        Y = random_frames("hi", 4, seed)
        for width in 1, 2, 3:
            got, truth = (f(Y, "hi", width) for f in (beam_search, by_enumeration))
            yield (
                f"the texts of a beam of {width} after {len(Y)} frames",
                {*got},
                {*truth},
            )
            for text in truth:
                yield (
                    f"p_b, p_nb of “{text}”, beam of {width}",
                    _pair(got, text),
                    _pair(truth, text),
                )
    for letters, T in ("ab", 5), ("abc", 4):
        Y = random_frames(letters, T)
        got, truth = beam_search(Y, letters, 10**6), by_enumeration(Y, letters)
        for text in truth:
            yield (
                f"P(“{text}”), unlimited beam",
                sum(got.get(text, (0, 0))),
                sum(truth[text]),
            )

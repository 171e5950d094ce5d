"""When was each letter spoken? Viterbi forced alignment: the most probable path of a known text.

The lattice is that of the loss (minids/ops/reference/ctc.py), with the maximum instead of the sum:

    v_t(s) = log y_t(l'_s) + max[v_{t-1}(s), v_{t-1}(s-1), v_{t-1}(s-2) if the skip is allowed]

`minids.decode.path.word_times` turns the path into words with their times. `align_text` aligns the text of a
long recording, even if not all of it was said, or more.
"""

import math
from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np

from minids._utils.arguments import integers, real_array
from minids._utils.errors import InputError
from minids.decode.greedy import greedy
from minids.decode.path import CTCPath, Word, word_times
from minids.metrics import CORRECT, align
from minids.ops.common import min_frames
from minids.ops.reference.ctc import lattice, skips
from minids.text import BLANK, Alphabet, normalize

MIN_ANCHOR = 10  # letters on either side of a cut
MIN_UNMATCHED = 5  # words in a row
MAX_LOSS = 4.0  # mean of -log P(letter); AN4: at most 2.3 for true texts, at least 4.4 for others


def forced_align(
    log_probs: np.ndarray, labels: Sequence[int] | np.ndarray, extra_space: int = BLANK
) -> CTCPath:
    """log_probs (T, K), natural logarithms, blank first; labels (U,) in 1 … K-1 -> the best path of the text.

    `extra_space`: a label that counts as a blank at the ends of the text and next to itself.

    Time and memory grow with T times U. Raises ValueError for an invalid label,
    and InputError for a text without a path: too few frames, or a character of probability 0.
    """
    log_probs = real_array("log_probs", log_probs, np.float64, "(T, K)")
    if np.isnan(log_probs).any():
        raise ValueError("log_probs have NaN")
    T, K = log_probs.shape
    labels = integers("labels", labels, 1, K - 1)
    needed = min_frames(labels)
    if needed > T:
        raise InputError(
            f"{T} frames are too few for the text, whose {len(labels)} characters need {needed};"
            " correct the text, or use the whole recording"
        )
    states = lattice(labels)  # (S,)
    no_skip = np.where(skips(states), 0, -np.inf)  # (S,)
    spaces = np.array([extra_space, *labels, extra_space]) == extra_space
    boundary = 2 * np.flatnonzero(spaces[:-1] | spaces[1:])  # the blanks next to a space

    # best[2 + s] is v_t(s). The two places before are impossible, except that the path begins in the second.
    best = np.full(2 + len(states), -np.inf)
    best[1] = 0
    steps = np.empty((T, len(states)), np.int8)  # how many states the path advances to state s in frame t
    for t in range(T):
        emission = log_probs[t, states]  # (S,)
        emission[boundary] = np.maximum(emission[boundary], log_probs[t, extra_space])
        skipped, moved, stayed = best[:-2] + no_skip, best[1:-1], best[2:]  # (S,), from s - 2, s - 1 and s
        nearer = np.maximum(moved, stayed)
        steps[t] = np.where(skipped >= nearer, 2, moved >= stayed)
        best[:2], best[2:] = -np.inf, np.maximum(skipped, nearer) + emission
    s = len(states) - 2 + int(best[-2:].argmax())  # the last letter, or the blank after it
    log_prob = float(best[2 + s])
    if log_prob == -np.inf:
        raise InputError("every path of the text contains a character of probability 0; correct the text")
    path = np.empty(T, np.int64)
    for t in reversed(range(T)):
        path[t] = s
        s -= int(steps[t, s])
    letters = np.arange(1, len(states), 2)
    first, end = np.searchsorted(path, letters), np.searchsorted(path, letters, "right")
    return CTCPath(
        labels=labels.tolist(),
        frames=list(zip(first.tolist(), (end - 1).tolist(), strict=True)),
        peaks=[float(np.exp(log_probs[a:b, k].max())) for a, b, k in zip(first, end, labels, strict=True)],
        log_prob=log_prob,
    )


class Unmatched(NamedTuple):
    """A part of a recording, in seconds, and the words of the text there: they do not belong together."""

    start: float
    end: float
    words: list[str]


def align_text(
    log_probs: np.ndarray, times: np.ndarray, text: str, alphabet: Alphabet
) -> tuple[list[Word], list[Unmatched]]:
    """The words of a text, which may be long, with their times, and what could not be aligned.

    log_probs (T, K); times (T+1,) in seconds, where the frames begin and the last one ends. Words keep their
    spelling; what the alphabet cannot write, such as a dash or a number, belongs to the word before it.

    The text is compared with the greedy decoding. Where whole words of MIN_ANCHOR letters agree on either
    side of a space, text and recording are cut; `forced_align` aligns what is between. Where the text has
    MIN_UNMATCHED words and the decoding less than a third of them, they were not said; in the opposite case,
    what was said is not in the text. Neither is aligned, nor the text of another recording: less than a
    quarter of its words, of MIN_UNMATCHED or more, agree, or its letters are less probable than MAX_LOSS.
    """
    if not isinstance(text, str):
        raise InputError(f"the text is of type {type(text).__name__}; give a string")
    space = " " if " " in alphabet else ""
    units: list[tuple[str, str]] = []  # a word as in the text, and as the alphabet writes it
    for token in text.split() if space else ["".join(text.split())]:
        written = normalize(token, alphabet)
        written = "" if alphabet.missing(written) else written
        if units and not (written and units[-1][1]):
            units[-1] = f"{units[-1][0]} {token}", units[-1][1] or written
        else:
            units.append((token, written))
    owners = [(word, u) for u, (_, written) in enumerate(units) for word in written.split()]
    words = [word for word, _ in owners]
    found: list[list[Word]] = [[] for _ in units]
    unmatched = []
    heard = word_times(greedy(log_probs), alphabet, 1)
    for (first, a, matched), (end, b, _) in pairwise(_cuts(words, heard, len(log_probs))):
        path = _path_if_said(log_probs[a:b], space.join(words[first:end]), alphabet) if matched else None
        if path is None:
            unmatched.append(Unmatched(float(times[a]), float(times[b]), words[first:end]))
            continue
        for word, (_, u) in zip(word_times(path, alphabet, 1), owners[first:end], strict=True):
            found[u].append(word.moved(a, math.inf))
    result = []
    for (token, written), parts in zip(units, found, strict=True):
        if written and len(parts) == len(written.split()):
            letters = [c for part in parts for c in part.characters]
            letters = [(c, float(times[int(a)]), float(times[int(b)])) for c, a, b in letters]
            score = min(part.score for part in parts)
            result.append(Word(token, letters[0][1], letters[-1][2], score, tuple(letters)))
    return result, unmatched


def _path_if_said(log_probs: np.ndarray, text: str, alphabet: Alphabet) -> CTCPath | None:
    """The best path of a text; None if it has none, or only improbable letters, or if there is no text."""
    space = int(alphabet.encode(" ")[0]) if " " in alphabet else BLANK
    try:
        path = forced_align(log_probs, alphabet.encode(text), space)
    except InputError:
        return None
    improbable = np.log(np.maximum(path.peaks, 1e-30)).sum() < -MAX_LOSS * len(path.labels)
    return None if improbable or (len(log_probs) and not text) else path


def _cuts(words: list[str], heard: list[Word], T: int) -> list[tuple[int, int, bool]]:
    """Where parts of a text and a recording begin: (word, frame, whether they match); the last is the end.

    `heard` are the words of the greedy decoding, with frames as times. A few letters between two parts that
    do not match are part of them.
    """

    def frame(j: int) -> int:
        """Between the words j-1 and j that were heard."""
        return int(heard[j - 1].end + heard[j].start) // 2 if 0 < j < len(heard) else T if j else 0

    cuts = [(0, 0, True)]
    i = j = 0
    edits = align(words, [word.text for word in heard])
    for correct, group in groupby(edits, key=lambda edit: edit.op == CORRECT):
        run = list(group)
        n, m = sum(bool(edit.reference) for edit in run), sum(bool(edit.hypothesis) for edit in run)
        letters = np.cumsum([len(edit.reference) for edit in run])
        if correct:
            anchors = (letters >= MIN_ANCHOR) & (letters[-1] - letters >= MIN_ANCHOR)
            cuts += [(i + k, frame(j + k), True) for k in (np.flatnonzero(anchors) + 1).tolist()]
        elif max(n, m) >= MIN_UNMATCHED and 3 * min(n, m) < max(n, m):
            if len(cuts) > 1 and not cuts[-2][2] and sum(map(len, words[cuts[-1][0] : i])) < 2 * MIN_ANCHOR:
                cuts.pop()
            else:
                cuts.append((i, frame(j), False))
            cuts.append((i + n, frame(j + m), True))
        i, j = i + n, j + m
    cuts.append((len(words), T, True))
    agree = [edit.op == CORRECT for edit in edits if edit.reference]  # for each word of the text
    return [
        (i, t, matched and (j - i < MIN_UNMATCHED or 4 * sum(agree[i:j]) >= j - i))
        for (i, t, matched), (j, *_) in pairwise([*cuts, cuts[-1]])
    ]

"""Our answers to lesson 10, other right ones, and common mistakes."""

import heapq
from collections import defaultdict

import numpy as np


def beam_step(texts, y, letters):
    following = {}

    def add(text, p_b, p_nb):
        old_b, old_nb = following.get(text, (0.0, 0.0))
        following[text] = old_b + p_b, old_nb + p_nb

    for text, (p_b, p_nb) in texts.items():
        lasting = y[1 + letters.index(text[-1])] * p_nb if text else 0.0
        add(text, y[0] * (p_b + p_nb), lasting)
        for k, c in enumerate(letters, start=1):
            add(text + c, 0.0, y[k] * (p_b if text[-1:] == c else p_b + p_nb))
    return following


def beam_search(Y, letters, width):
    texts = {"": (1.0, 0.0)}
    for y in Y:
        texts = beam_step(texts, y, letters)
        best = sorted(texts, key=lambda text: sum(texts[text]), reverse=True)[:width]
        texts = {text: texts[text] for text in best}
    return texts


def with_lists_in_a_defaultdict(texts, y, letters):
    """Adds to lists, which start as [0, 0]."""
    following = defaultdict(lambda: [0.0, 0.0])
    for text, (p_b, p_nb) in texts.items():
        following[text][0] += y[0] * (p_b + p_nb)
        if text:
            following[text][1] += y[letters.index(text[-1]) + 1] * p_nb
        for k in range(1, len(y)):
            c = letters[k - 1]
            following[text + c][1] += y[k] * (p_b if text.endswith(c) else p_b + p_nb)
    return following


def text_by_text(texts, y, letters):
    """Asks, for each text that can follow, where its paths come from."""
    candidates = {*texts} | {text + c for text in texts for c in letters}
    following = {}
    for text in candidates:
        p_b, p_nb = texts.get(text, (0.0, 0.0))
        b, nb = y[0] * (p_b + p_nb), 0.0
        if text:
            y_last = y[letters.index(text[-1]) + 1]
            nb += y_last * p_nb
            if text[:-1] in texts:
                before_b, before_nb = texts[text[:-1]]
                nb += y_last * before_b
                if text[-2:-1] != text[-1]:
                    nb += y_last * before_nb
        following[text] = (b, nb)
    return following


def without_texts_of_probability_0(texts, y, letters):
    """Leaves out the texts that no path reads, such as “aa” after one frame."""
    return {
        text: sums
        for text, sums in beam_step(texts, y, letters).items()
        if sum(sums) > 0
    }


def with_small_arrays(texts, y, letters):
    """Keeps the two numbers in arrays."""
    following = {}
    for text, (p_b, p_nb) in texts.items():
        last = y[1 + letters.index(text[-1])] if text else 0.0
        contributions = {text: np.array([y[0] * (p_b + p_nb), last * p_nb])}
        for k, c in enumerate(letters):
            total = p_b if text and text[-1] == c else p_b + p_nb
            contributions[text + c] = np.array([0.0, y[k + 1] * total])
        for to, sums in contributions.items():
            following[to] = following.get(to, np.zeros(2)) + sums
    return following


def with_a_heap(Y, letters, width):
    """heapq.nlargest instead of sorted."""
    texts = {"": (1.0, 0.0)}
    for t in range(len(Y)):
        texts = beam_step(texts, Y[t], letters)
        texts = dict(
            heapq.nlargest(width, texts.items(), key=lambda item: sum(item[1]))
        )
    return texts


def deletes_the_others(Y, letters, width):
    """Deletes the worst texts one by one."""
    texts = {"": [1.0, 0.0]}
    for y in Y:
        texts = beam_step(texts, y, letters)
        for text in sorted(texts, key=lambda text: texts[text][0] + texts[text][1])[
            :-width
        ]:
            del texts[text]
    return texts


def prunes_before_the_step(Y, letters, width):
    """Prunes what the step before has made, and once more at the end."""

    def best(texts):
        return dict(sorted(texts.items(), key=lambda item: -sum(item[1]))[:width])

    texts = {"": (1.0, 0.0)}
    for y in Y:
        texts = beam_step(best(texts), y, letters)
    return best(texts)


def search(Y, letters, width, key=sum):
    """A search that ranks by another key."""
    texts = {"": (1.0, 0.0)}
    for y in Y:
        best = sorted(
            beam_step(texts, y, letters).items(),
            key=lambda item: key(item[1]),
            reverse=True,
        )
        texts = dict(best[:width])
    return texts


def make_step(stay, longer, assign=False):
    """A step with other rules: stay(y_blank, y_last, p_b, p_nb), longer(y_c, repeats, p_b, p_nb)."""

    def step(texts, y, letters):
        following = {}

        def add(text, p_b, p_nb):
            old_b, old_nb = (0.0, 0.0) if assign else following.get(text, (0.0, 0.0))
            following[text] = old_b + p_b, old_nb + p_nb

        for text, (p_b, p_nb) in texts.items():
            last = y[1 + letters.index(text[-1])] if text else 0.0
            add(text, *stay(y[0], last, p_b, p_nb))
            for k, c in enumerate(letters, start=1):
                add(text + c, 0.0, longer(y[k], text[-1:] == c, p_b, p_nb))
        return following

    return step


def correct_stay(blank, last, p_b, p_nb):
    return blank * (p_b + p_nb), last * p_nb


def correct_longer(y, repeats, p_b, p_nb):
    return y * (p_b if repeats else p_b + p_nb)


def repeats_without_a_blank(texts, y, letters):
    """A repeated letter is always a new one: the path aa reads “aa”."""
    return make_step(correct_stay, lambda y, repeats, p_b, p_nb: y * (p_b + p_nb))(
        texts, y, letters
    )


def never_repeats(texts, y, letters):
    """A repeated letter is never a new one, not even after a blank."""
    return make_step(
        correct_stay, lambda y, repeats, p_b, p_nb: 0 if repeats else y * (p_b + p_nb)
    )(texts, y, letters)


def repeats_the_wrong_kind(texts, y, letters):
    """p_nb instead of p_b where a letter repeats."""
    return make_step(
        correct_stay,
        lambda y, repeats, p_b, p_nb: y * (p_nb if repeats else p_b + p_nb),
    )(texts, y, letters)


def letters_last_one_frame(texts, y, letters):
    """A letter lasts one frame only: the path aa is lost."""
    return make_step(
        lambda blank, last, p_b, p_nb: (blank * (p_b + p_nb), 0.0), correct_longer
    )(texts, y, letters)


def lasts_after_a_blank(texts, y, letters):
    """A letter also lasts across a blank, so it is counted twice."""
    return make_step(
        lambda blank, last, p_b, p_nb: (blank * (p_b + p_nb), last * (p_b + p_nb)),
        correct_longer,
    )(texts, y, letters)


def blank_after_blank_only(texts, y, letters):
    """A blank can follow blanks only."""
    return make_step(
        lambda blank, last, p_b, p_nb: (blank * p_b, last * p_nb), correct_longer
    )(texts, y, letters)


def reads_the_probability_before(texts, y, letters):
    """Takes y[k] for letters[k] instead of y[k + 1]: y[0] is the blank."""
    return beam_step(texts, np.concatenate([y[:1], y[:-1]]), letters)


def replaces_what_lasts(texts, y, letters):
    """Overwrites with the text that stays what longer paths have added to it."""
    following = {}
    for text, (p_b, p_nb) in texts.items():
        for k, c in enumerate(letters, start=1):
            old = following.get(text + c, (0.0, 0.0))
            new = y[k] * (p_b if text[-1:] == c else p_b + p_nb)
            following[text + c] = old[0], old[1] + new
        last = y[1 + letters.index(text[-1])] if text else 0.0
        following[text] = y[0] * (p_b + p_nb), last * p_nb
    return following


def replaces_instead_of_adding(texts, y, letters):
    """A contribution from one text overwrites that from another."""
    return make_step(correct_stay, correct_longer, assign=True)(texts, y, letters)


def normalizes_all_texts(texts, y, letters):
    """Normalizes the sum of all texts to 1: kept texts get the probability of dropped ones."""
    following = make_step(correct_stay, correct_longer)(texts, y, letters)
    total = sum(map(sum, following.values()))
    return {
        text: (p_b / total, p_nb / total) for text, (p_b, p_nb) in following.items()
    }


def counts_a_letter_anywhere(texts, y, letters):
    """Demands a blank before a letter that is anywhere in the text, not only at its end."""
    following = {}
    for text, sums in texts.items():
        for to, (p_b, p_nb) in beam_step({text: sums}, y, letters).items():
            if to != text and to[-1] in text[:-1]:
                p_nb = y[1 + letters.index(to[-1])] * sums[0]
            old_b, old_nb = following.get(to, (0.0, 0.0))
            following[to] = old_b + p_b, old_nb + p_nb
    return following


def ranks_by_p_nb(Y, letters, width):
    """Ranks the texts by p_nb only."""
    return search(Y, letters, width, key=lambda sums: sums[1])


def ranks_by_the_greater(Y, letters, width):
    """Ranks the texts by the greater of p_b and p_nb instead of their sum."""
    return search(Y, letters, width, key=max)


def ranks_by_the_pair(Y, letters, width):
    """Ranks by the pair (p_b, p_nb), so by p_b first, instead of its sum."""
    return search(Y, letters, width, key=tuple)


def starts_with_probability_0(Y, letters, width):
    """Starts with (0, 0): nothing can become probable. Before the first frame, the empty text is certain."""
    texts = {"": (0.0, 0.0)}
    for y in Y:
        best = sorted(
            beam_step(texts, y, letters).items(), key=lambda item: -sum(item[1])
        )
        texts = dict(best[:width])
    return texts


def keeps_the_first(Y, letters, width):
    """Keeps the first `width` texts of the dictionary, without sorting."""
    return search(Y, letters, width, key=lambda sums: 0)


def ranks_the_pairs_of_items(Y, letters, width):
    """Sorts the items, so by the text, not by its probability."""
    texts = {"": (1.0, 0.0)}
    for y in Y:
        texts = dict(sorted(beam_step(texts, y, letters).items(), reverse=True)[:width])
    return texts


def prunes_before_the_step_only(Y, letters, width):
    """Prunes before each step, so after the last one there are more than `width` texts."""
    texts = {"": (1.0, 0.0)}
    for y in Y:
        best = sorted(texts.items(), key=lambda item: -sum(item[1]))[:width]
        texts = beam_step(dict(best), y, letters)
    return texts


def never_prunes(Y, letters, width):
    """Keeps all texts."""
    return search(Y, letters, 10**9)


def prunes_at_the_end(Y, letters, width):
    """Prunes after the last frame only."""
    texts = search(Y, letters, 10**9)
    return dict(list(texts.items())[:width])


def keeps_the_least_probable(Y, letters, width):
    """Sorts in ascending order."""
    return search(Y, letters, width, key=lambda sums: -sum(sums))


def prunes_every_second_frame(Y, letters, width):
    """Prunes after every second frame only."""
    texts = {"": (1.0, 0.0)}
    for t, y in enumerate(Y):
        best = sorted(
            beam_step(texts, y, letters).items(), key=lambda item: -sum(item[1])
        )
        texts = dict(best[:width] if t % 2 else best)
    return texts


def normalizes_the_beam(Y, letters, width):
    """Normalizes the kept texts to a sum of 1."""
    texts = {"": (1.0, 0.0)}
    for y in Y:
        best = sorted(
            beam_step(texts, y, letters).items(), key=lambda item: -sum(item[1])
        )[:width]
        total = sum(sum(sums) for _, sums in best)
        texts = {text: (p_b / total, p_nb / total) for text, (p_b, p_nb) in best}
    return texts


def starts_with_the_first_frame(Y, letters, width):
    """Starts with a path for each letter in the first frame, and takes no step for it."""
    texts = {"": (Y[0][0], 0.0)} | {
        c: (0.0, Y[0][k]) for k, c in enumerate(letters, start=1)
    }
    for y in Y[1:]:
        best = sorted(
            beam_step(texts, y, letters).items(), key=lambda item: -sum(item[1])
        )
        texts = dict(best[:width])
    return texts


def starts_in_a_letter(Y, letters, width):
    """Starts with (0, 1): the empty text as if it ended in a letter."""
    texts = {"": (0.0, 1.0)}
    for y in Y:
        best = sorted(
            beam_step(texts, y, letters).items(), key=lambda item: -sum(item[1])
        )
        texts = dict(best[:width])
    return texts


def returns_the_best_text(Y, letters, width):
    """Returns the best text instead of the beam."""
    texts = beam_search(Y, letters, width)
    return max(texts, key=lambda text: sum(texts[text]))


def starts_with_no_text(Y, letters, width):
    """Has no text before the first frame."""
    return {}


HINTS = {
    "beam_step": [
        "two texts can contribute to the same one (“a” from “a” and from “”): add them",
        "write a small add(text, p_b, p_nb) and call it for each of the cases above",
        "add(text, y[0] * (p_b + p_nb), y[1 + letters.index(text[-1])] * p_nb); for each c: add(text"
        " + c, 0, y[k] * (p_b if text[-1:] == c else p_b + p_nb))",
    ],
    "beam_search": [
        "take one step for each row of Y, and keep the best `width` texts after each",
        "sorted(texts, key=…, reverse=True)[:width] with the key p_b + p_nb",
        "dict(sorted(beam_step(texts, y, letters).items(), key=lambda i: -sum(i[1]))[:width])",
    ],
}

WRONG = {
    "beam_step": [
        repeats_without_a_blank,
        never_repeats,
        repeats_the_wrong_kind,
        letters_last_one_frame,
        lasts_after_a_blank,
        blank_after_blank_only,
        reads_the_probability_before,
        replaces_what_lasts,
        replaces_instead_of_adding,
        normalizes_all_texts,
        counts_a_letter_anywhere,
    ],
    "beam_search": [
        ranks_by_p_nb,
        ranks_by_the_greater,
        ranks_by_the_pair,
        starts_with_probability_0,
        keeps_the_first,
        ranks_the_pairs_of_items,
        prunes_before_the_step_only,
        never_prunes,
        prunes_at_the_end,
        keeps_the_least_probable,
        prunes_every_second_frame,
        normalizes_the_beam,
        starts_with_the_first_frame,
        returns_the_best_text,
        starts_with_no_text,
    ],
}

RIGHT = {
    "beam_step": [
        with_lists_in_a_defaultdict,
        text_by_text,
        without_texts_of_probability_0,
        with_small_arrays,
    ],
    "beam_search": [
        with_a_heap,
        deletes_the_others,
        prunes_before_the_step,
        starts_in_a_letter,
    ],
}

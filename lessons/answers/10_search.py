"""The answers to lesson 9, and common mistakes."""


def step(texts, y, letters):
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


def search(Y, letters, width, key=sum, step=step):
    texts = {"": (1.0, 0.0)}
    for y in Y:
        best = sorted(step(texts, y, letters).items(), key=lambda item: key(item[1]), reverse=True)
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
    return make_step(correct_stay, lambda y, repeats, p_b, p_nb: y * (p_b + p_nb))(texts, y, letters)


def never_repeats(texts, y, letters):
    """A repeated letter is never a new one, not even after a blank."""
    return make_step(correct_stay, lambda y, repeats, p_b, p_nb: 0 if repeats else y * (p_b + p_nb))(
        texts, y, letters
    )


def repeats_the_wrong_kind(texts, y, letters):
    """p_nb instead of p_b where a letter repeats."""
    return make_step(correct_stay, lambda y, repeats, p_b, p_nb: y * (p_nb if repeats else p_b + p_nb))(
        texts, y, letters
    )


def letters_last_one_frame(texts, y, letters):
    """A letter lasts one frame only: the path aa is lost."""
    return make_step(lambda blank, last, p_b, p_nb: (blank * (p_b + p_nb), 0.0), correct_longer)(
        texts, y, letters
    )


def lasts_after_a_blank(texts, y, letters):
    """A letter also lasts across a blank, so it is counted twice."""
    return make_step(
        lambda blank, last, p_b, p_nb: (blank * (p_b + p_nb), last * (p_b + p_nb)), correct_longer
    )(texts, y, letters)


def blank_after_blank_only(texts, y, letters):
    """A blank can follow blanks only."""
    return make_step(lambda blank, last, p_b, p_nb: (blank * p_b, last * p_nb), correct_longer)(
        texts, y, letters
    )


def replaces_instead_of_adding(texts, y, letters):
    """A contribution from one text overwrites that from another."""
    return make_step(correct_stay, correct_longer, assign=True)(texts, y, letters)


def normalizes_all_texts(texts, y, letters):
    """Normalizes the sum of all texts to 1: kept texts get the probability of dropped ones."""
    following = make_step(correct_stay, correct_longer)(texts, y, letters)
    total = sum(map(sum, following.values()))
    return {text: (p_b / total, p_nb / total) for text, (p_b, p_nb) in following.items()}


def counts_a_letter_anywhere(texts, y, letters):
    """Demands a blank before a letter that is anywhere in the text, not only at its end."""
    following = {}
    for text, sums in texts.items():
        for to, (p_b, p_nb) in step({text: sums}, y, letters).items():
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
        best = sorted(step(texts, y, letters).items(), key=lambda item: -sum(item[1]))
        texts = dict(best[:width] if t % 2 else best)
    return texts


def normalizes_the_beam(Y, letters, width):
    """Normalizes the kept texts to a sum of 1."""
    texts = {"": (1.0, 0.0)}
    for y in Y:
        best = sorted(step(texts, y, letters).items(), key=lambda item: -sum(item[1]))[:width]
        total = sum(sum(sums) for _, sums in best)
        texts = {text: (p_b / total, p_nb / total) for text, (p_b, p_nb) in best}
    return texts


def starts_with_no_text(Y, letters, width):
    """Has no text before the first frame."""
    return {}


HINTS = {
    "step": [
        "two texts can contribute to the same one (“a” from “a” and from “”): add them",
        "write a small add(text, p_b, p_nb) and call it for each of the cases above",
        "add(text, y[0] * (p_b + p_nb), y[1 + letters.index(text[-1])] * p_nb); for each c: add(text"
        " + c, 0, y[k] * (p_b if text[-1:] == c else p_b + p_nb))",
    ],
    "search": [
        "take one step for each row of Y, and keep the best `width` texts after each",
        "sorted(texts, key=…, reverse=True)[:width] with the key p_b + p_nb",
        "dict(sorted(step(texts, y, letters).items(), key=lambda i: -sum(i[1]))[:width])",
    ],
}

WRONG = {
    "step": [
        repeats_without_a_blank,
        never_repeats,
        repeats_the_wrong_kind,
        letters_last_one_frame,
        lasts_after_a_blank,
        blank_after_blank_only,
        replaces_instead_of_adding,
        normalizes_all_texts,
        counts_a_letter_anywhere,
    ],
    "search": [
        ranks_by_p_nb,
        ranks_by_the_greater,
        never_prunes,
        prunes_at_the_end,
        keeps_the_least_probable,
        prunes_every_second_frame,
        normalizes_the_beam,
        starts_with_no_text,
    ],
}

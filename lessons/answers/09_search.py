"""Lesson 9: our answers, and the usual wrong ones."""


def step(texts, y, letters):
    following = {}

    def add(text, p_b, p_nb):
        old_b, old_nb = following.get(text, (0.0, 0.0))
        following[text] = old_b + p_b, old_nb + p_nb

    for text, (p_b, p_nb) in texts.items():
        held = y[1 + letters.index(text[-1])] * p_nb if text else 0.0
        add(text, y[0] * (p_b + p_nb), held)
        for k, c in enumerate(letters, start=1):
            add(text + c, 0.0, y[k] * (p_b if text[-1:] == c else p_b + p_nb))
    return following


def search(Y, letters, width, key=sum, step=step):
    texts = {"": (1.0, 0.0)}
    for y in Y:
        best = sorted(step(texts, y, letters).items(), key=lambda item: key(item[1]), reverse=True)
        texts = dict(best[:width])
    return texts


def stepping(stay, longer, assign=False):
    """A step with other masses: stay(y_blank, y_last, p_b, p_nb) and longer(y_c, repeats, p_b, p_nb)."""

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


def right_stay(blank, last, p_b, p_nb):
    return blank * (p_b + p_nb), last * p_nb


def right_longer(y, repeats, p_b, p_nb):
    return y * (p_b if repeats else p_b + p_nb)


def repeats_without_a_blank(texts, y, letters):
    """A letter after itself is always a new one: the path aa reads “aa”."""
    return stepping(right_stay, lambda y, repeats, p_b, p_nb: y * (p_b + p_nb))(texts, y, letters)


def never_repeats(texts, y, letters):
    """A letter after itself is never a new one, not even behind a blank."""
    return stepping(right_stay, lambda y, repeats, p_b, p_nb: 0 if repeats else y * (p_b + p_nb))(
        texts, y, letters
    )


def repeats_the_wrong_kind(texts, y, letters):
    """p_nb where a letter repeats, instead of p_b."""
    return stepping(right_stay, lambda y, repeats, p_b, p_nb: y * (p_nb if repeats else p_b + p_nb))(
        texts, y, letters
    )


def letters_cannot_be_held(texts, y, letters):
    """A letter lasts one frame: the path aa is forgotten."""
    return stepping(lambda blank, last, p_b, p_nb: (blank * (p_b + p_nb), 0.0), right_longer)(
        texts, y, letters
    )


def held_behind_a_blank(texts, y, letters):
    """What is held may come from a blank, too: a letter is counted twice."""
    return stepping(lambda blank, last, p_b, p_nb: (blank * (p_b + p_nb), last * (p_b + p_nb)), right_longer)(
        texts, y, letters
    )


def blank_after_blank_alone(texts, y, letters):
    """A blank follows only blanks."""
    return stepping(lambda blank, last, p_b, p_nb: (blank * p_b, last * p_nb), right_longer)(
        texts, y, letters
    )


def replaces_instead_of_adding(texts, y, letters):
    """What a text already has from another parent is overwritten."""
    return stepping(right_stay, right_longer, assign=True)(texts, y, letters)


def shares_of_the_whole(texts, y, letters):
    """All texts together are made 1 again: what a beam has dropped is given to those that stayed."""
    following = stepping(right_stay, right_longer)(texts, y, letters)
    total = sum(map(sum, following.values()))
    return {text: (p_b / total, p_nb / total) for text, (p_b, p_nb) in following.items()}


def counts_a_letter_anywhere(texts, y, letters):
    """A letter that the text has somewhere, not only at its end, needs a blank before it."""
    following = {}
    for text, masses in texts.items():
        for to, (p_b, p_nb) in step({text: masses}, y, letters).items():
            if to != text and to[-1] in text[:-1]:
                p_nb = y[1 + letters.index(to[-1])] * masses[0]
            old_b, old_nb = following.get(to, (0.0, 0.0))
            following[to] = old_b + p_b, old_nb + p_nb
    return following


def prunes_by_letters(Y, letters, width):
    """Best by p_nb alone."""
    return search(Y, letters, width, key=lambda masses: masses[1])


def prunes_by_the_greater(Y, letters, width):
    """Best by the greater of the two instead of their sum."""
    return search(Y, letters, width, key=max)


def never_prunes(Y, letters, width):
    """Everything stays."""
    return search(Y, letters, 10**9)


def prunes_at_the_end(Y, letters, width):
    """The best of the last frame alone: right, but everything was followed."""
    texts = search(Y, letters, 10**9)
    return dict(list(texts.items())[:width])


def keeps_the_worst(Y, letters, width):
    """Sorted the wrong way round."""
    return search(Y, letters, width, key=lambda masses: -sum(masses))


def prunes_now_and_then(Y, letters, width):
    """Only every second frame drops texts."""
    texts = {"": (1.0, 0.0)}
    for t, y in enumerate(Y):
        best = sorted(step(texts, y, letters).items(), key=lambda item: -sum(item[1]))
        texts = dict(best[:width] if t % 2 else best)
    return texts


def shares_of_the_beam(Y, letters, width):
    """Those that stay are made 1 again."""
    texts = {"": (1.0, 0.0)}
    for y in Y:
        best = sorted(step(texts, y, letters).items(), key=lambda item: -sum(item[1]))[:width]
        total = sum(sum(masses) for _, masses in best)
        texts = {text: (p_b / total, p_nb / total) for text, (p_b, p_nb) in best}
    return texts


def starts_with_nothing(Y, letters, width):
    """Before the first frame no text has any probability."""
    return {}


WRONG = {
    "step": [
        repeats_without_a_blank,
        never_repeats,
        repeats_the_wrong_kind,
        letters_cannot_be_held,
        held_behind_a_blank,
        blank_after_blank_alone,
        replaces_instead_of_adding,
        shares_of_the_whole,
        counts_a_letter_anywhere,
    ],
    "search": [
        prunes_by_letters,
        prunes_by_the_greater,
        never_prunes,
        prunes_at_the_end,
        keeps_the_worst,
        prunes_now_and_then,
        shares_of_the_beam,
        starts_with_nothing,
    ],
}

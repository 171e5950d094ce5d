"""Lesson 10: our answers, and the usual wrong ones."""


def smoothed(counts, D, shorter):
    total = sum(counts.values())
    gamma = sum(D[min(c, 3)] for c in counts.values()) / total
    own = {w: (c - D[min(c, 3)]) / total for w, c in counts.items()}
    return {w: own.get(w, 0.0) + gamma * p for w, p in shorter.items()}


def backed_off(word, history, p, gamma):
    if (*history, word) in p:
        return p[(*history, word)]
    return gamma.get(history, 1.0) * backed_off(word, history[1:], p, gamma)


def Q(text, log_prob, lm, alpha, beta):
    return log_prob + alpha * lm.log_prob(text) + beta * len(text.split())


def no_discount(counts, D, shorter):
    """c / total + γ p': nothing was taken for what is lent."""
    total = sum(counts.values())
    gamma = sum(D[min(c, 3)] for c in counts.values()) / total
    return {w: counts.get(w, 0) / total + gamma * p for w, p in shorter.items()}


def counts_alone(counts, D, shorter):
    """c / total: what was never seen is impossible."""
    return {w: counts.get(w, 0) / sum(counts.values()) for w in shorter}


def lends_only_to_the_unseen(counts, D, shorter):
    """The words that were seen get nothing of the shorter history."""
    right = smoothed(counts, D, shorter)
    lent = smoothed(counts, D, dict.fromkeys(shorter, 0.0))
    return {w: lent[w] if w in counts else right[w] for w in shorter}


def gamma_of_the_words(counts, D, shorter):
    """γ = the share of words that were seen, as if each had given 1."""
    total = sum(counts.values())
    own = {w: (c - D[min(c, 3)]) / total for w, c in counts.items()}
    return {w: own.get(w, 0.0) + len(counts) / total * p for w, p in shorter.items()}


def one_discount(counts, D, shorter):
    """D(1) for every count."""
    return smoothed(counts, [0.0, D[1], D[1], D[1]], shorter)


def only_the_words_seen(counts, D, shorter):
    """The others are missing."""
    return {w: p for w, p in smoothed(counts, D, shorter).items() if w in counts}


def lends_to_all_alike(counts, D, shorter):
    """The same for every word: the shorter history is not asked."""
    return smoothed(counts, D, dict.fromkeys(shorter, 1 / len(shorter)))


def gamma_of_a_word(counts, D, shorter):
    """γ = what is taken divided by the number of words, not of their occurrences."""
    total = sum(counts.values())
    gamma = sum(D[min(c, 3)] for c in counts.values()) / len(counts)
    own = {w: (c - D[min(c, 3)]) / total for w, c in counts.items()}
    return {w: own.get(w, 0.0) + gamma * p for w, p in shorter.items()}


def never_backs_off(word, history, p, gamma):
    """What was not seen is impossible."""
    return p.get((*history, word), 0.0)


def backs_off_for_nothing(word, history, p, gamma):
    """Without γ: the probabilities after a history sum to more than 1."""
    if (*history, word) in p:
        return p[(*history, word)]
    return backs_off_for_nothing(word, history[1:], p, gamma)


def gamma_of_the_shorter(word, history, p, gamma):
    """γ of the history to come instead of the one that failed."""
    if (*history, word) in p:
        return p[(*history, word)]
    shorter = history[1:]
    return gamma.get(shorter, 1.0) * gamma_of_the_shorter(word, shorter, p, gamma)


def forgets_the_nearest(word, history, p, gamma):
    """Drops the last word of the history, the nearest, instead of the first."""
    if (*history, word) in p:
        return p[(*history, word)]
    return gamma.get(history, 1.0) * forgets_the_nearest(word, history[:-1], p, gamma)


def straight_to_the_word(word, history, p, gamma):
    """Skips the orders in between."""
    if (*history, word) in p:
        return p[(*history, word)]
    return gamma.get(history, 1.0) * p[(word,)]


def unknown_history_is_none(word, history, p, gamma):
    """From a history never seen straight to the word alone: what its end knows is lost."""
    if (*history, word) in p:
        return p[(*history, word)]
    if history not in gamma:
        return p[(word,)]
    return gamma[history] * unknown_history_is_none(word, history[1:], p, gamma)


def unknown_history_is_nothing(word, history, p, gamma):
    """A history never seen has γ = 0."""
    if (*history, word) in p:
        return p[(*history, word)]
    return gamma.get(history, 0.0) * unknown_history_is_nothing(word, history[1:], p, gamma)


def probabilities_not_logarithms(text, log_prob, lm, alpha, beta):
    """P_lm itself beside logarithms."""
    return log_prob + alpha * 2.718281828459045 ** lm.log_prob(text) + beta * len(text.split())


def counts_letters(text, log_prob, lm, alpha, beta):
    """β for every character."""
    return log_prob + alpha * lm.log_prob(text) + beta * len(text)


def counts_spaces(text, log_prob, lm, alpha, beta):
    """One word too few."""
    return log_prob + alpha * lm.log_prob(text) + beta * text.count(" ")


def without_the_end(text, log_prob, lm, alpha, beta):
    """The sentence's end is not asked for."""
    return log_prob + alpha * lm.log_prob(text, eos=False) + beta * len(text.split())


def counts_different_words(text, log_prob, lm, alpha, beta):
    """A word that comes twice is counted once."""
    return log_prob + alpha * lm.log_prob(text) + beta * len(set(text.split()))


def alpha_weighs_the_words(text, log_prob, lm, alpha, beta):
    """α before a bracket around both."""
    return log_prob + alpha * (lm.log_prob(text) + beta * len(text.split()))


def weighs_the_network(text, log_prob, lm, alpha, beta):
    """α at the wrong term."""
    return alpha * log_prob + lm.log_prob(text) + beta * len(text.split())


def in_tens(text, log_prob, lm, alpha, beta):
    """log10 of the language model, as the file has it, beside natural logarithms."""
    return log_prob + alpha * lm.log_prob(text) / 2.302585092994046 + beta * len(text.split())


WRONG = {
    "smoothed": [
        no_discount,
        counts_alone,
        lends_only_to_the_unseen,
        gamma_of_the_words,
        one_discount,
        only_the_words_seen,
        lends_to_all_alike,
        gamma_of_a_word,
    ],
    "backed_off": [
        never_backs_off,
        backs_off_for_nothing,
        gamma_of_the_shorter,
        forgets_the_nearest,
        straight_to_the_word,
        unknown_history_is_none,
        unknown_history_is_nothing,
    ],
    "Q": [
        probabilities_not_logarithms,
        counts_letters,
        counts_spaces,
        counts_different_words,
        alpha_weighs_the_words,
        without_the_end,
        weighs_the_network,
        in_tens,
    ],
}

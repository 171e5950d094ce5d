"""The answers to lesson 10, and common mistakes."""


def smoothed(counts, D, shorter):
    total = sum(counts.values())
    gamma = sum(D[min(c, 3)] for c in counts.values()) / total
    discounted = {w: (c - D[min(c, 3)]) / total for w, c in counts.items()}
    return {w: discounted.get(w, 0.0) + gamma * p for w, p in shorter.items()}


def backed_off(word, history, p, gamma):
    if (*history, word) in p:
        return p[(*history, word)]
    return gamma.get(history, 1.0) * backed_off(word, history[1:], p, gamma)


def Q(text, log_prob, lm, alpha, beta):
    return log_prob + alpha * lm.log_prob(text) + beta * len(text.split())


def no_discount(counts, D, shorter):
    """c / total + γ p': gives probability away without taking any."""
    total = sum(counts.values())
    gamma = sum(D[min(c, 3)] for c in counts.values()) / total
    return {w: counts.get(w, 0) / total + gamma * p for w, p in shorter.items()}


def counts_alone(counts, D, shorter):
    """c / total: a word never seen is impossible."""
    return {w: counts.get(w, 0) / sum(counts.values()) for w in shorter}


def smooths_only_the_unseen(counts, D, shorter):
    """Words that were seen get no probability from the shorter history."""
    correct = smoothed(counts, D, shorter)
    first_term = smoothed(counts, D, dict.fromkeys(shorter, 0.0))
    return {w: first_term[w] if w in counts else correct[w] for w in shorter}


def gamma_from_distinct_words(counts, D, shorter):
    """γ = distinct words / total, as if each discount were 1."""
    total = sum(counts.values())
    discounted = {w: (c - D[min(c, 3)]) / total for w, c in counts.items()}
    return {w: discounted.get(w, 0.0) + len(counts) / total * p for w, p in shorter.items()}


def one_discount(counts, D, shorter):
    """D(1) for every count."""
    return smoothed(counts, [0.0, D[1], D[1], D[1]], shorter)


def only_the_words_seen(counts, D, shorter):
    """Returns only the words that were seen."""
    return {w: p for w, p in smoothed(counts, D, shorter).items() if w in counts}


def ignores_the_shorter_history(counts, D, shorter):
    """Gives the same to every word instead of asking the shorter history."""
    return smoothed(counts, D, dict.fromkeys(shorter, 1 / len(shorter)))


def gamma_per_distinct_word(counts, D, shorter):
    """γ = Σ D / distinct words, not divided by the total count."""
    total = sum(counts.values())
    gamma = sum(D[min(c, 3)] for c in counts.values()) / len(counts)
    discounted = {w: (c - D[min(c, 3)]) / total for w, c in counts.items()}
    return {w: discounted.get(w, 0.0) + gamma * p for w, p in shorter.items()}


def never_backs_off(word, history, p, gamma):
    """An n-gram never seen is impossible."""
    return p.get((*history, word), 0.0)


def backs_off_without_gamma(word, history, p, gamma):
    """Without γ: the probabilities after a history sum to more than 1."""
    if (*history, word) in p:
        return p[(*history, word)]
    return backs_off_without_gamma(word, history[1:], p, gamma)


def gamma_of_the_shorter(word, history, p, gamma):
    """γ of the shorter history instead of the longer one."""
    if (*history, word) in p:
        return p[(*history, word)]
    shorter = history[1:]
    return gamma.get(shorter, 1.0) * gamma_of_the_shorter(word, shorter, p, gamma)


def drops_the_last_word(word, history, p, gamma):
    """Drops the last word of the history instead of the first."""
    if (*history, word) in p:
        return p[(*history, word)]
    return gamma.get(history, 1.0) * drops_the_last_word(word, history[:-1], p, gamma)


def straight_to_unigrams(word, history, p, gamma):
    """Skips the orders between."""
    if (*history, word) in p:
        return p[(*history, word)]
    return gamma.get(history, 1.0) * p[(word,)]


def unknown_history_to_unigrams(word, history, p, gamma):
    """Goes from a history never seen straight to the unigram, past its suffixes."""
    if (*history, word) in p:
        return p[(*history, word)]
    if history not in gamma:
        return p[(word,)]
    return gamma[history] * unknown_history_to_unigrams(word, history[1:], p, gamma)


def unknown_history_has_gamma_0(word, history, p, gamma):
    """γ = 0 for a history never seen."""
    if (*history, word) in p:
        return p[(*history, word)]
    return gamma.get(history, 0.0) * unknown_history_has_gamma_0(word, history[1:], p, gamma)


def probabilities_not_logarithms(text, log_prob, lm, alpha, beta):
    """P_lm instead of its logarithm."""
    return log_prob + alpha * 2.718281828459045 ** lm.log_prob(text) + beta * len(text.split())


def counts_letters(text, log_prob, lm, alpha, beta):
    """Adds β for every character."""
    return log_prob + alpha * lm.log_prob(text) + beta * len(text)


def counts_spaces(text, log_prob, lm, alpha, beta):
    """Counts spaces: one word too few."""
    return log_prob + alpha * lm.log_prob(text) + beta * text.count(" ")


def without_the_end(text, log_prob, lm, alpha, beta):
    """Leaves out the end of the sentence."""
    return log_prob + alpha * lm.log_prob(text, eos=False) + beta * len(text.split())


def counts_different_words(text, log_prob, lm, alpha, beta):
    """Counts a repeated word once."""
    return log_prob + alpha * lm.log_prob(text) + beta * len(set(text.split()))


def alpha_times_the_bonus(text, log_prob, lm, alpha, beta):
    """Multiplies the bonus by α, too."""
    return log_prob + alpha * (lm.log_prob(text) + beta * len(text.split()))


def alpha_times_the_network(text, log_prob, lm, alpha, beta):
    """Multiplies the wrong term by α."""
    return alpha * log_prob + lm.log_prob(text) + beta * len(text.split())


def decimal_logarithm(text, log_prob, lm, alpha, beta):
    """log10 of the language model, as in the file, added to natural logarithms."""
    return log_prob + alpha * lm.log_prob(text) / 2.302585092994046 + beta * len(text.split())


HINTS = {
    "smoothed": [
        "compute the total of the counts, then γ, then a dictionary over `shorter`",
        "a word that is not in counts has count 0, and D[0] is 0; use D[min(c, 3)]",
        "{w: (counts.get(w, 0) - D[min(counts.get(w, 0), 3)]) / total + gamma * p …}",
    ],
    "backed_off": [
        "two cases: the n-gram was seen or not; in the second the function calls itself",
        "p[(*history, word)] if it is in p, else γ(history) times p after history[1:]",
        "gamma.get(history, 1.0) * backed_off(word, history[1:], p, gamma)",
    ],
    "Q": [
        "three terms, as in the formula",
        "the words of a text are text.split()",
    ],
}

WRONG = {
    "smoothed": [
        no_discount,
        counts_alone,
        smooths_only_the_unseen,
        gamma_from_distinct_words,
        one_discount,
        only_the_words_seen,
        ignores_the_shorter_history,
        gamma_per_distinct_word,
    ],
    "backed_off": [
        never_backs_off,
        backs_off_without_gamma,
        gamma_of_the_shorter,
        drops_the_last_word,
        straight_to_unigrams,
        unknown_history_to_unigrams,
        unknown_history_has_gamma_0,
    ],
    "Q": [
        probabilities_not_logarithms,
        counts_letters,
        counts_spaces,
        counts_different_words,
        alpha_times_the_bonus,
        without_the_end,
        alpha_times_the_network,
        decimal_logarithm,
    ],
}

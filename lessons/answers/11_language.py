"""Our answers to lesson 11, other right ones, and common mistakes."""

import math

from minids.lesson.folder import answer

beam_step = answer("beam_step")


def smoothed(counts, D, shorter):
    total = sum(counts.values())
    gamma = sum(D[min(c, 3)] for c in counts.values()) / total
    discounted = {w: (c - D[min(c, 3)]) / total for w, c in counts.items()}
    return {w: discounted.get(w, 0.0) + gamma * p for w, p in shorter.items()}


def backed_off(word, history, p, gamma):
    if (*history, word) in p:
        return p[(*history, word)]
    return gamma.get(history, 1.0) * backed_off(word, history[1:], p, gamma)


def Q(text, log_prob, lm, alpha, beta, end=True):
    return log_prob + alpha * lm(text, end) + beta * len(text.split())


def beam_search_with_lm(Y, letters, width, lm, alpha, beta):
    def score(text, end):
        words = (
            text if end else text[: text.rfind(" ") + 1]
        )  # without an incomplete word
        p = sum(texts[text])
        return Q(words, math.log(p) if p > 0 else -math.inf, lm, alpha, beta, end)

    texts = {"": (1.0, 0.0)}
    for y in Y:
        texts = beam_step(texts, y, letters)
        best = sorted(texts, key=lambda text: score(text, end=False), reverse=True)[
            :width
        ]
        texts = {text: texts[text] for text in best}
    return {text: score(text, end=True) for text in texts}


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
    return {
        w: discounted.get(w, 0.0) + len(counts) / total * p for w, p in shorter.items()
    }


def one_discount(counts, D, shorter):
    """D(1) for every count."""
    return smoothed(counts, [0.0, D[1], D[1], D[1]], shorter)


def discount_of_one_less(counts, D, shorter):
    """D[c - 1] instead of D[c]: D[0] is for words never seen."""
    return smoothed(counts, [0.0, D[0], D[1], D[2]], shorter)


def divides_by_the_distinct_words(counts, D, shorter):
    """Divides by the number of words that were seen, len(counts), not by how often."""
    n = len(counts)
    gamma = sum(D[min(c, 3)] for c in counts.values()) / n
    discounted = {w: (c - D[min(c, 3)]) / n for w, c in counts.items()}
    return {w: discounted.get(w, 0.0) + gamma * p for w, p in shorter.items()}


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


def discount_by_word(counts, D, shorter):
    """Takes D of the largest count for all words."""
    return smoothed(counts, [0.0] + [D[min(max(counts.values()), 3)]] * 3, shorter)


def never_below_a_millionth(counts, D, shorter):
    """Gives every word at least a small probability, so their sum exceeds 1; γ p' does that already."""
    return {w: max(q, 1e-12) for w, q in smoothed(counts, D, shorter).items()}


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


def looks_back_two_words(word, history, p, gamma):
    """Uses the last two words of the history only, however long the model's n-grams are."""
    return backed_off(word, history[-2:], p, gamma)


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
    return gamma.get(history, 0.0) * unknown_history_has_gamma_0(
        word, history[1:], p, gamma
    )


def probabilities_not_logarithms(text, log_prob, lm, alpha, beta, end=True):
    """P_lm instead of its logarithm."""
    return log_prob + alpha * math.exp(lm(text, end)) + beta * len(text.split())


def counts_letters(text, log_prob, lm, alpha, beta, end=True):
    """Adds β for every character."""
    return log_prob + alpha * lm(text, end) + beta * len(text)


def counts_spaces(text, log_prob, lm, alpha, beta, end=True):
    """Counts spaces: one word too few."""
    return log_prob + alpha * lm(text, end) + beta * text.count(" ")


def counts_spaces_and_one(text, log_prob, lm, alpha, beta, end=True):
    """Counts spaces and adds one: “a ” has one word, but a space."""
    return log_prob + alpha * lm(text, end) + beta * (text.count(" ") + (text != ""))


def counts_the_empty_text_as_a_word(text, log_prob, lm, alpha, beta, end=True):
    """Splits at each space, so the empty text counts as a word."""
    return log_prob + alpha * lm(text, end) + beta * len(text.split(" "))


def without_the_end(text, log_prob, lm, alpha, beta, end=True):
    """Leaves out the end of the sentence."""
    return log_prob + alpha * lm(text, False) + beta * len(text.split())


def always_with_the_end(text, log_prob, lm, alpha, beta, end=True):
    """Does not pass `end` on."""
    return log_prob + alpha * lm(text) + beta * len(text.split())


def counts_different_words(text, log_prob, lm, alpha, beta, end=True):
    """Counts a repeated word once."""
    return log_prob + alpha * lm(text, end) + beta * len(set(text.split()))


def alpha_times_the_bonus(text, log_prob, lm, alpha, beta, end=True):
    """Multiplies the bonus by α, too."""
    return log_prob + alpha * (lm(text, end) + beta * len(text.split()))


def alpha_times_the_network(text, log_prob, lm, alpha, beta, end=True):
    """Multiplies the wrong term by α."""
    return alpha * log_prob + lm(text, end) + beta * len(text.split())


def decimal_logarithm(text, log_prob, lm, alpha, beta, end=True):
    """log10 of the language model, as in an ARPA file, added to natural logarithms."""
    return log_prob + alpha * lm(text, end) / math.log(10) + beta * len(text.split())


def counts_the_end_as_a_word(text, log_prob, lm, alpha, beta, end=True):
    """Adds β for the end of the sentence, too."""
    return log_prob + alpha * lm(text, end) + beta * (len(text.split()) + end)


def make_search(step_score, end_score, width_at=lambda width: width):
    """A search with the scores step_score(text, log p, lm, α, β) in each frame and end_score at the end."""

    def search(Y, letters, width, lm, alpha, beta):
        texts = {"": (1.0, 0.0)}

        def score(text, of):
            p = sum(texts[text])
            return of(text, math.log(p) if p > 0 else -math.inf, lm, alpha, beta)

        for y in Y:
            texts = beam_step(texts, y, letters)
            best = sorted(texts, key=lambda text: score(text, step_score), reverse=True)
            texts = {text: texts[text] for text in best[: width_at(width)]}
        best = sorted(texts, key=lambda text: score(text, step_score), reverse=True)[
            :width
        ]
        return {text: score(text, end_score) for text in best}

    return search


def of_complete_words(text, log_prob, lm, alpha, beta):
    return Q(text[: text.rfind(" ") + 1], log_prob, lm, alpha, beta, end=False)


def of_all_words(text, log_prob, lm, alpha, beta):
    return Q(text, log_prob, lm, alpha, beta, end=True)


def rescores_only(Y, letters, width, lm, alpha, beta):
    """Searches without the language model, and asks it for the final beam only."""
    return make_search(lambda text, log_prob, *_: log_prob, of_all_words)(
        Y, letters, width, lm, alpha, beta
    )


def scores_words_letter_by_letter(Y, letters, width, lm, alpha, beta):
    """Counts an incomplete word as a word: “wor” is not in the language model, so “word” is pruned."""

    def step_score(text, log_prob, lm, alpha, beta):
        return Q(text, log_prob, lm, alpha, beta, end=False)

    return make_search(step_score, of_all_words)(Y, letters, width, lm, alpha, beta)


def scores_whole_texts_with_the_end(Y, letters, width, lm, alpha, beta):
    """Takes the Q of the whole text in each frame, with incomplete words and the end of the sentence."""
    return make_search(of_all_words, of_all_words)(Y, letters, width, lm, alpha, beta)


def without_the_last_word(text, log_prob, lm, alpha, beta):
    return Q(" ".join(text.split()[:-1]), log_prob, lm, alpha, beta, end=False)


def drops_a_complete_word(Y, letters, width, lm, alpha, beta):
    """Takes text.split()[:-1] for the complete words. In “two ” the word is complete, but split() ignores
    the space, and [:-1] drops the word."""
    return make_search(without_the_last_word, of_all_words)(
        Y, letters, width, lm, alpha, beta
    )


def drops_a_word_and_never_rescores(Y, letters, width, lm, alpha, beta):
    """Takes text.split()[:-1] for the complete words, which drops “two” of “two ”, and returns these scores
    instead of the Q of all words."""
    return make_search(without_the_last_word, without_the_last_word)(
        Y, letters, width, lm, alpha, beta
    )


def returns_the_scores_of_the_frames(Y, letters, width, lm, alpha, beta):
    """Returns the scores of the last frame, of complete words without the end, not the Q of all words."""
    return make_search(of_complete_words, of_complete_words)(
        Y, letters, width, lm, alpha, beta
    )


def reads_rfind_minus_one(Y, letters, width, lm, alpha, beta):
    """Takes text[:text.rfind(" ")]: without a space rfind gives -1, and text[:-1] is all but the last letter."""

    def step_score(text, log_prob, lm, alpha, beta):
        return Q(text[: text.rfind(" ")], log_prob, lm, alpha, beta, end=False)

    return make_search(step_score, of_all_words)(Y, letters, width, lm, alpha, beta)


def with_p_nb_only(Y, letters, width, lm, alpha, beta):
    """Returns the Q of p_nb only: texts may end in a blank, too."""
    texts = {"": (1.0, 0.0)}
    for y in Y:
        scored = []
        for text, sums in beam_step(texts, y, letters).items():
            log_p = math.log(sum(sums) or 1e-300)
            scored.append((of_complete_words(text, log_p, lm, alpha, beta), text, sums))
        scored.sort(reverse=True)
        texts = {text: sums for _, text, sums in scored[:width]}
    return {
        text: of_all_words(text, math.log(sums[1] or 1e-300), lm, alpha, beta)
        for text, sums in texts.items()
    }


def ends_the_sentence_in_each_frame(Y, letters, width, lm, alpha, beta):
    """Adds the end of the sentence in each frame."""

    def step_score(text, log_prob, lm, alpha, beta):
        return Q(text[: text.rfind(" ") + 1], log_prob, lm, alpha, beta, end=True)

    return make_search(step_score, of_all_words)(Y, letters, width, lm, alpha, beta)


def forgets_the_last_word(Y, letters, width, lm, alpha, beta):
    """Leaves out the last word at the end of the sound: no space follows it."""

    def end_score(text, log_prob, lm, alpha, beta):
        return Q(text[: text.rfind(" ") + 1], log_prob, lm, alpha, beta, end=True)

    return make_search(of_complete_words, end_score)(Y, letters, width, lm, alpha, beta)


def never_ends_the_sentence(Y, letters, width, lm, alpha, beta):
    """Leaves out the end of the sentence at the end of the sound."""

    def end_score(text, log_prob, lm, alpha, beta):
        return Q(text, log_prob, lm, alpha, beta, end=False)

    return make_search(of_complete_words, end_score)(Y, letters, width, lm, alpha, beta)


def never_prunes(Y, letters, width, lm, alpha, beta):
    """Keeps all texts until the last frame."""
    search = make_search(of_complete_words, of_all_words, width_at=lambda width: 10**9)
    return search(Y, letters, width, lm, alpha, beta)


def without_the_bonus(Y, letters, width, lm, alpha, beta):
    """Adds β at the end only."""

    def step_score(text, log_prob, lm, alpha, beta):
        return of_complete_words(text, log_prob, lm, alpha, 0)

    return make_search(step_score, of_all_words)(Y, letters, width, lm, alpha, beta)


def feeds_the_score_back(Y, letters, width, lm, alpha, beta):
    """Multiplies the kept probabilities by exp(α log P_lm + β words) in every frame, again and again."""
    texts = {"": (1.0, 0.0)}
    for y in Y:
        texts = beam_step(texts, y, letters)
        factor = {
            t: math.exp(of_complete_words(t, 0.0, lm, alpha, beta)) for t in texts
        }
        texts = {t: (b * factor[t], nb * factor[t]) for t, (b, nb) in texts.items()}
        texts = dict(sorted(texts.items(), key=lambda item: -sum(item[1]))[:width])
    return {
        t: of_all_words(t, math.log(sum(sums) or 1e-300), lm, alpha, beta)
        for t, sums in texts.items()
    }


def probabilities_in_the_score(Y, letters, width, lm, alpha, beta):
    """p_b + p_nb instead of its logarithm."""
    texts = {"": (1.0, 0.0)}
    for y in Y:
        texts = beam_step(texts, y, letters)
        best = sorted(
            texts, key=lambda t: -of_complete_words(t, sum(texts[t]), lm, alpha, beta)
        )
        texts = {text: texts[text] for text in best[:width]}
    return {
        text: of_all_words(text, sum(texts[text]), lm, alpha, beta) for text in texts
    }


def smoothed_word_by_word(counts, D, shorter):
    """One word at a time."""
    total = 0
    taken = 0.0
    for count in counts.values():
        total += count
        taken += D[count] if count < 3 else D[3]
    p = {}
    for word in shorter:
        p[word] = taken / total * shorter[word]
        if word in counts:
            p[word] += (counts[word] - D[min(counts[word], 3)]) / total
    return p


def gamma_from_what_is_left(counts, D, shorter):
    """γ as 1 minus the discounted shares."""
    total = sum(counts.values())
    share = {w: max(c - D[min(c, 3)], 0) / total for w, c in counts.items()}
    gamma = 1 - sum(share.values())
    return {w: share.get(w, 0) + gamma * shorter[w] for w in shorter}


def backed_off_in_a_loop(word, history, p, gamma):
    """A loop over shorter and shorter histories instead of a recursion."""
    weight = 1.0
    while (*history, word) not in p:
        weight *= gamma.get(history, 1.0)
        history = history[1:]
    return weight * p[(*history, word)]


def backed_off_with_get(word, history, p, gamma):
    """dict.get first; goes on if it finds nothing."""
    found = p.get((*history, word))
    if found is None:
        found = gamma.get(history, 1) * backed_off_with_get(
            word, tuple(history[1:]), p, gamma
        )
    return found


def Q_term_by_term(text, log_prob, lm, alpha, beta, end=True):
    """Three statements."""
    score = log_prob
    score += alpha * lm(text, end)
    score += beta * sum(1 for word in text.split(" ") if word)
    return score


def Q_with_keywords(text, log_prob, lm, alpha, beta, end=True):
    """Passes `end` by its name, on the words in single spaces."""
    words = text.split()
    return log_prob + alpha * lm(" ".join(words), end=end) + len(words) * beta


def scores_while_it_prunes(Y, letters, width, lm, alpha, beta):
    """Keeps pairs of score and text, and drops texts of probability 0."""
    texts = {"": (1.0, 0.0)}
    for y in Y:
        scored = []
        for text, (p_b, p_nb) in beam_step(texts, y, letters).items():
            if p_b + p_nb == 0:
                continue
            complete = text.rpartition(" ")[0]
            scored.append(
                (
                    Q(complete, math.log(p_b + p_nb), lm, alpha, beta, False),
                    text,
                    (p_b, p_nb),
                )
            )
        scored.sort(reverse=True)
        texts = {text: sums for _, text, sums in scored[:width]}
    return {
        text: Q(text, math.log(sum(sums)), lm, alpha, beta)
        for text, sums in texts.items()
    }


def splits_at_spaces(Y, letters, width, lm, alpha, beta):
    """Joins all words but the last of text.split(" "); the logarithm with a tiny number added."""
    texts = {"": (1.0, 0.0)}
    for t in range(len(Y)):
        texts = beam_step(texts, Y[t], letters)
        scores = {}
        for text in texts:
            complete = " ".join(text.split(" ")[:-1])
            log_p = math.log(texts[text][0] + texts[text][1] + 1e-300)
            scores[text] = (
                log_p + alpha * lm(complete, end=False) + beta * len(complete.split())
            )
        kept = sorted(scores, key=scores.get)[-width:]
        texts = {text: texts[text] for text in kept}
    return {t: Q(t, math.log(sum(texts[t]) + 1e-300), lm, alpha, beta) for t in texts}


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
        "log_prob + alpha * lm(text, end) + beta * len(text.split())",
    ],
    "beam_search_with_lm": [
        "your beam search of lesson 10, with another key for `sorted`, and one more line at the end",
        "the complete words are the text up to its last space: text[: text.rfind(' ') + 1], which is"
        " empty if there is none; a text of probability 0 has log 0, so give it -inf",
        "key: Q(complete words, log(p_b + p_nb), lm, alpha, beta, end=False); at the end:"
        " {text: Q(text, log(p_b + p_nb), lm, alpha, beta) for text in texts}",
    ],
}

WRONG = {
    "smoothed": [
        no_discount,
        counts_alone,
        smooths_only_the_unseen,
        gamma_from_distinct_words,
        one_discount,
        discount_of_one_less,
        divides_by_the_distinct_words,
        only_the_words_seen,
        never_below_a_millionth,
        ignores_the_shorter_history,
        gamma_per_distinct_word,
        discount_by_word,
    ],
    "backed_off": [
        never_backs_off,
        backs_off_without_gamma,
        gamma_of_the_shorter,
        drops_the_last_word,
        looks_back_two_words,
        straight_to_unigrams,
        unknown_history_to_unigrams,
        unknown_history_has_gamma_0,
    ],
    "Q": [
        probabilities_not_logarithms,
        counts_letters,
        counts_spaces,
        counts_spaces_and_one,
        counts_the_empty_text_as_a_word,
        counts_different_words,
        alpha_times_the_bonus,
        without_the_end,
        always_with_the_end,
        alpha_times_the_network,
        decimal_logarithm,
        counts_the_end_as_a_word,
    ],
    "beam_search_with_lm": [
        rescores_only,
        scores_words_letter_by_letter,
        scores_whole_texts_with_the_end,
        drops_a_complete_word,
        drops_a_word_and_never_rescores,
        returns_the_scores_of_the_frames,
        reads_rfind_minus_one,
        with_p_nb_only,
        ends_the_sentence_in_each_frame,
        forgets_the_last_word,
        never_ends_the_sentence,
        never_prunes,
        without_the_bonus,
        feeds_the_score_back,
        probabilities_in_the_score,
    ],
}

RIGHT = {
    "smoothed": [smoothed_word_by_word, gamma_from_what_is_left],
    "backed_off": [backed_off_in_a_loop, backed_off_with_get],
    "Q": [Q_term_by_term, Q_with_keywords],
    "beam_search_with_lm": [scores_while_it_prunes, splits_at_spaces],
}

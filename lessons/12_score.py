# %% [markdown]
# # 11. How wrong is it?
# A speaker says one thing, the recognizer writes another. We want a number that says
# how different they are, and a second one that says how certain the first is.
#
# *You build* edit distance, the word error rate, and its confidence interval. *You need*
# Python; lessons 9 and 10 show where the texts come from.

# %%
import itertools

import numpy as np

import minids
from minids.audio import mix
from minids.decode.greedy import greedy_text
from minids.lesson import data, exercise, show
from minids.lesson.figures.distance import distances, errors, rates
from minids.metrics import align

edits = align("are there any tickets for the game", "arther n tickets for the game")
show(errors(edits), ["From table 1 of the paper: the network without a language model."])

# %% [markdown]
# The *reference* is what was said, the *hypothesis* what the recognizer wrote. Align
# their words so that as many as possible agree. The others are *errors* of three kinds:
# **substituted** (S), **deleted** (D: only in the reference) or **inserted** (I: only
# in the hypothesis). The *word error rate* is
#
# $$\text{WER} = \frac{S + D + I}{\text{words of the reference}}$$
#
# Here it is $3/7 = 43\,\%$. Two texts can be aligned in many ways. The one with the
# *fewest* errors counts; its number of errors is the *edit distance*.
#
# ## A table
# Let $d(i, j)$ be the distance between the first $i$ words of the reference,
# $r_1 \ldots r_i$, and the first $j$ words of the hypothesis, $h_1 \ldots h_j$. There
# are three possibilities for the last words $r_i$ and $h_j$:
#
# - they are aligned: $d(i-1, j-1) + [\,r_i \neq h_j\,]$, where $[\,r_i \neq h_j\,]$ is 1 if
#   they differ (a substitution), else 0;
# - $r_i$ is deleted: $d(i-1, j) + 1$;
# - $h_j$ is inserted: $d(i, j-1) + 1$.
#
# $$d(i, j) = \min \{\, d(i-1, j-1) + [\,r_i \neq h_j\,], \;\; d(i-1, j) + 1, \;\; d(i, j-1) + 1 \,\}$$
#
# with $d(i, 0) = i$ (all deleted) and $d(0, j) = j$ (all inserted). Fill the table row
# by row: each cell needs its left, upper and upper left neighbors. Then go back from
# the lower right corner, each time to a neighbor that gave the minimum: this path shows
# *which* errors.

# %%
reference, hypothesis = ["can", "we", "recognize", "speech"], ["we", "wreck", "a", "nice", "beach"]
table = np.zeros((5, 6), int)
for i, j in np.ndindex(table.shape):
    table[i, j] = minids.wer(" ".join(reference[:i]), " ".join(hypothesis[:j])).errors
steps = [distances(table, reference, hypothesis, rows) for rows in range(1, 6)]
captions = ["Without a reference all words of the hypothesis are inserted."]
captions += [f"The row of “{word}”." for word in reference]
path = [(0, 0)]
for edit in align(reference, hypothesis):
    i, j = path[-1]
    path.append((i + (edit.op != "I"), j + (edit.op != "D")))
steps.append(distances(table, reference, hypothesis, 5, path))
captions.append("The path back: one word deleted, one correct, two inserted, two substituted.")
show(steps, captions, "The table of distances")


# %%
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


def check_edit_distance():
    for a in "", "a", "ab", "aab", "abba":
        for b, edits in by_edits(a).items():
            yield f"edit_distance({a!r}, {b!r})", edit_distance(a, b), edits
    yield "the distance of the two lists above", edit_distance(reference, hypothesis), 5
    rng = np.random.default_rng(11)
    for _ in range(20):
        a, b, c = ("".join(rng.choice(list("abc"), rng.integers(9))) for _ in range(3))
        d = edit_distance(a, b)
        yield f"from {a!r} to {b!r} and back", edit_distance(b, a), d
        detour = d + edit_distance(b, c)
        shorter = edit_distance(a, c) <= detour
        yield f"{a!r} to {c!r} is not longer than by way of {b!r}", shorter, True


@exercise("11.1", check_edit_distance)
def edit_distance(a, b):
    """The fewest errors that turn the sequence a into b.  About 7 lines."""
    raise NotImplementedError


# %% [markdown]
# The check compared it with the definition (every text, edit by edit) and with the laws
# of a *distance*: it is symmetric, and no detour is shorter.
#
# ## A rate
# For many utterances, divide *all* errors by *all* words, so that a long utterance
# counts more. A rate can exceed 100 %, because a hypothesis can have more words than
# its reference. Above: four words, five errors, 125 %.
#
# The paper's table 1 shows three outputs of the network without a language model:

# %%
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


def check_word_error_rate():
    yield "“yes” as “yes it is”", word_error_rate(["yes"], ["yes it is"]), 2.0
    yield "“turn left” as an empty text", word_error_rate(["turn left"], [""]), 1.0
    yield "four words right, one wrong", word_error_rate(["a b c d", "a"], ["a b c d", "b"]), 0.2
    yield "the first word deleted", word_error_rate(["a b c d"], ["b c d"]), 0.25
    yield "“turn left” as “left turn”", word_error_rate(["turn left"], ["left turn"]), 1.0
    yield "a word in the next utterance is two errors", word_error_rate(["a b", "c"], ["a", "b c"]), 2 / 3
    yield "table 1: 1 + 2 + 3 errors", word_error_rate(REFERENCES, HYPOTHESES), 6 / 20


@exercise("11.2", check_word_error_rate)
def word_error_rate(references, hypotheses):
    """All errors / all words of the references, two lists of texts.  About 3 lines."""
    raise NotImplementedError


# %%
print(f"yours {word_error_rate(REFERENCES, HYPOTHESES):.1%}")
print("WER", minids.wer(REFERENCES, HYPOTHESES))
print("CER", minids.cer(REFERENCES, HYPOTHESES))

# %% [markdown]
# `minids.wer` also counts S, D and I: among the alignments with the fewest errors it
# takes the one with the most correct words. `minids.cer`, the *character* error rate,
# aligns characters instead of words: “bostin” is a wrong word, but only one wrong
# character. The paper reports WER. For your own training runs, `minids report RUN`
# shows each error in its place, confused letters, and the worst recordings to listen
# to.
#
# ## How certain is it?
# Six errors in twenty words are 30 %. Three other sentences would have given another
# rate. We have no others, but we can *resample*: draw three of our three sentences with
# replacement, so that some occur twice and some not at all, and compute the rate of
# this sample. Do it a thousand times. The rates spread about as widely as those of
# other sentences would. This is the *bootstrap*; the interval above contains 95 % of
# its rates.


# %%
def check_drawn_rates():
    wrong, words = np.array([1, 0, 3]), np.array([4, 2, 4])
    draws = np.array([[0, 1, 2], [2, 2, 2], [0, 0, 1], [1, 1, 1]])
    got = drawn_rates(wrong, words, draws)
    yield "four samples of three utterances", got, np.array([0.4, 0.75, 0.2, 0])
    rng = np.random.default_rng(3)
    wrong, words = rng.integers(5, size=6), rng.integers(1, 9, size=6)
    draws = rng.integers(6, size=(5, 6))
    slowly = [sum(wrong[u] for u in draw) / sum(words[u] for u in draw) for draw in draws]
    yield "five samples of six", drawn_rates(wrong, words, draws), np.array(slowly)


@exercise("11.3", check_drawn_rates)
def drawn_rates(wrong, words, draws):
    """Errors (n,), words (n,), utterances drawn (samples, n) -> rates (samples,).  1 line."""
    raise NotImplementedError


# %% [markdown]
# Now the recordings of lesson 10: three, each in eight noises, at an SNR of 8 dB.
# Compare two decoders: greedy, and a beam search that allows only the ten words zero to
# nine.

# %%
digits = minids.Recognizer.load(data("digits.safetensors"))
names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
search = minids.BeamSearch(digits.alphabet, lexicon=names, beam_width=100)
references, by_greedy, by_lexicon = [], [], []
for name, seed in itertools.product(["seven", "two_five", "three_one_four"], range(8)):
    samples, _ = minids.load_audio(data(f"{name}.flac"), rate=16000)  # (N,)
    noise = np.random.default_rng(seed).normal(size=len(samples))
    log_probs = digits.log_probs(mix(samples, noise, 8))  # (T, K)
    references.append(name.replace("_", " "))
    by_greedy.append(greedy_text(log_probs, digits.alphabet))
    by_lexicon.append(search.decode(log_probs)[0].text)

greedy, lexicon = minids.wer(references, by_greedy), minids.wer(references, by_lexicon)
print("greedy: ", greedy)
print("lexicon:", lexicon)
draws = np.random.default_rng(0).integers(24, size=(1000, 24))  # (samples, n)
words = greedy.counts[:, 3]  # (n,); counts (n, 4): S, D, I, words of each utterance
greedy_rates, lexicon_rates = (
    drawn_rates(s.counts[:, :3].sum(axis=1), words, draws) for s in (greedy, lexicon)
)
interval = np.quantile(greedy_rates, (0.025, 0.975))
show(rates(greedy_rates, greedy.rate, interval), ["Greedy decoding, a thousand samples."])
print(f"the lexicon is better in {np.mean(lexicon_rates < greedy_rates):.0%} of the samples")

# %% [markdown]
# So much better! But with other recordings greedy decoding might win, as it does in
# some of the samples. Two rules: report the interval, and compare two systems on the
# *same* samples.
#
# Even this interval is too narrow. All 24 recordings come from three, so no resampling
# of them shows how the rate varies between speakers.
#
# **What we have now** The complete way from sound to text, and a number that says how
# good the text is, with its uncertainty.
#
# **Next question** It works. Why is it slow?

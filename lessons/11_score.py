# %% [markdown]
# # 11. How wrong is it?
# Somebody said one thing, the recognizer heard another. One number is to say how bad that is,
# and another how far the first can be trusted.
#
# *You build* edit distance, the word error rate, and its uncertainty. *You need* Python; to
# see where the texts come from, lessons 9 and 10.

# %%
import itertools

import numpy as np

import minids
from minids.audio import mix
from minids.decode.greedy import greedy_text
from minids.lesson import data, exercise, show
from minids.lesson.figures.distance import distances, errors, rates
from minids.metrics import align

said, heard = "are there any tickets for the game", "arther n tickets for the game"
show(errors(align(said, heard)), ["An utterance of the paper, without a language model (table 1)."])

# %% [markdown]
# Write what was heard below what was said, so that as much as possible fits. What does not
# is one of three *errors*: a word is **substituted** (S), **deleted** (D: said, not heard) or
# **inserted** (I: heard, not said). The *word error rate* is
#
# $$\text{WER} = \frac{S + D + I}{\text{words that were said}}$$
#
# Here it is $3/7 = 43\,\%$. But there are many ways to put two texts side by side! The fair
# one has the *fewest* errors, and that number is the *edit distance*.
#
# ## A table
# Let $d(i, j)$ be the distance of the first $i$ words said, $r_1 \ldots r_i$, and the first $j$
# heard, $h_1 \ldots h_j$. How can their ends, $r_i$ and $h_j$, have come about? In one of three
# ways:
#
# - they belong together, equal or substituted: $d(i-1, j-1)$, and $[r_i \neq h_j]$ is 1 if they
#   differ, else 0;
# - the last word said was deleted: $d(i-1, j) + 1$;
# - the last word heard was inserted: $d(i, j-1) + 1$.
#
# $$d(i, j) = \min \{\, d(i-1, j-1) + [\,r_i \neq h_j\,], \;\; d(i-1, j) + 1, \;\; d(i, j-1) + 1 \,\}$$
#
# with $d(i, 0) = i$ (all deleted) and $d(0, j) = j$ (all inserted). Row by row, each cell
# looks at its left, upper and upper left neighbors. At the end the way back, from the lower
# right corner along the neighbors that gave the least, tells *which* errors they were.

# %%
said, heard = ["can", "we", "recognize", "speech"], ["we", "wreck", "a", "nice", "beach"]
table = np.zeros((5, 6), int)
for i, j in np.ndindex(table.shape):
    table[i, j] = minids.wer(" ".join(said[:i]), " ".join(heard[:j])).errors
steps = [distances(table, said, heard, rows) for rows in range(1, 6)]
captions = ["Nothing was said: all that was heard was inserted."]
captions += [f"The row of “{word}”." for word in said]
path = [(0, 0)]
for edit in align(said, heard):
    i, j = path[-1]
    path.append((i + (edit.op != "I"), j + (edit.op != "D")))
steps.append(distances(table, said, heard, 5, path))
captions.append("The way back: one word deleted, one right, two inserted, two substituted.")
show(steps, captions, "The table of distances")


# %%
def by_edits(start, longest=4):
    """{text: the fewest edits that make it of `start`}: all texts of a and b, edit by edit."""
    found, last = {start: 0}, [start]
    for text in last:  # the list grows as we go
        for i in range(len(text) + 1):
            deleted = [text[:i] + text[i + 1 :]]
            others = [text[:i] + c + text[j:] for c in "ab" for j in (i, i + 1)]
            for edited in deleted + others:
                if edited not in found and len(edited) <= longest:
                    found[edited] = found[text] + 1
                    last.append(edited)
    return found


def check_edit_distance():
    for a in "", "a", "ab", "aab", "abba":
        for b, edits in by_edits(a).items():
            yield f"edit_distance({a!r}, {b!r})", edit_distance(a, b), edits
    yield "the distance of the lists of words above", edit_distance(said, heard), 5
    rng = np.random.default_rng(11)
    for _ in range(20):
        a, b, c = ("".join(rng.choice(list("abc"), rng.integers(9))) for _ in range(3))
        d = edit_distance(a, b)
        yield f"from {a!r} to {b!r} and back", edit_distance(b, a), d
        way = d + edit_distance(b, c)
        yield f"{a!r} to {c!r} is no longer than over {b!r}", edit_distance(a, c) <= way, True


@exercise(
    "11.1",
    check_edit_distance,
    hints=[
        "keep one row at a time: the first is [0, 1, 2, …, len(b)], the next begins with 1",
        "row[j] needs the row before at j - 1 and j, and row[j - 1]",
        "new.append(min(row[j - 1] + (x != y), row[j] + 1, new[j - 1] + 1))",
    ],
)
def edit_distance(a, b):
    """The fewest errors that make b of a, two sequences.  About 7 lines."""
    raise NotImplementedError


# %% [markdown]
# The checker tried it against the definition (every text, edit by edit) and against the laws
# of a *distance*: there and back are the same, and no detour is shorter.
#
# ## A rate
# Over many utterances, *all* errors are divided by *all* words, so a long one counts for more.
# And a rate may pass 100 %: who hears more than was said can make more errors than there
# were words. Above: four words, five errors, 125 %.
#
# The paper's table 1 has three examples of what the network writes by itself:

# %%
SAID = [
    "what is the weather like in boston right now",
    "prime minister narendra modi",
    "are there any tickets for the game",
]
HEARD = [
    "what is the weather like in bostin right now",
    "prime miniter nerenr modi",
    "arther n tickets for the game",
]


def check_word_error_rate():
    yield "“yes” heard as “yes it is”", word_error_rate(["yes"], ["yes it is"]), 2.0
    yield "nothing heard of “turn left”", word_error_rate(["turn left"], [""]), 1.0
    yield "four words right, one wrong", word_error_rate(["a b c d", "a"], ["a b c d", "b"]), 0.2
    yield "one word lost at the front", word_error_rate(["a b c d"], ["b c d"]), 0.25
    yield "“turn left” as “left turn”", word_error_rate(["turn left"], ["left turn"]), 1.0
    yield "a word too late is twice wrong", word_error_rate(["a b", "c"], ["a", "b c"]), 2 / 3
    yield "table 1: 1 + 2 + 3 errors", word_error_rate(SAID, HEARD), 6 / 20


@exercise(
    "11.2",
    check_word_error_rate,
    hints=[
        "errors are distances of lists of words: text.split()",
        "add up the errors of all pairs, add up the words of all references, divide once",
    ],
)
def word_error_rate(references, hypotheses):
    """All errors over all words; lists of what was said and what was heard.  About 3 lines."""
    raise NotImplementedError


# %%
print("WER", minids.wer(SAID, HEARD))
print("CER", minids.cer(SAID, HEARD))

# %% [markdown]
# `minids.wer` also says S, D and I: of all ways with the fewest errors it takes the one with
# most words right. `minids.cer`, the *character* error rate, takes letters for words: “bostin”
# is a whole word wrong, but only one letter. The paper's results are WER. And
# `minids report RUN` makes a page of a training of yours: each error in its place, the letters
# that are taken for others, the worst recordings to listen to.
#
# ## How sure is that?
# Six errors in twenty words are 30 %. Three other sentences would have given another rate.
# Which? We have no others, but can pretend. *Draw* three of our three, putting each back, so
# that some come twice and some not at all; compute the rate of these; do that a thousand
# times. The rates spread about as those of other sentences would. This is the *bootstrap*, and
# the “interval” above has 95 % of them.


# %%
def check_drawn_rates():
    wrong, words = np.array([1, 0, 3]), np.array([4, 2, 4])
    draws = np.array([[0, 1, 2], [2, 2, 2], [0, 0, 1], [1, 1, 1]])
    got = drawn_rates(wrong, words, draws)
    yield "four draws of three utterances", got, [4 / 10, 9 / 12, 2 / 10, 0]
    rng = np.random.default_rng(3)
    wrong, words = rng.integers(5, size=6), rng.integers(1, 9, size=6)
    draws = rng.integers(6, size=(5, 6))
    slowly = [sum(wrong[u] for u in draw) / sum(words[u] for u in draw) for draw in draws]
    yield "five draws of six utterances", drawn_rates(wrong, words, draws), slowly


@exercise(
    "11.3",
    check_drawn_rates,
    hints=[
        "wrong[draws] has the shape of draws: the errors of every utterance that was drawn",
        "a rate is a sum of errors over a sum of words: sum both over axis 1, then divide",
    ],
)
def drawn_rates(wrong, words, draws):
    """Errors (n,), words (n,), utterances drawn (samples, n) -> rates (samples,).  One line."""
    raise NotImplementedError


# %% [markdown]
# Now the sounds of lesson 10: three recordings, eight noises each, 8 dB below the speech. Two
# decoders: greedy, and a beam search that allows ten words only, zero to nine.

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
one, other = (drawn_rates(s.counts[:, :3].sum(axis=1), words, draws) for s in (greedy, lexicon))
show(rates(one, greedy.rate, np.quantile(one, (0.025, 0.975))), ["Greedy, a thousand draws."])
print(f"the lexicon is better in {np.mean(other < one):.0%} of the draws")

# %% [markdown]
# So much better! And yet, with other sounds greedy might win, as it does in some of the draws.
# Two rules: give the interval, and compare two systems on the *same* draws.
#
# Even this is too sure of itself. All 24 sounds come of three recordings, and no drawing from
# them tells how it is with other voices.
#
# **What we have now** The whole way from a sound to a text, and a number that says how good it
# is, with its uncertainty.
#
# **Next question** It works. Why is it slow?

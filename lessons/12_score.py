# %% [markdown]
# # 12. How wrong is it?
# A speaker says one thing, the recognizer writes another. We want a number that says
# how different they are, and a second one that says how certain the first is.
#
# *You build* edit distance, the word error rate, and its confidence interval.
# *You need* Python; lessons 10 and 11 show where the texts come from.

# %%
import warnings
from itertools import product

import numpy as np

import minids
from minids.lesson import check, data, listen, show, yours
from minids.lesson.figures.backoff import weights
from minids.lesson.figures.distance import distances, errors, rates
from minids.lm.kneser_ney import DiscountWarning
from minids.metrics import align

edits = align("are there any tickets for the game", "arther n tickets for the game")
show(errors(edits), ["From the paper's table 1: the network without a language model."])

# %% [markdown]
# The **reference** is what was said, the **hypothesis** what the recognizer wrote.
# Align their words so that as many as possible agree. The others are errors of three
# kinds: **substituted** (S), **deleted** (D: only in the reference) or **inserted** (I:
# only in the hypothesis). The **word error rate** is
#
# $$\text{WER} = \frac{S + D + I}{\text{words of the reference}}$$
#
# Here it is $3/7 = 43\,\%$. Two texts can be aligned in many ways. The one with the
# *fewest* errors counts; its number of errors is the **edit distance**.
#
# ## A table
# Let $d(i, j)$ be the distance between the first $i$ words of the reference,
# $r_1 \ldots r_i$, and the first $j$ words of the hypothesis, $h_1 \ldots h_j$. There
# are three possibilities for the last words $r_i$ and $h_j$:
#
# - they are aligned: $d(i-1, j-1) + [\,r_i \neq h_j\,]$, where $[\,r_i \neq h_j\,]$ is
#   1 if they differ (a substitution), else 0;
# - $r_i$ is deleted: $d(i-1, j) + 1$;
# - $h_j$ is inserted: $d(i, j-1) + 1$.
#
# $$d(i, j) = \min \{\, d(i-1, j-1) + [\,r_i \neq h_j\,], \;\;
#   d(i-1, j) + 1, \;\; d(i, j-1) + 1 \,\}$$
#
# with $d(i, 0) = i$ (all deleted) and $d(0, j) = j$ (all inserted). Fill the table row
# by row: each cell needs its left, upper and upper left neighbors. (A function that
# calls itself for all three computes the same cells again and again: for two texts of
# 20 letters, more than $10^{14}$ times.) Then go back from the lower right corner, each
# time to a neighbor that gave the minimum: this path shows *which* errors.

# %%
reference = ["can", "we", "recognize", "speech"]
hypothesis = ["we", "wreck", "a", "nice", "beach"]
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
captions.append("The path back: 1 word deleted, 1 correct, 2 inserted, 2 substituted.")
show(steps, captions, "The table of distances")

# %% [markdown]
# **Exercise 12.1** The lower right corner; compute each cell only once. The check
# compares it with the definition (on short texts of two letters, edit by edit) and with
# the laws of a *distance*: it is symmetric, and no detour is shorter.


# %%
def edit_distance(a, b):
    """The fewest errors that turn the sequence a into b.  About 8 lines."""
    raise NotImplementedError


edit_distance = check("12.1", edit_distance)
print(edit_distance(reference, hypothesis), "errors in words")
print(edit_distance("can we recognize speech", "we wreck a nice beach"), "in letters")

# %% [markdown]
# ## A rate
# For many utterances, divide *all* errors by *all* words, so that a long utterance
# counts more. A rate can exceed 100 %, because a hypothesis can have more words than
# its reference. Above: four words, five errors, 125 %.
#
# **Exercise 12.2** The word error rate of many utterances.


# %%
def word_error_rate(references, hypotheses):
    """All errors / all words of the references, two lists of texts.  About 4 lines."""
    raise NotImplementedError


word_error_rate = check("12.2", word_error_rate)

# %% [markdown]
# The paper's table 1 shows three outputs of the network without a language model:

# %%
references = [
    "what is the weather like in boston right now",
    "prime minister narendra modi",
    "are there any tickets for the game",
]
hypotheses = [
    "what is the weather like in bostin right now",
    "prime miniter nerenr modi",
    "arther n tickets for the game",
]
print(f"yours {word_error_rate(references, hypotheses):.1%}")
print("WER", minids.wer(references, hypotheses))
print("CER", minids.cer(references, hypotheses))

# %% [markdown]
# `minids.wer` also counts S, D and I: among the alignments with the fewest errors it
# takes the one with the most correct words. `minids.cer`, the **character error rate**,
# aligns characters instead of words: “bostin” is a wrong word, but only one wrong
# character. The paper reports WER. For your own training runs, `minids report RUN`
# shows each error in its place, confused letters, and the worst recordings.
#
# ## Which α and β?
# Why $\alpha = 1$ and $\beta = 2$ in lesson 11? Now we can try others, and measure:
# three recordings, each in eight noises at an SNR of 8 dB. First listen to what the
# noise does to the sound, and to the letters of the network.

# %%
mix, collapse = yours("mix", "collapse")
digits = minids.Recognizer.load(data("digits.safetensors"))


def noisy(name, snr, seed):
    samples, _ = minids.load_audio(data(f"{name}.flac"), rate=16000)  # (N,)
    noise = np.random.default_rng(seed).normal(size=len(samples))
    sound = mix(samples, noise, snr)
    return sound, digits.log_probs(sound)  # (N,), (T, K)


sounds = {f"{snr} dB": noisy("two_five", snr, seed=0) for snr in (20, 14, 8, 4)}
symbols = digits.alphabet.symbols
listen(None, 16000, alphabet="".join(symbols), versions=sounds, by="SNR", title="noise")

# %%
names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
rng = np.random.default_rng(10)
lines = [" ".join(rng.choice(names, rng.integers(1, 6))) for _ in range(200)]
warnings.simplefilter("ignore", DiscountWarning)  # ten words are few to estimate D from
lm = minids.NGram.train(lines, order=2)
search = minids.BeamSearch(digits.alphabet, lm, beam_width=100)

spoken = list(product(("seven", "two_five", "three_one_four"), range(8)))
references = [name.replace("_", " ") for name, _ in spoken]
batch = [noisy(name, 8, seed)[1] for name, seed in spoken]
ALPHAS, BETAS = (0, 0.5, 1, 1.5, 2, 2.5, 3), (-1, 0, 1, 2, 3, 4, 5)
grid, texts = np.empty((len(ALPHAS), len(BETAS))), {}
for i, j in np.ndindex(grid.shape):
    search.set_weights(ALPHAS[i], BETAS[j])
    texts[i, j] = [best.text for best, *_ in search.decode_batch(batch, n_best=1)]
    grid[i, j] = word_error_rate(references, texts[i, j])
picture = weights(ALPHAS, BETAS, grid, "SNR 8 dB")
show(picture, ["Left: the language model does not count."], "Error rate over α and β")

# %% [markdown]
# `minids tune` does this for your own recognizer. The rate of the best cell is too
# optimistic, because these recordings chose it: measure it on others.
#
# ## How certain is it?
# Other recordings would have given other rates. We have no others, but we can
# **resample**: draw 24 of our 24 recordings with replacement, so that some occur twice
# and some not at all, and compute the rate of this sample. Do it a thousand times. The
# rates spread about as widely as those of other recordings would. This is the
# **bootstrap**. An interval that contains 95 % of its rates is a **confidence
# interval**; `minids.wer` printed one above.
#
# **Exercise 12.3** The rates of all samples at once. Mind what a sample's rate is: all
# its errors divided by all its words.


# %%
def drawn_rates(wrong, words, draws):
    """Errors (n,), words (n,), utterances drawn (samples, n) -> rates (samples,).

    An array.  1 line.
    """
    raise NotImplementedError


drawn_rates = check("12.3", drawn_rates)

# %% [markdown]
# Three decoders: greedy, and the beam search with $\alpha = 1$ and with $\alpha = 1.5$,
# both with $\beta = 2$.

# %%
paths = [collapse(log_probs.argmax(axis=1)) for log_probs in batch]
found = {"greedy": ["".join(symbols[k - 1] for k in path) for path in paths]}
found |= {"α = 1": texts[2, 3], "α = 1.5": texts[3, 3]}
words = np.array([len(text.split()) for text in references])  # (n,)
draws = np.random.default_rng(0).integers(24, size=(1000, 24))  # (samples, n)
rate, drawn, intervals = {}, {}, {}
for name, hypotheses in found.items():
    pairs = zip(references, hypotheses, strict=True)
    wrong = np.array([edit_distance(r.split(), h.split()) for r, h in pairs])  # (n,)
    rate[name] = wrong.sum() / words.sum()
    drawn[name] = drawn_rates(wrong, words, draws)  # (samples,)
    intervals[name] = low, high = np.quantile(drawn[name], (0.025, 0.975))
    print(f"{name:7} {rate[name]:.1%}, 95 % interval {low:.1%} to {high:.1%}")
picture = rates(drawn["greedy"], rate["greedy"], intervals["greedy"])
show(picture, ["Greedy decoding, a thousand samples."])
for a, b in ("α = 1", "greedy"), ("α = 1.5", "α = 1"):
    better, equal = np.mean(drawn[a] < drawn[b]), np.mean(drawn[a] == drawn[b])
    print(
        f"{a} is better than {b} in {better:.0%} of the samples, equal in {equal:.0%}"
    )

# %% [markdown]
# The language model helps: it is better in every sample. But the intervals of the two
# $\alpha$ overlap nearly completely, and a third of the samples shows no difference
# between them: other recordings might prefer $\alpha = 1$. Two rules: report the
# interval, and compare two systems on the *same* samples.
#
# Even these intervals are too narrow. All 24 recordings come from three, so no
# resampling of them shows how the rate varies between speakers.
#
# **What we have now** The complete way from sound to text, and a number that says how
# good the text is, with its uncertainty.
#
# **Next question** It works. Why is it slow?

# %% [markdown]
# # 11. "Recognize speech" or "wreck a nice beach"?
# Say both aloud, fast: they sound nearly the same. A **language model** knows which of
# them people use. It gives every text a probability without listening.
#
# *You build* an n-gram language model and a search that asks it. *You need* lesson 10.

# %%
import warnings
from functools import cache
from itertools import product

import numpy as np

import minids
from minids.lesson import check, data, listen, show, yours
from minids.lesson.figures.backoff import backoff, score_over_alpha, smoothing
from minids.lm.kneser_ney import DiscountWarning
from minids.lm.reference import ReferenceNGram

TEXT = """we can recognize speech. computers recognize speech. it is hard to recognize
speech. a network can recognize a word. it is hard to say a word. to say a nice word is
not hard. we had a nice day. a nice day at the beach. they sat in the car. do not wreck
a car. a storm can wreck a boat. a boat can not speak"""
LINES = " ".join(TEXT.split()).split(". ")
package_lm = minids.NGram.train(LINES, order=3)
TEXTS = {"recognize speech": -8.4, "wreck a nice beach": -5.7}  # log P(c|x), invented
scores = {c: (log_p, package_lm.log_prob(c)) for c, log_p in TEXTS.items()}
caption = "The network hears a beach, the model knows speech."
show(score_over_alpha(scores, (0, 1)), [caption])

# %% [markdown]
# The paper adds the logarithms of both probabilities and a third term (§2.2):
#
# $$Q(c) = \log P(c \mid x) + \alpha \log P_{lm}(c) + \beta \; \text{words}(c)$$
#
# With $\alpha = 0$ (left) only the network counts. As $\alpha$ grows, every score
# falls, fastest for a text that is improbable in English. Each word lowers the score,
# which favors texts of few words; $\beta$ compensates with a bonus for each.
#
# ## Counting
# How probable is a sentence? Multiply the probabilities of its words, each given those
# before it. (`<s>` stands before the first word, and the end `</s>` counts as a word.)
# No text contains every possible beginning, so an **n-gram model** looks back only
# $n - 1$ words, the **history** $h_i$:
#
# $$P_{lm}(c) = \prod_i p(w_i \mid h_i)$$
#
# We estimate $p(w \mid h)$ by counting: of all the times $h$ occurs, how often does $w$
# follow? In our lines ten words follow “a”, three of them “nice”: 3/10. And “beach”?
# Never: 0. A single zero makes the whole product zero, however clearly the sentence was
# spoken. So **smooth** the counts: take a little from each, and give it to all words in
# proportion to their probability after the *shorter* history $h'$ ($h$ without its
# first word):
#
# $$p(w \mid h) = \frac{c(hw) - D(c(hw))}{\sum_v c(hv)} + \gamma(h)\, p(w \mid h'),
#   \qquad \gamma(h) = \frac{\sum_v D(c(hv))}{\sum_v c(hv)}$$
#
# $D$ is the **discount**: here 0.73 for a count of 1, 1.45 for 2, 1.53 for more.
# $\gamma$ is the probability taken away, so the sum over all words is still 1.
#
# **Exercise 11.1** The formula. `counts` has the words seen after $h$, `shorter` has
# all words. `D[c]` is the discount of a count c, `D[3]` that of 3 and more, `D[0]` 0.


# %%
def smoothed(counts, D, shorter):
    """{w: p(w|h)} of counts {w: c(hw)}, D and shorter {w: p(w|h')}.  About 4 lines."""
    raise NotImplementedError


smoothed = check("11.1", smoothed)

# %%
counted = ReferenceNGram(LINES, order=3)  # we take only its counts and discounts
counts = counted.after["a",]  # the words after “a”
D = counted.D[2]  # the discounts of word pairs
shorter = {w: counted.probability(w) for w in counted.vocabulary}
after_a = smoothed(counts, D, shorter)
words = [*sorted(counts, key=counts.get, reverse=True), "beach", "speech"]
low = {w: counted.gamma(("a",)) * shorter[w] for w in words}
rows = {w: (counts.get(w, 0), after_a[w] - low[w], low[w]) for w in words}
show(smoothing(("a",), rows), ["Blue: from the counts. Red: from the shorter history."])

# %% [markdown]
# The counts of the shorter histories are special: they count not how often a word
# occurs but *after how many different words*, because a shorter history is used only
# where the longer one fails. “nice” occurs 3 times, but only after “a”: count 1. “can”
# occurs 4 times, each time after a different word: count 4.
#
# This is the training of a whole model with your function, from short histories to long
# ones. Below the empty history, all words have the same probability.


# %%
def train(lines, order):
    """{n-gram that was seen: p}, {history: γ}."""
    counted = ReferenceNGram(lines, order)
    words = counted.vocabulary
    p, gamma, after = {}, {}, {None: dict.fromkeys(words, 1 / len(words))}
    for h in sorted(counted.after, key=len):
        counts, D = counted.after[h], counted.D[len(h) + 1]
        after[h] = smoothed(counts, D, after[h[1:] if h else None])
        gamma[h] = 1 - sum(smoothed(counts, D, dict.fromkeys(words, 0)).values())
        p |= {(*h, w): after[h][w] for w in (counts if h else words)}
    return p, gamma


# %% [markdown]
# ## Backing off
# For a word never seen after $h$ only the second term is left:
# $\gamma(h)\, p(w \mid h')$. So a model stores $p$ only for the n-grams that it has
# seen, and $\gamma$ for every history. How probable is “beach” in “wreck a nice beach”?
# **Back off** to shorter and shorter histories.
#
# **Exercise 11.2** Look up a word in these tables.

# %%
p, gamma = train(LINES, order=3)
steps = [backoff("beach", ("a", "nice"), p, gamma, upto) for upto in range(3)]
show(steps, ["Never seen.", "“nice beach”: never.", "“beach”: seen."], "Backing off")


# %%
def backed_off(word, history, p, gamma):
    """p(word | history), a tuple. A history not in gamma has γ = 1.  About 3 lines."""
    raise NotImplementedError


backed_off = check("11.2", backed_off)

# %% [markdown]
# ## The score
# From words to texts, with your `backed_off`: the sum of the logarithms. A word that
# the model has never seen, such as “nefive”, has the probability of `<unk>`, divided by
# the number of symbols for each of its letters, as if it were spelled at random.
#
# **Exercise 11.3** The score of the paper, for a function `lm` like this one.


# %%
def language_model(lines, order, symbols=27):
    """lm(text, end=True): log P_lm(text), with the end of the sentence or without."""
    p, gamma = train(lines, order)

    @cache
    def lm(text, end=True):
        log_p, history = 0.0, ("<s>",)
        for word in text.split() + ["</s>"] * end:
            if (word,) not in p:
                log_p -= len(word) * np.log(symbols)
                word = "<unk>"
            log_p += np.log(backed_off(word, history, p, gamma))
            history = (*history, word)[1 - order :]
        return log_p

    return lm


lm = language_model(LINES, order=3)
for text in TEXTS:
    print(f"{text}: {lm(text):.4f}, package {package_lm.log_prob(text):.4f}")


# %%
def Q(text, log_prob, lm, alpha, beta, end=True):
    """The formula above; lm(text, end) is log P_lm(text).  1 line."""
    raise NotImplementedError


Q = check("11.3", Q)

# %% [markdown]
# ## Inside the search
# We could search with the network alone, and take the text of the final beam with the
# greatest $Q$. But the right text may have been pruned long before. So rank the texts
# by $Q$ in *every* frame. A word counts as soon as a space follows it: in “recognize
# spee” only “recognize” does, in “recognize speech ” (with a space at the end) both do.
#
# **Exercise 11.4** Your beam search with your language model. In each frame, a text has
# the score $Q$ of its complete words, without the end of the sentence, where
# $\log P(c \mid x)$ is $\log(p_b + p_{nb})$ of the whole text ($-\infty$ if no path
# reads it). After the last frame, it has the $Q$ of all its words, with the end.

# %%
beam_step, mix = yours("beam_step", "mix")
np.seterr(divide="ignore")  # np.log(0) is -inf, without a warning


def beam_search_with_lm(Y, letters, width, lm, alpha, beta):
    """Y (T, K) -> {text: Q}, the beam after T frames.  About 10 lines."""
    raise NotImplementedError


beam_search_with_lm = check("11.4", beam_search_with_lm)

# %% [markdown]
# Lesson 10's noisy “two five” again, with word pairs counted in 200 lines of digits:

# %%
digits = minids.Recognizer.load(data("digits.safetensors"))
letters = "".join(digits.alphabet.symbols)
names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
rng = np.random.default_rng(10)
lines = [" ".join(rng.choice(names, rng.integers(1, 6))) for _ in range(200)]
model = language_model(lines, 2, len(letters))


def noisy(name, snr, seed):
    samples, _ = minids.load_audio(data(f"{name}.flac"), rate=16000)  # (N,)
    return mix(samples, np.random.default_rng(seed).normal(size=len(samples)), snr)


sound = noisy("two_five", 5, seed=5)
Y = np.exp(digits.log_probs(sound), dtype=float)  # (T, K)
listen(sound, 16000, log_probs=np.log(Y), alphabet=letters, title="noisy “two five”")
for alpha, beta in (0, 0), (1, 2):
    texts = beam_search_with_lm(Y, letters, 50, model, alpha, beta)
    best = sorted(texts, key=texts.get, reverse=True)[:3]
    print(f"α {alpha}, β {beta}: ", *(f" {text} ({texts[text]:.2f})" for text in best))

# %% [markdown]
# “one” is a word, but wrong: the model knows what people say, not what this speaker
# said. `minids.BeamSearch` does the same, compiled. Do both find the same text, in
# three recordings with eight noises each?

# %%
warnings.simplefilter("ignore", DiscountWarning)  # ten words are few to estimate D from
package_lm, exact = minids.NGram.train(lines, order=2), {"token_min_logp": -np.inf}
package = minids.BeamSearch(digits.alphabet, package_lm, 1, 2, beam_width=50, **exact)
spoken = list(product(("seven", "two_five", "three_one_four"), range(8)))
for snr in 10, 8:
    batch = [digits.log_probs(noisy(name, snr, seed)) for name, seed in spoken]
    theirs, same, more = package.decode_batch(batch, n_best=1), 0, 0
    for log_probs, (best,) in zip(batch, theirs, strict=True):
        Y = np.exp(log_probs, dtype=float)
        texts = beam_search_with_lm(Y, letters, 50, model, 1, 2)
        same += max(texts, key=texts.get) == best.text
        more += best.score > max(texts.values()) + 1e-3
    print(f"SNR {snr:2} dB: {same} of 24 equal; in {more} the package's Q is greater")

# %% [markdown]
# In much noise the package finds texts with a greater $Q$. In your search, nothing
# stops “nefi” before the next space, so beginnings of unknown words fill the beam. The
# package charges for them at once. It counts text of any size (`minids/lm/count.py`)
# and tunes α and β (`minids/decode/tune.py`).
#
# **What we have now** A search that knows both the sound and the language.
#
# **Next question** How do we count wrong words, and how certain is that number?

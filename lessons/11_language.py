# %% [markdown]
# # 10. "Recognize speech" or "wreck a nice beach"?
# Say both aloud, fast: they sound nearly the same. A *language model* knows which of
# them people use. It gives every text a probability without listening.
#
# *You build* an n-gram language model, and use it in the search. *You need* lesson 9.

# %%
import warnings
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import minids
from minids.audio import mix
from minids.lesson import data, exercise, show
from minids.lesson.figures.backoff import backoff, score_over_alpha, smoothing, weights
from minids.lm.kneser_ney import DiscountWarning
from minids.lm.reference import ReferenceNGram

TEXT = (
    "we can recognize speech. computers recognize speech. it is hard to recognize speech. "
    "a network can recognize a word. it is hard to say a word. to say a nice word is not hard. "
    "we had a nice day. a nice day at the beach. they sat in the car. do not wreck a car. "
    "a storm can wreck a boat. a boat can not speak"
)
LINES = TEXT.split(". ")
model = minids.NGram.train(LINES, order=3)
TEXTS = {"recognize speech": -8.4, "wreck a nice beach": -5.7}  # log P(c|x), invented
show(
    score_over_alpha({c: (log_p, model.log_prob(c)) for c, log_p in TEXTS.items()}, (0, 1)),
    ["The network prefers the beach; a model of twelve lines of text, the speech."],
)

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
# No text contains every possible beginning, so an *n-gram* model looks back only
# $n - 1$ words, the *history* $h_i$:
#
# $$P_{lm}(c) = \prod_i p(w_i \mid h_i)$$
#
# We estimate $p(w \mid h)$ by counting: of all the times $h$ occurs, how often does $w$
# follow? In our lines ten words follow “a”, three of them “nice”: 3/10. And “beach”?
# Never: 0. A single zero makes the whole product zero, however clearly the sentence was
# spoken. So *smooth* the counts: take a little from each, and give it to all words in
# proportion to their probability after the *shorter* history $h'$ ($h$ without its
# first word):
#
# $$p(w \mid h) = \frac{c(hw) - D(c(hw))}{\sum_v c(hv)} + \gamma(h)\, p(w \mid h'),
#   \qquad \gamma(h) = \frac{\sum_v D(c(hv))}{\sum_v c(hv)}$$
#
# $D$ is the *discount*: here 0.73 for a count of 1, 1.45 for 2, 1.53 for more (computed
# by `discounts` in `minids/lm/reference.py`). $\gamma$ is the probability taken away,
# so the sum over all words is still 1.

# %%
reference = ReferenceNGram(LINES, order=3)  # the same model, readable code
counts = reference.after["a",]  # the words after “a”
D = reference.D[2]  # for word pairs: [D(0), D(1), D(2), D(3 and more)]
total, gamma_a = sum(counts.values()), reference.gamma(("a",))
p_shorter, rows = reference.probability, {}
for word in *sorted(counts, key=lambda word: -counts[word]), "beach", "speech":
    count = counts.get(word, 0)
    rows[word] = count, (count - D[min(count, 3)]) / total, gamma_a * p_shorter(word)
show(smoothing(("a",), rows), ["Blue: from the counts. Red: from the shorter history."])


# %%
def check_smoothed():
    shorter = {"a": 0.2, "b": 0.3, "c": 0.1, "d": 0.4}
    got = smoothed({"b": 2}, [0, 1 / 3, 3 / 2, 3], shorter)
    yield "γ = 1.5/2, by hand", got, {"a": 0.15, "b": 0.25 + 0.225, "c": 0.075, "d": 0.3}
    for h in [h for h in reference.after if h]:
        shorter = {w: reference.probability(w, h[1:]) for w in reference.vocabulary}
        got = smoothed(reference.after[h], reference.D[len(h) + 1], shorter)
        yield f"the sum of p(w | {' '.join(h)})", sum(got.values()), 1.0
        expected = {w: reference.probability(w, h) for w in reference.vocabulary}
        yield f"p(w | {' '.join(h)})", got, expected


@exercise("10.1", check_smoothed)
def smoothed(counts, D, shorter):
    """{w: p(w|h)} from counts {w: c(hw)}, D and shorter {w: p(w|h')}.  About 4 lines."""
    raise NotImplementedError


# %%
after_a = smoothed(counts, D, {word: p_shorter(word) for word in reference.vocabulary})
for word in sorted(after_a, key=lambda word: -after_a[word])[:4]:
    print(f"p({word} | a) = {after_a[word]:.3f}")

# %% [markdown]
# The counts of the shorter histories are special: they count not how often a word
# occurs but *after how many different words*, because a shorter history is used only
# where the longer one fails. “nice” occurs 3 times, but only after “a”: count 1. “can”
# occurs 4 times, each time after a different word: count 4. A word that follows many
# others may well follow a new one.
#
# ## Backing off
# For a word never seen after $h$ only the second term is left:
# $\gamma(h)\, p(w \mid h')$. So a model stores $p$ only for the n-grams that it has
# seen, and $\gamma$ for every history. How probable is “beach” in “wreck a nice beach”?
# Go to shorter and shorter histories:


# %%
def tables(model):
    """{n-gram: p}, {history: γ}, from an ARPA file, the format that all programs read."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "speech.arpa"
        model.save(path)
        lines = [line.split("\t") for line in path.read_text().splitlines() if "\t" in line]
    p = {tuple(gram.split()): 10 ** float(log_p) for log_p, gram, *_ in lines}  # log10
    return p, {tuple(line[1].split()): 10 ** float(line[2]) for line in lines if line[2:]}


p, gamma = tables(model)
steps = [backoff("beach", ("a", "nice"), p, gamma, upto) for upto in range(3)]
show(steps, ["Never seen.", "“nice beach”: never.", "“beach”: seen."], "Backing off")


# %%
def check_backed_off():
    for h in [*reference.after, ("wreck", "nice"), ("never", "seen"), ("seen", "a")]:
        got = {w: backed_off(w, h, p, gamma) for w in reference.vocabulary}
        yield f"the sum of p(w | {' '.join(h)})", sum(got.values()), 1.0
        expected = {w: reference.probability(w, h) for w in reference.vocabulary}
        yield f"p(w | {' '.join(h)})", got, expected


@exercise("10.2", check_backed_off, rtol=1e-5)
def backed_off(word, history, p, gamma):
    """p(word | history), a tuple. A history not in gamma has γ = 1.  About 3 lines."""
    raise NotImplementedError


# %% [markdown]
# After *every* history the probabilities sum to 1. Now both sentences, then the score:

# %%
for words in (["<s>", *text.split(), "</s>"] for text in TEXTS):
    indices = range(1, len(words))
    p_words = [backed_off(words[i], (*words[:i],)[-2:], p, gamma) for i in indices]
    print(*words[1:], np.round(p_words, 3))


def check_Q():
    for text in "recognize speech", "wreck a nice beach", "a word a word", "":
        words = ["<s>", *text.split(), "</s>"]
        p_words = [reference.probability(words[i], words[:i]) for i in range(1, len(words))]
        for alpha, beta in (0, 0), (1, 0), (0, 1), (0.7, -1.5):
            log_p = -5.7 - len(text)  # log P(c|x), invented
            expected = log_p + alpha * np.log(p_words).sum() + beta * len(words[1:-1])
            got = Q(text, log_p, model, alpha, beta)
            yield f"Q(“{text}”), α = {alpha}, β = {beta}", got, expected


@exercise("10.3", check_Q, rtol=1e-5)
def Q(text, log_prob, lm, alpha, beta):
    """The formula above. lm.log_prob(text) is log P_lm with the sentence end.  1 line."""
    raise NotImplementedError


# %% [markdown]
# ## A real example
# Lesson 9's noisy “two five” again, with a language model of digits. Either rank the
# hundred best texts of a beam by your `Q`, or let the search score each complete word,
# so that it does not drop good texts on the way.


# %%
def noisy(name, snr, seed):
    samples, _ = minids.load_audio(data(f"{name}.flac"), rate=16000)  # (N,)
    noise = np.random.default_rng(seed).normal(size=len(samples))
    return digits.log_probs(mix(samples, noise, snr))  # (T, K)


digits = minids.Recognizer.load(data("digits.safetensors"))
names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
rng = np.random.default_rng(10)
lines = [" ".join(rng.choice(names, rng.integers(1, 6))) for _ in range(200)]
warnings.simplefilter("ignore", DiscountWarning)  # ten words are few to estimate D from
digits_lm = minids.NGram.train(lines, order=2)
search = minids.BeamSearch(digits.alphabet, digits_lm, beam_width=100)

log_probs = noisy("two_five", 5, seed=5)  # (T, K)
texts = minids.BeamSearch(digits.alphabet, beam_width=100).decode(log_probs, n_best=100)
for alpha, beta in (0, 0), (1, 2):
    rescored = max(texts, key=lambda t: Q(t.text, t.log_prob, digits_lm, alpha, beta))
    search.set_weights(alpha, beta)
    print(f"α {alpha}, β {beta}:  Q {rescored.text},  search {search.decode(log_probs)[0].text}")

# %% [markdown]
# “one” is a word, but still wrong: the model knows what people say, not what this
# speaker said.
#
# Which $\alpha$ and $\beta$ are best? Try them on three recordings in eight noises
# each, and compute the word error rate (lesson 11). From step to step the noise grows,
# the network knows less, and the language model helps more.

# %%
ALPHAS, BETAS = (0, 0.5, 1, 1.5, 2, 2.5, 3), (-1, 0, 1, 2, 3, 4, 5)
SPOKEN = ("seven", "two_five", "three_one_four")
references = [name.replace("_", " ") for name in SPOKEN for _ in range(8)]
maps, captions = [], []
for snr in 10, 8, 7, 6:
    sounds = [noisy(name, snr, seed) for name, seed in product(SPOKEN, range(8))]
    rates = np.empty((len(ALPHAS), len(BETAS)))
    for i, j in product(range(len(ALPHAS)), range(len(BETAS))):
        search.set_weights(ALPHAS[i], BETAS[j])
        hypotheses = [best.text for best, *_ in search.decode_batch(sounds, n_best=1)]
        rates[i, j] = minids.wer(references, hypotheses).rate
    maps.append(weights(ALPHAS, BETAS, rates, f"SNR {snr} dB"))
    captions.append(f"{rates[0, 1]:.0%} without the model, {rates.min():.0%} at best.")
show(maps, captions, "Word error rate over α and β")

# %% [markdown]
# For your own recognizer, `minids lm train` counts text of any size
# (`minids/lm/count.py`), and `minids tune` chooses $\alpha$ and $\beta$. The error rate
# of the best cell is too optimistic, because these recordings chose it: measure it on
# others.
#
# **What we have now** A search that knows both the sound and the language.
#
# **Next question** How do we count wrong words, and how certain is that number?

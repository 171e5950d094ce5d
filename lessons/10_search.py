# %% [markdown]
# # 9. Is the best path the best text?
# In each frame, take the character to which the network gives the highest probability,
# and collapse that path (lesson 2): this gives a text. Is it the most probable *text*?
#
# *You build* prefix beam search, Deep Speech's decoder. *You need* lessons 2 and 5.

# %%
import numpy as np

import minids
from minids.audio import mix
from minids.decode.greedy import greedy_text
from minids.decode.lexicon import Language
from minids.decode.reference import prefix_beam_search
from minids.lesson import data, exercise, show
from minids.lesson.figures.beam import beam, every_path
from minids.text import Alphabet, collapse

two_frames = np.array([[0.6, 0.4], [0.6, 0.4]])  # (T, K): the blank, then a
show(every_path(two_frames, "a"), ["The best path is two blanks; three paths read “a”."])

# %% [markdown]
# Two frames, one letter, four paths. The most probable *path*, `– –` (framed), reads as
# the empty text. But three paths read “a”, and their sum is nearly twice as large.
#
# *Greedy* decoding returns the text of the most probable path. We want the most
# probable text $c$. As in lesson 5, its probability is the sum over all its paths:
#
# $$P(c \mid x) = \sum_{\pi\,:\,B(\pi) = c} \; \prod_t y_{t,\pi_t}$$
#
# Trying all $K^T$ paths is impossible: with 29 characters, ten frames (a tenth of a
# second) have more paths than ten years have microseconds.
#
# ## Keep texts, not paths
# Go through the frames and keep, for each text, the total probability of its paths so
# far. This is almost enough. What can the next frame do to the text “a”?
#
# - **a blank**: the text stays “a”.
# - **an a**: if the path ends in *a*, the letter only lasts longer: it stays “a”. If it
#   ends in a *blank*, a new letter begins: “aa”.
# - **a b**: the text becomes “ab”.
#
# So it matters how a path *ends*. Keep two numbers for each text $\ell$:
#
# $$p_b(\ell) \text{: its paths that end in a blank} \qquad
#   p_{nb}(\ell) \text{: those that end in its last letter}$$
#
# With the probabilities $y$ of the next frame, every text $\ell$ contributes to
#
# $$\ell: \quad p_b \leftarrow y_{\text{blank}}\,(p_b + p_{nb}), \qquad
#   p_{nb} \leftarrow y_{\text{last}}\,p_{nb}$$
#
# $$\ell c: \quad p_{nb} \leftarrow y_c\,(p_b + p_{nb}), \quad
#   \text{but only } y_c\,p_b \text{ if } c \text{ repeats the last letter of } \ell$$
#
# Contributions to the same text are *added*: “a” comes from “a” (the letter lasts
# longer) and from “” (an a is appended). Before the first frame there is only the empty
# text, with $(p_b, p_{nb}) = (1, 0)$, as if it ended in a blank.
#
# In the picture above, after frame 1 “” has $(0.6, 0)$ and “a” has $(0, 0.4)$. After
# frame 2 “a” has $p_b = 0.6 \cdot 0.4 = 0.24$ (a blank) and
# $p_{nb} = 0.4 \cdot 0.4 + 0.4 \cdot 0.6 = 0.4$ (the letter lasts, or is new): 0.64 in
# all.
#
# How can we check such a step? By the definition, on small examples: extend every path
# and group the paths by their text. (`width` comes later; here it is unlimited.)


# %%
def by_hand(Y, letters, width=10**9):
    """{text: (p_b, p_nb)} from all paths; the paths of dropped texts are dropped."""
    paths = {(): 1.0}
    for y in Y:
        paths = {(*path, k): p * y[k] for path, p in paths.items() for k in range(len(y))}
        sums = {}
        for path, p in paths.items():
            sums.setdefault(read(path, letters), [0.0, 0.0])[path[-1] != 0] += p
        kept = sorted(sums, key=lambda text: -sum(sums[text]))[:width]
        paths = {path: p for path, p in paths.items() if read(path, letters) in kept}
    return {text: tuple(sums[text]) for text in kept}


def read(path, letters):
    return "".join(letters[k - 1] for k in collapse(path))


def best_of(texts):
    return max(texts, key=lambda text: sum(texts[text]))


def random_frames(letters, T, seed=9):
    return np.random.default_rng(seed).dirichlet(np.ones(len(letters) + 1), T)  # (T, K)


for text, (p_b, p_nb) in by_hand(two_frames, "a").items():
    print(f"“{text}”: p_b {p_b:.2f}, p_nb {p_nb:.2f}")


# %%
def check_step():
    got = step({"a": (0.2, 0.3)}, np.array([0.5, 0.3, 0.2]), "ab")
    yield "from “a”, by hand", got, {"a": (0.25, 0.09), "aa": (0, 0.06), "ab": (0, 0.1)}
    for letters, T in ("a", 3), ("ab", 4), ("abc", 3):
        Y = random_frames(letters, T)
        texts = {"": (1.0, 0.0)}
        for t in range(1, T + 1):
            texts, truth = step(texts, Y[t - 1], letters), by_hand(Y[:t], letters)
            for text in sorted({*texts, *truth}):
                what = f"p_b, p_nb of “{text}” after {t} frames of “{letters}”"
                yield what, texts.get(text, (0, 0)), truth.get(text, (0, 0))


@exercise("9.1", check_step)
def step(texts, y, letters):
    """{text: (p_b, p_nb)} after t frames -> after t + 1.  About 10 lines.

    y (K,): the probabilities of frame t + 1; y[0] of the blank, y[k] of letters[k - 1].
    """
    raise NotImplementedError


# %% [markdown]
# ## A beam
# There are many texts, too, since each frame can append any of $K - 1$ letters. But
# most are improbable. So after each frame keep only the *beam*: the `width` texts with
# the greatest $p_b + p_{nb}$ (all paths of a text count).
#
# Here is a beam of width 3 on four frames of “h” and “i”. Gray: $p_b$; blue: $p_{nb}$;
# pale: dropped. Watch “hi”: dropped in frame 2, back in frame 3, the best text in frame
# 4.

# %%
alphabet = Alphabet("hi")
four_frames = np.array([[3, 3, 4], [1, 6, 3], [4, 1, 5], [6, 1, 3]]) / 10  # (T, K)
columns = [{"": (1.0, 0.0)}]
for y in four_frames:
    best = sorted(columns[-1], key=lambda text: -sum(columns[-1][text]))[:3]
    columns.append(step({text: columns[-1][text] for text in best}, y, "hi"))

captions = ["Before the first frame: the empty text, with probability 1."]
captions += [f"Probabilities: blank {y[0]}, h {y[1]}, i {y[2]}." for y in four_frames]
show([beam(columns, 3, t) for t in range(5)], captions, title="A beam of width 3")
print("greedy:", greedy_text(np.log(four_frames), alphabet))


# %%
def check_search():
    for width in 1, 2, 3:
        got, truth = (find(four_frames, "hi", width) for find in (search, by_hand))
        yield f"the texts of a beam of {width}", sorted(got), sorted(truth)
        for text in truth:
            yield f"p_b, p_nb of “{text}”, beam of {width}", got[text], truth[text]
    for letters, T in ("ab", 5), ("abc", 4):
        Y = random_frames(letters, T)
        got, truth = search(Y, letters, 10**6), by_hand(Y, letters)
        for text in truth:
            yield f"P(“{text}”), unbounded beam", sum(got[text]), sum(truth[text])
        best, path = best_of(got), read(Y.argmax(axis=1), letters)
        what = f"“{best}” is at least as probable as greedy's “{path}”"
        yield what, sum(truth[best]) >= sum(truth[path]), True


@exercise("9.2", check_search)
def search(Y, letters, width):
    """Y (T, K) -> {text: (p_b, p_nb)} of the beam after T frames.  About 5 lines."""
    raise NotImplementedError


# %% [markdown]
# Two facts to remember, which CTC's loss, $-\log P(c \mid x)$, confirms:
# - **A beam of unlimited width** gives exactly the $P(c \mid x)$ of lesson 5.
# - **A narrow beam only loses paths**: its probabilities are lower bounds.

# %%
logits = np.log(four_frames)[:, None]  # (T, B, K)
loss, _ = minids.ctc_loss(logits, [4], [[1, 2]], [2], backend="reference")
print(f"CTC's P(hi) = {np.exp(-loss[0]):.6f}")
for width in 3, 6, 100:
    print(f"a beam of {width:3}:  {sum(search(four_frames, 'hi', width)['hi']):.6f}")

# %% [markdown]
# ## How wide is wide enough?
# A hundred random examples of seven frames and three letters, harder than speech: how
# often does a beam find the most probable text of all?

# %%
examples = [random_frames("abc", 7, seed) for seed in range(100)]
truth = [best_of(search(Y, "abc", 10**6)) for Y in examples]
decoded = {"greedy": [read(Y.argmax(axis=1), "abc") for Y in examples]}
for width in 1, 2, 4, 8, 16, 32:
    decoded[f"a beam of {width}"] = [best_of(search(Y, "abc", width)) for Y in examples]
for name, texts in decoded.items():
    print(f"{name:12} finds {np.equal(texts, truth).sum():3} of 100")

# %% [markdown]
# A beam of width 1 is little better than greedy decoding. Each doubling helps and
# nearly doubles the time. The paper uses beams "in the range 1000-8000" (§2.2).
#
# ## The package's version
# `minids/decode/reference.py` is your search with three additions. It works with
# *logarithms*, because the probabilities of a minute of speech would underflow. It can
# use a language model (next lesson). And it keeps more paths: when “hi” is dropped in
# frame 2 and comes back from “h” in frame 3, your search has lost the older paths of
# “hi”. The package adds them again (its texts are label indices; h and i are 1 and 2):

# %%
texts = prefix_beam_search(np.log(four_frames), Language(alphabet), 0, 0, beam_width=3)
yours, package = sum(search(four_frames, "hi", 3)["hi"]), np.exp(texts[1, 2].log_prob)
print(f"P(hi) with a beam of 3: yours {yours:.3f}, the package's {package:.3f}")

# %% [markdown]
# `minids.BeamSearch` is the same search on flat arrays, a thousand times as fast. A
# real example: the small recognizer of lesson 2, with enough noise to make it
# uncertain.

# %%
digits = minids.Recognizer.load(data("digits.safetensors"))
samples, _ = minids.load_audio(data("two_five.flac"), rate=16000)  # (N,)
noise = np.random.default_rng(5).normal(size=len(samples))
log_probs = digits.log_probs(mix(samples, noise, 5))  # (T, K); SNR 5 dB
beam_search = minids.BeamSearch(digits.alphabet, beam_width=500)
by_greedy = beam_search.score(log_probs, greedy_text(log_probs, digits.alphabet))
for best in by_greedy, *beam_search.decode(log_probs, n_best=3):
    print(f"{best.text:8} log P = {best.log_prob:.2f}", "(greedy)" * (best is by_greedy))

# %% [markdown]
# The beam search finds a more probable text than greedy decoding. It is more probable
# for the *network*, that is: the speaker said “two five”.
#
# **What we have now** The most probable text instead of the most probable path, in a
# time that grows in proportion to the number of frames and not with $K^T$.
#
# **Next question** Nobody who knows English would write “ne five”. How can the search
# know?

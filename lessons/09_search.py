# %% [markdown]
# # 9. Is the best path the best text?
# The network gives every frame a probability for every character. Take the likeliest of each
# frame, collapse (lesson 2), and there is a text. But is it the likeliest *text*?
#
# *You build* prefix beam search, the decoder of Deep Speech. *You need* lessons 2 and 5.

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

two = np.array([[0.6, 0.4], [0.6, 0.4]])  # (T, K): two frames; the blank, then a
show(every_path(two, "a"), ["The best path is two blanks, 0.36. Three paths read “a”, 0.64."])

# %% [markdown]
# Two frames, one letter, four paths. The best *path* is `– –` (framed): nothing was said. Yet
# three weaker paths all read “a”, and together they are nearly twice as probable.
#
# *Greedy* decoding looks for the best path. What we want is the best text $c$, and its
# probability is the sum over all its paths, just as in lesson 5:
#
# $$P(c \mid x) = \sum_{\pi\,:\,B(\pi) = c} \; \prod_t y_{t,\pi_t}$$
#
# We could try all paths, but there are $K^T$: with 29 characters, ten frames (a tenth of a
# second) have more paths than ten years have microseconds.
#
# ## Keep texts, not paths
# Go through the frames, and remember for each text so far how probable all its paths together
# are. Many paths, one number. Well, nearly: what can the next frame do to the text “a”?
#
# - **a blank**: it stays “a”.
# - **an a**: if the path ends in *a*, that one is only held longer: still “a”.
#   If it ends in a *blank*, a new letter begins: “aa”.
# - **a b**: it becomes “ab”.
#
# So how a path *ends* matters. Keep two numbers for each text $\ell$:
#
# $$p_b(\ell) \text{: its paths that end in a blank} \qquad
#   p_{nb}(\ell) \text{: those that end in its last letter}$$
#
# and one more frame, with the probabilities $y$, makes of every text $\ell$
#
# $$\ell: \quad p_b \leftarrow y_{\text{blank}}\,(p_b + p_{nb}), \qquad
#   p_{nb} \leftarrow y_{\text{last}}\,p_{nb}$$
#
# $$\ell c: \quad p_{nb} \leftarrow y_c\,(p_b + p_{nb}), \quad
#   \text{but only } y_c\,p_b \text{ if } c \text{ repeats the last letter of } \ell$$
#
# Where several arrows lead to the same text, what they bring *adds up*: “a” is “a” held, and
# also “” with an a. At the start there is one text, “”, as if behind a blank: $(1, 0)$.
#
# By hand, for the picture above. After frame 1, “” has $(0.6, 0)$ and “a” has $(0, 0.4)$.
# After frame 2, “” has $0.6 \cdot 0.6 = 0.36$, and “a” has
#
# $$p_b = 0.6 \cdot 0.4 = 0.24, \qquad p_{nb} = 0.4 \cdot 0.4 + 0.4 \cdot 0.6 = 0.4$$
#
# (a blank behind it; held, or new). Together 0.64, as in the picture.
#
# How do we know that this is right? By the definition, on small cases: grow every path by
# itself, and group them by their text. `width` comes later; here it is as good as infinite.


# %%
def by_hand(Y, letters, width=10**9):
    """{text: (p_b, p_nb)} by growing every path; those of dropped texts are dropped."""
    paths = {(): 1.0}
    for y in Y:
        paths = {(*path, k): p * y[k] for path, p in paths.items() for k in range(len(y))}
        masses = {}
        for path, p in paths.items():
            masses.setdefault(read(path, letters), [0.0, 0.0])[path[-1] != 0] += p
        kept = sorted(masses, key=lambda text: -sum(masses[text]))[:width]
        paths = {path: p for path, p in paths.items() if read(path, letters) in kept}
    return {text: tuple(masses[text]) for text in kept}


def read(path, letters):
    return "".join(letters[k - 1] for k in collapse(path))


def best_of(texts):
    return max(texts, key=lambda text: sum(texts[text]))


def random_frames(letters, T, seed=9):
    return np.random.default_rng(seed).dirichlet(np.ones(len(letters) + 1), T)  # (T, K)


for text, (p_b, p_nb) in by_hand(two, "a").items():
    print(f"“{text}”: p_b {p_b:.2f}, p_nb {p_nb:.2f}")


# %%
def check_step():
    got = step({"a": (0.2, 0.3)}, np.array([0.5, 0.3, 0.2]), "ab")  # the other texts: dropped
    yield "of “a” alone, by hand", got, {"a": (0.25, 0.09), "aa": (0, 0.06), "ab": (0, 0.1)}
    for letters, T in ("a", 3), ("ab", 4), ("abc", 3):
        Y = random_frames(letters, T)
        texts = {"": (1.0, 0.0)}
        for t in range(1, T + 1):
            texts, truth = step(texts, Y[t - 1], letters), by_hand(Y[:t], letters)
            for text in sorted({*texts, *truth}):
                what = f"p_b, p_nb of “{text}” after {t} frames of “{letters}”"
                yield what, texts.get(text, (0, 0)), truth.get(text, (0, 0))


@exercise(
    "9.1",
    check_step,
    hints=[
        "two texts may lead to the same one (“a” is held, “” gets an a): always add",
        "write a little add(text, p_b, p_nb), and call it for each of the cases above",
        "add(text, y[0] * (p_b + p_nb), y[1 + letters.index(text[-1])] * p_nb); "
        "then for each c: add(text + c, 0, y[k] * (p_b if text[-1:] == c else p_b + p_nb))",
    ],
)
def step(texts, y, letters):
    """{text: (p_b, p_nb)} of t frames -> the same of t + 1.  About 10 lines.

    y (K,): the probabilities of frame t + 1; y[0] is the blank's, y[k] letters[k - 1]'s.
    """
    raise NotImplementedError


# %% [markdown]
# ## A beam
# Texts, too, are many: a frame can add any of $K - 1$ letters to each. But most are hopeless.
# So after each frame only the `width` best stay; that is the *beam*. Best means the greatest
# $p_b + p_{nb}$, for every path counts.
#
# Here is one, three texts wide, on four frames of “h” and “i”. Grey: $p_b$; blue: $p_{nb}$;
# pale: dropped. Step through it. Look for “hi”: dropped in frame 2, back in frame 3, best in 4.

# %%
alphabet = Alphabet("hi")
four = np.array([[0.3, 0.3, 0.4], [0.1, 0.6, 0.3], [0.4, 0.1, 0.5], [0.6, 0.1, 0.3]])  # (T, K)
columns = [{"": (1.0, 0.0)}]
for y in four:
    best = sorted(columns[-1], key=lambda text: -sum(columns[-1][text]))[:3]
    columns.append(step({text: columns[-1][text] for text in best}, y, "hi"))

captions = ["Before the first frame: the empty text, for sure."]
captions += [f"Frame {t}: blank {y[0]}, h {y[1]}, i {y[2]}." for t, y in enumerate(four, 1)]
show([beam(columns, 3, t) for t in range(5)], captions, title="The beam grows")
print("greedy:", greedy_text(np.log(four), alphabet))


# %%
def check_search():
    for width in 1, 2, 3:
        got, truth = search(four, "hi", width), by_hand(four, "hi", width)
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


@exercise(
    "9.2",
    check_search,
    hints=[
        "one step for each row of Y, and after each the best `width` of what came out",
        "sorted(texts, key=…, reverse=True)[:width] with the key p_b + p_nb",
        "dict(sorted(step(texts, y, letters).items(), key=lambda it: -sum(it[1]))[:width])",
    ],
)
def search(Y, letters, width):
    """Y (T, K) -> {text: (p_b, p_nb)}, the `width` best at the end.  About 5 lines."""
    raise NotImplementedError


# %% [markdown]
# Two laws to remember:
# - **An unbounded beam is CTC itself**: the mass of a text is exactly $P(c \mid x)$ of lesson 5.
# - **A narrow beam only loses paths**, so what it says is never too much.
#
# With CTC's loss, $-\log P(c \mid x)$, as the judge:

# %%
loss, _ = minids.ctc_loss(np.log(four)[:, None], [4], [[1, 2]], [2], backend="reference")
print(f"CTC's P(hi) = {np.exp(-loss[0]):.6f}")
for width in 3, 6, 100:
    print(f"a beam of {width:3}:  {sum(search(four, 'hi', width).get('hi', (0, 0))):.6f}")

# %% [markdown]
# ## How wide is wide enough?
# A hundred sounds of seven frames and three letters, random and therefore harder than speech:
# how often does a beam find the best of all texts, that of an unbounded beam?

# %%
sounds = [random_frames("abc", 7, seed) for seed in range(100)]
truth = [best_of(search(Y, "abc", 10**6)) for Y in sounds]
readings = {"greedy": [read(Y.argmax(axis=1), "abc") for Y in sounds]}
for width in 1, 2, 4, 8, 16, 32:
    readings[f"a beam of {width}"] = [best_of(search(Y, "abc", width)) for Y in sounds]
for name, texts in readings.items():
    print(f"{name:12} finds {np.equal(texts, truth).sum():3} of 100")

# %% [markdown]
# A beam of one is little better than greedy. Every doubling helps, and nearly doubles the time.
# The paper takes beams "in the range 1000-8000" (§2.2).
#
# ## The package's own
# `minids/decode/reference.py` is your search with three more things. It adds *logarithms*, for
# a minute of speech would underflow. It can ask a language model (next lesson). And it is kind
# to those it dropped: when “hi” left the beam in frame 2 and grew anew from “h” in frame 3,
# its older paths were lost; the package lets them come along (h and i are 1 and 2 there):

# %%
kind = prefix_beam_search(np.log(four), Language(alphabet), alpha=0, beta=0, beam_width=3)[1, 2]
ours = sum(search(four, "hi", 3)["hi"])
print(f"P(hi), a beam of 3: ours {ours:.3f}, the package's {np.exp(kind.log_prob):.3f}")

# %% [markdown]
# `minids.BeamSearch` is the same on flat arrays, a thousand times as fast. Now something
# real: the little recognizer of lesson 1, and noise until it is no longer sure.

# %%
digits = minids.Recognizer.load(data("digits.safetensors"))
samples, _ = minids.load_audio(data("two_five.flac"), rate=16000)  # (N,)
noise = np.random.default_rng(5).normal(size=len(samples))
log_probs = digits.log_probs(mix(samples, noise, 5))  # (T, K); noise 5 dB below the speech
beam_search = minids.BeamSearch(digits.alphabet, beam_width=500)
by_greedy = beam_search.score(log_probs, greedy_text(log_probs, digits.alphabet))
for found in by_greedy, *beam_search.decode(log_probs, n_best=3):
    print(f"{found.text:8}  log P = {found.log_prob:.2f}", "(greedy)" * (found is by_greedy))

# %% [markdown]
# The beam found a better text than greedy. Better for the *network*, that is: what was said
# is “two five”.
#
# **What we have now** The most probable text, not the most probable path, in a time that
# grows with the frames and not with $K^T$.
#
# **Next question** Nobody who knows English would write “ne five”. Who tells the search?

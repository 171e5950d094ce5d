# %% [markdown]
# # 10. Is the best path the best text?
# In each frame, take the character to which the network gives the highest probability,
# and collapse that path (lesson 2): this gives a text. Is it the most probable *text*?
#
# *You build* prefix beam search, Deep Speech's decoder. *You need* lessons 2 and 5.

# %%
import numpy as np

import minids
from minids.decode.lexicon import Language
from minids.decode.reference import prefix_beam_search
from minids.lesson import check, data, listen, show, yours
from minids.lesson.figures.beam import beam, every_path
from minids.text import Alphabet

two_frames = np.array([[0.6, 0.4], [0.6, 0.4]])  # (T, K): the blank, then a
show(every_path(two_frames, "a"), ["The best path: two blanks. Three paths read “a”."])

# %% [markdown]
# Two frames, one letter, four paths. The most probable *path*, `– –` (framed), reads as
# the empty text. But three paths read “a”, and their sum is nearly twice as large.
#
# **Greedy decoding** returns the text of the most probable path. We want the most
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
# **Exercise 10.1** Write this step: from the texts after $t$ frames to those after
# $t + 1$. The check extends every single path and groups the paths by their text.


# %%
def beam_step(texts, y, letters):
    """{text: (p_b, p_nb)} after t frames -> after t + 1.

    y (K,): the probabilities of frame t + 1; y[0] of the blank, y[k] of letters[k - 1].
    About 10 lines.
    """
    raise NotImplementedError


beam_step = check("10.1", beam_step)

# %%
texts = {"": (1.0, 0.0)}
for y in two_frames:
    texts = beam_step(texts, y, "a")
for text, (p_b, p_nb) in texts.items():
    print(f"“{text}”: p_b {p_b:.2f}, p_nb {p_nb:.2f}")

# %% [markdown]
# ## A beam
# There are many texts, too, since each frame can append any of $K - 1$ letters. But
# most are improbable. So after each frame keep only the **beam**: the `width` texts
# with the greatest $p_b + p_{nb}$ (all paths of a text count). The others are
# **pruned**: the search forgets them.
#
# Here is a beam of width 3 on four frames of “h” and “i”. Gray: $p_b$; blue: $p_{nb}$;
# pale: pruned. Watch “hi”: pruned in frame 2, back in frame 3, the best text in frame
# 4.

# %%
alphabet = Alphabet("hi")
four_frames = np.array([[3, 3, 4], [1, 6, 3], [4, 1, 5], [6, 1, 3]]) / 10  # (T, K)
columns = [{"": (1.0, 0.0)}]
for y in four_frames:
    best = sorted(columns[-1], key=lambda text: -sum(columns[-1][text]))[:3]
    columns.append(beam_step({text: columns[-1][text] for text in best}, y, "hi"))

captions = ["Before the first frame: the empty text, with probability 1."]
captions += [f"Probabilities: blank {y[0]}, h {y[1]}, i {y[2]}." for y in four_frames]
show([beam(columns, 3, t) for t in range(5)], captions, title="A beam of width 3")

# %% [markdown]
# **Exercise 10.2** Write the whole search: start with the empty text, take a step for
# each frame, and prune after each step.


# %%
def beam_search(Y, letters, width):
    """Y (T, K) -> {text: (p_b, p_nb)}, the beam after T frames.  About 5 lines."""
    raise NotImplementedError


beam_search = check("10.2", beam_search)

# %% [markdown]
# Two facts to remember:
# - **A beam of unlimited width** gives exactly the $P(c \mid x)$ of lesson 5.
# - **A narrow beam only loses paths**: its probabilities are lower bounds.
#
# Your forward variables of lesson 5 confirm both.

# %%
lattice, forward_variables = yours("lattice", "forward_variables")
ends = forward_variables(np.log(four_frames), lattice([1, 2]))[-1, -2:]
print(f"CTC's P(hi) = {np.exp(ends).sum():.6f}")
for width in 3, 6, 100:
    found = sum(beam_search(four_frames, "hi", width)["hi"])
    print(f"a beam of {width:3}:  {found:.6f}")

# %% [markdown]
# ## How wide is wide enough?
# A hundred random examples of seven frames and three letters, harder than speech: how
# often does a beam find the most probable text of all?

# %%
collapse = yours("collapse")


def greedy(Y, letters):
    return "".join(letters[k - 1] for k in collapse(Y.argmax(axis=1)))


def best_text(texts):
    return max(texts, key=lambda text: sum(texts[text]))


rng = np.random.default_rng(9)
examples = rng.dirichlet(np.ones(4), (100, 7))  # (examples, T, K)
truth = [best_text(beam_search(Y, "abc", 10**6)) for Y in examples]
decoded = {"greedy": [greedy(Y, "abc") for Y in examples]}
for width in 1, 2, 4, 8, 16, 32:
    texts = [best_text(beam_search(Y, "abc", width)) for Y in examples]
    decoded[f"a beam of {width}"] = texts
for name, found in decoded.items():
    print(f"{name:12} finds {np.equal(found, truth).sum():3} of 100")

# %% [markdown]
# Even a beam of one text beats greedy decoding, because it adds up the paths of that
# text. Each doubling helps, and takes more time. The paper uses beams "in the
# range 1000-8000" (§2.2).
#
# ## Your search on a real sound
# The small recognizer of lesson 2 hears a speaker in so much noise that it is
# uncertain: the **signal-to-noise ratio** (SNR, lesson 9) is 5 dB. The space between
# words is one of its letters, and for the search a letter like any other.

# %%
mix = yours("mix")
digits = minids.Recognizer.load(data("digits.safetensors"))
letters = "".join(digits.alphabet.symbols)
samples, _ = minids.load_audio(data("two_five.flac"), rate=16000)  # (N,)
noise = np.random.default_rng(5).normal(size=len(samples))
noisy = mix(samples, noise, 5)
log_probs = digits.log_probs(noisy)  # (T, K)

by_greedy = greedy(log_probs, letters)
texts = beam_search(np.exp(log_probs, dtype=float), letters, 100)
ranking = sorted(texts, key=lambda text: -sum(texts[text]))
for text in ranking[:3]:
    note = "  (greedy)" if text == by_greedy else ""
    print(f"{text:8} log P = {np.log(sum(texts[text])):.2f}{note}")

# %% [markdown]
# Your beam search finds a more probable text than greedy decoding. It is more probable
# for the *network*, that is: the speaker said “two five”. Listen to the noisy sound,
# and choose a text. The letters stand where its paths place them: these are the
# probabilities $\gamma$ of lesson 6, which your CTC gradient $y - \gamma$ contains.

# %%
ctc_gradient = yours("ctc_gradient")
hypotheses = {"network": (None, log_probs)}
for text in by_greedy, ranking[0], "two five":
    gamma = np.exp(log_probs) - ctc_gradient(log_probs, digits.alphabet.encode(text))
    hypotheses[text] = None, np.log(np.maximum(gamma, 1e-30))  # (T, K)
title = "“two five” in noise, and where each text is in it"
listen(noisy, 16000, alphabet=letters, versions=hypotheses, by="text", title=title)

# %% [markdown]
# ## The package's version
# `minids/decode/reference.py` is your search with three additions. It works with
# *logarithms*, because the probabilities of a minute of speech would underflow. It can
# use a language model (next lesson). And it keeps more paths: when “hi” is pruned in
# frame 2 and comes back from “h” in frame 3, your search has lost the older paths of
# “hi”. The package adds them again (its texts are label indices; h and i are 1 and 2):

# %%
texts = prefix_beam_search(np.log(four_frames), Language(alphabet), 0, 0, beam_width=3)
yours_of_3 = sum(beam_search(four_frames, "hi", 3)["hi"])
package = np.exp(texts[1, 2].log_prob)
print(f"P(hi) with a beam of 3: yours {yours_of_3:.3f}, the package's {package:.3f}")
for best in minids.BeamSearch(digits.alphabet, beam_width=100).decode(log_probs)[:3]:
    print(f"{best.text:8} log P = {best.log_prob:.2f}")

# %% [markdown]
# The last lines are `minids.BeamSearch`: the same search on flat arrays, compiled.
#
# **What we have now** The most probable text instead of the most probable path, in a
# time that grows in proportion to the number of frames and not with $K^T$.
#
# **Next question** Nobody who knows English would write “ne five”. How can the search
# know?

# %% [markdown]
# # 15. What did Deep Speech replace?
# In 2014 a good recognizer was the work of many years: a chain of models, each trained
# with the results of the one before. Deep Speech put one network in the place of most
# of them. What did it remove, what did it keep, and was it worth it?
#
# *You build* forced alignment, the step on which the old chain was built.
# *You need* lessons 5 and 6.

# %%
import numpy as np

import minids
from minids.lesson import check, data, listen, show, yours
from minids.lesson.figures.before import (
    TABLE_3,
    TABLE_4,
    alignments,
    error_rates,
    pipelines,
)

show(pipelines(), ["Red: removed. Blue: replaced, or kept."])

# %% [markdown]
# ## The chain of 2014
# - **Features**: *MFCC*, mel-frequency cepstral coefficients: about a dozen numbers for
#   each frame, the cosine transform of the logarithms of filter bank powers. It leaves
#   out what experts held to be useless for telling sounds apart.
# - **Speaker adaptation**: transforms of the features or of the models, estimated for
#   each speaker, because every voice is different.
# - **A dictionary of phonemes**: the sounds of every word, written by linguists.
# - **GMM-HMM**: a *hidden Markov model* moves from state to state of a phoneme, as the
#   lattice of lesson 5 does from letter to letter; a *Gaussian mixture* says how
#   probable a frame is in each state. It *aligns* the recordings: which frame belongs
#   to which state?
# - **Phonemes in context**: a *t* between *s* and *r* sounds unlike other *t*s, so a
#   phoneme has many states, one for each group of similar neighbors, found by a
#   decision tree.
# - **A deep neural network** (*DNN*) learns the state of each frame from this
#   alignment, as if it were the truth. Then the recordings are aligned again with it.
# - **A language model** of n-grams, as in lesson 11.
#
# Each step has an objective of its own, and an error of one step is the truth of the
# next. Only a last stage, in some systems (*BMMI* and *sMBR* in table 3 below), judges
# whole sentences.
#
# ## One alignment
# The heart of the chain is **forced alignment**: the most probable path through a known
# text. It is lesson 5 with a maximum in the place of the sum (in logarithms), the
# **Viterbi algorithm**:
#
# $$v_t(s) = \log y_t(l'_s) + \max \{\, v_{t-1}(s), \; v_{t-1}(s-1), \; v_{t-1}(s-2)
#   \,\}$$
#
# the last one only where a skip is allowed. In the first frame, only the first two
# states are possible. To find the path, remember for each $t$ and $s$ *which* of the
# three was the greatest, the **backpointer**. The path ends in the last state or in the
# one before, whichever is more probable; from there, follow the backpointers.
#
# **Exercise 15.1** The state of each frame on the most probable path, as integers.
# (State 0 has no state before it; in Python `v[t - 1, -1]` is that of the last state.)


# %%
def viterbi(log_y, states):
    """log_y (T, K), characters of the states (S,) -> the state of each frame (T,) int.

    About 15 lines.
    """
    raise NotImplementedError


viterbi = check("15.1", viterbi)

# %% [markdown]
# ## All alignments
# CTC, in contrast, needs no alignment: it adds up all paths, and the network itself
# finds out where the letters are. Compare both on “three one four” in noise (SNR 10
# dB). Shaded: the probability of each state over all paths, $\gamma$ of lesson 6. Line:
# your path.

# %%
mix, lattice = yours("mix", "lattice")
forward_variables, backward_variables = yours("forward_variables", "backward_variables")
digits = minids.Recognizer.load(data("digits.safetensors"))
samples, _ = minids.load_audio(data("three_one_four.flac"), rate=16000)  # (N,)
noisy = mix(samples, np.random.default_rng(5).normal(size=len(samples)), 10)
log_y = digits.log_probs(noisy)  # (T, K)
T, K = log_y.shape
states = np.asarray(lattice(digits.alphabet.encode("three one four").tolist()))  # (S,)
path = viterbi(log_y, states)  # (T,)
alpha, beta = forward_variables(log_y, states), backward_variables(log_y, states)
total = np.logaddexp(alpha[-1, -1], alpha[-1, -2])
gamma = np.exp(alpha + beta - total)  # (T, S)

names = ["", *digits.alphabet.symbols]
picture = alignments(gamma, path, [names[k] for k in states], digits.frame_seconds)
show(picture, ["All paths (shaded), and the most probable one (line)."])
best = log_y[np.arange(T), states[path]].sum()
print(f"log P of the text {total:.2f}, of the best path alone {best:.2f}")
print(f"the best path has {np.exp(best - total):.1%} of the probability")

# %% [markdown]
# Nearly all of the probability is in the other paths, most of which differ from it by a
# frame here and there. The old chain trained its network on this one.
#
# Listen, and choose: with all paths, a letter is less probable where its place is
# uncertain; the best path knows no doubt.

# %%
by_all = np.zeros((T, K))
np.add.at(by_all.T, states, gamma.T)  # the states of a character belong together
by_best = np.eye(K)[states[path]]  # (T, K)
shares = {"all paths": by_all, "best path": by_best}
versions = {name: (None, np.log(y + 1e-9)) for name, y in shares.items()}
letters, title = "".join(names), "“three one four” in noise"
listen(noisy, 16000, alphabet=letters, versions=versions, by="alignment", title=title)

# %% [markdown]
# ## What it removed, what it kept
# No phonemes, hence no dictionary; no alignment, hence no GMM-HMM and no states; in the
# noisy experiments (§5.2), no speaker adaptation. It kept features made by hand (but
# simpler ones), and the n-gram model, because there is far more text than transcribed
# speech: 220 million phrases of the web against about 3 million utterances (§2.2). And
# for telephone speech (§5.1) it normalized the features of each speaker.
#
# It was not the first network to write letters with CTC (Graves and Jaitly, 2014, did).
# It showed how far a plain network gets with much data: more than 7000 hours (table 2:
# 80 of WSJ, 300 of Switchboard, 2000 of Fisher, 5000 of Baidu's own), and noise.
#
# ## Was it worth it?
# Table 3 of the paper: word error rates (lesson 12) on *Hub5'00*, telephone calls in
# two parts. **SWB**: *Switchboard*, strangers talk about a given topic. **CH**:
# *CallHome*, friends and families talk, which is harder. **Full**: both. “SWB” or “FSH”
# in a system's name is its training data: Switchboard, Fisher. “–”: the table has no
# number.

# %%
title = "Table 3: word error rate in % on Hub5'00"
show(error_rates(TABLE_3, ["SWB", "CH", "Full"]), ["Lower is better."], title)

# %% [markdown]
# Read it honestly. With 300 hours, Deep Speech is *worse* than every neural network of
# the table: what experts know helps where data are few. With 2300 hours it has the
# lowest rate on the hard part and on both together, while three systems are as good or
# better on the easy part (Soltau's: 10.4 against 12.6).
#
# Table 4: 200 recordings of ten people, half of them in noise (a radio, a cafeteria, a
# car in the rain), and services of that time. It counts the 94 clean and 82 noisy ones
# for which every system returned something.

# %%
title = "Table 4: word error rate in % on the authors' recordings"
show(error_rates(TABLE_4, ["Clean", "Noisy", "Combined"]), ["Lower is better."], title)

# %% [markdown]
# In quiet, the best two are nearly equal; in noise, Deep Speech makes over a third
# fewer errors than the next: the work of lesson 9. (The authors made the recordings,
# and 82 are few: lesson 12 shows how wide the interval of such a rate is.)
#
# ## What came after
# *Deep Speech 2* (2015) added convolutions and more recurrent layers, and learned
# Mandarin, too. *Transducers* (Graves, 2012) show the network the letters that it has
# already written; phones use them. *wav2vec 2.0* (2020) first learns from recordings
# without text, then with CTC. *Whisper* (2022) writes text as a language model does,
# after 680,000 hours from the web. What stayed is the idea: one network from sound to
# letters, and much data.
#
# **What we have now** A reason for every part of our recognizer, and for those that it
# does not have.
#
# **Next question** Can you write all of it yourself, on an empty page?

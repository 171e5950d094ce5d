# %% [markdown]
# # 16. Can you write it all?
# You have written every part of a speech recognizer, and each worked in a program of
# ours. Now take an empty page, and write the program: a file of your own that hears a
# sound and writes the words.
#
# *You build* your own Deep Speech, in one file: features, network, CTC, gradients,
# training, search. *You need* lessons 1 to 12, and an afternoon or two.

# %%
import sys

import numpy as np

from minids.lesson import capstone, check, listen, show, yours
from minids.lesson.figures.capstone import learning, milestones
from minids.lesson.threads import one_thread
from minids.text import Alphabet

ours = capstone.our_file()  # deepspeech.py: recordings, initial weights, n-grams
recognizer = capstone.own_file()  # yours: recognizer.py, next to this lesson
with_context, collapse, word_error_rate = yours(
    "with_context", "collapse", "word_error_rate"
)
one_thread()  # fastest for such small matrix products
show(milestones(), ["From a sound to its text (blue), and to better weights (red)."])

# %% [markdown]
# ## The empty page
# Next to this lesson there is now a file `recognizer.py`, nearly empty. It is yours:
# these six milestones are all that this lesson asks of it. What you wrote in the
# earlier lessons is in `mine.py`; import it (`from mine import frames, normalize`),
# copy it, or rewrite it, shorter. In a terminal,
#
#     minids lessons check 16.1 --watch
#
# checks a milestone whenever you save the file. (In a notebook, run the first cell
# again after you have saved it.) You can stop and continue any day: what is not written
# yet is taken from our file, [deepspeech.py](../examples/deepspeech.py). It has
# everything in about 450 lines. Do not read it before you have your own.
#
# The language is small: digits, read aloud by synthetic voices, at 16 000 samples a
# second. The letters, as always:
#
# | | | |
# |---|---|---|
# | N samples | T0 frames, one every 10 ms | T frames of the network, every third |
# | B recordings in a batch | F = 41 features of a frame | D = 11 · 41 inputs |
# | H hidden units | K = 17 characters, 0 is the blank | U letters of a text |
#
# ## Milestone 1: features
#
# **Exercise 16.1** `features(samples)`: samples (N,) → frames (T0, F), as in lesson 1.
#
# 1. Subtract the mean, and scale the sound to power 1 (the mean of its squares).
# 2. Frames of 320 samples, one every 160.
# 3. Hann's window, $w_i = \sin^2(\pi i / 320)$, scaled so that $\sum_i w_i^2 = 1$.
# 4. The power spectrum; the power in 40 bands, and the energy; `np.log(… + 1e-7)`.
# 5. Each feature with mean 0 and standard deviation 1 over the recording (a deviation
#    below 0.05 counts as 0.05).

# %%
features = check("16.1", recognizer.features)

# %% [markdown]
# ## Milestone 2: the network
# From lessons 3, 4 and 8: all layers in a row, for a batch. With $g$ the clipped ReLU:
#
# $$\begin{split}
# h_1 &= g(W_1 x + b_1) \\
# h_2 &= g(W_2 h_1 + b_2) \\
# h_3 &= g(W_3 h_2 + b_3) \\
# h^f_t &= g(W_4 h_{3,t} + b_4 + W_r^f h^f_{t-1}) \\
# h^b_t &= g(W_4 h_{3,t} + b_4 + W_r^b h^b_{t+1}) \\
# h_4 &= h^f + h^b \\
# h_5 &= g(W_5 h_4 + b_5) \\
# \log \hat y &= \log\,\text{softmax}(W_6 h_5 + b_6)
# \end{split}$$
#
# **Exercise 16.2** `forward(params, x, lengths)` → `(log_probs, cache)`. The dictionary
# `params` has `W1 b1 … W6 b6`, `Wr_f` and `Wr_b`, and a weight matrix is (out, in), as
# always; `x` is (T, B, D), `lengths` (B,), and `log_probs` (T, B, K). The state of the
# recurrence is 0 before the first and after the last frame of *each* recording. `cache`
# is whatever your `backward` will need.

# %%
forward = check("16.2", recognizer.forward)

# %% [markdown]
# ## Milestone 3: the loss
# From lessons 5, 6 and 8. The gradient is that with respect to $W_6 h_5 + b_6$, the
# numbers before the softmax: the output minus the desired output.
#
# **Exercise 16.3** `ctc(log_probs, lengths, labels)` → `(losses, dlogits)`: log_probs
# (T, B, K), lengths (B,), labels a list of B lists of numbers → losses (B,), dlogits
# (T, B, K). Past the end of a recording the gradient is 0. A text that does not fit has
# loss `np.inf` and gradient 0. A text can be empty: then its only state is the blank.

# %%
ctc = check("16.3", recognizer.ctc)

# %% [markdown]
# ## Milestone 4: backward
# Read your `forward` from the last line to the first. Each line becomes one or two:
# lesson 3 for the layers, lesson 4 for the recurrence. Two things to remember: $h^f$
# and $h^b$ get the *same* gradient, that of $h_4$; and $W_4$, which serves both, gets
# the sum of theirs.
#
# **Exercise 16.4** `backward(params, cache, dlogits)` → a dictionary with the gradient
# of each parameter, under the name of the parameter. It is compared with central
# differences of your own `forward`.

# %%
backward = check("16.4", recognizer.backward)

# %% [markdown]
# ## Milestone 5: the trainer
# From lessons 7 and 8. One step: pad a batch; `forward`, `ctc`, `backward`, with the
# gradient of the *mean* loss of the texts that fit; if the norm of all gradients
# together is above `limit`, scale them down to it; then Nesterov's update in its second
# form (`params` is the point at which the gradient is taken).
#
# **Exercise 16.5** `train(params, data, epochs, rate, decay, momentum, limit,
# batch_size)`, where `data` is a list of `(x (T, D), label)`. It changes the arrays of
# `params` in place (`+=`), and *yields* (`yield`, not `return`) the mean loss of each
# epoch. In each epoch every recording is used once, those of similar length together,
# the batches in random order. In epoch 0 the learning rate is `rate`; after each epoch
# it is divided by `decay`.

# %%
train = check("16.5", recognizer.train)

# %% [markdown]
# ## Milestone 6: the search
# From lessons 10 and 11:
#
# $$ Q(c) = \log P(c \mid x) + \alpha \log P_{\text{lm}}(c)
#   + \beta\,\text{words}(c) $$
#
# While a text grows, the language model scores its *complete* words; at the end also
# the last one, and the end of the sentence, `</s>`.
#
# **Exercise 16.6** `beam_search(log_probs, lm, alpha, beta, width)` → `(text, Q)`, the
# best text of a beam of `width`, in logarithms. `log_probs` is (T, K); character k is
# `" efghinorstuvwxz"[k - 1]`. `lm.words` is the set of known words; `lm.p(word,
# history)` is a probability, where `history` is the tuple of the words before, from
# `"<s>"` on. Spell only words that the model knows, with one space between two. A text
# with a space at its end is the same text: add the two.

# %%
beam_search = check("16.6", recognizer.beam_search)

# %% [markdown]
# ## It learns
# Now all of it, together. 800 recordings, 28 voices. (With `--full` training goes on
# for eight times as long: `python 16_recognizer.py --full`.) One recording, by a voice
# that is not among them, is watched while the network learns.

# %%
RATE, C, STRIDE = 16000, 5, 3
alphabet = Alphabet(ours.LETTERS)


def network_input(samples):
    return with_context(features(samples), C)[::STRIDE].astype(np.float32)  # (T, D)


def output(samples):
    x = network_input(samples)[:, None]  # (T, 1, D)
    return forward(params, x, np.array([len(x)]))[0][:, 0]  # (T, K)


sounds = ours.recordings("train")
data = [(network_input(s), alphabet.encode(text).tolist()) for _, text, s in sounds]
params = ours.initial_params(D=data[0][0].shape[1], H=96, K=len(alphabet))
params = {name: value.astype(np.float32) for name, value in params.items()}
test = ours.recordings("test")[:60]
_, watched_text, watched = test[33]
f, outputs, pictures = features(watched), {}, []
epochs, decay = (72, 1.06) if "--full" in sys.argv else (9, 1.25)
schedule = {"rate": 0.004, "decay": decay, "momentum": 0.9, "limit": 10.0}


def watch(epoch, state):
    y = outputs[f"epoch {epoch}"] = output(watched)
    text = alphabet.decode(collapse(y.argmax(axis=1)))
    print(f"Epoch {epoch}, {state}: “{text}”")
    pictures.append(learning(f, y, alphabet, 0.03, RATE, f"Epoch {epoch}: “{text}”"))


watch(0, "before training")
for epoch, loss in enumerate(train(params, data, epochs, **schedule, batch_size=8), 1):
    watch(epoch, f"mean loss {loss:.2f}")

# %% [markdown]
# ## It reads
# The watched recording, epoch by epoch, and then sixty recordings of ten voices that it
# never heard.

# %%
show(pictures, title=f"Your network learns: “{watched_text}”")
versions = {epoch: (watched, y) for epoch, y in outputs.items()}
listen(None, RATE, alphabet=alphabet, versions=versions, by="epoch", title=watched_text)
lm = ours.NGram([text for _, text, _ in sounds])
said, greedy, searched = [], [], []
for voice, text, samples in test:
    y = output(samples)
    said.append(text)
    greedy.append(alphabet.decode(collapse(y.argmax(axis=1))))
    searched.append(beam_search(y, lm, alpha=1.0, beta=1.0, width=16)[0])
    if len(said) % 7 == 1:
        print(f"{voice:8} says {text:21} {greedy[-1]:22} {searched[-1]}")
print(f"word error rate: {word_error_rate(said, greedy):.0%} greedily,", end=" ")
print(f"{word_error_rate(said, searched):.0%} with the language model")

# %% [markdown]
# ## Show it
# A clip of your network while it learns, and your code next to ours, function by
# function. Read ours now: where is yours shorter, where is it clearer?

# %%
print("the clip:", capstone.clip("learning", pictures))
page = capstone.side_by_side() or "when recognizer.py has its first function"
print("the comparison:", page)

# %% [markdown]
# **What we have now** You have a speech recognizer, and you know every line of it,
# from the samples to the words. In 2014 this was a paper by eleven people. You can read
# any newer one now: what has changed most since are the layers in the middle. Sounds
# are still cut into frames, CTC is still in use, gradients still flow backward, and a
# beam can still ask a language model. You know why.
#
# Show somebody. The clip is yours, and so is the file.
#
# **Next question** It hears synthetic voices. Can it hear *you*? (Lesson 17.)

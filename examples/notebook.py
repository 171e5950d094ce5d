# %% [markdown]
# # minids in a notebook
# This file is a notebook: open it in Jupyter (with jupytext), VS Code or PyCharm and run it cell by cell, or
# convert it with `jupytext --to ipynb notebook.py`.

# %%
from IPython.display import Audio

import minids
from minids.lesson import data, show
from minids.plot.recognition import recognition

recording = data("two_five.flac")  # or your own file: "hello.wav"
recognizer = minids.Recognizer.load(data("digits.safetensors"))  # or "runs/mine/best.safetensors"
alphabet = recognizer.alphabet

# %% [markdown]
# Samples are a NumPy array $(N,)$ at the model's sampling rate.

# %%
samples, rate = minids.load_audio(recording, rate=recognizer.features.rate)
Audio(samples, rate=rate)

# %%
transcript = recognizer.transcribe(samples)
print(transcript.text)
for word in transcript.words:
    print(f"{word.start:6.2f} to {word.end:.2f} s  {word.text}")

# %% [markdown]
# Between sound and text are the frames $(T_0, F)$, and for each frame the log-probabilities of all
# characters, $(T, K)$.

# %%
frames, log_probs = recognizer.features(samples), recognizer.log_probs(samples)
show(recognition(samples, rate, frames, log_probs, alphabet, recognizer.frame_seconds, transcript.text))

# %% [markdown]
# A beam search combines the network with a language model: it maximizes $\log P(c|x) + \alpha \log
# P_{lm}(c) + \beta\,\text{words}(c)$. This language model is that of the included recognizer;
# `minids.NGram.train("books.txt")` trains your own. `log_probs` may come from any network trained with CTC.

# %%
lm = minids.Recognizer.load().search.lm
search = minids.BeamSearch(alphabet, lm, beam_width=100)
for alpha, beta in (0, 0), (0.5, 1), (1.25, 3.75):
    search.set_weights(alpha, beta)
    print(f"alpha {alpha}, beta {beta}:  score, log P(c|x), log P_lm(c)")
    for text, score, log_prob, lm_log_prob, _ in search.decode(log_probs, n_best=3):
        print(f"{score:10.2f} {log_prob:8.2f} {lm_log_prob:8.2f}   {text}")

# %%
print(minids.cer(["two five"], [transcript.text]))

# %% [markdown]
# # minids in a notebook
# This file is one: open it in Jupyter (with jupytext), VS Code or PyCharm and go from cell to cell, or make
# an `.ipynb` of it with `jupytext --to ipynb notebook.py`.

# %%
from IPython.display import Audio

import minids
from minids.lesson import data, show
from minids.plot.recognition import recognition

recording = data("two_five.flac")  # or a file of yours: "hello.wav"
recognizer = minids.Recognizer.load()  # the model that ships, or yours: "runs/mine/best.safetensors"
alphabet = recognizer.alphabet

# %% [markdown]
# Samples are a NumPy array $(N,)$ at the rate that the model hears.

# %%
samples, rate = minids.load_audio(recording, rate=recognizer.features.rate)
Audio(samples, rate=rate)

# %%
transcript = recognizer.transcribe(samples)
print(transcript.text)
for word in transcript.words:
    print(f"{word.start:6.2f} to {word.end:.2f} s  {word.text}")

# %% [markdown]
# What lies between sound and text: frames $(T_0, F)$, and of each frame the logarithms of all characters'
# probabilities, $(T, K)$.

# %%
frames, log_probs = recognizer.features(samples), recognizer.log_probs(samples)
show(recognition(samples, rate, frames, log_probs, alphabet, recognizer.hop, transcript.text))

# %% [markdown]
# A beam search weighs what was heard against a language model, $\log P(c|x) + \alpha \log P_{lm}(c) +
# \beta\,\text{words}(c)$. The model here is the one that ships; `minids.NGram.train("books.txt")` makes
# yours. And `log_probs` may come from any network trained with CTC.

# %%
search = minids.BeamSearch(alphabet, recognizer.search.lm, beam_width=100)
for alpha, beta in (0, 0), (0.5, 1), (1.25, 3.75):
    search.set_weights(alpha, beta)
    print(f"alpha {alpha}, beta {beta}:  score, log P(c|x), log P_lm(c)")
    for found in search.decode(log_probs, n_best=3):
        print(f"{found.score:10.2f} {found.log_prob:8.2f} {found.lm_log_prob:8.2f}   {found.text}")

# %%
print(minids.cer(["two five"], [transcript.text]))

# %% [markdown]
# # 7. Can it learn one word?
# We have layers, a loss and its gradient. Now a whole network, made of the functions
# that you have written, learns one recording.
#
# *You build* the initial weights and the update rule of Deep Speech: Nesterov's
# accelerated gradient, with gradient clipping. *You need* lessons 1 to 6.

# %%
import math

import numpy as np

import minids
from minids.features import hann
from minids.lesson import check, data, listen, live, show, yours
from minids.lesson.figures import learning
from minids.lesson.threads import one_thread
from minids.model import ModelSettings

one_thread()  # fastest for such small matrix products
# fmt: off
names = """frames power_spectrum filter_banks normalize with_context softmax collapse
 numerical_gradient linear_backward clipped_relu_backward recur recur_backward
 lattice forward_variables ctc_gradient"""
(frames, power_spectrum, filter_banks, normalize, with_context, softmax, collapse,
 numerical_gradient, linear_backward, clipped_relu_backward, recur, recur_backward,
 lattice, forward_variables, ctc_gradient) = yours(*names.split())
# fmt: on
TEXT, alphabet = "two five", minids.Alphabet()  # a … z, space, apostrophe, blank
label = alphabet.encode(TEXT).tolist()
wave, _ = minids.load_audio(data("two_five.flac"))  # at 16 000 Hz
windows = frames((wave - wave.mean()) / wave.std(), 320, 160) * hann(320)  # lesson 1
features = normalize(filter_banks(power_spectrum(windows), 80))  # (T0, F)
x = with_context(features, 5)[::2, None].astype(float)  # (T, 1, D), a batch of one
T, U, K = len(x), len(TEXT), len(alphabet)
shapes = ModelSettings(81, K, hidden=64, context=5).shapes()  # {"W1": (64, 891), …}
show(*learning.network(T, shapes), title="The whole network, forward and backward")

# %% [markdown]
# ## Forward and backward
# `p` has the parameters by name. `forward` also returns the input of each layer, which
# `backward` needs.


# %%
def layer(x, W, b):
    return np.clip(x @ W.T + b, 0, 20)  # g of lesson 3


def forward(p, x):
    """log ŷ (T, K) for one recording x (T, 1, D), and the input of each layer."""
    h1 = layer(x, p["W1"], p["b1"])  # (T, 1, H), as all others
    h2 = layer(h1, p["W2"], p["b2"])
    h3 = layer(h2, p["W3"], p["b3"])
    z4 = h3 @ p["W4"].T + p["b4"]
    hf = recur(z4, p["Wr_f"])
    hb = recur(z4[::-1], p["Wr_b"])[::-1]
    h5 = layer(hf + hb, p["W5"], p["b5"])
    z6 = h5 @ p["W6"].T + p["b6"]  # (T, 1, K)
    return np.log(softmax(z6[:, 0]) + 1e-300), (x, h1, h2, h3, hf, hb, h5)


# %% [markdown]
# Read `forward` from bottom to top, and `backward` from top to bottom: each line has
# its counterpart. `dz6` is the gradient at the logits, $\hat y - \gamma$. Two places
# need care. `hf + hb` passes its gradient, `dh4`, to *both* terms (the second
# recurrence ran in reversed time, so its gradients are reversed). `z4` is used *twice*,
# and whatever is used twice gets the sum of its gradients.


# %%
def layer_backward(dh, h, x, W):
    return linear_backward(clipped_relu_backward(dh, h), x, W)


def backward(p, inputs, dz6):
    """The gradients of all parameters, by name; dz6 (T, K)."""
    (x, h1, h2, h3, hf, hb, h5), d = inputs, {}
    dh5, d["W6"], d["b6"] = linear_backward(dz6[:, None], h5, p["W6"])
    dh4, d["W5"], d["b5"] = layer_backward(dh5, h5, hf + hb, p["W5"])
    dzb, d["Wr_b"] = recur_backward(dh4[::-1], hb[::-1], p["Wr_b"])
    dzf, d["Wr_f"] = recur_backward(dh4, hf, p["Wr_f"])
    dh3, d["W4"], d["b4"] = linear_backward(dzf + dzb[::-1], h3, p["W4"])
    dh2, d["W3"], d["b3"] = layer_backward(dh3, h3, h2, p["W3"])
    dh1, d["W2"], d["b2"] = layer_backward(dh2, h2, h1, p["W2"])
    _, d["W1"], d["b1"] = layer_backward(dh1, h1, x, p["W1"])
    return d


def loss(log_y, label):
    return -np.logaddexp.reduce(forward_variables(log_y, lattice(label))[-1, -2:])


# The relative error of each gradient, in a tiny network, which the same code computes:
rng, x0 = np.random.default_rng(7), np.random.default_rng(6).normal(size=(5, 1, 4))
tiny = ModelSettings(inputs=4, characters=3, hidden=3, context=0).shapes()
p = {name: rng.normal(0, 0.7, shape) for name, shape in tiny.items()}
log_y, inputs = forward(p, x0)
for name, got in backward(p, inputs, ctc_gradient(log_y, [1, 2])).items():
    expected = numerical_gradient(lambda: loss(forward(p, x0)[0], [1, 2]), p[name])
    print(f"{name:5} {abs(got - expected).max() / abs(expected).max():.0e}")

# %% [markdown]
# ## How should the weights start?
# If all were 0, all units of a layer would have equal gradients, and stay equal
# forever. So they are random. But how large? A unit adds up n products of a weight and
# an input. With independent weights of mean 0 and variance $\sigma^2$, the variances of
# the products add up: $\text{E}[z^2] = n \, \sigma^2 \, \text{E}[x^2]$. If
# $n\sigma^2 = 4$, each layer doubles the size of its input, and soon everything is
# clipped at 20, where gradients are 0. If it is 1/4, each layer halves it, and the
# gradients on their way back, too. If it is 1, the size is kept.
#
# **Exercise 7.1** Initial weights of variance 1/n, for n inputs, drawn with `rng`.


# %%
def initial_weights(shape, rng):
    """Weights of the shape (outputs, inputs), mean 0, variance 1 / inputs.  1 line."""
    raise NotImplementedError


initial_weights = check("7.1", initial_weights)

# %%
show(learning.sizes(initial_weights), captions=["The activations in ten layers"])

# %% [markdown]
# With × 1 it still falls: $g$ sets half of the units to 0, which halves
# $\text{E}[h^2]$. He et al. (2015) make up for that with the variance 2/n (× 1.4),
# which matters for ten layers or more. The five of Deep Speech get along with 1/n: see
# [`initialize`](../minids/model.py). As there, the recurrent weights are halved below,
# because they are multiplied once per *frame* (lesson 4), and $W_6$ is a tenth, so that
# no character starts with an advantage. `theta` has all parameters in one vector.


# %%
def by_name(theta):
    """{name: its part of theta, in its shape}; no copies."""
    parts = np.split(theta, np.cumsum([math.prod(s) for s in shapes.values()])[:-1])
    return {n: part.reshape(shapes[n]) for n, part in zip(shapes, parts, strict=True)}


start, rng = np.zeros(sum(map(math.prod, shapes.values()))), np.random.default_rng(0)
for name, part in by_name(start).items():
    if name.startswith("W"):  # biases stay 0
        scale = {"Wr_f": 0.5, "Wr_b": 0.5, "W6": 0.1}.get(name, 1)
        part[:] = scale * initial_weights(part.shape, rng)
chance = T * math.log(K) - math.log(math.comb(T + U, T - U))
first = loss(forward(by_name(start), x)[0], label)
print(f"{start.size} parameters; first loss {first:.1f}, of chance {chance:.1f}")

# %% [markdown]
# This is the simplest test of a whole network: before training, its loss is that of
# chance, where each of the $\binom{T+U}{T-U}$ alignments (lesson 5) has $p = K^{-T}$.
#
# ## Momentum
# Gradient descent (lesson 3) is slow in a long narrow valley: with a rate small enough
# for the steep walls it hardly moves along the floor. **Momentum** helps: like a
# rolling ball, $\theta$ gets a velocity $v$, a part $\mu$ of which is kept from step to
# step, 0.99 in the paper (§5). **Nesterov's** variant computes the gradient at
# $\theta + \mu v$ instead, since momentum leads there anyway:
#
# $$\begin{split} v &\leftarrow \mu v - \varepsilon \, \nabla L(\theta + \mu v) \\
#   \theta &\leftarrow \theta + v \end{split}$$

# %%
live.descent()

# %% [markdown]
# The network computes gradients where its weights *are*, but we want them at
# $\theta + \mu v$. So let the weights be that point, $p = \theta + \mu v$, and
# substitute:
#
# $$\begin{split} v &\leftarrow \mu v - \varepsilon \, \nabla L(p) \\
#   p &\leftarrow p + \mu v - \varepsilon \, \nabla L(p) \end{split}$$
#
# **Exercise 7.2** One step in place: change `params` and `velocity`, not `grads`.


# %%
def nesterov(params, grads, velocity, rate, momentum):
    """Update `params`, which are θ + μv, and `velocity`; returns nothing.  3 lines."""
    raise NotImplementedError


nesterov = check("7.2", nesterov)

# %% [markdown]
# Lesson 4 showed gradients that explode. One such step, carried on by the velocity for
# a hundred more, can ruin the weights. So a gradient whose norm
# $\|d\| = \sqrt{\sum d_i^2}$ is above a limit is scaled down to it.
#
# **Exercise 7.3** Clip a gradient of any shape. (One whose norm is 0 stays as it is.)


# %%
def clip_by_norm(gradient, limit):
    """The gradient, scaled down to the norm `limit` if it is larger.  About 2 lines."""
    raise NotImplementedError


clip_by_norm = check("7.3", clip_by_norm)


# %%
def train(limit, momentum, rate=0.003, steps=100):
    """The loss at each step, log ŷ (T, K) at some; all of it by your functions."""
    theta, velocity, curve, outputs = start.copy(), np.zeros_like(start), [], {}
    for step in range(steps + 1):
        log_y, inputs = forward(by_name(theta), x)
        curve.append(loss(log_y, label))
        if step in (0, 3, 10, 20, 30, 40, 45, 50, 55, 60, 70, 100):
            outputs[step] = log_y
        d = backward(by_name(theta), inputs, ctc_gradient(log_y, label))
        gradient = np.concatenate([d[name].ravel() for name in shapes])
        nesterov(theta, clip_by_norm(gradient, limit), velocity, rate, momentum)
    return curve, outputs


curve, outputs = train(limit=20, momentum=0.99)
texts = [alphabet.decode(collapse(y.argmax(axis=1))) for y in outputs.values()]
show(
    [learning.letters(y, alphabet, TEXT) for y in outputs.values()],
    [
        f"{s} steps: “{text}”, loss {curve[s]:.3g}"
        for s, text in zip(outputs, texts, strict=True)
    ],
    title="The output while the network learns",
)
versions = {f"{step} steps": (None, outputs[step]) for step in (40, 50, 60, 70, 100)}
listen(data("two_five.flac"), alphabet=alphabet, versions=versions, by="training")

# %% [markdown]
# At first all 29 characters have the same probability. Soon the output is all *blank*
# (gray). This is not a bug: nearly every alignment has blanks, so they are learned
# first. Then letters appear, some of them wrong, and after 70 steps the text is "two
# five". (The letters are not where their sounds are: to memorize one recording, any
# place will do.) Now without clipping, and without momentum:

# %%
runs = {"all": curve, "no clipping": train(np.inf, 0.99)[0]}
runs["no momentum"] = train(20, 0)[0]
show(learning.losses(runs, chance), captions=["The loss with and without its parts"])

# %% [markdown]
# **What we have now**: a network that learns, and every line of it is yours. (One that
# cannot memorize one recording has a bug: try this first with any new code.)
#
# **Next question**: it knows one recording by heart. How does it learn from thousands?

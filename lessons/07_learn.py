# %% [markdown]
# # 7. Can it learn one word?
# We have layers (lessons 3 and 4), a loss, and the blame of every frame (5 and 6). Now put
# it together, show it a single recording, "two five", and let it try 200 times.
#
# *You build* the steps by which Deep Speech learns: Nesterov's method, and a limit.
# *You need* lessons 3 to 6.

# %%
import math
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

import minids
from minids.decode.greedy import greedy_text
from minids.lesson import data, exercise, show
from minids.lesson.figures.learning import letters, losses, valley
from minids.model import DeepSpeech, ModelSettings
from minids.ops import reference
from minids.text import Alphabet

TEXT, alphabet = "two five", Alphabet()  # a … z, space, apostrophe, blank: K = 29
samples, _ = minids.load_audio(data("two_five.flac"))
frames = minids.Features(normalize="utterance")(samples)  # (T0, F)
recording = frames[:, None], np.array([len(frames)])  # (T0, B, F), its length: a batch of 1
batch = *recording, alphabet.encode(TEXT)[None], np.array([len(TEXT)])
network = ModelSettings(inputs=81, characters=29, hidden=64, context=5, stride=2)


@threadpool_limits.wrap(limits=1)  # products as small as these are quickest in one thread
def train(update, steps=200):
    """A fresh network learns the recording: its losses, and what it said at some steps."""
    model = DeepSpeech(network, seed=0, backend="reference")
    velocity, curve, said = np.zeros_like(model.flat_params), [], {}
    for step in range(steps + 1):
        if step in (0, 3, 10, 20, 30, 35, 40, 45, 50, 55, 60, 200):
            said[step] = model.forward(*recording)[0][:, 0]  # log ŷ, (T, K)
        curve.append(float(model.loss_and_grad(*batch)[0]))  # forward, CTC, backward
        update(model.flat_params, model.flat_grads, velocity)
    return curve, said


def ours(params, grads, velocity):
    scale = min(1, 20 / reference.norm(grads))
    reference.nesterov(params, grads, velocity, rate=0.003, momentum=0.99, scale=scale)


curve, said = train(ours)
read = {step: greedy_text(log_probs, alphabet) for step, log_probs in said.items()}
show(
    [letters(y, alphabet, TEXT, f"step {step}: “{read[step]}”") for step, y in said.items()],
    captions=[f"{step} steps, loss {curve[step]:.3g}: it reads “{read[step]}”." for step in said],
    title="Letters appear",
)

# %% [markdown]
# At first all 29 characters are equally likely. Soon it says nothing but *blank* (gray). That
# is no bug: blanks are in nearly every alignment, so they are the first thing worth knowing.
# Then letters rise, are wrong, swap places, and after some 60 steps they read "two five".
# (Not quite where they sound: to learn one recording by heart, any place will do.)
#
# ## The whole network
# Nothing in it is new. Read `minids/model.py`: `_forward` is this from top to bottom,
# `_backward` the same lines from the bottom up (§2). Ours has `stride=2`: only every second
# $x_t$ goes in (lesson 2), so from here on $T$ is half the number of frames.
#
# $$\begin{split}
# x_t &= [\,\text{frame}_{t-C} \ldots \text{frame}_{t+C}\,] \\
# h^{(l)} &= g(W_l h^{(l-1)} + b_l), \quad l = 1, 2, 3 \\
# h^{(4)} &= h^f + h^b \quad \text{(lesson 4)} \\
# h^{(5)} &= g(W_5 h^{(4)} + b_5) \\
# \hat y &= \text{softmax}(W_6 h^{(5)} + b_6) \end{split}$$

# %%
shapes = network.shapes()
for name, shape in shapes.items():
    print(f"{name:5} {math.prod(shape):6}  {shape}")
print(f"total {sum(math.prod(shape) for shape in shapes.values()):6} numbers to learn")

# %% [markdown]
# ## What should the first loss be?
# The cheapest test of a whole network: before it has learned anything, it should be as good
# as chance, no better and no worse. By chance each of the $T$ frames says each of the $K$
# characters with probability $1/K$, so every alignment has $K^{-T}$. Lesson 5 counted
# those: $\binom{T+U}{T-U}$ for $U$ letters, no two neighbors the same. Hence
#
# $$L_\text{chance} = T \log K - \log \binom{T+U}{T-U}$$

# %%
T, U, K = math.ceil(len(frames) / network.stride), len(TEXT), len(alphabet)
chance = T * math.log(K) - math.log(math.comb(T + U, T - U))
print(f"chance {chance:.1f}, the network before its first step {curve[0]:.1f}")

# %% [markdown]
# ## Roll, do not walk
# Lesson 3 went down the gradient, $\theta \leftarrow \theta - \varepsilon \, dL/d\theta$.
# In a long narrow valley that is miserable: a step short enough for the steep walls gets
# nowhere along the floor. So give $\theta$ a velocity $v$, as a ball has, that keeps a part
# $\mu$ of itself from step to step: 0.99 in the paper (§5). Nesterov's trick: momentum
# carries the ball to $\theta + \mu v$ anyway, so look at the slope *there*:
#
# $$\begin{split} v &\leftarrow \mu v - \varepsilon \, \nabla L(\theta + \mu v) \\
#   \theta &\leftarrow \theta + v \end{split}$$
#
# In a bowl $L = \frac{\lambda}{2} \theta^2$ that has a closed form. Each step is
# $\theta_{n+1} = q (1 + \mu) \theta_n - q \mu \, \theta_{n-1}$, with $q = 1 -
# \varepsilon\lambda$; and such a sequence is a sum of powers $r^n$, where $r$ are the roots
# of $r^2 - q (1 + \mu) r + q \mu$.


# %%
def bowl(slope, rate, momentum, steps=12):
    """θ_n of Nesterov's method in ½ slope θ², from θ = 1 and v = 0: (steps + 1,)."""
    q = 1 - rate * slope
    r = np.roots([1, -q * (1 + momentum), q * momentum]).astype(complex)
    share = np.linalg.solve([[1, 1], r], [1, q])  # θ_0 = 1, θ_1 = q
    return np.real(np.sum(share * r ** np.arange(steps + 1)[:, None], axis=1))


def check_step():
    for slope, rate, momentum in (1.0, 0.1, 0.9), (25.0, 0.05, 0.99), (2.0, 0.2, 0.0):
        v, path = np.zeros(1), [np.ones(1)]
        for _ in range(12):
            gradient = partial(np.multiply, slope)  # of ½ slope θ²
            theta, v = nesterov_step(path[-1], v, gradient, rate, momentum)
            path.append(theta)
        what = f"12 steps in a bowl, λ = {slope}, ε = {rate}, μ = {momentum}"
        yield what, np.ravel(path), bowl(slope, rate, momentum)


@exercise(
    "7.1",
    check_step,
    [
        "`gradient` is a function: call it at the point where the slope is wanted.",
        "That point is theta + momentum * velocity.",
        "velocity = momentum * velocity - rate * gradient(theta + momentum * velocity)",
    ],
)
def nesterov_step(theta, velocity, gradient, rate, momentum):
    """The next theta and the next velocity, as new arrays.  About 2 lines."""
    raise NotImplementedError


# %%
curvature, start = np.array([1.0, 25.0]), np.array([-10.0, 2.0])


def ball(theta, velocity, gradient, rate, momentum):  # the slope where the ball is
    velocity = momentum * velocity - rate * gradient(theta)
    return theta + velocity, velocity


paths = {}
ways = {"no momentum": (ball, 0), "momentum": (ball, 0.9), "Nesterov": (nesterov_step, 0.9)}
for name, (step, momentum) in ways.items():
    path, v = [start], np.zeros(2)
    for _ in range(40):
        theta, v = step(path[-1], v, lambda point: curvature * point, 0.05, momentum)
        path.append(theta)
    paths[name] = np.array(path)
show(valley(curvature, paths), captions=["Three ways down. Who looks ahead brakes in time."])

# %% [markdown]
# ## The same in place
# There is a snag: the network computes gradients where its weights *are*, and we want one
# ahead. So let the weights be the place ahead, $p = \theta + \mu v$. Put in, $\theta$ is gone:
#
# $$\begin{split} v &\leftarrow \mu v - \varepsilon \, \nabla L(p) \\
#   p &\leftarrow p + \mu v - \varepsilon \, \nabla L(p) \end{split}$$


# %%
def check_nesterov():
    for slope, rate, momentum in (1.0, 0.1, 0.9), (25.0, 0.05, 0.99), (2.0, 0.2, 0.0):
        params, velocity, ahead = np.ones(1), np.zeros(1), [1.0]
        for _ in range(12):
            nesterov(params, slope * params, velocity, rate, momentum)
            ahead.append(float(params[0]))
        theta = bowl(slope, rate, momentum)
        truth = theta + momentum * np.diff(theta, prepend=1)  # v_n = θ_n - θ_{n-1}
        what = f"θ + μv in a bowl, λ = {slope}, ε = {rate}, μ = {momentum}"
        yield what, np.array(ahead), truth


@exercise(
    "7.2",
    check_nesterov,
    [
        "In place: velocity *= …, velocity -= …, params += …; not `params = …`.",
        "First the velocity; the second formula uses the new one.",
        "params += momentum * velocity - rate * grads",
    ],
    pure=False,
)
def nesterov(params, grads, velocity, rate, momentum):
    """One step in place; returns nothing.  About 3 lines."""
    raise NotImplementedError


# %% [markdown]
# ## Mind the cliff
# Lesson 4 has shown gradients that explode. One such step, kept in the velocity for a
# hundred more, and all is lost. So a gradient beyond a limit is *shortened* to it: the
# direction stays, only the length $\|d\| = \sqrt{\sum d_i^2}$ changes.


# %%
def check_limited():
    long, short = np.array([3.0, -4, 12]), np.array([0.3, -0.4, 1.2])  # 13 and 1.3
    yield "length 13, limit 2.6", limited(long, 2.6), np.array([0.6, -0.8, 2.4])
    yield "length 1.3, limit 2.6: as it is", limited(short.copy(), 2.6), short
    yield "length 0", limited(np.zeros(3), 2.6), np.zeros(3)


@exercise("7.3", check_limited, ["reference.norm gives a length.", "min(1, limit / length)"])
def limited(gradient, limit):
    """The gradient, shortened to `limit` where it is longer.  About 3 lines."""
    raise NotImplementedError


# %% [markdown]
# ## Now with yours
# The same network, the same recording, the same rate 0.003. First with all you have built,
# then without the limit, then without the momentum.

# %%
ways = {
    "all": lambda p, d, v: nesterov(p, limited(d, 20), v, 0.003, 0.99),
    "no limit": lambda p, d, v: nesterov(p, d, v, 0.003, 0.99),
    "no momentum": lambda p, d, v: nesterov(p, limited(d, 20), v, 0.003, 0),
}
runs = {name: train(way) for name, way in ways.items()}
show(
    losses({name: curve for name, (curve, _) in runs.items()}, chance),
    captions=["With momentum and limit the loss falls to 0; without either it does not."],
)
for name, (curve, said) in runs.items():
    text = greedy_text(said[200], alphabet)
    cer = minids.cer([TEXT], [text]).rate
    print(f"{name:12} loss {curve[-1]:9.4f}  “{text}”: {cer:.0%} of the letters wrong")

# %% [markdown]
# If a network cannot learn one recording by heart, it has a bug. This is the first thing to
# try with any new code, and it takes a second. Ours can.
#
# **What we have now**: a network that learns, all of it written by hand.
#
# **Next question**: it knows one recording by heart. How does it learn from thousands, in noise?

# %% [markdown]
# # 7. Can it learn one word?
# We have layers (lessons 3 and 4), a loss, and its gradient at the output (5 and 6). Now combine
# them, and train a network for 200 steps on a single recording, "two five".
#
# *You build* the update rule of Deep Speech: Nesterov's accelerated gradient, and gradient
# clipping. *You need* lessons 3 to 6.

# %%
import math

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
recording = frames[:, None], np.array([len(frames)])  # (T0, B, F) and lengths: a batch of 1
batch = *recording, alphabet.encode(TEXT)[None], np.array([len(TEXT)])
settings = ModelSettings(inputs=81, characters=29, hidden=64, context=5, stride=2)


@threadpool_limits.wrap(limits=1)  # such small products are fastest in one thread
def train(update, steps=200):
    """Train a new network on the recording: its losses, and its outputs at some steps."""
    model = DeepSpeech(settings, seed=0, backend="reference")
    velocity, curve, outputs = np.zeros_like(model.flat_params), [], {}
    for step in range(steps + 1):
        if step in (0, 3, 10, 20, 30, 35, 40, 45, 50, 55, 60, 200):
            outputs[step] = model.forward(*recording)[0][:, 0]  # log ŷ, (T, K)
        curve.append(float(model.loss_and_grad(*batch)[0]))  # forward, CTC, backward
        update(model.flat_params, model.flat_grads, velocity)
    return curve, outputs


def package_update(params, grads, velocity):
    scale = min(1, 20 / reference.norm(grads))
    reference.nesterov(params, grads, velocity, rate=0.003, momentum=0.99, scale=scale)


curve, outputs = train(package_update)
texts = {step: greedy_text(log_probs, alphabet) for step, log_probs in outputs.items()}
titles = {step: f"step {step}: “{text}”" for step, text in texts.items()}
show(
    [letters(log_probs, alphabet, TEXT, titles[step]) for step, log_probs in outputs.items()],
    captions=[f"After {step} steps the loss is {curve[step]:.3g}." for step in outputs],
    title="The output while the network learns",
)

# %% [markdown]
# At first all 29 characters have the same probability. Soon the output is all *blank* (gray).
# This is not a bug: nearly every alignment has blanks, so they are learned first. Then letters
# appear, some of them wrong, and after about 60 steps the text is "two five". (The letters are
# not quite where their sounds are: to memorize one recording, any place will do.)
#
# ## The whole network
# You know all of its parts. In `minids/model.py`, `_forward` computes these lines from top to
# bottom, and `_backward` their gradients from bottom to top (§2). Here `stride=2`: only every
# second $x_t$ is used (lesson 2), so $T$ is half the number of frames.
#
# $$\begin{split}
# x_t &= [\,\text{frame}_{t-C} \ldots \text{frame}_{t+C}\,] \\
# h^{(l)} &= g(W_l h^{(l-1)} + b_l), \quad l = 1, 2, 3 \\
# h^{(4)} &= h^f + h^b \quad \text{(lesson 4)} \\
# h^{(5)} &= g(W_5 h^{(4)} + b_5) \\
# \hat y &= \text{softmax}(W_6 h^{(5)} + b_6) \end{split}$$

# %%
shapes = settings.shapes()
for name, shape in shapes.items():
    print(f"{name:5} {math.prod(shape):6}  {shape}")
print(f"total {sum(math.prod(shape) for shape in shapes.values()):6} parameters")

# %% [markdown]
# ## The first loss
# If all weights started at 0, all units of a layer would have equal gradients, and stay equal
# forever. So weights start at random, with variance 1/n for n inputs, because then the sum of n
# products has about the size of one input. The recurrent weights are half as large (lesson 4: so
# that states do not explode), and $W_6$ a tenth, so that the first $\hat y$ are nearly equal.
#
# Hence the simplest test of a whole network: before training, its loss must be that of chance.
# If each of $T$ frames gives each of $K$ characters the probability $1/K$, every alignment has
# $K^{-T}$. Lesson 5 counted them, $\binom{T+U}{T-U}$ for $U$ letters without repeats, so
#
# $$L_\text{chance} = T \log K - \log \binom{T+U}{T-U}$$

# %%
T, U, K = math.ceil(len(frames) / settings.stride), len(TEXT), len(alphabet)
chance = T * math.log(K) - math.log(math.comb(T + U, T - U))
print(f"loss of chance {chance:.1f}, of the network before training {curve[0]:.1f}")

# %% [markdown]
# ## Momentum
# Lesson 3 used gradient descent, $\theta \leftarrow \theta - \varepsilon \, dL/d\theta$. In a
# long narrow valley it is slow: a learning rate small enough for the steep walls makes hardly any
# progress along the floor. **Momentum** helps: like a rolling ball, $\theta$ gets a velocity $v$,
# a part $\mu$ of which is kept from step to step, 0.99 in the paper (§5). In **Nesterov's**
# variant the gradient is computed at $\theta + \mu v$, the point to which momentum leads anyway:
#
# $$\begin{split} v &\leftarrow \mu v - \varepsilon \, \nabla L(\theta + \mu v) \\
#   \theta &\leftarrow \theta + v \end{split}$$
#
# The check knows the exact result for $L = \frac{\lambda}{2} \theta^2$. There $\theta_{n+1} = q
# (1 + \mu) \theta_n - q \mu \, \theta_{n-1}$ with $q = 1 - \varepsilon\lambda$, and the solution
# of such a recurrence is a sum of powers $r^n$, where $r$ are the roots of
# $r^2 - q (1 + \mu) r + q \mu$.


# %%
def exact_path(curvature, rate, momentum, steps=12):
    """θ_n of Nesterov's method for ½ curvature θ², from θ = 1 and v = 0: (steps + 1,)."""
    q = 1 - rate * curvature
    r = np.roots([1, -q * (1 + momentum), q * momentum]).astype(complex)
    factors = np.linalg.solve([[1, 1], r], [1, q])  # θ_0 = 1, θ_1 = q
    return np.real(np.sum(factors * r ** np.arange(steps + 1)[:, None], axis=1))


curvature = np.array([1.0, 25.0])  # of L = ½ (θ₁² + 25 θ₂²)


def check_step():
    for rate, momentum in (0.03, 0.9), (0.05, 0.99), (0.02, 0.0):
        theta, v, path = np.ones(2), np.zeros(2), [np.ones(2)]
        for _ in range(12):
            theta, v = nesterov_step(theta, v, lambda at: curvature * at, rate, momentum)
            path.append(theta)
        expected = np.stack([exact_path(c, rate, momentum) for c in curvature], axis=1)
        yield f"12 steps, ε = {rate}, μ = {momentum}", np.array(path), expected


@exercise("7.1", check_step)
def nesterov_step(theta, velocity, gradient, rate, momentum):
    """The next theta and the next velocity, as new arrays.  About 2 lines."""
    raise NotImplementedError


# %%
def momentum_step(theta, velocity, gradient, rate, momentum):  # the gradient at theta itself
    velocity = momentum * velocity - rate * gradient(theta)
    return theta + velocity, velocity


methods = {"gradient descent": (momentum_step, 0), "momentum": (momentum_step, 0.9)}
paths, methods["Nesterov"] = {}, (nesterov_step, 0.9)
for name, (method, momentum) in methods.items():
    theta, v = np.array([-10.0, 2.0]), np.zeros(2)
    path = [theta]
    for _ in range(40):
        theta, v = method(theta, v, lambda at: curvature * at, 0.05, momentum)
        path.append(theta)
    paths[name] = np.array(path)
show(valley(curvature, paths), captions=["Nesterov's method reacts a step earlier."])

# %% [markdown]
# ## The same in place
# The network computes gradients where its weights *are*, but we want them at $\theta + \mu v$. So
# let the weights be that point, $p = \theta + \mu v$. Substituting it gives
#
# $$\begin{split} v &\leftarrow \mu v - \varepsilon \, \nabla L(p) \\
#   p &\leftarrow p + \mu v - \varepsilon \, \nabla L(p) \end{split}$$


# %%
def check_nesterov():
    for rate, momentum in (0.03, 0.9), (0.05, 0.99), (0.02, 0.0):
        params, velocity, path = np.ones(2), np.zeros(2), [np.ones(2)]
        for _ in range(12):
            nesterov(params, curvature * params, velocity, rate, momentum)
            path.append(params.copy())
        theta = np.stack([exact_path(c, rate, momentum) for c in curvature], axis=1)
        expected = theta + momentum * np.diff(theta, axis=0, prepend=1)  # v_n = θ_n - θ_{n-1}
        yield f"θ + μv for 12 steps, ε = {rate}, μ = {momentum}", np.array(path), expected


@exercise("7.2", check_nesterov, pure=False)
def nesterov(params, grads, velocity, rate, momentum):
    """One step in place; returns nothing.  About 3 lines."""
    raise NotImplementedError


# %% [markdown]
# ## Gradient clipping
# Lesson 4 showed gradients that explode. A single such step, carried on by the velocity for a
# hundred more, can ruin the weights. So a gradient whose norm $\|d\| = \sqrt{\sum d_i^2}$ is
# above a limit is scaled down to it. Its direction does not change.


# %%
def check_clip():
    long, short = np.array([3.0, -4, 12]), np.array([0.3, -0.4, 1.2])  # norms 13 and 1.3
    yield "norm 13, limit 2.6", clip_by_norm(long, 2.6), np.array([0.6, -0.8, 2.4])
    yield "norm 1.3, limit 2.6: unchanged", clip_by_norm(short, 2.6), short
    yield "norm 0", clip_by_norm(np.zeros(3), 2.6), np.zeros(3)


@exercise("7.3", check_clip, rtol=1e-6)
def clip_by_norm(gradient, limit):
    """The gradient, scaled down to the norm `limit` if it is larger.  About 2 lines."""
    raise NotImplementedError


# %% [markdown]
# ## Train with your own functions
# The same network and learning rate: first with all of it, then without clipping or momentum.

# %%
updates = {
    "all": lambda p, d, v: nesterov(p, clip_by_norm(d, 20), v, 0.003, 0.99),
    "no clipping": lambda p, d, v: nesterov(p, d, v, 0.003, 0.99),
    "no momentum": lambda p, d, v: nesterov(p, clip_by_norm(d, 20), v, 0.003, 0),
}
runs = {name: train(update) for name, update in updates.items()}
caption = "With momentum and clipping the loss falls to 0, without either it does not."
show(losses({name: curve for name, (curve, _) in runs.items()}, chance), captions=[caption])
for name, (curve, outputs) in runs.items():
    text = greedy_text(outputs[200], alphabet)
    cer = minids.cer([TEXT], [text]).rate
    print(f"{name:12} loss {curve[-1]:9.4f}  “{text}”: character error rate {cer:.0%}")

# %% [markdown]
# A network that cannot memorize one recording has a bug: try this first with any new code.
#
# **What we have now**: a network that learns.
#
# **Next question**: it has memorized one recording. How does it learn from thousands, in noise?

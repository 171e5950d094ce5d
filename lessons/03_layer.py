# %% [markdown]
# # 3. How does one layer learn?
# The network of lesson 2 consists of numbers, its weights. How were they found? Change
# one a little, and see whether the error gets larger or smaller. There is a method that
# does this for all of them at once: **backpropagation**.
#
# *You build* the backward pass of a layer, and the test that shows it is right; then
# your layer learns to predict speech. *You need* lessons 1 and 2, and some calculus:
# the chain rule.

# %%
import numpy as np

from minids import load_audio
from minids.features import hann
from minids.lesson import check, data, live, show, yours
from minids.lesson.figures.layer import STEPS, kinks, layer, predictions, step_sizes

x, b, target = np.array([2.0, 1, -1]), np.array([0.5, 1]), np.array([1.0, 1])
W = np.array([[1.5, -1, 0.5], [-1, 0.5, 2]])
show(
    [layer(x, W, b, target, upto=step) for step in STEPS],
    captions=[
        "Three inputs. On the lines the weights W, next to the boxes the biases b.",
        "z1 = 1.5·2 − 1·1 + 0.5·(−1) + 0.5 = 2, and z2 likewise.",
        "g sets what is below 0 to 0, and what is above 20 to 20. So h2 is 0.",
        "The loss L = ½ (h1 − 1)² + ½ (h2 − 1)² measures the distance to the target.",
        "Now backward. If h1 increases a little, L increases by h1 − 1 = 1 times that.",
        "Through g: dz1 is dh1, because g has slope 1 there. At z2 its slope is 0.",
        "Each weight: the gradient of its output times its input.",
        "Each input: the sum over its weights of weight times gradient.",
    ],
    title="Forward: the numbers. Backward: their gradients.",
)

# %% [markdown]
# The **loss** L is one number that measures the error. In red, below each number, is
# its **gradient**: *how much L increases per increase of this number*, the partial
# derivative. Go to the start, step through it, and verify one or two by hand. That is
# all of backpropagation: the numbers are computed downward, and then their gradients
# upward, each from the ones below it.
#
# A layer of the paper (§2), with weights $W$ and biases $b$, is
#
# $$\begin{split} h &= g(W x + b) \\ g(z) &= \min\{\max\{0, z\}, 20\} \end{split}$$
#
# The elements of $h$ are called **units**. $g$ is the **clipped ReLU** (rectified
# linear unit). Without it, two layers would be no more than one, since a product of
# matrices is a matrix. The bound of 20 limits the numbers when, in lesson 4, the output
# of a layer is fed back into it.
#
# ## Numerical gradients
# First a slow way to compute a gradient. Increase one number by a small step $h$ (not
# the output of the layer), decrease it by $h$, and compare the losses. For any of the
# numbers, $\theta_i$:
#
# $$\frac{\partial L}{\partial \theta_i} \approx
#   \frac{L(\theta_i + h) - L(\theta_i - h)}{2h}$$
#
# These **central differences** need two evaluations of $L$ per number, but no formula
# for the gradient. So they can *check* our formulas.
#
# **Exercise 3.1** `loss()` has no argument: it computes $L$ from the array `value`, of
# any shape. Change one number of it at a time, call `loss()`, and restore the number.


# %%
def numerical_gradient(loss, value, h=1e-5):
    """Gradient of loss() to `value`, which is changed and restored.  About 9 lines."""
    raise NotImplementedError


numerical_gradient = check("3.1", numerical_gradient)

# %% [markdown]
# ## Backward through the clipped ReLU
# From now on `dh` stands for $\partial L / \partial h$ and has the shape of `h`, and so
# for all names. The chain rule: $z$ affects $L$ only through $h$, so
#
# $$\begin{split} dz &= dh \cdot g'(z) \\
# g'(z) &= \begin{cases} 1 & 0 < z < 20 \\ 0 & \text{else} \end{cases} \end{split}$$
#
# So the gradient either passes or it does not. And $z$ need not be stored: $0 < h < 20$
# exactly where $0 < z < 20$.
#
# **Exercise 3.2** Compute `dz` from `dh` and `h`.


# %%
def clipped_relu_backward(dh, h):
    """dz, in the shape of dh; h = g(z).  About 1 line."""
    raise NotImplementedError


clipped_relu_backward = check("3.2", clipped_relu_backward)

# %% [markdown]
# ## Backward through the weights
# The weight $W_{ij}$ affects only $z_i$, and is multiplied by $x_j$ there. An input
# $x_j$ affects *every* $z_i$, through $W_{ij}$; where a number affects $L$ in several
# ways, the chain rule adds them up. A bias is a weight whose input is 1:
#
# $$\begin{split} dW_{ij} &= dz_i \, x_j \\ db_i &= dz_i \\
# dx_j &= \sum_i W_{ij} \, dz_i \end{split}$$
#
# or, with columns, $dW = dz\,x^T$, $db = dz$ and $dx = W^T dz$.
#
# In a network `x` is `(T, B, D)`: $T$ frames of each of $B$ recordings, all multiplied
# by the same weights, `z = x @ W.T + b` (the vectors are rows now). A weight affects
# $L$ in $T \cdot B$ places, so its gradient is a **sum** over frames and recordings.
#
# **Exercise 3.3** Compute the three gradients. The shapes nearly tell how. (Loops are
# right, too, but slow: lesson 7 calls this function thousands of times.)


# %%
def linear_backward(dz, x, W):
    """dx, dW, db of z = x Wᵀ + b, in the shapes of x, W, b.  About 4 lines."""
    raise NotImplementedError


linear_backward = check("3.3", linear_backward)

# %% [markdown]
# Both together are the backward pass of a layer. On the numbers of the first picture:


# %%
def layer_forward(x, W, b):
    return np.clip(x @ W.T + b, 0, 20)


h = layer_forward(x, W, b)[None, None]  # (T, B, H), T = B = 1
print(
    "dx, dW, db:",
    *linear_backward(clipped_relu_backward(h - target, h), x[None, None], W),
)

# %% [markdown]
# ## How small should the step be?
# In mathematics $h$ goes to 0, but a float64 has 16 digits. Here we check a layer
# followed by your softmax of lesson 2, with $L = -\log \hat y_k$, for steps of many
# sizes.

# %%
softmax = yours("softmax")
rng = np.random.default_rng(3)
row, k = rng.normal(size=(1, 1, 4)), 2
(weights, direction), bias = rng.normal(size=(2, 5, 4)), np.full(5, 2.0)


def L(s):
    """The loss when the weights have moved by s in some direction."""
    h = layer_forward(row, weights + s * direction, bias)
    return -np.log(softmax(h[0])[0, k])


h = layer_forward(row, weights, bias)
dh = softmax(h[0])[None] - np.eye(5)[k]  # lesson 6 derives this
exact = (
    linear_backward(clipped_relu_backward(dh, h), row, weights)[1] * direction
).sum()
sizes = 10.0 ** np.arange(-13, 0.1, 0.5)
one_sided = np.array([(L(s) - L(0)) / s for s in sizes])
central = np.array([(L(s) - L(-s)) / (2 * s) for s in sizes])
errors = {"one-sided": abs(one_sided / exact - 1), "central": abs(central / exact - 1)}
show(step_sizes(sizes, errors), captions=["Central differences are more accurate."])

# %% [markdown]
# For large $h$ the curvature of $L$ matters: the error is proportional to $h^2$
# (one-sided: to $h$). For small $h$ two nearly equal numbers are subtracted, and the
# rounding error is divided by $h$: the error *increases* like $1/h$. Near $10^{-5}$ we
# get ten digits. So a correct gradient easily agrees to $10^{-7}$, and one that is off
# by a percent is **wrong**, not imprecise.
#
# One pitfall is left. $g$ has two **kinks**, at 0 and 20, where its slope jumps, and a
# difference across a kink is not the slope on either side. With $h = 10^{-5}$ few
# numbers are that close to a kink, but among a million there are some, so a gradient
# check must avoid them. `minids check` does, for the whole network.

# %%
captions = {h: f"Blue: slope. Red: difference with step {h}." for h in (3, 1, 0.3, 0.1)}
show([kinks(h) for h in captions], [*captions.values()], title="A step across a kink")

# %% [markdown]
# ## Gradient descent
# To make the loss smaller, move every number a little *against* its gradient. The
# factor $\varepsilon$ is the **learning rate**:
#
# $$W \leftarrow W - \varepsilon \, dW, \qquad b \leftarrow b - \varepsilon \, db$$
#
# A task for one layer: from one frame of "two five", predict the next. The input are
# features, the target are log powers (shifted to 0 … 15, within the range of $g$), and
# the loss is ½ Σ (prediction − target)², averaged over frames. All weights start at 0.
# Here it is in 8 bands. Play! Which rate is fastest, and from which on does it fail?

# %%
live.layer()

# %% [markdown]
# If the rate is too high, each step jumps over the minimum and ends farther from it
# than it began. Now in 80 bands, with the features of *your* lesson 1 and the gradients
# that you have just written. At step 10 your numerical gradient checks them once more:

# %%
frames, power_spectrum = yours("frames", "power_spectrum")
filter_banks, normalize = yours("filter_banks", "normalize")
wave, rate = load_audio(data("two_five.flac"))
samples = (wave - wave.mean()) / wave.std()
power = power_spectrum(frames(samples, 320, 160) * hann(320))
log_powers = filter_banks(power, 80)  # (T, 81)
x = normalize(log_powers)[:-1, None]  # (T - 1, 1, F)
target = (log_powers - log_powers.min())[1:, None]  # (T - 1, 1, F)
W, b, snapshots = np.zeros((81, 81)), np.full(81, 5.0), {}


def loss():
    return 0.5 * ((layer_forward(x, W, b) - target) ** 2).sum() / len(target)


for step in range(301):
    h = layer_forward(x, W, b)
    if step in (0, 3, 10, 30, 100, 300):
        snapshots[step] = h[:, 0], loss()
    dh = (h - target) / len(target)
    _, dW, db = linear_backward(clipped_relu_backward(dh, h), x, W)  # yours
    if step == 10:
        error = abs(db - numerical_gradient(loss, b)).max()  # yours, too
        print(f"step 10: db differs from your numerical gradient by {error:.0e}")
    W, b = W - 0.05 * dW, b - 0.05 * db
unchanged = 0.5 * ((target[1:] - target[:-1]) ** 2).sum() / len(target)
print(f"loss of the prediction that nothing changes: {unchanged:.0f}")
captions = [
    f"After {i} steps the loss is {loss:.0f}." for i, (_, loss) in snapshots.items()
]
pictures = [predictions(target[:, 0], *snapshot) for snapshot in snapshots.values()]
show(pictures, captions, title="One layer learns to predict the next frame")

# %% [markdown]
# After 300 steps of 6642 numbers the prediction looks like the words. (It has memorized
# this one recording; whether it would do for others is a question for lesson 14.)
#
# **In the package**: `affine_forward` and `affine_backward` in
# `minids/ops/reference/affine.py`.
#
# **What we have now**: a layer, its gradients, and a test that needs no formula.
#
# **Next question**: this layer sees one frame. How does a frame know its neighbors?

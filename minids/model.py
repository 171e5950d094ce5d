"""Deep Speech's network (§2): five clipped layers, the fourth recurrent in both directions, and a softmax.

    x  = context(frames)                       h4 = birnn(W4 h3 + b4; Wr_f, Wr_b)
    h1 = g(W1 x  + b1)                         h5 = g(W5 h4 + b5)
    h2 = g(W2 h1 + b2)                         log_probs = log_softmax(W6 h5 + b6)
    h3 = g(W3 h2 + b3)                         g(z) = min{max{0, z}, 20}

`backward` is `forward` read upwards.
"""

from dataclasses import dataclass

import numpy as np

from minids import ops
from minids.ops.common import Dropout, key, strided


@dataclass(frozen=True)
class ModelSettings:
    """The size of a network. `inputs` F features of a frame, `characters` K with the blank, `hidden` H units
    a layer, `context` C frames on either side, every `stride`-th frame is kept, `dropout` p of the
    feed-forward layers (§2.1: 5-10 %). Raises ValueError for an impossible size.
    """

    inputs: int
    characters: int
    hidden: int = 512
    context: int = 9
    stride: int = 1
    dropout: float = 0.05

    def __post_init__(self) -> None:
        for name in ("inputs", "characters", "hidden", "context", "stride"):
            value, least = getattr(self, name), 0 if name == "context" else 1
            if type(value) is not int or not least <= value <= 10**6:
                raise ValueError(f"{name} = {value!r} must be a whole number from {least} to a million")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout = {self.dropout!r} must be at least 0 and below 1")

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every parameter's name, as in the paper, and its shape; weights are (out, in)."""
        D, H, K = (2 * self.context + 1) * self.inputs, self.hidden, self.characters
        # fmt: off
        return {
            "W1": (H, D), "b1": (H,), "W2": (H, H), "b2": (H,), "W3": (H, H), "b3": (H,),
            "W4": (H, H), "b4": (H,), "Wr_f": (H, H), "Wr_b": (H, H),
            "W5": (H, H), "b5": (H,), "W6": (K, H), "b6": (K,),
        }
        # fmt: on


class Workspace:
    """One flat buffer for each name, used again, as large as the largest batch so far needed."""

    def __init__(self, arrays, dtype):
        self._arrays, self._dtype, self._flat = arrays, dtype, {}

    def __call__(self, name: str, *shape: int, dtype=None):
        """An array of this shape, a prefix of the buffer. What it held before is gone."""
        size = int(np.prod(shape))
        if name not in self._flat or self._flat[name].size < size:
            self._flat.pop(name, None)  # the old one first: there may be no room for both
            self._flat[name] = self._arrays.empty((size,), dtype or self._dtype)
        return self._flat[name][:size].reshape(shape)

    def to_device(self, name: str, array: np.ndarray):
        """An array where the backend computes: a copy in the buffer, or itself where it is there already."""
        if self._arrays.on_host or not isinstance(array, np.ndarray):
            return array
        kind = {"f": self._dtype, "i": np.int32, "u": np.uint32}[array.dtype.kind]
        return self._arrays.copy(array, self(name, *array.shape, dtype=kind))


class DeepSpeech:
    """A network: its parameters, its gradients, forward and backward.

    `params["W1"]` and `grads["W1"]` are views of the flat buffers `flat_params` and `flat_grads`, so that an
    update or a norm is one operation. "cpu" computes in float32; "reference" in float32 or float64; "cuda" in
    float32 on the GPU, where its arrays stay. The initial weights are drawn with `seed`; with None they are
    left for the caller to `fill`.
    """

    def __init__(
        self, settings: ModelSettings, seed: int | None = 0, backend: str = "cpu", dtype: str = "float32"
    ):
        if dtype != "float32" and backend != "reference":
            raise ValueError(
                f"the {backend} backend computes in float32; {dtype} goes with backend='reference'"
            )
        self.settings, self.ops, self.dtype = settings, ops.load(backend), np.dtype(dtype)
        shapes = settings.shapes()
        arrays, size = self.ops.arrays, sum(int(np.prod(shape)) for shape in shapes.values())
        flat = np.empty(size, self.dtype)
        if seed is not None:
            initialize(_views(flat, shapes), seed)
        self.flat_params = arrays.from_host(flat)
        self.flat_grads = arrays.empty((size,), self.dtype)
        self.params, self.grads = _views(self.flat_params, shapes), _views(self.flat_grads, shapes)
        self._room = Workspace(arrays, self.dtype)

    def fill(self, params: dict[str, np.ndarray]) -> None:
        """Set every parameter to the values of a NumPy array."""
        flat = np.concatenate([params[name].ravel() for name in self.params])
        self.ops.arrays.copy(flat.astype(self.dtype, copy=False), self.flat_params)

    def forward(self, frames: np.ndarray, lengths: np.ndarray, keys: np.ndarray | None = None):
        """frames (T0, B, F), lengths (B,) -> log_probs (T, B, K), lengths (B,) after the stride.

        Frames past an utterance's length are not read. `keys` (B,) uint32, one per utterance and step of
        training, turn dropout on. The activations are kept for `backward`, and overwritten by the next
        `forward`. Raises ValueError for frames or lengths that do not fit.
        """
        log_probs = self._forward(frames, lengths, keys)
        return self.ops.arrays.to_host(log_probs).copy(), strided(lengths, self.settings.stride)

    def backward(self, dlogits: np.ndarray) -> None:
        """dlogits (T, B, K), the gradient to W6 h5 + b6 of the last `forward` -> `grads`, overwritten.

        Raises ValueError for another shape.
        """
        if dlogits.shape != self._acts["z6"].shape:
            raise ValueError(f"dlogits have the shape {dlogits.shape}, not {self._acts['z6'].shape}")
        self._backward(self.ops.arrays.from_host(np.ascontiguousarray(dlogits, self.dtype)))

    def loss_and_grad(self, frames, lengths, labels, label_lengths, keys=None) -> np.ndarray:
        """Forward, CTC, backward: the losses (B,); `grads` holds the gradient of their sum.

        Arguments as those of `forward` and `ctc_loss`. A text that is impossible has loss inf and no part in
        the gradient. Raises ValueError for what does not fit.
        """
        losses = self.loss_and_grad_on_device(frames, lengths, labels, label_lengths, keys)
        return self.ops.arrays.to_host(losses).copy()

    def loss_and_grad_on_device(self, frames, lengths, labels, label_lengths, keys=None):
        """As `learn`, without waiting: the losses stay where the backend computes, until the next call."""
        given = self._room.to_device  # before the forward pass: a copy to a GPU waits for what it was given
        texts = given("labels", labels), given("label_lengths", label_lengths)
        log_probs = self._forward(frames, lengths, keys)
        lengths = strided(lengths, self.settings.stride)
        T, B, K = log_probs.shape
        _check_labels(T, B, K, lengths, labels, label_lengths)
        losses, dlogits = self._room("losses", B), self._room("dlogits", T, B, K)
        room = self._room("ctc", B, T, 2 * labels.shape[1] + 5)
        self.ops.ctc(log_probs, self._lengths, *texts, losses, dlogits, room)
        self._backward(dlogits)
        return losses

    def _forward(self, frames, lengths, keys):
        s, p, ops, room = self.settings, self.params, self.ops, self._room
        if frames.ndim != 3 or frames.shape[2] != s.inputs:
            raise ValueError(f"frames have the shape {frames.shape}, not (T0, B, {s.inputs} inputs)")
        T0, B, F = frames.shape
        if len(lengths) != B or ((lengths < 0) | (lengths > T0)).any():
            raise ValueError(f"the lengths must be {B} numbers from 0 to {T0}, the frames given")
        if keys is not None and len(keys) != B:
            raise ValueError(f"{len(keys)} keys for {B} utterances")
        T, H, K = strided(T0, s.stride), s.hidden, s.characters
        self._acts = {}  # or the views of the last batch would keep buffers that are now too small
        self._lengths = room.to_device("lengths", strided(lengths, s.stride))
        self._drop = {}
        if keys is not None and s.dropout > 0:
            own = {n: room.to_device(f"keys{n}", key(keys, n)) for n in (1, 2, 3, 5)}
            self._drop = {n: Dropout(s.dropout, own[n]) for n in own}
        a = {name: room(name, T, B, H) for name in ("h1", "h2", "h3", "z4", "h4", "hf", "hb", "h5")}
        a |= {"x": room("x", T, B, (2 * s.context + 1) * F), "z6": room("z6", T, B, K)}
        self._acts, recurrent = a, room("recurrent", 2, H, H + 2 * B)

        def layer(n, x, y, clip=True):
            ops.affine_forward(a[x], p[f"W{n}"], p[f"b{n}"], clip, self._drop.get(n), a[y])

        given = room.to_device("frames", frames), room.to_device("lengths0", lengths)
        ops.context_forward(*given, s.context, s.stride, a["x"])
        layer(1, "x", "h1")
        layer(2, "h1", "h2")
        layer(3, "h2", "h3")
        layer(4, "h3", "z4", clip=False)
        ops.birnn_forward(a["z4"], p["Wr_f"], p["Wr_b"], self._lengths, a["h4"], a["hf"], a["hb"], recurrent)
        layer(5, "h4", "h5")
        layer(6, "h5", "z6", clip=False)
        return ops.log_softmax_forward(a["z6"], room("log_probs", T, B, K))

    def _backward(self, dz6):
        p, g, a, ops, room = self.params, self.grads, self._acts, self.ops, self._room
        T, B, H = a["h5"].shape
        one, two, three = (room(name, T, B, H) for name in ("d1", "d2", "d3"))  # gradients, taking turns
        recurrent = room("recurrent", 2, H, H + 2 * B)

        def layer(n, x, y, dy, dx, clip=True):
            W, options = f"W{n}", (clip, self._drop.get(n), dx is not None)
            ops.affine_backward(dy, a[x], p[W], a[y], *options, dy, dx, g[W], g[f"b{n}"])

        layer(6, "h5", "z6", dz6, one, clip=False)
        layer(5, "h4", "h5", one, two)
        states = (a["hf"], a["hb"], p["Wr_f"], p["Wr_b"], self._lengths)
        ops.birnn_backward(two, *states, one, three, one, g["Wr_f"], g["Wr_b"], recurrent)
        layer(4, "h3", "z4", one, two, clip=False)
        layer(3, "h2", "h3", two, one)
        layer(2, "h1", "h2", one, two)
        layer(1, "x", "h1", two, None)


def initialize(params: dict[str, np.ndarray], seed: int) -> None:
    """Draw the initial weights, in place: normal, of variance 1 / inputs, and biases 0.

    The recurrent ones are half as wide, so that states neither die nor explode over hundreds of frames; the
    output layer's a tenth, so that training starts from even odds.
    """
    rng = np.random.default_rng(seed)
    for name, value in params.items():
        if name.startswith("b"):
            value[...] = 0
        else:
            width = {"Wr_f": 0.5, "Wr_b": 0.5, "W6": 0.1}.get(name, 1.0)
            value[...] = rng.normal(0, width / np.sqrt(value.shape[1]), value.shape)


def _views(flat, shapes):
    views, start = {}, 0
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        views[name] = flat[start : start + size].reshape(shape)
        start += size
    return views


def ctc_loss(logits, lengths, labels, label_lengths, backend: str = "cpu"):
    """CTC of logits (T, B, K) -> losses (B,) and their gradient dlogits (T, B, K)  (§2).

    Logits are before the softmax; log-probabilities are valid ones. lengths, label_lengths (B,); labels
    (B, Umax), padded with anything. A text that the frames cannot spell has loss inf and gradient 0. Raises
    ValueError for shapes that do not fit, labels outside 1 … K-1 and lengths outside the arrays.
    """
    grid = ops.load(backend)
    logits = np.ascontiguousarray(logits, None if backend == "reference" else np.float32)
    lengths = np.ascontiguousarray(lengths, np.int32)
    labels, label_lengths = (
        np.ascontiguousarray(labels, np.int32),
        np.ascontiguousarray(label_lengths, np.int32),
    )
    T, B, K = logits.shape
    _check_labels(T, B, K, lengths, labels, label_lengths)
    logits, *given = map(grid.arrays.from_host, (logits, lengths, labels, label_lengths))
    losses, dlogits = grid.ctc(grid.log_softmax_forward(logits), *given)
    return grid.arrays.to_host(losses), grid.arrays.to_host(dlogits)


def _check_labels(T, B, K, lengths, labels, label_lengths):
    if labels.ndim != 2 or not len(lengths) == len(labels) == len(label_lengths) == B:
        raise ValueError(
            f"logits hold {B} utterances; lengths {len(lengths)}, labels {labels.shape}, {len(label_lengths)}"
        )
    Umax = labels.shape[1]
    if ((lengths < 0) | (lengths > T)).any() or ((label_lengths < 0) | (label_lengths > Umax)).any():
        raise ValueError(f"a length is outside the arrays: {T} frames, {Umax} labels")
    used = labels[np.arange(Umax) < label_lengths[:, None]]
    if ((used < 1) | (used >= K)).any():
        raise ValueError(f"a label is outside 1 … {K - 1} (0 is the blank)")

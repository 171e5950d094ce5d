"""Deep Speech's network (§2): five clipped layers, the fourth recurrent in both directions, and a softmax.

    x  = context(frames)                       h4 = birnn(W4 h3 + b4; Wr_f, Wr_b)
    h1 = g(W1 x  + b1)                         h5 = g(W5 h4 + b5)
    h2 = g(W2 h1 + b2)                         log_probs = log_softmax(W6 h5 + b6)
    h3 = g(W3 h2 + b3)                         g(z) = min{max{0, z}, 20}

`backward` visits the layers of `forward` in reverse order.
"""

import math
import threading
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from minids import ops
from minids._utils.arguments import integers, real_array
from minids.loss import check_labels
from minids.ops import Backend
from minids.ops.common import Dropout, Workspace, hash_key, output_length

_GPU_LOCK = threading.RLock()  # scratch memory of the GPU's operations is shared by all models


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
            value, low = getattr(self, name), 0 if name == "context" else 1
            if type(value) is not int or not low <= value <= 10**6:
                raise ValueError(f"{name} = {value!r} must be a whole number from {low} to a million")
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


class _Loan:
    """A workspace out of `idle`, or a new one, which goes back there with its borrower."""

    def __init__(self, idle: list[Workspace], arrays: Any, dtype: np.dtype):
        self.idle = idle
        try:
            self.workspace = idle.pop()
        except IndexError:
            self.workspace = Workspace(arrays, dtype)

    def __del__(self) -> None:
        self.idle.append(self.workspace)


class _Pass(threading.local):
    """Per-thread state: the activations saved for the backward pass, and the workspace of both passes.

    When a thread ends, the next new one gets its memory: servers start a thread for every request.
    """

    activations: dict[str, Any] | None = None
    dropout: dict[int, Dropout]
    lengths: Any

    def __init__(self, *arguments: Any):
        self.loan = _Loan(*arguments)
        self.workspace = self.loan.workspace


class DeepSpeech:
    """A network: its parameters, its gradients, forward and backward.

    `params["W1"]` and `grads["W1"]` are views of the flat buffers `flat_params` and `flat_grads`, so that an
    update or a norm is one operation. "cpu" computes in float32; "reference" in float32 or float64; "cuda" in
    float32 on the GPU, where its arrays stay; or give a Backend. The initial weights are drawn with `seed`;
    with None they are undefined until `load_params`.

    Threads may share a network: activations belong to the thread that calls `forward`. Gradients belong to
    the network, so one thread trains. Pickled, a network is its settings, backend and parameters.
    """

    def __init__(
        self,
        settings: ModelSettings,
        seed: int | None = 0,
        backend: str | Backend = "cpu",
        dtype: str = "float32",
    ):
        name = backend if isinstance(backend, str) else backend.name
        if dtype not in ("float32", "float64"):
            raise ValueError(f"dtype = {dtype!r} must be 'float32' or 'float64'")
        if dtype != "float32" and name != "reference":
            raise ValueError(f"the {name} backend computes in float32; {dtype} requires backend='reference'")
        self.ops = ops.load(backend) if isinstance(backend, str) else backend
        self.settings, self.dtype = settings, np.dtype(dtype)
        shapes = settings.shapes()
        arrays, size = self.ops.arrays, sum(math.prod(shape) for shape in shapes.values())
        flat = np.empty(size, self.dtype)
        if seed is not None:
            initialize(_views(arrays, flat, shapes), seed)
        self.flat_params = arrays.from_host(flat)
        self.flat_grads = arrays.empty((size,), self.dtype)
        self.params = _views(arrays, self.flat_params, shapes)
        self.grads = _views(arrays, self.flat_grads, shapes)
        self._pass = _Pass([], arrays, self.dtype)
        self._lock = nullcontext() if arrays.on_host else _GPU_LOCK

    def __reduce__(self) -> tuple:
        arguments = self.settings, None, self.ops, self.dtype.name
        return DeepSpeech, arguments, self.ops.arrays.to_host(self.flat_params)

    def __setstate__(self, flat_params: np.ndarray) -> None:
        self.ops.arrays.copy(flat_params, self.flat_params)

    def load_params(self, params: dict[str, np.ndarray]) -> None:
        """Set every parameter to the values of a NumPy array.

        Raises ValueError for a parameter that is missing or has another shape.
        """
        shapes = self.settings.shapes()
        for name, shape in shapes.items():
            if name not in params or params[name].shape != shape:
                raise ValueError(f"{name} must have the shape {shape}")
        flat = np.concatenate([params[name].ravel() for name in shapes])
        self.ops.arrays.copy(flat.astype(self.dtype, copy=False), self.flat_params)

    @property
    def activations(self) -> dict[str, Any]:
        """The activations of this thread's last `forward`, by the paper's names; overwritten by the next one.

        Raises RuntimeError if `forward` has not been called in this thread.
        """
        if self._pass.activations is None:
            raise RuntimeError("call forward first, in the same thread: backward needs its activations")
        return self._pass.activations

    def forward(self, frames: np.ndarray, lengths: np.ndarray, dropout_keys: np.ndarray | None = None):
        """frames (T0, B, F), lengths (B,) -> log_probs (T, B, K), lengths (B,) after the stride.

        Frames past an utterance's length are not read. `dropout_keys` (B,) uint32, one per utterance and step
        of training, turn dropout on. The activations are kept for a `backward` in this thread, and
        overwritten by its next `forward`. Raises ValueError for arguments of another type or shape, and for
        lengths beyond the frames.
        """
        frames, lengths, dropout_keys = self._check_frames(frames, lengths, dropout_keys)
        with self._lock:
            log_probs = self._forward(self.ops, frames, lengths, dropout_keys)
            return self.ops.arrays.to_host(log_probs).copy(), output_length(lengths, self.settings.stride)

    def backward(self, dlogits: np.ndarray) -> None:
        """dlogits (T, B, K), the gradient with respect to W6 h5 + b6 of this thread's `forward` -> `grads`.

        Raises ValueError for another shape, RuntimeError without a `forward`.
        """
        shape = self.activations["z6"].shape
        dlogits = real_array("dlogits", dlogits, self.dtype, "(T, B, K)")
        if dlogits.shape != shape:
            raise ValueError(f"dlogits have the shape {dlogits.shape}, not {shape}")
        with self._lock:
            self._backward(self.ops, self._pass.workspace.to_device("dlogits", dlogits.copy()))

    def loss_and_grad(self, frames, lengths, labels, label_lengths, dropout_keys=None) -> np.ndarray:
        """Forward, CTC, backward: the losses (B,); `grads` holds the gradient of their sum.

        Arguments and errors are those of `forward` and `ctc_loss`. An impossible text has loss inf and
        gradient 0.
        """
        losses = self.loss_and_grad_on_device(frames, lengths, labels, label_lengths, dropout_keys)
        return self.ops.arrays.to_host(losses).copy()

    def loss_and_grad_on_device(
        self, frames, lengths, labels, label_lengths, dropout_keys=None, backend: Backend | None = None
    ):
        """As loss_and_grad without waiting for a GPU: the losses stay there, until this thread's next call.

        `backend` replaces the network's own operations, such as by those of TimeSplit.
        """
        frames, lengths, dropout_keys = self._check_frames(frames, lengths, dropout_keys)
        labels, label_lengths = check_labels(labels, label_lengths, frames.shape[1], self.settings.characters)
        ops, workspace = backend or self.ops, self._pass.workspace
        with self._lock:
            # Before the forward pass: a copy to the GPU waits for all that was launched before it.
            labels = workspace.to_device("labels", labels)
            label_lengths = workspace.to_device("label_lengths", label_lengths)
            log_probs = self._forward(ops, frames, lengths, dropout_keys)
            losses = workspace("losses", log_probs.shape[1])
            dlogits = workspace("dlogits", *log_probs.shape)
            ops.ctc(
                log_probs=log_probs,
                lengths=self._pass.lengths,
                labels=labels,
                label_lengths=label_lengths,
                losses=losses,
                dlogits=dlogits,
                workspace=workspace,
            )
            self._backward(ops, dlogits)
        return losses

    def _check_frames(self, frames, lengths, dropout_keys):
        F = self.settings.inputs
        if isinstance(frames, np.ndarray) or self.ops.arrays.on_host:  # a GPU may have them already
            frames = real_array("frames", frames, self.dtype, f"(T0, B, {F} inputs)")
        if frames.shape[2] != F:
            raise ValueError(f"frames have the shape {frames.shape}, not (T0, B, {F} inputs)")
        T0, B, _ = frames.shape
        lengths = integers("lengths", lengths, 0, T0)
        if len(lengths) != B:
            raise ValueError(f"there are {len(lengths)} lengths for {B} utterances")
        if dropout_keys is not None:
            dropout_keys = np.asarray(dropout_keys)
            if dropout_keys.shape != (B,) or dropout_keys.dtype.kind not in "iu":
                raise ValueError(f"dropout_keys must be {B} integers, one per utterance")
        return frames, lengths, dropout_keys

    def _forward(self, ops: Backend, frames, lengths, dropout_keys):
        s, p, state, workspace = self.settings, self.params, self._pass, self._pass.workspace
        T0, B, _ = frames.shape
        T, H, K = output_length(T0, s.stride), s.hidden, s.characters
        state.activations = None  # or its views would keep buffers that are now too small
        state.lengths = workspace.to_device("lengths", output_length(lengths, s.stride))
        state.dropout = {}
        if dropout_keys is not None and s.dropout > 0:
            for n in (1, 2, 3, 5):
                keys = workspace.to_device(f"dropout_keys {n}", hash_key(dropout_keys, n))
                state.dropout[n] = Dropout(s.dropout, keys)
        a = {name: workspace(name, T, B, H) for name in ("h1", "h2", "h3", "z4", "h4", "hf", "hb", "h5")}
        a["z6"] = workspace("z6", T, B, K)

        def layer(n, x, y, clip=True):
            ops.affine_forward(
                a[x], p[f"W{n}"], p[f"b{n}"], clip=clip, dropout=state.dropout.get(n), out=a[y]
            )

        frames = workspace.to_device("frames", frames)
        lengths = workspace.to_device("lengths before the stride", lengths)
        a["x"] = ops.context_forward(frames, lengths, s.context, s.stride, workspace=workspace)
        layer(1, "x", "h1")
        layer(2, "h1", "h2")
        layer(3, "h2", "h3")
        layer(4, "h3", "z4", clip=False)
        ops.birnn_forward(
            z=a["z4"],
            Wr_f=p["Wr_f"],
            Wr_b=p["Wr_b"],
            lengths=state.lengths,
            h=a["h4"],
            hf=a["hf"],
            hb=a["hb"],
            workspace=workspace,
        )
        layer(5, "h4", "h5")
        layer(6, "h5", "z6", clip=False)
        log_probs = ops.log_softmax_forward(a["z6"], out=workspace("log_probs", T, B, K))
        state.activations = a
        return log_probs

    def _backward(self, ops: Backend, dz6) -> None:
        p, g, a, state = self.params, self.grads, self.activations, self._pass
        shape = a["h5"].shape
        # Three buffers, used in turn; each is written only after its previous gradient was read for the last
        # time. Layers write δ over dy, and birnn_backward dz4 = δf + δb over δf, as both may.
        dh5 = delta_f = dz4 = dh2 = state.workspace("gradient 1", *shape)
        dh4 = dh3 = dh1 = state.workspace("gradient 2", *shape)
        delta_b = state.workspace("gradient 3", *shape)

        def layer(n, x, y, dy, dx, clip=True):
            ops.affine_backward(
                dy=dy,
                x=a[x],
                W=p[f"W{n}"],
                y=a[y],
                clip=clip,
                dropout=state.dropout.get(n),
                needs_dx=dx is not None,
                dz=dy,
                dx=dx,
                dW=g[f"W{n}"],
                db=g[f"b{n}"],
            )

        layer(6, "h5", "z6", dz6, dh5, clip=False)
        layer(5, "h4", "h5", dh5, dh4)
        ops.birnn_backward(
            dh=dh4,
            hf=a["hf"],
            hb=a["hb"],
            Wr_f=p["Wr_f"],
            Wr_b=p["Wr_b"],
            lengths=state.lengths,
            delta_f=delta_f,
            delta_b=delta_b,
            dz=dz4,
            dWr_f=g["Wr_f"],
            dWr_b=g["Wr_b"],
            workspace=state.workspace,
        )
        layer(4, "h3", "z4", dz4, dh3, clip=False)  # birnn_backward has applied g'
        layer(3, "h2", "h3", dh3, dh2)
        layer(2, "h1", "h2", dh2, dh1)
        layer(1, "x", "h1", dh1, None)  # nothing needs the gradient of the input


def initialize(params: dict[str, np.ndarray], seed: int) -> None:
    """Draw the initial weights, in place: normal, of variance 1 / inputs, and biases 0.

    The recurrent ones are half as wide, so that states neither die nor explode over hundreds of frames; the
    output layer's a tenth, so that training starts from nearly equal probabilities.
    """
    rng = np.random.default_rng(seed)
    for name, value in params.items():
        if name.startswith("b"):
            value[...] = 0
        else:
            width = {"Wr_f": 0.5, "Wr_b": 0.5, "W6": 0.1}.get(name, 1.0)
            value[...] = rng.normal(0, width / np.sqrt(value.shape[1]), value.shape)


def _views(arrays, flat, shapes):
    views, start = {}, 0
    for name, shape in shapes.items():
        views[name] = arrays.view(flat, start, shape)
        start += math.prod(shape)
    return views

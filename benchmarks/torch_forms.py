"""The same network in PyTorch, optimized with PyTorch's own tools: the baseline of the benchmarks.

Three forms, which differ only in the recurrence:

- `loop`: exact. The clipped recurrence as a Python loop of torch operations; autograd writes the backward.
- `fn`: exact. The same loop with its backward written by hand (a custom autograd Function), so that the
  gradient of W_r is one product over all frames instead of one small product a frame.
- `rnn`: the most similar built-in layer, nn.RNN with ReLU: no clip, and each direction has its own W4 and b4.

They are optimized as an expert would: both directions advance in one batched product, the clip works in place
(its backward needs only the result), the input has no gradient, the context is copied once into memory that
is reused, gradients are assigned instead of added to zeros, and the optimizer is the fused one.
"""

from itertools import pairwise

import numpy as np
import torch
from torch.nn import functional
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

CLIP = 20.0


def g(z: torch.Tensor) -> torch.Tensor:
    """min{max{0, z}, 20}, in place."""
    return functional.hardtanh_(z, 0.0, CLIP)


def loop(h3, W4, b4, Wr_f, Wr_b):
    """h4 (T, B, H): the recurrence frame by frame, differentiated by autograd."""
    z = functional.linear(h3, W4, b4)  # (T, B, H)
    Wr = torch.stack([Wr_f.t(), Wr_b.t()])  # (2, H, H)
    both = torch.stack([z, z.flip(0)], 1).unbind(0)  # T of (2, B, H): the second direction reads backwards
    h = [
        functional.hardtanh(both[0], 0.0, CLIP)
    ]  # autograd does not allow writing into one part of an unbind
    for z_t in both[1:]:
        h.append(g(torch.baddbmm(z_t, h[-1], Wr)))
    h = torch.stack(h)  # (T, 2, B, H)
    return h[:, 0] + h[:, 1].flip(0)


def fn(h3, W4, b4, Wr_f, Wr_b):
    """h4 (T, B, H): the recurrence with its own backward."""
    return Recurrence.apply(functional.linear(h3, W4, b4), Wr_f, Wr_b)


class Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z, Wr_f, Wr_b):
        Wr = torch.stack([Wr_f.t(), Wr_b.t()])
        h = torch.stack([z, z.flip(0)], 1)  # (T, 2, B, H): z, and frame by frame h in its place
        frames = h.unbind(0)
        frames[0].clamp_(0.0, CLIP)
        for before, now in pairwise(frames):
            torch.baddbmm(now, before, Wr, out=now).clamp_(0.0, CLIP)
        ctx.save_for_backward(h, Wr_f, Wr_b)
        return h[:, 0] + h[:, 1].flip(0)

    @staticmethod
    def backward(ctx, dh4):
        h, Wr_f, Wr_b = ctx.saved_tensors
        H = h.shape[-1]
        Wr = torch.stack([Wr_f, Wr_b])
        delta = torch.stack([dh4, dh4.flip(0)], 1)  # (T, 2, B, H): dh, and frame by frame δ in its place
        frames, gates = delta.unbind(0), h.unbind(0)
        gate = torch.ops.aten.hardtanh_backward.grad_input
        gate(frames[-1], gates[-1], 0.0, CLIP, grad_input=frames[-1])
        for t in range(len(frames) - 2, -1, -1):
            torch.baddbmm(frames[t], frames[t + 1], Wr, out=frames[t])
            gate(frames[t], gates[t], 0.0, CLIP, grad_input=frames[t])
        dWr = [delta[1:, i].reshape(-1, H).t() @ h[:-1, i].reshape(-1, H) for i in (0, 1)]
        return delta[:, 0] + delta[:, 1].flip(0), *dWr


class BuiltIn(torch.nn.RNN):
    """h4 (T, B, H) by nn.RNN, its two directions summed."""

    def __init__(self, W4, b4, Wr_f, Wr_b):
        super().__init__(*W4.shape, nonlinearity="relu", bidirectional=True)
        state = {"weight_ih": (W4, W4), "bias_ih": (b4, b4), "weight_hh": (Wr_f, Wr_b)}
        state["bias_hh"] = (torch.zeros_like(b4),) * 2  # a second bias, which nn.RNN always has
        self.load_state_dict(
            {f"{n}_l0{end}": state[n][i] for n in state for i, end in enumerate(("", "_reverse"))}
        )

    def forward(self, h3):
        return super().forward(h3)[0].unflatten(2, (2, self.hidden_size)).sum(2)


def tensors(frames, lengths, labels, label_lengths, stride=1) -> tuple:
    """A batch for `TorchStep`; lengths are tuples, which ctc_loss does not convert."""
    return (
        torch.from_numpy(frames),
        tuple((-(-lengths // stride)).tolist()),
        torch.from_numpy(labels),
        tuple(label_lengths.tolist()),
    )


class TorchStep:
    """Forward, CTC, backward, gradient-norm limit and Nesterov update, for batches of one shape."""

    def __init__(self, form, weights: dict[str, np.ndarray], shape, context, rate, momentum, limit, stride=1):
        """`shape` is (T, B, F) of the frames, `limit` the maximum norm of the gradient."""
        w = self.weights = {name: torch.tensor(value).requires_grad_() for name, value in weights.items()}
        if form == "rnn":
            built_in = BuiltIn(*(w.pop(name).detach() for name in ("W4", "b4", "Wr_f", "Wr_b")))
            w |= dict(built_in.named_parameters())
            self.recurrence = built_in
        else:
            exact = {"loop": loop, "fn": fn}[form]
            self.recurrence = lambda h3: exact(h3, w["W4"], w["b4"], w["Wr_f"], w["Wr_b"])
        T, B, F = shape
        padded = torch.zeros(T + 2 * context, B, F)
        self.inside = padded[context : context + T]
        windows = padded.as_strided((T, B, 2 * context + 1, F), (B * F, F, B * F, 1))  # no copy: rows overlap
        windows = windows[::stride]
        self.context, self.x = windows, torch.empty(windows.shape)
        self.optimizer = torch.optim.SGD(w.values(), lr=rate, momentum=momentum, nesterov=True, fused=True)
        self.limit = limit

    def log_probs(self, frames: torch.Tensor) -> torch.Tensor:
        """frames (T, B, F) -> (T, B, K)."""
        w = self.weights
        self.inside.copy_(frames)
        h = self.x.copy_(self.context).flatten(2)  # (T, B, D)
        for layer in "123":
            h = g(functional.linear(h, w[f"W{layer}"], w[f"b{layer}"]))
        h = g(functional.linear(self.recurrence(h), w["W5"], w["b5"]))
        return functional.linear(h, w["W6"], w["b6"]).log_softmax(2)

    def loss_and_grad(self, frames, lengths, labels, label_lengths) -> float:
        """The sum of the losses; its gradients are in `weights[name].grad`."""
        self.optimizer.zero_grad()
        loss = functional.ctc_loss(self.log_probs(frames), labels, lengths, label_lengths, reduction="sum")
        loss.backward()
        return loss.item()

    def gradients(self) -> dict[str, np.ndarray]:
        return {name: value.grad.numpy() for name, value in self.weights.items()}

    def __call__(self, *batch) -> float:
        loss = self.loss_and_grad(*batch)
        gradients = [value.grad for value in self.weights.values()]
        norm = get_total_norm(gradients)
        if norm > self.limit:
            clip_grads_with_norm_(self.weights.values(), self.limit, norm)
        self.optimizer.step()
        return loss

"""The operations and the whole step in PyTorch, as an expert writes them, on the same GPU. See gpu.py."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.nn import functional

from benchmarks.gpu_kernels import median_ms, seconds
from benchmarks.torch_forms import TorchStep, g, tensors
from benchmarks.training_step import CHARACTERS, CONTEXT, UPDATE, Problem

Call = Callable[[], Any]
DEVICE, event = "cuda", partial(torch.cuda.Event, enable_timing=True)


def layer(p: Problem) -> Call:
    x, W, b = torch.randn(p.frames, p.batch, p.hidden), torch.randn(p.hidden, p.hidden), torch.randn(p.hidden)
    return torch.no_grad()(lambda: g(functional.linear(x, W, b)))


def layer_1(p: Problem) -> Call:
    T, B, F = p.frames, p.batch, p.features
    padded, W, b = torch.randn(T + 2 * CONTEXT, B, F), torch.randn(p.hidden, p.inputs), torch.randn(p.hidden)
    windows = padded.as_strided((T, B, 2 * CONTEXT + 1, F), (B * F, F, B * F, 1))
    stacked = torch.empty(windows.shape)
    return torch.no_grad()(lambda: g(functional.linear(stacked.copy_(windows).flatten(2), W, b)))


def rnn(p: Problem) -> Call:
    """What PyTorch has instead of our recurrence: no clip, and the products with two matrices W4."""
    x, layers = torch.randn(p.frames, p.batch, p.hidden), _rnn(p)
    return torch.no_grad()(lambda: layers(x)[0])


def rnn_backward(p: Problem) -> Call:
    x, layers = torch.randn(p.frames, p.batch, p.hidden, requires_grad=True), _rnn(p)
    y, inputs = layers(x)[0], [x, *layers.parameters()]
    dy = torch.randn_like(y)
    return lambda: torch.autograd.grad(y, inputs, dy, retain_graph=True)


def _rnn(p: Problem) -> torch.nn.RNN:
    return torch.nn.RNN(p.hidden, p.hidden, nonlinearity="relu", bidirectional=True)


def ctc(p: Problem) -> Call:
    """From logits to their gradient."""
    logits = torch.randn(p.frames, p.batch, CHARACTERS, requires_grad=True)
    _, lengths, labels, label_lengths = tensors(*p.draw())
    texts = labels.to(logits.device), lengths, label_lengths

    def loss_and_gradient():
        loss = functional.ctc_loss(logits.log_softmax(2), *texts, reduction="sum")
        return loss, *torch.autograd.grad(loss, [logits])

    return loss_and_gradient


def step(p: Problem, form: str) -> Call:
    """The whole training step; it returns the loss. See torch_forms.py."""
    torch_step = TorchStep(form, p.weights(), (p.frames, p.batch, p.features), CONTEXT, *UPDATE)
    frames, lengths, labels, label_lengths = tensors(*p.draw())
    batch = frames, lengths, labels.to(torch_step.x.device), label_lengths
    return lambda: torch_step(*batch)


OPERATIONS: dict[str, Callable[[Problem], Call]] = {
    "step": partial(step, form="fn"),  # the same network
    "layer": layer,
    "layer 1": layer_1,
    "ctc": ctc,
    "nn.RNN": rnn,
    "nn.RNN backward": rnn_backward,
    "nn.RNN step": partial(step, form="rnn"),
}
PRECISIONS = "fp32", "tf32"


def measure(name: str, p: Problem) -> dict:
    """The time of "ctc, fp32" or another operation, and its loss if it is a step."""
    operation, precision = name.split(", ")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    with torch.device(DEVICE):
        call = OPERATIONS[operation](p)
    row = {"loss": call()} if "step" in operation else {}
    return row | {"ms": median_ms(seconds(call, event))}

"""The operations of gpu_kernels.py in PyTorch, as an expert writes them, on the same GPU."""

from functools import partial

import numpy as np
import torch
from torch.nn import functional

from benchmarks.gpu_kernels import TORCH_RNN, Size, median_ms, seconds
from benchmarks.torch_forms import TorchStep, tensors
from minids.model import DeepSpeech
from minids.ops.common import CLIP

event = partial(torch.cuda.Event, enable_timing=True)


class Peers:
    """The operations in PyTorch, at the same size."""

    def __init__(self, s: Size):
        torch.manual_seed(0)
        _, lengths, labels, label_lengths = s.draw()
        T, B, H = s.T, s.B, s.H
        with torch.device("cuda"):
            x, dy, W, b = (
                torch.randn(T, B, H),
                torch.randn(T, B, H),
                torch.randn(H, H) * H**-0.5,
                torch.randn(H),
            )
            padded = torch.zeros(T + 2 * s.C, B, s.F)
            z6 = torch.randn(T, B, s.K)
            rnn = torch.nn.RNN(H, H, nonlinearity="relu", bidirectional=True)
            flat = torch.randn(sum(int(np.prod(shape)) for shape in s.settings().shapes().values()))
        windows = padded.as_strided((T, B, 2 * s.C + 1, s.F), (B * s.F, s.F, B * s.F, 1))
        stacked, text = torch.empty_like(windows), torch.from_numpy(labels).cuda()
        sizes = tuple(lengths.tolist()), tuple(label_lengths.tolist())
        for value in (x, W, b, z6):
            value.requires_grad_()
        optimizer = torch.optim.SGD([flat.requires_grad_()], lr=1e-9, momentum=0.9, nesterov=True, fused=True)
        flat.grad = torch.randn_like(flat)

        def layer():
            return functional.hardtanh_(functional.linear(x, W, b), 0.0, CLIP)

        def ctc():
            z6.grad = None
            functional.ctc_loss(z6.log_softmax(2), text, *sizes, reduction="sum").backward()

        def no_grad(call):
            def run():
                with torch.no_grad():
                    return call()

            return run

        def backward(call):
            """The backward pass alone: the graph of the forward pass is kept."""
            y = call()
            inputs = [x, W, b] if call is layer else [x, *rnn.parameters()]
            return lambda: torch.autograd.grad(y, inputs, dy if call is layer else both, retain_graph=True)

        both = torch.randn(T, B, 2 * H, device="cuda")
        self._operations = {
            "context": lambda: lambda: stacked.copy_(windows),
            "layer": lambda: no_grad(layer),
            "layer backward": lambda: backward(layer),
            TORCH_RNN[0].removeprefix("torch "): lambda: no_grad(lambda: rnn(x)[0]),
            TORCH_RNN[1].removeprefix("torch "): lambda: backward(lambda: rnn(x)[0]),
            "log_softmax": lambda: no_grad(lambda: z6.log_softmax(2)),
            "ctc": lambda: ctc,
            "norm": lambda: lambda: torch.linalg.vector_norm(flat.grad).item(),
            "nesterov": lambda: optimizer.step,
        }

    def ms(self, name: str) -> float:
        """The median time of an operation; "layer tf32" is "layer" with TF32 enabled."""
        kind, tf32 = name.removesuffix(" fp32").removesuffix(" tf32"), name.endswith(" tf32")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        return median_ms(seconds(self._operations[kind](), event))


def step(form: str, size: Size) -> dict:
    """The whole training step: "fn" with our clip, "rnn" with cuDNN, which has none."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    weights, shape = DeepSpeech(size.settings(), 0, "cpu").params, (size.T, size.B, size.F)
    with torch.device("cuda"):
        torch_step = TorchStep(form, dict(weights), shape, size.C, 1e-9, 0.9, 1e9)
    frames, lengths, labels, label_lengths = tensors(*size.draw())
    batch = frames, lengths, labels.cuda(), label_lengths
    loss = torch_step.loss_and_grad(*batch)
    return {"ms": median_ms(seconds(lambda: torch_step(*batch), event)), "loss": loss}

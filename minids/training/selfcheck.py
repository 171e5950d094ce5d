"""Before a GPU is trusted with days of training: does it compute what the CPU computes?

Elsewhere, builds for a GPU that did not fit it have trained in silence with a loss of 0.
"""

import numpy as np

from minids._utils.errors import InputError
from minids.model import DeepSpeech
from minids.ops import driver

# How far two float32 backends may lie apart on a large network: beside the order of additions, a unit within
# rounding of 0 or 20 has its gate open in one and shut in the other, and TF32 rounds by 5e-4. What is broken
# is wrong by far more; `minids check` looks closer.
LOSSES, GRADIENTS = 1e-2, 5e-2
# More utterances than a block of the recurrence takes at a time, and rows enough for the large tiles of the
# products, but no more than the CPU does in a moment. The simulator has small tiles, and all its time.
UTTERANCES, FRAMES, LETTERS = 40, 12, 3
ENOUGH, MOST = (0, 0) if driver.simulated() else (128 * 132 * 128, 10_000)


def self_check(model: DeepSpeech, batch_size: int) -> None:
    """Compare losses and gradients with those of the same network on the CPU, for one batch of noise.

    At the network's own width, because a GPU has other code for other sizes; the utterances are short. The
    model keeps its weights. Raises InputError when they differ.
    """
    batch = _batch(model, batch_size)
    twin, to_host = DeepSpeech(model.settings, None), model.ops.arrays.to_host
    twin.fill({name: to_host(value) for name, value in model.params.items()})
    _agree("losses", model.loss_and_grad(*batch), twin.loss_and_grad(*batch), LOSSES)
    for name, gradient in twin.grads.items():
        _agree(f"d{name}", to_host(model.grads[name]), gradient, GRADIENTS)


def _batch(model: DeepSpeech, batch_size: int) -> tuple[np.ndarray, ...]:
    """Frames, lengths, labels, their lengths, keys; at most `UTTERANCES`, of uneven lengths."""
    s, rng = model.settings, np.random.default_rng(7)
    B = min(batch_size, UTTERANCES)
    T0 = s.stride * max(FRAMES, min(ENOUGH // s.hidden, MOST) // B)
    frames = rng.normal(size=(T0, B, s.inputs)).astype(np.float32)
    lengths = rng.integers(T0 // 2, T0 + 1, B).astype(np.int32)
    labels = rng.integers(1, s.characters, (B, LETTERS)).astype(np.int32)
    return frames, lengths, labels, np.full(B, LETTERS, np.int32), np.arange(B, dtype=np.uint32)


def _agree(name: str, ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> None:
    error = np.linalg.norm(ours - theirs) / (np.linalg.norm(theirs) or 1.0)
    if not error <= tolerance:  # not for NaN either
        raise InputError(
            f"the GPU and the CPU disagree, {name} by {error:.1e} of their length: do not train on this GPU;"
            " give --backend cpu, and report it with the GPU, driver and versions"
        )

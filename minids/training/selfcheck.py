"""A check before training on a GPU: it must compute what the CPU computes.

Without one, other frameworks built for the wrong GPU have trained for days with a loss of 0.
"""

import numpy as np

from minids._utils.errors import InputError
from minids.model import DeepSpeech
from minids.ops import driver

# Relative errors of two float32 backends on a large network. Apart from the order of additions, units within
# rounding of 0 or 20 pass their gradient in one backend and not in the other, and TF32 rounds by 5e-4. Broken
# kernels are wrong by far more; `minids check` is stricter.
LOSS_TOLERANCE, GRADIENT_TOLERANCE = 1e-2, 5e-2
# More utterances than a block of the recurrence handles, and enough rows for the large tiles of the products,
# but fast on the CPU. The simulator has small tiles and is slow.
MAX_UTTERANCES, MIN_FRAMES, LABELS = 40, 12, 3
MIN_UNITS, MAX_FRAMES = (0, 0) if driver.simulated() else (128 * 132 * 128, 10_000)


def self_check(model: DeepSpeech, batch_size: int) -> None:
    """Compare losses and gradients with those of the same network on the CPU, for one batch of noise.

    The network has its real size, because the GPU uses different code for different sizes; the utterances are
    short. The weights do not change. Raises InputError when the results differ.
    """
    batch = _batch(model, batch_size)
    on_cpu, to_host = DeepSpeech(model.settings, None), model.ops.arrays.to_host
    on_cpu.load_params({name: to_host(value) for name, value in model.params.items()})
    _check_close("losses", model.loss_and_grad(*batch), on_cpu.loss_and_grad(*batch), LOSS_TOLERANCE)
    for name, gradient in on_cpu.grads.items():
        _check_close(f"d{name}", to_host(model.grads[name]), gradient, GRADIENT_TOLERANCE)


def _batch(model: DeepSpeech, batch_size: int) -> tuple[np.ndarray, ...]:
    """Frames, lengths, labels, label lengths and dropout keys of utterances of different lengths."""
    s, rng = model.settings, np.random.default_rng(7)
    B = min(batch_size, MAX_UTTERANCES)
    T0 = s.stride * max(MIN_FRAMES, min(MIN_UNITS // s.hidden, MAX_FRAMES) // B)
    frames = rng.normal(size=(T0, B, s.inputs)).astype(np.float32)
    lengths = rng.integers(T0 // 2, T0 + 1, B).astype(np.int32)
    labels = rng.integers(1, s.characters, (B, LABELS)).astype(np.int32)
    return frames, lengths, labels, np.full(B, LABELS, np.int32), np.arange(B, dtype=np.uint32)


def _check_close(name: str, gpu: np.ndarray, cpu: np.ndarray, tolerance: float) -> None:
    error = np.linalg.norm(gpu - cpu) / (np.linalg.norm(cpu) or 1.0)
    if not error <= tolerance:  # also refuses NaN
        raise InputError(
            f"the GPU and the CPU disagree ({name}: relative error {error:.1e}): do not train on this GPU;"
            " use --backend cpu, and report the GPU, driver and versions"
        )

"""minids: Deep Speech (Hannun et al. 2014) from scratch.

    wav ─▶ samples (N,) ─▶ frames (T0, F) ─▶ batch (T0, B, F) ─▶ log_probs (T, B, K) ─▶ text

The letters, the same in every file:

    N   samples of a recording                     D   inputs of the first layer, (2C+1) F
    T0  frames of a recording                      H   hidden units of a layer
    T   frames after the stride, ⌈T0 / stride⌉     K   characters with the blank, which is index 0
    B   utterances in a batch                      U   labels (characters) of an utterance
    F   features of a frame                        S   states of the CTC lattice, 2U + 1
    C   context frames on each side                t b k u s   their indices

Time comes first: activations are (T, B, H) and h[t] is the paper's h_t. `W` is (out, in): y = x Wᵀ + b.
Weights and activations have the paper's names: W1 b1 … W6 b6, Wr_f, Wr_b, h1 … h5. The gradient of x is dx
and has the shape of x.

The names below are imported when they are first used, so that `import minids` is quick.
"""

import importlib
from typing import Any

__version__ = "0.3.0"

_MODULES = {  # in the order of the pipeline
    "load_audio": "audio",
    "Features": "features",
    "Alphabet": "text",
    "DeepSpeech": "model",
    "ctc_loss": "loss",
    "BeamSearch": "decode.beam_search",
    "NGram": "lm.ngram",
    "Recognizer": "recognizer",
    "wer": "metrics",
    "cer": "metrics",
    "InputError": "_utils.errors",
}
__all__ = [*_MODULES]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'minids' has no attribute {name!r}")
    return getattr(importlib.import_module(f"minids.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})

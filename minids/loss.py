"""The CTC loss as a function of arrays, on any backend (§2)."""

import numpy as np

from minids import ops
from minids._utils.arguments import integers, real_array


def ctc_loss(logits, lengths, labels, label_lengths, backend: str = "cpu"):
    """CTC of logits (T, B, K) -> losses (B,) and their gradient dlogits (T, B, K)  (§2).

    Logits are before the softmax; log-probabilities are valid ones. lengths, label_lengths (B,); labels (B,
    Umax), padded with anything. "reference" computes in float64 if the logits are. A text that the frames
    cannot spell has loss inf and gradient 0. Raises ValueError for types and shapes that do not fit, labels
    outside 1 … K-1 and lengths outside the arrays.
    """
    grid = ops.load(backend)
    is_double = np.asarray(logits).dtype.newbyteorder("=") == np.float64
    dtype = np.float64 if is_double and backend == "reference" else np.float32
    logits = real_array("logits", logits, dtype, "(T, B, K)")
    T, B, K = logits.shape
    lengths = integers("lengths", lengths, 0, T)
    if len(lengths) != B:
        raise ValueError(f"there are {len(lengths)} lengths for {B} utterances")
    labels, label_lengths = check_labels(labels, label_lengths, B, K)
    log_probs = grid.log_softmax_forward(grid.arrays.from_host(logits))
    losses, dlogits = grid.ctc(log_probs, *map(grid.arrays.from_host, (lengths, labels, label_lengths)))
    return grid.arrays.to_host(losses), grid.arrays.to_host(dlogits)


def check_labels(labels, label_lengths, B: int, K: int) -> tuple[np.ndarray, np.ndarray]:
    """The labels of B utterances as int32, 0 past their lengths. Raises ValueError for other values."""
    labels = np.asarray(labels)
    if labels.ndim != 2 or len(labels) != B:
        raise ValueError(f"labels must have the shape ({B} utterances, Umax), not {labels.shape}")
    label_lengths = integers("label_lengths", label_lengths, 0, labels.shape[1])
    if len(label_lengths) != B:
        raise ValueError(f"there are {len(label_lengths)} label_lengths for {B} utterances")
    used = np.arange(labels.shape[1]) < label_lengths[:, None]  # (B, Umax)
    integers("labels", labels[used], 1, K - 1)
    return np.where(used, labels, 0).astype(np.int32), label_lengths

"""Evaluation on the dev set during training: the CTC loss, and the errors of greedy decoding."""

from collections.abc import Sequence

import numpy as np

from minids.data.batches import Batches
from minids.data.manifest import Utterance
from minids.decode.greedy import greedy_text
from minids.metrics import UtteranceResult
from minids.model import DeepSpeech
from minids.text import Alphabet, normalize


def evaluate_batches(
    model: DeepSpeech, batches: Batches, utterances: Sequence[Utterance], alphabet: Alphabet
) -> tuple[float, int, list[UtteranceResult]]:
    """The sum of the finite losses, their number, and a reference and hypothesis for each utterance."""
    ops, loss_sum, count = model.ops, 0.0, 0
    results = []
    for batch in batches.in_length_order():
        log_probs, lengths = model.forward(batch.frames, batch.lengths)  # (T, B, K), (B,)
        arrays = (log_probs, lengths, batch.labels, batch.label_lengths)
        losses, _ = ops.ctc(*map(ops.arrays.from_host, arrays))
        losses = ops.arrays.to_host(losses)  # (B,)
        loss_sum += float(losses[np.isfinite(losses)].sum())
        count += int(np.isfinite(losses).sum())
        for b, i in enumerate(batch.indices):
            hypothesis = greedy_text(log_probs[: lengths[b], b], alphabet)
            reference = normalize(utterances[i].text, alphabet)
            results.append(UtteranceResult(str(utterances[i].path), reference, hypothesis))
    return loss_sum, count, results

"""Evaluation on the dev set during training: the CTC loss, and the errors of greedy decoding."""

from collections.abc import Callable, Sequence

import numpy as np

from minids._utils.errors import InputError
from minids.data.batches import Batches
from minids.data.manifest import Utterance
from minids.decode.greedy import greedy_text
from minids.metrics import UtteranceResult
from minids.model import DeepSpeech
from minids.text import Alphabet, normalize


def evaluate_batches(
    model: DeepSpeech,
    batches: Batches,
    utterances: Sequence[Utterance],
    alphabet: Alphabet,
    stop: Callable[[], object] = bool,
) -> tuple[float, int, list[UtteranceResult]]:
    """The sum of the finite losses, their number, and a reference and hypothesis for each utterance.

    Ends early when `stop()` is true.
    Raises InputError when a loss is not a number.
    """
    ops, loss_sum, count = model.ops, 0.0, 0
    results = []
    for batch in batches.in_length_order():
        if stop():
            break
        log_probs, lengths = model.forward(batch.frames, batch.lengths)  # (T, B, K), (B,)
        arrays = (log_probs, lengths, batch.labels, batch.label_lengths)
        losses, _ = ops.ctc(*map(ops.arrays.from_host, arrays))
        losses = ops.arrays.to_host(losses)  # (B,)
        for i in np.array(batch.indices)[np.isnan(losses)]:
            utterance = utterances[i]
            raise InputError(
                f"the loss of {utterance.name} ({utterance.location}) is not a number; check that recording"
            )
        loss_sum += float(losses[np.isfinite(losses)].sum())
        count += int(np.isfinite(losses).sum())
        for b, i in enumerate(batch.indices):
            hypothesis = greedy_text(log_probs[: lengths[b], b], alphabet)
            reference = normalize(utterances[i].text, alphabet)
            results.append(UtteranceResult(utterances[i].name, reference, hypothesis))
    return loss_sum, count, results

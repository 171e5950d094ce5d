"""The best model of a run: which epoch is selected, and what best.safetensors holds."""

from dataclasses import replace
from typing import Any

from minids.training.settings import Settings
from minids.weights import SavedModel

MAX_RELIABLE_WER = 0.9


def selection_key(row: dict[str, Any], select: str) -> list[float]:
    """The metrics that select the best epoch, the most important first; lower is better.

    A WER above 90 % is noise, since the few right words are right by chance; there the CER decides. The loss
    decides while the output is all blanks.
    """
    if select == "loss":
        return [row["dev_loss"], row["wer"], row["cer"]]
    if select == "cer":
        return [row["cer"], row["wer"], row["dev_loss"]]
    wer = row["wer"] if row["wer"] <= MAX_RELIABLE_WER else 1.0
    return [wer, row["cer"], row["dev_loss"]]


def selected(row: dict[str, Any], select: str) -> dict[str, Any]:
    """The metrics of an epoch with those of the averaged weights in place of the last ones' if better."""
    if "ema_wer" not in row:
        return row
    average = row | {name: row[f"ema_{name}"] for name in ("dev_loss", "wer", "cer")} | {"averaged": True}
    return min(row, average, key=lambda candidate: selection_key(candidate, select))


def best_model(
    saved: SavedModel, settings: Settings, row: dict[str, Any], decoder_notes: dict[str, Any]
) -> SavedModel:
    """The model without velocity and training state; `row` has the metrics of its epoch."""
    dev = {name: row[name] for name in ("epoch", "wer", "cer", "averaged", "partial") if name in row}
    notes = {"settings": settings.to_dict(), "dev": dev, **decoder_notes}
    return replace(saved, extra_tensors={}, notes=notes)

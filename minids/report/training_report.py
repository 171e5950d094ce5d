"""A training run as one HTML page: its curves, the error rates of its best model, and the errors themselves.

The page is one file. It needs no network and no program but a browser.
"""

import io
import json
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minids._utils.errors import InputError, reason
from minids._utils.files import open_file
from minids.data.manifest import Utterance, read_manifest
from minids.html.page import fragment, render
from minids.metrics import Evaluation, UtteranceResult, align
from minids.plot.confusions import confusions
from minids.plot.recognition import recognition
from minids.plot.training import training
from minids.recognizer import MAX_SEGMENT_SECONDS, Recognizer
from minids.text import TextReport, characters
from minids.weights import SavedModel, load_model

CURVES = "Loss, error rates on the dev set, learning rate, norm of the gradient, and speed."
CONFUSIONS = "Rows are the characters of the references, columns the recognized ones. ␣ is the space;"
CONFUSIONS += " ∅ marks insertions (row) and deletions (column)."
UTTERANCES = 4  # with the most errors, and as many around the median
METRICS = {"epoch", "loss", "dev_loss", "wer", "cer", "learning_rate", "gradient_norm", "frames_per_second"}


def training_report(
    run: Path,
    manifest: Path | None = None,
    progress: Callable[[int], object] | None = None,
    **search: Any,
) -> str:
    """The page of the run in the folder `run`; its best model is evaluated on `manifest` (or its dev set).

    `progress` is called with the number of utterances done since its last call; `search` are lm, alpha, beta,
    beam_width and pruning of Recognizer.load. Raises InputError if the folder holds no finished epoch, or if
    its dev set was moved.
    """
    metrics = _read_metrics(run / "metrics.jsonl")
    last = load_model(run / "last.safetensors", backend="reference")
    recognizer = Recognizer.load(run / "best.safetensors", **search)
    manifest = manifest or _dev_manifest(run, last)
    utterances = read_manifest(manifest)
    texts = TextReport(recognizer.alphabet, (utterance.text for utterance in utterances))
    results, skipped = recognizer.recognize(utterances, "speaker", progress)
    if not results:
        raise InputError(f"{manifest}: no recording could be recognized ({skipped[0]})")
    evaluation = Evaluation(results)
    best_epoch = last.notes["progress"]["best_epoch"]
    by_name = {utterance.name: utterance for utterance in utterances}

    def shown(results: Sequence[UtteranceResult], salt: str) -> list[dict[str, Any]]:
        return [_utterance(recognizer, by_name[r.name], r, f"{salt}{i}") for i, r in enumerate(results)]

    return render(
        "training_report.html",
        Path(__file__).parent,
        title=f"{run.resolve().name}: a training run",
        name=run.resolve().name,
        manifest=manifest.name,
        epochs=len(metrics),
        best_epoch=best_epoch,
        training_time=_duration(sum(row["seconds"] for row in metrics)),
        beam_search=recognizer.search is not None,
        evaluation=evaluation,
        texts=texts,
        speakers=sorted(evaluation.groups().items(), key=lambda item: -item[1][0].rate),
        training=fragment([training(metrics, best_epoch)], [CURVES], title="", salt="t"),
        confusions=fragment([confusions(_character_confusions(results))], [CONFUSIONS], title="", salt="c"),
        worst=shown(evaluation.worst(UTTERANCES), "w"),
        median=shown(_median(evaluation), "m"),
        settings=last.notes["settings"],
        skipped=[why for _, why in last.notes["progress"]["skipped"]] + skipped,
    )


def _read_metrics(path: Path) -> list[dict[str, Any]]:
    try:
        with open_file(path) as file:
            rows = [json.loads(line) for line in file]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {reason(error)}; give the folder of a training run") from error
    if not rows:
        raise InputError(f"{path}: no epoch is finished yet; continue the training")
    if not all(isinstance(row, dict) and row.keys() >= METRICS | {"seconds"} for row in rows):
        raise InputError(f"{path}: not the metrics of `minids train`; give the folder of a training run")
    return rows


def _dev_manifest(run: Path, last: SavedModel) -> Path:
    path = Path(last.notes.get("manifests", {}).get("dev", ""))
    if not path.is_file():
        raise InputError(f"{run}: its dev set {path} does not exist; give --manifest FILE")
    return path


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min"


def _character_confusions(results: Sequence[UtteranceResult]) -> Counter[tuple[str, str]]:
    """How often each reference character was recognized as each character; "" stands for none."""
    counts: Counter[tuple[str, str]] = Counter()
    for result in results:
        edits = align(characters(result.reference), characters(result.hypothesis))
        counts.update((edit.reference, edit.hypothesis) for edit in edits)
    return counts


def _median(evaluation: Evaluation) -> list[UtteranceResult]:
    """The UTTERANCES results around the median of the word error rate."""
    counts = evaluation.wer.counts  # (n, 4)
    order = np.argsort(counts[:, :3].sum(axis=1) / np.maximum(1, counts[:, 3]), kind="stable")
    start = max(0, (len(order) - UTTERANCES) // 2)
    return [evaluation.results[i] for i in order[start : start + UTTERANCES]]


def _utterance(
    recognizer: Recognizer, utterance: Utterance, result: UtteranceResult, salt: str
) -> dict[str, Any]:
    """An utterance for the template: its edits, its sound, and a figure from the sound to the text."""
    samples, rate = utterance.load_audio(recognizer.features.rate)
    samples = samples[: int(MAX_SEGMENT_SECONDS * rate)]
    frames, log_probs = recognizer.features(samples), recognizer.log_probs(samples)
    spacing = recognizer.frame_seconds
    figure = recognition(samples, rate, frames, log_probs, recognizer.alphabet, spacing, result.reference)
    label = f"Waveform, features, and the probability of every character of “{result.reference}”."
    return {
        "name": Path(utterance.name).name,
        "edits": align(result.reference, result.hypothesis),
        "flac": _flac(samples, rate),
        "figure": fragment([figure], [], label, salt),
    }


def _flac(samples: np.ndarray, rate: int) -> str:
    """The samples as FLAC in base64."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="FLAC", subtype="PCM_16")
    return b64encode(file.getvalue()).decode()

"""A training run as one HTML page: how it went, what it hears now, and where it errs.

The page is one file; it needs no network, and no program but a browser.
"""

import io
import json
import unicodedata
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from minids._utils.errors import InputError
from minids._utils.errors import reason as why
from minids._utils.files import open_file
from minids._utils.page import fragment, page
from minids.audio import load_audio
from minids.data.manifest import Utterance, read_manifest
from minids.metrics import CORRECT, DELETION, Edit, Evaluation, UtteranceResult, Score, align
from minids.plot.confusions import confusions
from minids.plot.recognition import recognition
from minids.plot.training import training
from minids.recognizer import LONGEST, Recognizer
from minids.weights import SavedModel, load_weights

SHOWN = 4  # of the worst utterances, and of the median ones
METRICS = {"epoch", "loss", "dev_loss", "wer", "cer", "learning_rate", "gradient_norm", "frames_per_second"}
STYLE = """<style>
.S, .D, .I { padding: 0 .15em; border-radius: .2em; }
.S { background: color-mix(in srgb, #e07b00 35%, transparent); }
.D { background: color-mix(in srgb, #c8452d 35%, transparent); text-decoration: line-through; }
.I { background: color-mix(in srgb, #2b7dc0 35%, transparent); }
.words { line-height: 2.6; } ruby { ruby-position: under; } rt { font-size: .8em; }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; padding-left: 1rem; }
audio { width: 100%; max-width: 28rem; }
</style>"""


def report(run: Path, manifest: Path | None = None, tick: Callable[[int], object] = bool) -> str:
    """The page of the run in the folder `run`: its best model heard on its dev set, or on `manifest`.

    `tick` is told how many more utterances are done. Raises InputError when the folder holds no finished
    epoch, and when its dev set is no longer where it was.
    """
    rows = _metrics(run / "metrics.jsonl")
    last = load_weights(run / "last.safetensors", backend="reference")
    recognizer = Recognizer.load(run / "best.safetensors")
    heard_on = manifest or _dev(run, last)
    utterances = read_manifest(heard_on)
    scored, skipped = recognizer.recognize(utterances, "speaker", tick)
    if not scored:
        raise InputError(f"{heard_on}: no recording could be heard ({skipped[0]})")
    evaluation = Evaluation(scored)
    by_path = {str(utterance.path): utterance for utterance in utterances}
    best = min(rows, key=lambda row: (row["wer"], row["cer"], row["dev_loss"]))
    parts = [
        STYLE,
        f"<h1>{escape(run.resolve().name)}</h1>",
        f"<p>After epoch {best['epoch']} of {len(rows)},"
        f" {_clock(sum(row['seconds'] for row in rows))} of training:"
        f" word error rate <strong>{_rate(evaluation.wer)}</strong>, character error rate"
        f" {_rate(evaluation.cer)}, on {len(scored)} recordings of <code>{escape(heard_on.name)}</code>,"
        f" decoded {'by beam search' if recognizer.search else 'greedily'}.</p>",
        "<h2>How it went</h2>",
        fragment([training(rows)], ["Loss, errors on the dev set, learning rate, gradient, speed."], "", "t"),
        "<h2>Who is understood</h2>",
        _groups(evaluation),
        "<h2>Which letters are taken for which</h2>",
        fragment(
            [confusions(_letters(scored))],
            ["Rows were said, columns heard. ␣ is the space, ∅ nothing: a letter left out, or one too many."],
            "",
            "c",
        ),
        "<h2>The worst</h2>",
        '<p><span class="S">said</span> and heard as what stands below it, <del class="D">not heard</del>,'
        ' <ins class="I">not said</ins>.</p>',
        *(
            _utterance(recognizer, by_path[row.name], row, f"w{i}")
            for i, row in enumerate(evaluation.worst(SHOWN))
        ),
        "<h2>In the middle</h2>",
        "<p>Half of all utterances have a higher share of wrong words than these, half a lower one.</p>",
        *(_utterance(recognizer, by_path[row.name], row, f"m{i}") for i, row in enumerate(_median(scored))),
        "<h2>Settings</h2>",
        _settings(last.notes["settings"]),
    ]
    left_out = [reason for _, reason in last.notes["progress"]["skipped"]] + skipped
    if left_out:
        parts += ["<h2>Left out</h2><ul>", *(f"<li>{escape(reason)}</li>" for reason in left_out), "</ul>"]
    return page(f"{run.resolve().name}: a training run", "".join(parts))


def _metrics(path: Path) -> list[dict[str, Any]]:
    try:
        with open_file(path) as file:
            rows = [json.loads(line) for line in file]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {why(error)}; give the folder of a training run") from error
    if not rows:
        raise InputError(f"{path}: no epoch is finished yet; train on")
    if not all(isinstance(row, dict) and row.keys() >= METRICS | {"seconds"} for row in rows):
        raise InputError(f"{path}: these are no metrics of `minids train`; give the folder of a training run")
    return rows


def _dev(run: Path, last: SavedModel) -> Path:
    path = Path(last.notes.get("manifests", {}).get("dev", ""))
    if not path.is_file():
        raise InputError(f"{run}: its dev set {path} is gone; give --manifest FILE")
    return path


def _rate(score: Score) -> str:
    low, high = score.interval()
    return f"{100 * score.rate:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def _clock(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.0f} min"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    first, *others = head
    cells = f'<th scope="col">{escape(first)}</th>'
    cells += "".join(f'<th scope="col" class="n">{escape(name)}</th>' for name in others)
    lines = []
    for first, *others in rows:
        lines.append(
            f'<tr><th scope="row">{escape(str(first))}</th>'
            + "".join(f'<td class="n">{escape(str(other))}</td>' for other in others)
            + "</tr>"
        )
    body = f"<thead><tr>{cells}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="scroll"><table>{body}</table></div>'


def _groups(evaluation: Evaluation) -> str:
    groups = sorted(evaluation.groups().items(), key=lambda item: -item[1][0].rate)
    rows = [[name, w.reference_length, _rate(w), f"{100 * c.rate:.1f} %"] for name, (w, c) in groups]
    return _table(["speaker", "words", "WER (95 % interval)", "CER"], rows)


def _settings(settings: dict[str, Any]) -> str:
    rows = [[f"{section}.{key}", value] for section, of in settings.items() for key, value in of.items()]
    return _table(["setting", "value"], rows)


def _letters(rows: Sequence[UtteranceResult]) -> Counter[tuple[str, str]]:
    """How often each character was heard as each."""
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        said, heard = (list(unicodedata.normalize("NFC", t)) for t in (row.reference, row.hypothesis))
        counts.update((edit.reference, edit.hypothesis) for edit in align(said, heard))
    return counts


def _median(rows: Sequence[UtteranceResult]) -> list[UtteranceResult]:
    """The SHOWN rows in the middle, by the share of words that are wrong."""
    rate = [
        sum(e.op != CORRECT for e in align(r.reference, r.hypothesis)) / max(1, len(r.reference.split()))
        for r in rows
    ]
    order = np.argsort(rate, kind="stable")
    first = max(0, (len(rows) - SHOWN) // 2)
    return [rows[i] for i in order[first : first + SHOWN]]


def _utterance(recognizer: Recognizer, utterance: Utterance, row: UtteranceResult, salt: str) -> str:
    """A recording to listen to, what was said and heard, and a picture of how it was heard."""
    parts = [f"<h3>{escape(utterance.path.name)}</h3>", f'<p class="words">{_edits(row)}</p>']
    samples, rate = load_audio(utterance.path, recognizer.features.rate)
    samples = samples[: int(LONGEST * rate)]
    parts.append(_player(samples, rate, utterance.path.stem))
    picture = recognition(
        samples,
        rate,
        recognizer.features(samples),
        recognizer.log_probs(samples),
        recognizer.alphabet,
        recognizer.hop,
        row.reference,
    )
    said = f"Waveform, features, and the probability of every character of “{row.reference}”."
    parts.append(fragment([picture], [], said, salt))
    return "".join(parts)


def _edits(row: UtteranceResult) -> str:
    return " ".join(map(_edit, align(row.reference, row.hypothesis)))


def _edit(edit: Edit) -> str:
    said, heard = escape(edit.reference), escape(edit.hypothesis)
    if edit.op == CORRECT:
        return said
    if edit.op == DELETION:
        return f'<del class="D" title="not heard">{said}</del>'
    if not said:
        return f'<ins class="I" title="not said">{heard}</ins>'
    return f'<ruby class="S" title="heard as {heard}">{said}<rt>{heard}</rt></ruby>'


def _player(samples: np.ndarray, rate: int, name: str) -> str:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="FLAC", subtype="PCM_16")
    sound = b64encode(file.getvalue()).decode()
    source = f'aria-label="{escape(name)}" src="data:audio/flac;base64,{sound}"'
    return f'<p><audio controls preload="none" {source}></audio></p>'

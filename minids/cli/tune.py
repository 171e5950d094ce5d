"""`minids tune`: choose the LM weight and the word insertion bonus, and calibrate the scores of words."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from minids._utils.errors import InputError
from minids._utils.terminal import printable
from minids.cli import announce_compilation, note, options, print_json, report_skipped

if TYPE_CHECKING:
    from minids.decode.tune import Tuning
    from minids.metrics import Score

PLOT_FORMATS = ("pdf", "png", "svg")
MIN_WORDS = 300  # for a choice that is more than chance


@click.command()
@click.argument("manifest", type=options.PATH)
@options.MODEL
@click.option("--lm", required=True, type=options.PATH, help="Language model from `minids lm train`.")
@click.option("--out", type=options.PATH, help="File for the tuned model.  [default: replaces --model]")
@click.option(
    "--beam-width", default=500, show_default=True, type=click.IntRange(1), help="Prefixes kept in a frame."
)
@options.BACKEND
@click.option("--plot", type=options.PATH, help="Plot the error rates over alpha and beta.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(
    manifest: Path,
    model: Path | None,
    lm: Path,
    out: Path | None,
    beam_width: int,
    backend: str,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Tune the LM weight (alpha) and word bonus (beta) for the lowest word error rate on MANIFEST.

    MANIFEST should be a development set, on which neither the model nor the language model was trained. The
    network runs once, then many values of alpha and beta are tried. The best are stored in the model's file,
    with the path of the language model relative to it (move both together), and `minids transcribe` and
    `minids evaluate` use them from then on. Scores of words become probabilities that the word is right, and
    `minids transcribe` tells speech that is unlike MANIFEST. Tune again after further training.

    \b
    Example:
      minids tune data/an4/dev.jsonl --model runs/an4/best.safetensors --lm an4.arpa --plot tuning.png
    """
    import numpy as np
    from tqdm import tqdm

    from minids._utils.files import atomic_write, check_writable
    from minids.confidence import fit_max_doubt, fit_weights, letter_doubts
    from minids.data.manifest import read_manifest
    from minids.decode.beam_search import BeamSearch
    from minids.decode.greedy import greedy_text
    from minids.decode.tune import tune
    from minids.decode.tuned import DecoderWeights, TunedDecoder, checksum
    from minids.lm.ngram import NGram
    from minids.metrics import wer
    from minids.plot.tuning import tuning as plot_tuning
    from minids.recognizer import Recognizer
    from minids.text import TextReport
    from minids.training.checkpoint import RunFolder
    from minids.weights import SHIPPED_MODEL, copy_with_notes, load_model

    if model is None and out is None:
        raise InputError("the included model is not overwritten; give --out FILE, or your own --model")
    model, out = model or SHIPPED_MODEL, out or model or SHIPPED_MODEL
    if plot and plot.suffix[1:] not in PLOT_FORMATS:
        raise InputError(f"{plot}: give a name ending in {', '.join(f'.{f}' for f in PLOT_FORMATS)}")
    for path in filter(None, (out, plot)):
        check_writable(path, manifest, lm)
    folder = RunFolder(out.resolve().parent)
    with folder.idle():  # known before the work, not only after it
        pass
    utterances = read_manifest(manifest)
    announce_compilation()
    saved = load_model(model, backend)
    recognizer = Recognizer(saved)
    crc, ngram = checksum(lm), NGram.load(lm)
    texts = TextReport(saved.alphabet)
    skipped: list[str] = []
    log_probs, references = [], []
    with tqdm(total=len(utterances), unit="utt", leave=False, disable=None) as bar:
        for batch in recognizer.log_prob_batches(utterances, skipped):
            for utterance, segments in batch:
                log_probs.append(np.concatenate(segments))  # as one: precise enough to choose alpha and beta
                references.append(texts.normalize(utterance.text))
            bar.update(len(batch))
    report_skipped(manifest, skipped, len(utterances))
    if texts:
        note(f"{manifest}: {texts}")
    greedy_texts = [greedy_text(y, saved.alphabet) for y in log_probs]
    if not any(greedy_texts):
        raise InputError(f"{model}: its output for {manifest} is all blanks; train it longer before tuning")
    with tqdm(unit="point", leave=False, disable=None) as bar:
        tuning = tune(log_probs, references, ngram, saved.alphabet, beam_width, bar.update)
    if tuning.alpha == 0:
        note(f"{lm} does not help on {manifest}: the best alpha is 0, which ignores it")
    if tuning.wer.reference_length < MIN_WORDS:
        note(f"{manifest} has only {tuning.wer.reference_length} words; the best values may be due to chance")
    greedy = wer(references, greedy_texts)
    if not as_json:
        _print(tuning, greedy)
    weights, tuned = {}, BeamSearch(saved.alphabet, ngram, tuning.alpha, tuning.beta, beam_width)
    for name, search in (("greedy", None), ("tuned", tuned)):
        recognizer = Recognizer(saved, search=search)
        decoded = ((*recognizer.words(y)[1:], y, text) for y, text in zip(log_probs, references, strict=True))
        weights[name] = fit_weights(decoded)
        if weights[name] is None:
            note(f"{manifest} has too few right or wrong words to calibrate the scores of {name} decoding")
    confidence = {"weights": weights, "max_doubt": fit_max_doubt(map(letter_doubts, log_probs))}
    decoder = TunedDecoder.relative_to(lm, crc, DecoderWeights(tuning.alpha, tuning.beta, beam_width), out)
    with folder.idle():  # a training replaces the model when it improves
        notes = {"decoder": decoder._asdict(), "decoder_is_stale": False, "confidence": confidence}
        copy_with_notes(model, out, saved, **notes)
    if plot:
        with atomic_write(plot) as file:
            plot_tuning(tuning).savefig(file, format=plot.suffix[1:], dpi=150)
    if as_json:
        data = {"utterances": len(references), "skipped": skipped, "texts": texts.to_dict()}
        content = {"model": str(out), "beam_width": beam_width, "greedy": greedy.to_dict()}
        print_json(content | tuning.to_dict() | {"confidence": confidence} | data)
    else:
        values = f"alpha {tuning.alpha:g}, beta {tuning.beta:g}, beam {beam_width}"
        click.echo(printable(f"saved in {out}: {lm}, {values}"))


def _print(tuning: "Tuning", greedy: "Score") -> None:
    from minids.decode.tune import ALPHAS, BETAS
    from minids.decode.tuned import DecoderWeights

    click.echo("WER %, alpha in rows, beta in columns")
    click.echo("      " + "".join(f"{beta:7g}" for beta in BETAS))
    for alpha in ALPHAS:
        rates = (tuning.table[alpha, beta][0].rate for beta in BETAS)
        click.echo(f"{alpha:6g}" + "".join(f"{100 * rate:7.1f}" for rate in rates))
    untuned, _ = tuning.table[DecoderWeights().alpha, DecoderWeights().beta]
    click.echo(f"\ngreedy   WER {greedy}")
    click.echo(f"untuned  WER {untuned}")
    click.echo(f"tuned    WER {tuning.wer}")
    if tuning.expected:
        click.echo(f"expected WER {tuning.expected}, by cross-validation")

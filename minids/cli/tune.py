"""`minids tune`: how much the language model and a word should weigh."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from minids._utils.errors import InputError
from minids.cli import announce_compilation, note, options, report_skipped

if TYPE_CHECKING:
    from minids.decode.tune import Tuning
    from minids.metrics import Score

PICTURES = ("pdf", "png", "svg")
FEW = 300  # words


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@options.MODEL
@click.option(
    "--lm",
    required=True,
    type=click.Path(path_type=Path),
    help="The language model, as `minids lm train` wrote it.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write the tuned model there.  [default: over --model]"
)
@click.option("--beam-width", default=500, show_default=True, help="How many prefixes to follow.")
@options.BACKEND
@click.option("--picture", type=click.Path(path_type=Path), help="Draw the error rates over alpha and beta.")
@click.option("--json", "as_json", is_flag=True, help="Everything, for machines.")
def command(
    manifest: Path,
    model: Path | None,
    lm: Path,
    out: Path | None,
    beam_width: int,
    backend: str,
    picture: Path | None,
    as_json: bool,
) -> None:
    """Find the alpha and beta with which a beam search gets the fewest words of MANIFEST wrong.

    MANIFEST should be a development set: recordings from which neither the model nor the language model has
    learned. The network hears them once, then many alpha and beta are tried. What is found is kept in the
    model's file, with the path of the language model (seen from there: move both together), and from then on
    used to transcribe and evaluate. To go on training gives other weights, which want to be tuned anew.

    \b
    Example:
      minids tune data/an4/dev.jsonl --model runs/an4/best.safetensors --lm an4.arpa --picture tuning.png
    """
    import numpy as np
    from tqdm import tqdm

    from minids._utils.files import atomic_write, check_writable
    from minids.data.manifest import read_manifest
    from minids.decode.greedy import greedy_text
    from minids.decode.tune import tune
    from minids.decode.tuned import DecoderWeights, checksum, keep
    from minids.lm.ngram import NGram
    from minids.metrics import wer
    from minids.plot.tuning import tuning as draw
    from minids.recognizer import Recognizer
    from minids.text import normalize
    from minids.weights import SHIPPED_MODEL, load_weights

    if model is None and out is None:
        raise InputError("the model that ships is left as it is; give --out FILE, or your own --model")
    model = model or SHIPPED_MODEL
    if picture and picture.suffix[1:] not in PICTURES:
        raise InputError(f"{picture}: a picture is one of {', '.join(f'.{kind}' for kind in PICTURES)}")
    for path in (out or model, picture):
        if path:
            check_writable(path)
    utterances = read_manifest(manifest)
    announce_compilation()
    saved = load_weights(model, backend)
    recognizer = Recognizer(saved)
    crc, ngram = checksum(lm), NGram.load(lm)
    skipped: list[str] = []
    log_probs, references = [], []
    with tqdm(total=len(utterances), unit="utt", leave=False, disable=None) as bar:
        for some in recognizer.hear(utterances, skipped):
            for utterance, pieces in some:
                log_probs.append(np.concatenate(pieces))  # a long one as a whole: near enough to weigh words
                references.append(normalize(utterance.text, saved.alphabet))
            bar.update(len(some))
    report_skipped(manifest, skipped, len(utterances))
    heard = [greedy_text(y, saved.alphabet) for y in log_probs]
    if not any(heard):
        raise InputError(f"{model} hears nothing in {manifest} yet; train it longer, then tune")
    with tqdm(unit="point", leave=False, disable=None) as bar:
        tuning = tune(log_probs, references, ngram, saved.alphabet, beam_width, bar.update)
    if tuning.alpha == 0:
        note(f"{lm} does not help with these utterances: alpha 0 takes no notice of it")
    if tuning.wer.reference_length < FEW:
        note(f"{tuning.wer.reference_length} words are few to choose by: what is best for them may be chance")
    greedy = wer(references, heard)
    if not as_json:
        _report(tuning, greedy)
    keep(saved, model, out or model, lm, crc, DecoderWeights(tuning.alpha, tuning.beta, beam_width))
    if picture:
        with atomic_write(picture) as file:
            draw(tuning).savefig(file, format=picture.suffix[1:], dpi=150)
    if as_json:
        told = {"model": str(out or model), "beam_width": beam_width, "greedy": greedy.to_dict()}
        told |= tuning.to_dict() | {"utterances": len(references), "skipped": skipped}
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        values = f"alpha {tuning.alpha:g}, beta {tuning.beta:g}, beam {beam_width}"
        click.echo(f"kept in {out or model}: {lm}, {values}")


def _report(tuning: "Tuning", greedy: "Score") -> None:
    from minids.decode.tune import ALPHAS, BETAS
    from minids.decode.tuned import DecoderWeights

    click.echo("WER %, alpha down, beta across")
    click.echo("      " + "".join(f"{beta:7g}" for beta in BETAS))
    for alpha in ALPHAS:
        rates = (tuning.table[alpha, beta][0].rate for beta in BETAS)
        click.echo(f"{alpha:6g}" + "".join(f"{100 * rate:7.1f}" for rate in rates))
    untuned, _ = tuning.table[DecoderWeights().alpha, DecoderWeights().beta]
    click.echo(f"\ngreedy   WER {greedy}")
    click.echo(f"untuned  WER {untuned}")
    click.echo(f"tuned    WER {tuning.wer}")
    if tuning.expected:
        click.echo(f"expected WER {tuning.expected}, chosen and scored on different utterances")

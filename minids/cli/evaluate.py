"""`minids evaluate`: word and character error rates of a model."""

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minids.cli import options

if TYPE_CHECKING:
    from minids.decode.error_analysis import ErrorAnalysis
    from minids.metrics import Evaluation

MAX_REASONS = 20  # printed for utterances that were left out


@click.command()
@click.argument("manifest", type=options.PATH)
@options.MODELS
@options.JITTER
@options.search
@options.BACKEND
@click.option("--by", metavar="FIELD", help="Also print error rates by speaker, or by another field.")
@click.option(
    "--worst", default=5, type=click.IntRange(0), help="Utterances with most errors to print.  [default: 5]"
)
@click.option("--out", type=options.PATH, help="File for the result of every utterance, as lines of JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(
    manifest: Path,
    models: tuple[Path, ...],
    by: str | None,
    worst: int,
    out: Path | None,
    as_json: bool,
    **search: Any,
) -> None:
    """Recognize the utterances of MANIFEST and compare them with their texts.

    The error rate is the number of substitutions, deletions and insertions divided by the number of words (or
    characters) in the texts, with a 95 % confidence interval. After a beam search, each wrong text is
    classified as a search error (the correct text scores higher, but the search missed it) or a model error,
    and the oracle WER is that of the best of the 100 best texts.

    \b
    Example:
      minids evaluate data/an4/test.jsonl --by speaker
      minids evaluate data/an4/test.jsonl --lm english.arpa --beam-width 1000 --out results.jsonl
    """
    from tqdm import tqdm

    from minids._utils.errors import InputError
    from minids._utils.files import atomic_write, check_writable
    from minids._utils.strict_json import to_json
    from minids.cli import announce_compilation, note, print_json, report_skipped
    from minids.data.manifest import read_manifest
    from minids.decode.error_analysis import ErrorAnalysis
    from minids.metrics import Evaluation
    from minids.recognizer import Recognizer
    from minids.text import TextReport

    if out:
        check_writable(out, manifest, *models)
    utterances = read_manifest(manifest)
    fields = {"speaker", *(name for u in utterances for name in u.extra)}
    if by is not None and by not in fields:
        raise InputError(f"{manifest}: no utterance has the field {by!r}; use {', '.join(sorted(fields))}")
    announce_compilation()
    recognizer = Recognizer.load(models or None, **search)
    texts = TextReport(recognizer.alphabet, (utterance.text for utterance in utterances))
    if texts:
        note(f"{manifest}: {texts}")
    analysis = ErrorAnalysis(recognizer.search) if recognizer.search else None
    with tqdm(total=len(utterances), unit="utt", leave=False, disable=None) as bar:
        results, skipped = recognizer.recognize(utterances, by, bar.update, analysis)
    for reason in skipped[:MAX_REASONS]:
        note(f"skipped: {reason}")
    report_skipped(manifest, skipped, len(utterances))
    evaluation = Evaluation(results)
    rows, by_name = evaluation.rows(), defaultdict(list)
    for utterance in utterances:
        by_name[utterance.name].append(utterance)
    for row in rows:
        u = by_name[row["name"]].pop(0)  # lines of one recording come in their order
        place = {name: getattr(u, name) for name in ("line", "start", "end", "channel", "speaker")}
        row |= {"path": str(u.path)} | place
    rows.sort(key=lambda row: row["line"])
    if out:
        with atomic_write(out) as file:
            file.write("".join(f"{to_json(row)}\n" for row in rows).encode())
    if as_json:
        content = evaluation.to_dict(worst)
        content |= {"skipped": skipped, "texts": texts.to_dict(), "search": analysis and analysis.to_dict()}
        print_json(content | {"results": rows})
    else:
        _print(evaluation, analysis, by, worst)


def _print(evaluation: "Evaluation", analysis: "ErrorAnalysis | None", by: str | None, worst: int) -> None:
    from minids._utils.terminal import printable
    from minids.metrics import align, format_alignment

    click.echo(f"{len(evaluation.results)} utterances")
    click.echo(f"WER {evaluation.wer}")
    click.echo(f"CER {evaluation.cer}")
    if analysis:
        click.echo("\n" + "\n".join(map(printable, str(analysis).splitlines())))
    if by is not None:
        click.echo(f"\n{printable(by):<20} {'words':>7} {'WER':>8} {'CER':>8}")
        for name, (wer, cer) in evaluation.groups().items():
            rates = f"{100 * wer.rate:6.1f} % {100 * cer.rate:6.1f} %"
            click.echo(f"{printable(name):<20} {wer.reference_length:7d} {rates}")
    if examples := evaluation.worst(worst):
        click.echo("\nmost errors")
    for result in examples:
        click.echo(f"\n{printable(result.name)}")
        click.echo(format_alignment(align(printable(result.reference), printable(result.hypothesis))))
    if worst and (confusions := evaluation.confusions()):
        click.echo("\nmost frequent errors")
        for edit, count in confusions:
            reference, hypothesis = (printable(word or "(nothing)") for word in edit[1:])
            click.echo(f"{count:5d}  {reference} -> {hypothesis}")

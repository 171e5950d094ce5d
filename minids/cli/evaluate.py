"""`minids evaluate`: how many words and letters a model gets wrong."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minids.cli import options

if TYPE_CHECKING:
    from minids.decode.error_analysis import SearchReport
    from minids.metrics import Evaluation


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@options.MODELS
@options.JITTER
@options.search
@options.BACKEND
@click.option(
    "--by", metavar="FIELD", help="Error rates per speaker, or per any other field of the manifest."
)
@click.option(
    "--worst",
    default=5,
    show_default=True,
    type=click.IntRange(0),
    help="How many of the worst to show aligned.",
)
@click.option("--json", "as_json", is_flag=True, help="Everything, for machines.")
def command(
    manifest: Path, models: tuple[Path, ...], by: str | None, worst: int, as_json: bool, **search: Any
) -> None:
    """Recognize every utterance of MANIFEST and compare with its text.

    Errors are substitutions, deletions and insertions over the words (characters) of the texts, with a 95 %
    interval. After a beam search each wrong text is a search error, when the right one scores better and was
    missed, or a model error; and the oracle tells the WER of the best among the 100 best texts.

    \b
    Example:
      minids evaluate data/an4/test.jsonl --by speaker
      minids evaluate data/an4/test.jsonl --lm english.arpa --beam-width 1000
    """
    from tqdm import tqdm

    from minids._utils.errors import InputError
    from minids.cli import announce_compilation, note, report_skipped
    from minids.data.manifest import read_manifest
    from minids.decode.error_analysis import SearchReport
    from minids.metrics import Evaluation
    from minids.recognizer import Recognizer

    utterances = read_manifest(manifest)
    fields = {"speaker", *(name for u in utterances for name in u.extra)}
    if by is not None and by not in fields:
        raise InputError(
            f"{manifest}: no utterance has the field {by!r}; known are {', '.join(sorted(fields))}"
        )
    announce_compilation()
    recognizer = Recognizer.load(models or None, **search)
    report = SearchReport(recognizer.search) if recognizer.search else None
    with tqdm(total=len(utterances), unit="utt", leave=False, disable=None) as bar:
        rows, skipped = recognizer.recognize(utterances, by, bar.update, report)
    for reason in skipped[:20]:
        note(f"skipped: {reason}")
    report_skipped(manifest, skipped, len(utterances))
    evaluation = Evaluation(rows)
    if as_json:
        told = evaluation.to_dict(worst) | {"skipped": skipped, "search": report and report.to_dict()}
        click.echo(json.dumps(told, ensure_ascii=False))
    else:
        _report(evaluation, report, by, worst)


def _report(evaluation: "Evaluation", report: "SearchReport | None", by: str | None, worst: int) -> None:
    from minids.metrics import align, format_alignment

    click.echo(f"{len(evaluation.results)} utterances")
    click.echo(f"WER {evaluation.wer}")
    click.echo(f"CER {evaluation.cer}")
    if report:
        click.echo(f"\n{report}")
    if by is not None:
        click.echo(f"\n{by:<20} {'words':>7} {'WER':>8} {'CER':>8}")
        for name, (words, characters) in evaluation.groups().items():
            click.echo(f"{name:<20} {words.reference_length:7d} {words.rate:8.1%} {characters.rate:8.1%}")
    for row in evaluation.worst(worst):
        click.echo(f"\n{row.name}")
        click.echo(format_alignment(align(row.reference, row.hypothesis)))
    if worst and (confusions := evaluation.confusions()):
        click.echo("\nmost frequent errors")
        for edit, count in confusions:
            click.echo(f"{count:5d}  {edit.reference or '(nothing)'} -> {edit.hypothesis or '(nothing)'}")

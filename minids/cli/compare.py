"""`minids compare`: the difference of two models, or of two files of results."""

import json
from collections import defaultdict
from itertools import count
from pathlib import Path
from typing import Any

import click

from minids._utils.errors import LOAD_ERRORS, InputError, reason
from minids._utils.files import open_file
from minids._utils.terminal import printable
from minids.cli import announce_compilation, note, options, print_json, report_skipped
from minids.metrics import Evaluation, UtteranceResult, align, format_alignment, paired_difference

EXAMPLES = 5  # utterances to print, those whose errors differ most


@click.command()
@click.argument("a", type=options.PATH)
@click.argument("b", type=options.PATH)
@click.argument("manifest", type=options.PATH, required=False)
@options.search
@options.BACKEND
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(a: Path, b: Path, manifest: Path | None, as_json: bool, **search: Any) -> None:
    """Compare A and B, each a model (.safetensors, or `shipped`) or a file from `minids evaluate --out`.

    Models recognize the utterances of MANIFEST, with the same decoder options. The 95 % interval of the
    difference of the error rates is that of a paired bootstrap: chance hardly explains one without 0.

    \b
    Example:
      minids compare shipped runs/mine/best.safetensors test.jsonl
      minids compare greedy.jsonl beam.jsonl
    """
    if manifest and not (_is_model(a) or _is_model(b)):
        raise click.UsageError("two files of results need no manifest; give models, or leave it out")
    sides = [_results(path, manifest, search) for path in (a, b)]
    names = [name for name in sides[0] if name in sides[1]]
    if alone := sum(len(side) - len(names) for side in sides):
        note(f"{alone} utterances with a result in only one of {a} and {b} are left out")
    if not names:
        raise InputError(f"{a} and {b} have no utterance in common; evaluate both on the same manifest")
    for name in names:
        if len({side[name].reference for side in sides}) > 1:
            problem = f"{name[0]}: {a} and {b} have different texts"
            raise InputError(f"{problem}; give models of one alphabet, or results of the same manifest")
    first, second = (Evaluation(side[name] for name in names) for side in sides)
    differences = {n: paired_difference(getattr(first, n), getattr(second, n)) for n in ("wer", "cer")}
    change = (second.wer.counts - first.wer.counts)[:, :3].sum(axis=1)
    better = {"a": int((change > 0).sum()), "b": int((change < 0).sum())}
    order = (-abs(change)).argsort(kind="stable")[:EXAMPLES]
    examples = [(first.results[i], second.results[i]) for i in order if change[i]]
    if as_json:
        content: dict[str, Any] = {"a": first.wer.to_dict(), "b": second.wer.to_dict(), "better": better}
        pairs = [[result._asdict() for result in pair] for pair in examples]
        print_json(content | {"differences": differences, "examples": pairs})
        return
    for side, path, evaluation in (("A", a, first), ("B", b, second)):
        click.echo(f"{side}  WER {evaluation.wer}; {printable(path)}")
    for rate, (difference, low, high) in differences.items():
        interval = f"95 % interval {100 * low:+.1f} to {100 * high:+.1f}"
        click.echo(f"{rate.upper()} of B minus A: {100 * difference:+.1f} points ({interval})")
    click.echo(f"of {len(names)} utterances A is better in {better['a']}, B in {better['b']}")
    for pair in examples:
        click.echo(f"\n{printable(pair[0].name)}")
        for side, result in zip("AB", pair, strict=True):
            edits = align(printable(result.reference), printable(result.hypothesis))
            click.echo(f"{side}\n{format_alignment(edits)}")


def _is_model(path: Path) -> bool:
    return path.suffix == ".safetensors" or str(path) == "shipped"


def _numbered(results: list[UtteranceResult]) -> dict[tuple[str, int], UtteranceResult]:
    number: defaultdict[str, count[int]] = defaultdict(count)
    return {(result.name, next(number[result.name])): result for result in results}


def _results(
    path: Path, manifest: Path | None, search: dict[str, Any]
) -> dict[tuple[str, int], UtteranceResult]:
    """The results of a model or of a file, by name and the number of earlier lines of that name."""
    from minids.data.manifest import read_manifest
    from minids.recognizer import Recognizer

    if _is_model(path):
        if manifest is None:
            raise click.UsageError(f"{path} is a model; give a manifest to recognize as well")
        announce_compilation()
        recognizer = Recognizer.load(None if str(path) == "shipped" else path, **search)
        utterances = read_manifest(manifest)
        results, skipped = recognizer.recognize(utterances)
        report_skipped(manifest, skipped, len(utterances))
        return _numbered(results)
    try:
        with open_file(path) as file:
            rows = [json.loads(line) for line in file]
        results = [UtteranceResult(*(row[k] for k in ("name", "reference", "hypothesis"))) for row in rows]
        Evaluation(results)  # raises ValueError for texts that are not strings
        return _numbered(results)
    except OSError as error:
        raise InputError(f"{path}: {reason(error)}; give a model or a file of results") from error
    except LOAD_ERRORS:
        raise InputError(f"{path}: neither a model nor results of `minids evaluate --out`") from None

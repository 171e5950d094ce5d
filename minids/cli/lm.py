"""`minids lm`: make, weigh and shrink a language model."""

import json
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import click

from minids._utils.errors import InputError
from minids.cli import announce_compilation, note

if TYPE_CHECKING:
    from minids.lm.ngram import NGram
    from minids.lm.text_filter import NormalizedText

_TEXTS = click.argument("texts", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="TEXT...")
_OUT = click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="The file to write: .arpa or .arpa.gz for all programs; .ngram loads quicker.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="The result as one JSON object, for machines.")
_SPELLING = (
    click.option(
        "--model",
        type=click.Path(path_type=Path),
        help="Spell TEXT in the characters of this recognizer, as --alphabet says.",
    ),
    click.option(
        "--alphabet",
        help="Spell TEXT in these characters: capitals become small where only those are among them, other"
        " punctuation separates words, and a line with anything else, such as a digit, is left out.",
    ),
    click.option("--characters", is_flag=True, help="Characters instead of words; the space becomes |."),
)


@click.group()
def command() -> None:
    """A language model: which words follow which, learned from plain text.

    TEXT is UTF-8, plain or .gz, a sentence a line, words between white space; of a manifest (.jsonl) the
    texts are taken. Words stay as they are written; --model or --alphabet spells them as a recognizer does.

    \b
    Example:
      minids lm train books.txt --model m.safetensors --out books.arpa
      minids lm perplexity books.arpa other.txt
    """


def _spelling(command: Callable) -> Callable:
    for option in reversed(_SPELLING):
        command = option(command)
    return command


@command.command()
@_TEXTS
@_OUT
@click.option("--order", default=5, show_default=True, help="How many words the longest n-grams have.")
@click.option(
    "--prune",
    default="0",
    metavar="N,N...",
    help="Leave out n-grams that occur so rarely: one number an order, the last for all higher ones.",
)
@click.option(
    "--vocabulary",
    metavar="N|FILE",
    help="Know the N most frequent words, or those in FILE; others are <unk>.  [default: all]",
)
@_spelling
@_JSON
def train(
    texts: tuple[Path, ...],
    out: Path,
    order: int,
    prune: str,
    vocabulary: str | None,
    model: Path | None,
    alphabet: str | None,
    characters: bool,
    as_json: bool,
) -> None:
    """Learn a model from TEXT, with interpolated modified Kneser-Ney smoothing.

    \b
    Example:
      minids lm train books.txt.gz more.txt --out books.arpa --prune 0,0,1
      minids lm train data/an4/train.jsonl --order 3 --out an4.arpa
    """
    from minids.lm.ngram import NGram
    from minids.lm.text_filter import Characters

    try:
        thresholds = [int(number) for number in prune.replace(",", " ").split()]
    except ValueError:
        raise click.UsageError(f"--prune takes numbers such as 0,0,1, not {prune!r}.") from None
    known = _known(vocabulary)
    _check_output(out, *texts, model, known)
    announce_compilation()
    source = _spelt(texts, model, alphabet)
    with _progress() as update:
        learned = NGram.train(Characters(source) if characters else source, order, thresholds, known, update)
    left_out = _tell_of(source)
    if source is texts:
        _warn_of_spelling(learned.words)
    learned.save(out)
    _report(out, learned, as_json, left_out)


@command.command()
@click.argument("lm", type=click.Path(path_type=Path))
@_TEXTS
@_spelling
@_JSON
def perplexity(
    lm: Path,
    texts: tuple[Path, ...],
    model: Path | None,
    alphabet: str | None,
    characters: bool,
    as_json: bool,
) -> None:
    """How well the model LM foretells TEXT: among how many words, as it were, it has to choose.

    Words that LM does not know (OOV) count as <unk>, which is unlikely; the second figure is without them.

    \b
    Example:
      minids lm perplexity books.arpa heldout.txt
    """
    from minids.lm.ngram import NGram
    from minids.lm.text_filter import Characters

    announce_compilation()
    source = _spelt(texts, model, alphabet)
    with _progress() as update:
        found = NGram.load(lm).perplexity(Characters(source) if characters else source, update)
    left_out = _tell_of(source)
    if as_json:
        click.echo(json.dumps(found._asdict() | left_out))
        return
    click.echo(f"perplexity {found.perplexity:.2f}; without OOV words {found.without_oov:.2f}")
    oov = f"{found.oov:,} not known to the model (OOV rate {found.oov / found.words:.2%})"
    click.echo(f"{found.words:,} words in {found.sentences:,} sentences, {oov}")


@command.command()
@click.argument("lm", type=click.Path(path_type=Path))
@_OUT
@click.option(
    "--threshold",
    type=float,
    default=1e-8,
    show_default=True,
    help="Leave out what changes the perplexity by less, relatively.",
)
@_JSON
def prune(lm: Path, out: Path, threshold: float, as_json: bool) -> None:
    """Make the model LM smaller: leave out n-grams that say hardly more than shorter ones (Stolcke 1998).

    \b
    Example:
      minids lm prune books.arpa --threshold 1e-7 --out small.arpa
    """
    from minids.lm.ngram import NGram
    from minids.lm.prune import prune

    _check_output(out, lm)
    announce_compilation()
    small = prune(NGram.load(lm), threshold)
    small.save(out)
    _report(out, small, as_json)


def _known(vocabulary: str | None) -> int | Path | None:
    """How many words, or the file that names them."""
    try:
        return int(vocabulary) if vocabulary else None
    except ValueError:
        return Path(vocabulary or "")


def _check_output(out: Path, *inputs: object) -> None:
    """Before the work: whether a model can be written there, and not over what it is made of."""
    from minids.lm.ngram import check_output

    check_output(out)
    for path in inputs:
        if isinstance(path, Path) and path.exists() and out.exists() and out.samefile(path):
            raise InputError(f"cannot write {out}: it is what is read; give --out another name")


def _spelt(
    texts: tuple[Path, ...], model: Path | None, symbols: str | None
) -> "tuple[Path, ...] | NormalizedText":
    """The texts as they are, or as an alphabet spells them."""
    from minids.lm.text_filter import NormalizedText
    from minids.text import Alphabet

    if model and symbols is not None:
        raise click.UsageError("--model says the alphabet; give one of the two.")
    if model:
        from minids.weights import load_weights

        return NormalizedText(texts, load_weights(model, backend="reference").alphabet)
    if symbols is None:
        return texts
    try:
        return NormalizedText(texts, Alphabet(symbols))
    except ValueError as error:
        raise InputError(f"--alphabet: {error}; name each character once") from error


def _tell_of(source: "tuple[Path, ...] | NormalizedText") -> dict[str, int]:
    """The lines that an alphabet could not spell: noted, and as numbers for --json."""
    if isinstance(source, tuple):
        return {}
    if source.skipped:
        share = f"{source.skipped:,} of {source.lines:,} lines"
        note(f"{share} left out, for characters that the alphabet lacks: {source.reasons()}")
    return {"lines": source.lines, "lines_left_out": source.skipped}


def _warn_of_spelling(words: Sequence[str]) -> None:
    """Of words that few recognizers can write."""
    ordinary = [word for word in words if not word.startswith("<")]
    upper = next((word for word in ordinary if word != word.lower()), None)
    glued = next((word for word in ordinary if _is_mark(word[0]) or _is_mark(word[-1])), None)
    examples = " and ".join(repr(word) for word in (upper, glued) if word)
    if examples:
        note(
            f"words such as {examples} are kept as written; --model or --alphabet spells as a recognizer does"
        )


def _is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "P" and character != "'"


@contextmanager
def _progress() -> Iterator[Callable[[int], object]]:
    from tqdm import tqdm

    with tqdm(unit="B", unit_scale=True, leave=False, disable=None, desc="reading") as bar:
        yield bar.update


def _report(path: Path, model: "NGram", as_json: bool, more: dict[str, int] | None = None) -> None:
    if as_json:
        counts = [int(b - a) for a, b in pairwise(model.starts[1:])]
        click.echo(json.dumps({"path": str(path), "order": model.order, "ngrams": counts} | (more or {})))
    else:
        click.echo(f"{path}: {model.sizes}")

"""`minids lm`: train, test and prune n-gram language models."""

import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from minids._utils.errors import InputError
from minids._utils.terminal import printable
from minids.cli import announce_compilation, note, options, print_json

if TYPE_CHECKING:
    from minids.lm.ngram import NGram
    from minids.lm.text_filter import NormalizedText

STDIN = ("-", "/dev/stdin")
_TEXTS = click.argument("texts", nargs=-1, required=True, type=options.PATH, metavar="TEXT...")
_OUT = click.option(
    "--out",
    required=True,
    type=options.PATH,
    help="The file to write: .arpa or .arpa.gz for any program, or .ngram, which loads faster.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object.")
_TEXT_OPTIONS = (
    click.option(
        "--model",
        type=options.PATH,
        help="Normalize TEXT to the alphabet of this acoustic model, as --alphabet does.",
    ),
    click.option(
        "--alphabet",
        help="Normalize TEXT to these characters: letters become lower case where only that is among them,"
        " other punctuation separates words, a line with any other character, such as a digit, is skipped.",
    ),
    click.option(
        "--characters", is_flag=True, help="Model characters instead of words; the space is written |."
    ),
)


@click.group()
def command() -> None:
    """Train, test and prune n-gram language models.

    TEXT is a UTF-8 file, plain or compressed (gzip, bzip2, xz), with a sentence on each line and white space
    between words; a manifest (.jsonl), whose texts are used; or - for standard input. Words are kept as they
    are written; --model or --alphabet normalizes them to what a recognizer writes.

    \b
    Example:
      minids lm train books.txt --model m.safetensors --out books.arpa
      minids lm perplexity books.arpa other.txt
    """


def _text_options(command: Callable) -> Callable:
    for option in reversed(_TEXT_OPTIONS):
        command = option(command)
    return command


@command.command()
@_TEXTS
@_OUT
@click.option("--order", default=5, show_default=True, help="The number of words of the longest n-grams.")
@click.option(
    "--prune",
    default="0",
    metavar="N,N...",
    help="Omit n-grams that occur N times or fewer: a number for each order, the last for all higher ones.",
)
@click.option(
    "--vocabulary",
    metavar="N|FILE",
    help="Keep the N most frequent words, or those in FILE; others are <unk>.  [default: all]",
)
@_text_options
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
    """Train a model on TEXT.

    It is smoothed by the interpolated modified method of Kneser and Ney.

    \b
    Example:
      minids lm train books.txt.gz more.txt --out books.arpa --prune 0,0,1
      minids lm train data/an4/train.jsonl --order 3 --out an4.arpa
    """
    from minids.lm.ngram import NGram
    from minids.lm.text_filter import Characters, NormalizedText

    try:
        thresholds = [int(number) for number in prune.replace(",", " ").split()]
    except ValueError:
        raise click.UsageError(f"--prune takes numbers such as 0,0,1, not {prune!r}.") from None
    known_words: int | Path | NormalizedText | None = _vocabulary(vocabulary)
    _check_output(out, *texts, model, known_words)
    announce_compilation()
    source = _normalized(texts, model, alphabet)
    if isinstance(source, NormalizedText) and not characters:
        if " " not in source.alphabet:
            note("the alphabet has no space, so a recognizer writes no words with it; use --characters")
        if isinstance(known_words, Path):
            known_words = NormalizedText([known_words], source.alphabet)
    with _progress() as update:
        text = Characters(source) if characters else source
        lm = NGram.train(text, order, thresholds, known_words, update)
    skipped = _report_skipped(source)
    if not isinstance(source, NormalizedText):
        _warn_of_spelling(lm.words, "characters" if characters else "words")
    lm.save(out)
    _report(out, lm, as_json, skipped)


@command.command()
@click.argument("lm", type=options.PATH)
@_TEXTS
@_text_options
@_JSON
def perplexity(
    lm: Path,
    texts: tuple[Path, ...],
    model: Path | None,
    alphabet: str | None,
    characters: bool,
    as_json: bool,
) -> None:
    """Measure the perplexity of the model LM on TEXT.

    The perplexity is exp(-log P / n) for n words and sentence ends. Words that LM does not know (OOV) count
    as <unk>; the second figure leaves them out.

    \b
    Example:
      minids lm perplexity books.arpa heldout.txt
    """
    from minids.lm.ngram import NGram
    from minids.lm.text_filter import Characters

    announce_compilation()
    source = _normalized(texts, model, alphabet)
    with _progress() as update:
        result = NGram.load(lm).perplexity(Characters(source) if characters else source, update)
    skipped = _report_skipped(source)
    if as_json:
        print_json(result._asdict() | skipped)
        return
    unit = "characters" if characters else "words"
    click.echo(f"perplexity {result.perplexity:.2f}; without OOV {unit} {result.without_oov:.2f}")
    oov = f"{result.oov:,} not known to the model (OOV rate {result.oov / result.words:.2%})"
    click.echo(f"{result.words:,} {unit} in {result.sentences:,} sentences, {oov}")


@command.command()
@click.argument("lm", type=options.PATH)
@_OUT
@click.option(
    "--threshold",
    type=options.FiniteFloat(min=0, min_open=True),
    default=1e-8,
    show_default=True,
    help="Remove n-grams whose removal changes the perplexity by less, relatively.",
)
@_JSON
def prune(lm: Path, out: Path, threshold: float, as_json: bool) -> None:
    """Remove the n-grams that change LM least (Stolcke 1998).

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


def _vocabulary(vocabulary: str | None) -> int | Path | None:
    """The number of words to keep, or the file that lists them."""
    if vocabulary == "":
        raise click.UsageError("--vocabulary is empty; give a number or a file.")
    try:
        return None if vocabulary is None else int(vocabulary)
    except ValueError:
        return Path(vocabulary or "")


def _check_output(out: Path, *inputs: object) -> None:
    """Before the work: refuse a path that cannot be written or would replace an input."""
    from minids.lm.ngram import check_output

    check_output(out)
    for path in inputs:
        if isinstance(path, Path) and path.exists() and out.exists() and out.samefile(path):
            raise InputError(f"cannot write {out}: it is also an input; give --out another name")


def _normalized(
    texts: tuple[Path, ...], model: Path | None, symbols: str | None
) -> "list[Path | BinaryIO] | NormalizedText":
    """The texts as they are, or normalized to an alphabet."""
    from minids.lm.text_filter import NormalizedText
    from minids.text import Alphabet

    files = [_open_stream(path) or path for path in texts]
    if sum(str(path) in STDIN for path in texts) > 1:
        raise click.UsageError("standard input can be read only once; give - once.")
    if model and symbols is not None:
        raise click.UsageError("--model sets the alphabet; give one of the two.")
    if model:
        from minids.weights import load_model

        return NormalizedText(files, load_model(model, backend="reference").alphabet)
    if symbols is None:
        return files
    try:
        return NormalizedText(files, Alphabet(symbols))
    except ValueError as error:
        raise InputError(f"--alphabet: {error}; name each character once") from error


def _open_stream(path: Path) -> BinaryIO | None:
    """Standard input, or a pipe that the shell has opened, as in `<(zcat a.gz)`; None for any other path."""
    if str(path) in STDIN:
        return sys.stdin.buffer
    if str(path).startswith("/dev/fd/") and path.is_fifo():
        return path.open("rb")
    return None


def _report_skipped(source: "list[Path | BinaryIO] | NormalizedText") -> dict[str, int]:
    """Note the lines that an alphabet cannot write, and return their number for --json."""
    if isinstance(source, list):
        return {}
    if source.skipped:
        count = f"{source.skipped:,} of {source.lines:,} lines"
        note(f"{count} skipped, for markup or characters that the alphabet lacks: {source.reasons()}")
    return {"lines": source.lines, "lines_skipped": source.skipped}


def _warn_of_spelling(words: Sequence[str], unit: str) -> None:
    """Note words, or characters, that few recognizers can write."""
    from minids.text import MARKUP

    learned = words[3:]  # without <unk>, <s> and </s>
    upper = next((word for word in learned if word != word.lower()), None)
    marked = next((word for word in learned if _is_punctuation(word[0]) or _is_punctuation(word[-1])), None)
    markup = next((word for word in learned if MARKUP.search(word) and word != marked), None)
    examples = " and ".join(repr(word) for word in dict.fromkeys((upper, marked, markup)) if word)
    if examples:
        note(f"{unit} such as {examples} are kept as written; --model or --alphabet normalizes them")


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character)[0] == "P" and character != "'"


@contextmanager
def _progress() -> Iterator[Callable[[int], object]]:
    from tqdm import tqdm

    with tqdm(unit="B", unit_scale=True, leave=False, disable=None, desc="reading") as bar:
        yield bar.update


def _report(path: Path, lm: "NGram", as_json: bool, skipped: dict[str, int] | None = None) -> None:
    if as_json:
        counts = [int(b - a) for a, b in pairwise(lm.starts[1:])]
        print_json({"path": str(path), "order": lm.order, "ngrams": counts} | (skipped or {}))
    else:
        click.echo(f"{printable(path)}: {lm.size_summary}")

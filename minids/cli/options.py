"""Options shared by several commands: models, backend, beam search."""

import math
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minids._utils.errors import InputError

if TYPE_CHECKING:
    from minids.ops import Backend


class _FilePath(click.Path):
    """A path.

    An empty one, as from an unset variable of a shell, would be the current folder. In `--out --json` the
    name is missing; click takes --json for it.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("the path is empty", param, ctx)
        if isinstance(param, click.Option) and str(value).startswith("--"):
            self.fail(f"a path is missing before {value} (a file of that name is ./{value})", param, ctx)
        return super().convert(value, param, ctx)


class FiniteFloat(click.FloatRange):
    """A number within limits: unlike click's float types it refuses NaN, which passes any comparison."""

    name = "float"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number

    def _describe_range(self) -> str:
        """The limits in the help text; for a number without limits click would write x<=None."""
        return "" if self.min is None and self.max is None else super()._describe_range()


PATH = _FilePath(path_type=Path)
MODEL = click.option("--model", type=PATH, help="A trained model.  [default: the included AN4 model]")
MODELS = click.option(
    "--model",
    "models",
    type=PATH,
    multiple=True,
    help="A trained model; several form an ensemble.  [default: the included AN4 model]",
)
JITTER = click.option(
    "--jitter",
    is_flag=True,
    help="Average over each recording and two copies shifted by 5 ms, one earlier and one later.",
)
BACKEND = click.option(
    "--backend",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Where the network runs; cuda is an NVIDIA GPU.",
)
GEMM = click.option(
    "--gemm",
    type=click.Choice(["fp32", "tf32", "3xtf32"]),
    default="fp32",
    show_default=True,
    help="GEMM on the GPU: our float32 kernel, TF32 on tensor cores, or three of these.",
)
_SEARCH = (
    click.option(
        "--lm",
        metavar="FILE|none",
        help="Language model for the beam search.  [default: the one the model was tuned with]",
    ),
    click.option("--alpha", type=FiniteFloat(), help="Language model weight.  [default: as tuned, or 0.5]"),
    click.option("--beta", type=FiniteFloat(), help="Word insertion bonus.  [default: as tuned, or 1]"),
    click.option("--beam-width", type=int, help="Prefixes kept at each frame.  [default: as tuned, or 500]"),
    click.option(
        "--no-pruning",
        "pruning",
        flag_value=False,
        default=True,
        help="Keep improbable characters and prefixes too: slower, slightly more accurate.",
    ),
    click.option("--lexicon", type=PATH, help="The only words that a text may have: a file, one on a line."),
    click.option(
        "--hot-words",
        metavar="FILE|WORDS",
        help="Words to expect: a file, one on a line, or separated by commas.",
    ),
    click.option(
        "--hot-word-weight",
        type=FiniteFloat(),
        help="What each hot word in a text adds to its log-probability; less for short words.  [default: 5]",
    ),
)


def search(command: Callable) -> Callable:
    """Add the options of a beam search, which are arguments of `Recognizer.load`."""

    @wraps(command)
    def with_hot_words(
        *args: Any, hot_words: str | None, hot_word_weight: float | None, **kwargs: Any
    ) -> Any:
        if hot_words is None and hot_word_weight is not None:
            raise click.UsageError("--hot-word-weight is for --hot-words; give these too")
        if hot_words is not None:
            from minids.decode.lexicon import HOT_WORD_WEIGHT
            from minids.lm.text_source import read_lines

            path = Path(hot_words)
            named = len(path.parts) > 1 or (path.suffix and not {" ", ","}.intersection(hot_words))
            lines = read_lines(path) if path.is_file() or named else hot_words.split(",")
            words = [line.strip() for line in lines if line.strip()]
            if not words:
                raise InputError(f"--hot-words {hot_words!r} has no words; give some, or leave it out")
            weight = HOT_WORD_WEIGHT if hot_word_weight is None else hot_word_weight
            kwargs["hot_words"] = dict.fromkeys(words, weight)
        return command(*args, **kwargs)

    decorated: Callable = with_hot_words
    for option in reversed(_SEARCH):
        decorated = option(decorated)
    return decorated


def load_backend(backend: str, gemm: str) -> "Backend":
    """The backend with the GEMM of --gemm. Raises InputError when this machine or the backend lacks it."""
    from minids import ops

    if backend == "cuda":
        return ops.load(backend, gemm=gemm)
    if gemm != "fp32":
        raise InputError(f"--gemm {gemm} is for the GPU; give --backend cuda as well")
    return ops.load(backend)

"""The options of the commands that recognize: which model, and how its answers become text."""

from collections.abc import Callable
from pathlib import Path

import click

from minids._utils.errors import InputError

MODEL = click.option(
    "--model", type=click.Path(path_type=Path), help="A trained model.  [default: the one that ships]"
)
MODELS = click.option(
    "--model",
    "models",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A trained model; several make an ensemble.  [default: the one that ships]",
)
JITTER = click.option(
    "--jitter",
    is_flag=True,
    help="Hear each recording three times, moved by 5 ms either way, and average.",
)
BACKEND = click.option(
    "--backend",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    show_default=True,
    help="Where the network computes; cuda is an NVIDIA GPU.",
)
GEMM = click.option(
    "--gemm",
    type=click.Choice(["fp32", "tf32", "cublas"]),
    default="fp32",
    show_default=True,
    help="Who multiplies on the GPU: our kernel, our kernel on the tensor cores, or NVIDIA's library.",
)
_SEARCH = (
    click.option(
        "--lm",
        metavar="FILE|none",
        help="A language model for the beam search.  [default: what the model was tuned with]",
    ),
    click.option("--alpha", type=float, help="The language model's weight.  [default: as tuned, or 0.5]"),
    click.option("--beta", type=float, help="What a word is worth.  [default: as tuned, or 1]"),
    click.option("--beam-width", type=int, help="How many prefixes to follow.  [default: as tuned, or 500]"),
    click.option(
        "--no-pruning",
        "pruning",
        flag_value=False,
        default=True,
        help="Follow unlikely symbols and prefixes, too: slower, finds a little more.",
    ),
)


def search(command: Callable) -> Callable:
    """Adds --lm, --alpha, --beta, --beam-width and --no-pruning."""
    for option in reversed(_SEARCH):
        command = option(command)
    return command


def multiply(backend: str, gemm: str) -> None:
    """Do as --gemm says. Raises InputError when that is not for this backend, or cannot be had."""
    if backend == "cuda":
        from minids import ops

        ops.load(backend).matmul.use(gemm)
    elif gemm != "fp32":
        raise InputError(f"--gemm {gemm} is for the GPU; give --backend cuda as well")

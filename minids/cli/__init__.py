"""The `minids` command: parse, call, print.

Each subcommand is a thin module here that defines `command`. It is imported only when it is called, so that
`minids --help` is quick. The rules for all commands:

- `--help` shows an example; `--json` prints results for machines;
- results go to stdout, progress and notes to stderr; the exit code is 0 only on success;
- an error of the user is one line, `minids: error: …`, that says what to do, and exit code 1 (options: 2);
- a warning is one line, `minids: note: …`; any other exception is a bug in minids and shows its traceback.

Paths are `click.Path(path_type=Path)` without `exists=True`: the library checks them and reports errors.
"""

import importlib
import io
import os
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import NoReturn

import click

import minids
from minids._utils.errors import InputError, reason
from minids._utils.strict_json import to_json
from minids._utils.terminal import printable, protect_streams

COMMANDS = {  # in the order in which a new user needs them
    "transcribe": "Transcribe recordings.",
    "init": "Prepare your own recordings for training.",
    "train": "Train a model on your own recordings.",
    "evaluate": "Measure word and character error rates.",
    "compare": "Compare two models on the same recordings.",
    "align": "Find the times of the words of known texts.",
    "lm": "Train and test language models.",
    "tune": "Tune the decoder with a language model.",
    "data": "Import corpora, check your own data.",
    "report": "Show a training run as a web page.",
    "lessons": "Learn Deep Speech step by step.",
    "check": "Verify the mathematics on this machine.",
    "bench": "Measure the speed of this machine.",
}


class _LazyGroup(click.Group):
    """A group that lists its commands from COMMANDS and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return importlib.import_module(f"minids.cli.{cmd_name}").command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(minids.__version__, message="minids %(version)s")
def group() -> None:
    """Deep Speech from scratch: transcribe speech, train your own model, and learn how it works.

    \b
    Example:
      minids transcribe hello.wav
      minids train --help
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line (default: sys.argv) and exit."""
    warnings.showwarning = _show_warning
    protect_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # not every terminal can print all of Unicode
    try:
        code = group.main(arguments, prog_name="minids", standalone_mode=False)
        sys.stdout.flush()  # here, where a closed pipe can still be handled
    except InputError as error:
        _fail(str(error))
    except MemoryError as error:
        _fail(f"out of memory ({reason(error)}); use a smaller batch, model or recording")
    except click.UsageError as error:
        message = error.format_message()
        if message.startswith("Usage: "):  # a group without a command: the message is its help
            click.echo(message, err=True)
            sys.exit(error.exit_code)
        message = message.rstrip()
        stop = "" if message.endswith((".", "?", ".)", "?)")) else "."
        where = error.ctx.command_path if error.ctx else "minids"
        _fail(f"{message}{stop} See `{where} --help`.", error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        note("stopped; no file is left half-written")
        sys.exit(130)
    except OSError as error:  # stdout is full, or its reader (such as `head`) has exited
        sys.stdout = None  # type: ignore[assignment]  # Python must not flush it again at exit
        if isinstance(error, BrokenPipeError):
            sys.exit(1)
        _fail(f"{error.filename or 'the output'}: {reason(error)}")
    sys.exit(code)


def note(message: str) -> None:
    """Print a line to stderr, above the progress bar if there is one."""
    from tqdm import tqdm

    tqdm.write(f"minids: note: {printable(message)}", file=sys.stderr)


def print_error(message: object) -> None:
    """Print an error line, for a command that continues with its other files and fails at the end."""
    click.echo(f"minids: error: {printable(' '.join(str(message).split()))}", err=True)


def print_json(value: object) -> None:
    """Print a result for machines: one line of strict JSON."""
    click.echo(to_json(value))


def print_optional(text: object) -> None:
    """Print a result that is also in a file: a stdout that is closed, full or gone is not an error."""
    try:
        click.echo(text)
        sys.stdout.flush()
    except OSError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  # Python must not flush the old one again at exit


def report_skipped(manifest: object, skipped: Sequence[str], total: int) -> None:
    """Note how many utterances of a manifest were skipped. Raises InputError when all were."""
    if skipped:
        note(f"{len(skipped)} of {total} utterances skipped; see `minids data doctor {manifest}`")
    if len(skipped) == total:
        raise InputError(f"{manifest}: no utterance could be used; see `minids data doctor {manifest}`")


def announce_compilation() -> None:
    """Note when Numba begins to compile: the first use on a machine has to wait for it."""
    from numba.core import event

    class Listener(event.Listener):
        announced = False

        def on_start(self, event) -> None:
            if not self.announced:
                self.announced = True
                note("compiling for this machine may take a minute; later runs reuse the result")

        def on_end(self, event) -> None:
            pass

    event.register("numba:compile", Listener())


def _fail(message: str, code: int = 1) -> NoReturn:
    print_error(message)
    sys.exit(code)


_warning_counts: Counter[type[Warning]] = Counter()
MAX_WARNINGS = 3  # of each kind


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    """UserWarnings are for the user, a few of each kind; others are for developers and show their line."""
    _warning_counts[category] += 1
    if issubclass(category, UserWarning):
        if _warning_counts[category] <= MAX_WARNINGS:
            note(str(message))
        elif _warning_counts[category] == MAX_WARNINGS + 1:
            note("further notes of this kind are omitted; `minids data doctor --json` lists all of them")
    else:
        note(f"{category.__name__}: {message} ({filename}:{lineno})")

"""The `minids` command: parse, call, print.

Each subcommand is a thin file here that defines `command`; it is imported only when it is called, so that
`minids --help` is quick. What the user sees is settled in this file, once:

- results go to stdout, progress and notes to stderr; exit code 0 only on success;
- what a user can get wrong is one line, `minids: error: …`, and exit code 1 (wrong options: click's 2);
- a warning is one line, `minids: note: …`; any other exception is a bug of ours and shows its traceback.

Commands take paths as `click.Path(path_type=Path)`, without `exists=True`: the library says what is missing.
"""

import importlib
import io
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import NoReturn

import click

import minids
from minids._utils.errors import InputError, reason

COMMANDS = {  # in the order of a first day with minids
    "transcribe": "Write down what recordings say.",
    "train": "Train a model on your own recordings.",
    "evaluate": "Word and character error rates on a manifest.",
    "lm": "Make a language model of plain text.",
    "tune": "Weigh a language model for a model.",
    "data": "Import known corpora, examine your own.",
    "report": "Show a training run as a page.",
    "lessons": "Learn it all, step by step.",
    "check": "Prove the mathematics on this machine.",
    "bench": "Time this machine.",
}


class _LazyGroup(click.Group):
    """A group that knows its commands by name and summary, and imports one only to run it."""

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
    """Deep Speech by hand: from a recording to its text, and how to learn that.

    \b
    Example:
      minids transcribe hello.wav
      minids train --help
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line (default: the process's own arguments) and end the process with its exit code."""
    warnings.showwarning = _show_warning
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # no failing over a terminal's font
    try:
        code = group.main(arguments, prog_name="minids", standalone_mode=False)
        sys.stdout.flush()  # here, where a closed pipe is still quietly ours to handle
    except InputError as error:
        _fail(str(error))
    except MemoryError as error:
        _fail(f"out of memory ({reason(error)}); make the batch, the model or the recording smaller")
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(error.exit_code)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "minids"
        _fail(f"{error.format_message()} See `{where} --help`.", error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        note("stopped; every file on disk is whole, the one being written was left as it was")
        sys.exit(130)
    except OSError as error:  # stdout is full, or its reader (such as `head`) has gone, which needs no words
        sys.stdout = None  # type: ignore[assignment]  # nothing for Python to flush at its end
        if isinstance(error, BrokenPipeError):
            sys.exit(1)
        _fail(f"{error.filename or 'the output'}: {reason(error)}")
    sys.exit(code)


def note(message: str) -> None:
    """One line on stderr, above a progress bar when one is running."""
    from tqdm import tqdm

    tqdm.write(f"minids: note: {message}", file=sys.stderr)


def print_error(message: object) -> None:
    """The line of an error, for a command that goes on with its other files and fails at its end."""
    click.echo(f"minids: error: {' '.join(str(message).split())}", err=True)


def report_skipped(manifest: object, skipped: Sequence[str], total: int) -> None:
    """A note on the utterances of a manifest that were left out. Raises InputError when all of them were."""
    if skipped:
        note(f"{len(skipped)} of {total} utterances skipped; see `minids data doctor {manifest}`")
    if len(skipped) == total:
        raise InputError(f"{manifest}: no utterance could be used; see `minids data doctor {manifest}`")


def announce_compilation() -> None:
    """Say it when Numba begins to compile, which the first use on a machine has to wait for."""
    from numba.core import event

    class Listener(event.Listener):
        said = False

        def on_start(self, event) -> None:
            if not self.said:
                self.said = True
                note("compiling for this machine, up to half a minute; later runs find it done")

        def on_end(self, event) -> None:
            pass

    event.register("numba:compile", Listener())


def _fail(message: str, code: int = 1) -> NoReturn:
    print_error(message)
    sys.exit(code)


_shown: Counter[type[Warning]] = Counter()


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    """Ours are UserWarnings: words for the user, of one kind three times and no more.

    Others are for us and keep their place in the code.
    """
    _shown[category] += 1
    if issubclass(category, UserWarning):
        if _shown[category] <= 3:
            note(str(message))
        elif _shown[category] == 4:
            note("further notes of this kind are left out; `minids data doctor` lists them all")
    else:
        note(f"{category.__name__}: {message} ({filename}:{lineno})")

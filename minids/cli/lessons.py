"""`minids lessons`: list, copy and open the lessons; check exercises, show progress and hints."""

import importlib.util
import itertools
import shlex
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from minids._utils.errors import InputError, reason
from minids.cli import options, print_json
from minids.lesson import checking, mine, progress, source
from minids.lesson import folder as lesson_folder

SYMBOLS = {"right": "[✓]", "wrong": "[✗]", "open": "[ ]"}
BOOKS = {1: "Book one: from a sound to your own recognizer", 2: "Book two: making it fast"}


@click.group(invoke_without_command=True)
@click.option(
    "--folder",
    type=options.PATH,
    help="Folder of your copies.  [default: this folder, else its most recent subfolder with lessons]",
)
@click.option("--json", "as_json", is_flag=True, help="Print lessons and exercises as JSON.")
@click.pass_context
def command(ctx: click.Context, folder: Path | None, as_json: bool) -> None:
    """List the lessons and your progress: [✓] right, [✗] wrong, [ ] not written yet.

    \b
    Example:
      minids lessons
      minids lessons copy my-lessons
      minids lessons --folder my-lessons hint 1.1
    """
    if folder and not folder.is_dir() and ctx.invoked_subcommand not in (None, "copy"):
        raise InputError(f"{folder}: no such folder; `minids lessons copy {folder}` puts the lessons there")
    ctx.obj = folder or lesson_folder.working_copy()
    if ctx.invoked_subcommand is None:
        _list(ctx.obj, as_json)


@command.command()
@click.argument("folder", type=options.PATH, default="lessons")
def copy(folder: Path) -> None:
    """Copy the lessons into FOLDER, as Python files and as notebooks. Work in whichever you like.

    After an upgrade it replaces the copies that you have not changed, and never overwrites the others.

    \b
    Example:
      minids lessons copy my-lessons
    """
    copied, skipped = lesson_folder.copy_lessons(folder)
    note = f", {len(skipped)} skipped: you have changed them, or they are of an older version" * bool(skipped)
    first = folder / lesson_folder.lessons()[0].name
    click.echo(f"{folder}: {len(copied)} files copied{note}; start with {first} or {first.stem}.ipynb")
    for path in skipped:
        click.echo(f"  skipped: {path} (to get the new one, rename your file)", err=True)
    for path in lesson_folder.strangers(folder):
        click.echo(f"  {path} is of another version: no lesson has this name now", err=True)


@command.command("open")
@click.argument("number", type=int)
@click.option("--print", "only_print", is_flag=True, help="Print what would be opened; open nothing.")
@click.pass_obj
def open_(folder: Path, number: int, only_print: bool) -> None:
    """Open lesson NUMBER in JupyterLab if it is installed, else its page in the browser.

    \b
    Example:
      minids lessons open 5
    """
    shipped = next((path for path in lesson_folder.lessons() if int(path.name[:2]) == number), None)
    if shipped is None:
        raise InputError(f"{number}: no such lesson; `minids lessons` lists them")
    notebook = folder / f"{shipped.stem}.ipynb"
    pages = Path("out/lessons/site"), lesson_folder.root().parent / "out/lessons/site"
    page = next((path for path in (p / f"{shipped.stem}.html" for p in pages) if path.exists()), None)
    if importlib.util.find_spec("jupyterlab"):
        if not notebook.exists():
            raise InputError(f"{notebook}: no such file; `minids lessons copy {folder}` puts it there")
        command = [sys.executable, "-m", "jupyterlab", str(notebook)]
        if only_print:
            click.echo(shlex.join(command))
        else:
            subprocess.run(command, check=False)
    elif page:
        click.echo(page)
        if not only_print:
            webbrowser.open(page.resolve().as_uri())
    else:
        raise InputError(
            "JupyterLab is not installed: pip install 'minids[lessons]', or open"
            f" {folder / shipped.name} in an editor"
        )


@command.command()
@click.argument("number")
@click.option("--watch", is_flag=True, help="Check again whenever a file is saved, until Ctrl-C.")
@click.pass_context
def check(ctx: click.Context, number: str, watch: bool) -> None:
    """Check exercise NUMBER in your copy, or all of a lesson, without running the rest of the lesson.

    Of your .py and .ipynb it takes the one that you saved last and in which the exercise is written.

    \b
    Example:
      minids lessons check 1.1
      minids lessons check 1.1 --watch
      minids lessons check 1
    """
    exercises = _exercises(number)
    _candidates(ctx.obj, number)
    if not watch:
        results = [_check(ctx.obj, exercise) for exercise in exercises]
        ctx.exit(0 if all(results) else 1)
    try:
        while True:
            saved = _watched(ctx.obj)
            click.echo(f"--- {time.strftime('%X')}")
            for exercise in exercises:
                try:
                    _check(ctx.obj, exercise)
                except InputError as error:
                    click.echo(error)
            while _watched(ctx.obj) == saved:
                time.sleep(0.3)
    except KeyboardInterrupt:
        click.echo()


def _check(folder: Path, exercise: source.Exercise) -> bool:
    """Check an exercise in the reader's file and print the result."""
    path = _written(folder, exercise.number)
    try:
        function = source.reader_function(path, exercise.number)
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # the reader's own code
        raise InputError(f"{path}: {type(error).__name__}: {reason(error)}") from error
    return checking.report(checking.find_check(exercise.number), function, folder.resolve())


def _written(folder: Path, number: str) -> Path:
    """The file saved last in which the exercise is written; a damaged one only if there is no other."""
    paths = {}
    for path in _candidates(folder, number):
        with suppress(InputError):
            paths[path] = source.is_written(path, number)
    paths = paths or dict.fromkeys(_candidates(folder, number), False)
    return next((path for path, is_written in paths.items() if is_written), next(iter(paths)))


def _candidates(folder: Path, number: str) -> list[Path]:
    """The reader's files of a lesson, the one saved last first. Raises InputError if there are none."""
    lesson = int(number.split(".")[0])
    saved = _saved(path for path in lesson_folder.copies(folder) if int(path.name[:2]) == lesson)
    if not saved:
        raise InputError(f"{folder}: lesson {lesson} is not here; `minids lessons copy` it")
    return sorted(saved, key=lambda path: saved[path], reverse=True)


def _saved(paths: Iterable[Path]) -> dict[Path, int]:
    """When files were saved, without those that are not there: an editor may be about to replace one."""
    saved = {}
    for path in paths:
        with suppress(FileNotFoundError):
            saved[path] = path.stat().st_mtime_ns
    return saved


def _watched(folder: Path) -> dict[Path, int]:
    """When the reader's files were saved: lessons and modules, not mine.py, which we write."""
    paths = [*folder.glob("[!.]*.py"), *folder.glob("[!.]*.ipynb")]
    return _saved(path for path in paths if path.name != mine.FILE)


@command.command()
@click.argument("number")
@click.pass_context
def hint(ctx: click.Context, number: str) -> None:
    """Show the next hint for exercise NUMBER. Each call shows one more; the last one is nearly the code.

    \b
    Example:
      minids lessons hint 1.1
    """
    exercise, *others = _exercises(number)
    if others:
        numbers = ", ".join(e.number for e in (exercise, *others))
        raise InputError(f"{number}: a lesson of several exercises; give the number of one: {numbers}")
    key = lesson_folder.key(exercise.number, exercise.name)
    i, text = progress.next_hint(ctx.obj, key, exercise.hints)
    click.echo(f"{exercise.number} {exercise.name}, hint {i} of {len(exercise.hints)}: {text}")
    if progress.load(ctx.obj).get(key, {}).get("hints") != i:
        path = ctx.obj / progress.FILE
        click.echo(f"{path} cannot be written: which hints you have seen is not kept", err=True)


def _exercises(number: str) -> list[source.Exercise]:
    """The exercise of this number ("1.2"), or those of the lesson of this number ("1")."""
    exercises = [exercise for path in lesson_folder.lessons() for exercise in source.exercises(path)]
    matches = [e for e in exercises if number in (e.number, e.number.split(".")[0])]
    if not matches:
        raise InputError(f"{number}: no such exercise; `minids lessons` lists them")
    return matches


def _list(folder: Path, as_json: bool) -> None:
    entries = progress.load(folder)

    def state(exercise: source.Exercise) -> str:
        key = lesson_folder.key(exercise.number, exercise.name)
        return entries.get(key, {}).get("state", "open")

    rows: list[dict[str, Any]] = [
        {
            "number": int(path.name[:2]),
            "book": 2 if int(path.name[:2]) in lesson_folder.SECOND_BOOK else 1,
            "file": path.name,
            "question": source.title(path),
            "exercises": [
                {"number": exercise.number, "name": exercise.name, "state": state(exercise)}
                for exercise in source.exercises(path)
            ],
        }
        for path in lesson_folder.lessons()
    ]
    if as_json:
        print_json(rows)
        return
    for book, row_group in itertools.groupby(rows, lambda row: row["book"]):
        click.echo(BOOKS[book])
        for row in row_group:
            click.echo(f"{row['file']:<18}{row['question']}")
            exercises = [f"{SYMBOLS[e['state']]} {e['number']} {e['name']}" for e in row["exercises"]]
            click.echo(f"{'':<18}{'   '.join(exercises)}")
    states = [e["state"] for row in rows for e in row["exercises"]]
    if not lesson_folder.copies(folder):
        click.echo(f"no copies in {folder}/ yet; `minids lessons copy {folder}` puts these lessons there")
        return
    click.echo(f"{states.count('right')} of {len(states)} exercises right, in {folder}/")
    try:
        count = len(mine.kept(folder))
    except mine.NotKeptError as error:
        click.echo(f"{folder / mine.FILE} cannot be used: {error}")
        return
    if count:
        click.echo(f"{folder / mine.FILE}: {count} function{'s' * (count != 1)} that you wrote")

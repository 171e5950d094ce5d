"""`minids lessons`: list the lessons and the reader's progress, copy lessons, check exercises, show hints."""

from pathlib import Path
from typing import Any

import click

from minids._utils.errors import InputError, reason
from minids.cli import options, print_json
from minids.lesson import checking, progress, source
from minids.lesson import folder as lesson_folder

SYMBOLS = {"right": "[✓]", "wrong": "[✗]", "open": "[ ]"}


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
    """Copy the lessons into FOLDER, where you can edit them. Files you have changed are never overwritten.

    \b
    Example:
      minids lessons copy my-lessons
    """
    copied, skipped = lesson_folder.copy_lessons(folder)
    note = f", {len(skipped)} skipped because you have changed them" if skipped else ""
    first = folder / lesson_folder.lessons()[0].name
    click.echo(f"{folder}: {len(copied)} lessons copied{note}; start with {first}")
    for path in skipped:
        click.echo(f"  skipped: {path} (to get the original again, rename your file)", err=True)


@command.command()
@click.argument("number")
@click.pass_context
def check(ctx: click.Context, number: str) -> None:
    """Check exercise NUMBER in your copy, or all of a lesson, without running the rest of the lesson.

    \b
    Example:
      minids lessons check 1.1
      minids lessons check 1
    """
    exercises = _exercises(number)
    lesson = int(number.split(".")[0])
    path = next((path for path in lesson_folder.lessons(ctx.obj) if int(path.name[:2]) == lesson), None)
    if path is None:
        raise InputError(f"{ctx.obj}: lesson {lesson} is not here; copy it with `minids lessons copy`")
    results = []
    for exercise in exercises:
        try:
            trial = source.trials(path, lesson_folder.answers(lesson))[exercise.name]
        except Exception as error:  # the reader's own code
            raise InputError(f"{path}: {type(error).__name__}: {reason(error)}") from error
        results.append(
            checking.report(exercise.number, trial.function, trial.check, ctx.obj, **trial.options)
        )
    ctx.exit(0 if all(results) else 1)


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
    i, text = progress.next_hint(ctx.obj, exercise.number, exercise.hints)
    click.echo(f"{exercise.number} {exercise.name}, hint {i} of {len(exercise.hints)}: {text}")


def _exercises(number: str) -> list[source.Exercise]:
    """The exercise of this number ("1.2"), or those of the lesson of this number ("1")."""
    exercises = [exercise for path in lesson_folder.lessons() for exercise in source.exercises(path)]
    matches = [e for e in exercises if number in (e.number, e.number.split(".")[0])]
    if not matches:
        raise InputError(f"{number}: no such exercise; `minids lessons` lists them")
    return matches


def _list(folder: Path, as_json: bool) -> None:
    entries = progress.load(folder)

    def state(number: str) -> str:
        return entries.get(number, {}).get("state", "open")

    rows: list[dict[str, Any]] = [
        {
            "number": int(path.name[:2]),
            "file": path.name,
            "question": source.title(path),
            "exercises": [
                {"number": exercise.number, "name": exercise.name, "state": state(exercise.number)}
                for exercise in source.exercises(path)
            ],
        }
        for path in lesson_folder.lessons()
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo(f"{row['file']:<18}{row['question']}")
        exercises = [f"{SYMBOLS[e['state']]} {e['number']} {e['name']}" for e in row["exercises"]]
        click.echo(f"{'':<18}{'   '.join(exercises)}")
    states = [e["state"] for row in rows for e in row["exercises"]]
    if lesson_folder.lessons(folder):
        click.echo(f"{states.count('right')} of {len(states)} exercises right, in {folder}/")
    else:
        click.echo(f"no copies in {folder}/ yet; `minids lessons copy {folder}` puts these lessons there")

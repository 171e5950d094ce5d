"""`minids lessons`: what there is to learn, how far one is, copies to write in, hints."""

import json
from pathlib import Path
from typing import Any

import click

from minids._utils.errors import InputError
from minids.lesson import folder as lesson_folder
from minids.lesson import progress, source

SIGNS = {"right": "[✓]", "wrong": "[✗]", "open": "[ ]"}


@click.group(invoke_without_command=True)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Your copies.  [default: this folder, or the one in it that changed last, else lessons]",
)
@click.option("--json", "as_json", is_flag=True, help="Lessons and exercises as JSON, for machines.")
@click.pass_context
def command(ctx: click.Context, folder: Path | None, as_json: bool) -> None:
    """List the lessons and their exercises: [✓] right, [✗] wrong, [ ] not written yet.

    \b
    Example:
      minids lessons
      minids lessons copy my-lessons
      minids lessons --folder my-lessons hint 1.1
    """
    ctx.obj = folder or lesson_folder.yours()
    if ctx.invoked_subcommand is None:
        _list(ctx.obj, as_json)


@command.command()
@click.argument("folder", type=click.Path(path_type=Path), default="lessons")
def copy(folder: Path) -> None:
    """Copy the lessons into FOLDER, to write in. A file that is there and differs is yours and stays.

    \b
    Example:
      minids lessons copy my-lessons
    """
    written, kept = lesson_folder.copy(folder)
    left = f", {len(kept)} kept as you left them" if kept else ""
    first = folder / lesson_folder.lessons()[0].name
    click.echo(f"{folder}: {len(written)} lessons copied{left}; begin with {first}")
    for path in kept:
        click.echo(f"  kept: {path} (to have ours again, move yours away)", err=True)


@command.command()
@click.argument("number")
@click.pass_context
def hint(ctx: click.Context, number: str) -> None:
    """The next hint for exercise NUMBER: each call goes one further, up to nearly the line itself.

    \b
    Example:
      minids lessons hint 1.1
    """
    known = {each.number: each for path in lesson_folder.lessons() for each in source.exercises(path)}
    if number not in known:
        raise InputError(f"{number}: no such exercise; `minids lessons` lists them")
    hints = known[number].hints
    if not hints:
        raise InputError(f"{number}: this exercise has no hints")
    step, words = progress.next_hint(ctx.obj, number, hints)
    click.echo(f"{number} {known[number].name}, hint {step} of {len(hints)}: {words}")


def _list(folder: Path, as_json: bool) -> None:
    done = progress.load(folder)
    listed: list[dict[str, Any]] = [
        {
            "number": int(path.name[:2]),
            "file": path.name,
            "question": source.title(path),
            "exercises": [
                {
                    "number": each.number,
                    "name": each.name,
                    "state": done.get(each.number, {}).get("state", "open"),
                }
                for each in source.exercises(path)
            ],
        }
        for path in lesson_folder.lessons()
    ]
    if as_json:
        click.echo(json.dumps(listed, ensure_ascii=False))
        return
    for lesson in listed:
        click.echo(f"{lesson['file']:<18}{lesson['question']}")
        signs = [f"{SIGNS[each['state']]} {each['number']} {each['name']}" for each in lesson["exercises"]]
        click.echo(f"{'':<18}{'   '.join(signs)}")
    states = [each["state"] for lesson in listed for each in lesson["exercises"]]
    click.echo(f"{states.count('right')} of {len(states)} exercises right, in {folder}/")
    if not lesson_folder.lessons(folder):
        click.echo("No lessons are there yet; `minids lessons copy` puts them there, to write in.", err=True)

"""`minids init`: prepare recordings in any layout for training."""

from pathlib import Path
from shlex import quote

import click

from minids.cli import note, options, print_json

MAX_LISTED = 20  # left out


@click.command()
@click.argument("source", type=options.PATH, metavar="FOLDER|TABLE")
@click.option("--out", type=options.PATH, help="Folder for the files.  [default: ./NAME of the source]")
@click.option("--jamo", is_flag=True, help="Write Hangul syllables as letters, of which there are only 67.")
@click.option("--json", "as_json", is_flag=True, help="Print everything, and the doctor's report, as JSON.")
def command(source: Path, out: Path | None, jamo: bool, as_json: bool) -> None:
    """Prepare recordings, in any layout that `minids data import` reads, for training.

    Writes train.jsonl, dev.jsonl and test.jsonl, with speakers of their own where these are known, and
    settings.toml with the alphabet of the texts and sizes for the hours and this machine; validates them.

    \b
    Example:
      minids init recordings/
      minids train recordings/settings.toml
    """
    from minids.training.prepare import prepare

    done = prepare(source, out, jamo, progress=True)
    for line in done.notes:
        note(line)
    for line in done.left_out[:MAX_LISTED]:
        note(f"left out: {line}")
    if len(done.left_out) > MAX_LISTED:
        note(f"{len(done.left_out)} left out in all")
    if as_json:
        print_json(vars(done) | {"report": done.report.to_dict()})
        return
    click.echo(f"{source}: {done.layout}\n{done.symbols}\n\n{done.report.table()}\n")
    click.echo(f"Next; takes about {done.time}; after Ctrl-C, the same command continues:")
    click.echo(f"minids train {quote(done.settings)}")

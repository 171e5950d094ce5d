"""`minids report`: a training run as a page."""

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--manifest", type=click.Path(path_type=Path), help="Heard by the best model.  [default: the dev set]"
)
@click.option("--out", type=click.Path(path_type=Path), help="The page.  [default: RUN/report.html]")
def command(run: Path, manifest: Path | None, out: Path | None) -> None:
    """Make one HTML page of the training in the folder RUN.

    It shows the curves, the settings, the errors by speaker, which letters are taken for which, and the worst
    and some middling recordings: to listen to, with what was said and heard, their features and the
    probability of every character. It is one file, which needs no network.

    \b
    Example:
      minids report runs/an4
    """
    from tqdm import tqdm

    from minids._utils.files import atomic_write, check_writable
    from minids.cli import announce_compilation
    from minids.report import report

    if out:
        check_writable(out)
    announce_compilation()
    with tqdm(unit="utt", leave=False, disable=None) as bar:
        html = report(run, manifest, bar.update)
    out = out or run / "report.html"
    with atomic_write(out) as file:
        file.write(html.encode())
    click.echo(out)

"""`minids report`: a training run as an HTML page."""

from pathlib import Path
from typing import Any

import click

from minids.cli import options


@click.command()
@click.argument("run", type=options.PATH)
@click.option("--manifest", type=options.PATH, help="Manifest to evaluate.  [default: the dev set of RUN]")
@click.option("--out", type=options.PATH, help="The HTML file.  [default: RUN/report.html]")
@options.search
def command(run: Path, manifest: Path | None, out: Path | None, **search: Any) -> None:
    """Write an HTML report of the training run in the folder RUN.

    It shows the training curves, the settings, error rates by speaker, character confusions, and the
    utterances with the most errors and with median ones: their sound, both texts, the features and the
    probability of every character. The page is one file and needs no network.

    \b
    Example:
      minids report runs/an4
    """
    from tqdm import tqdm

    from minids._utils.files import atomic_write, check_writable
    from minids.cli import announce_compilation
    from minids.report.training_report import training_report

    if out or run.is_dir():
        check_writable(out or run / "report.html")  # before the work, not after it
    announce_compilation()
    with tqdm(unit="utt", leave=False, disable=None) as bar:
        html = training_report(run, manifest, bar.update, **search)
    out = out or run / "report.html"
    with atomic_write(out) as file:
        file.write(html.encode(errors="replace"))  # file names need not be Unicode
    click.echo(out)

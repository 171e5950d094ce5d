"""`minids train`: learn from recordings."""

from pathlib import Path

import click


@click.command()
@click.argument("settings", type=click.Path(path_type=Path), metavar="SETTINGS.toml")
@click.option(
    "--run", type=click.Path(path_type=Path), help="Folder of the run.  [default: runs/NAME of NAME.toml]"
)
def command(settings: Path, run: Path | None) -> None:
    """Train a model as SETTINGS.toml says; called again after a kill, go on where it was.

    The folder of the run holds best.safetensors (the model to use), last.safetensors (to go on from) and
    metrics.jsonl (a line an epoch). What the settings mean stands in examples/an4.toml.

    \b
    Example:
      minids train examples/an4.toml
      minids transcribe hello.wav --model runs/an4/best.safetensors
    """
    from minids.checkpoint import folder_for
    from minids.cli import announce_compilation
    from minids.settings import read_settings
    from minids.train import Trainer

    read = read_settings(settings)
    trainer = Trainer(read, run or folder_for(read))
    announce_compilation()
    trainer.run()
    click.echo(trainer.folder.best)

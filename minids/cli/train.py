"""`minids train`: learn from recordings."""

import json
from pathlib import Path

import click

from minids.cli import announce_compilation, note, options


@click.command()
@click.argument("settings", type=click.Path(path_type=Path), metavar="SETTINGS.toml")
@click.option("--run", type=click.Path(path_type=Path), help="The run's folder.  [default: runs/SETTINGS]")
@options.BACKEND
@options.GEMM
@click.option("--json", "as_json", is_flag=True, help="The best epoch's metrics as JSON, for machines.")
@click.pass_context
def command(
    ctx: click.Context, settings: Path, run: Path | None, backend: str, gemm: str, as_json: bool
) -> None:
    """Train a model as SETTINGS.toml says (examples/an4.toml explains them); print the path of the best.

    The run's folder holds best.safetensors to use, last.safetensors to go on from, metrics.jsonl and
    training.png to look at. A run that was stopped, or killed, goes on when the same command is given again.

    \b
    Example:
      minids train examples/an4.toml
      minids transcribe hello.wav --model runs/an4/best.safetensors
    """
    from minids.checkpoint import folder_for
    from minids.draw.training import training
    from minids.files import atomic_write
    from minids.settings import read_settings
    from minids.train import Trainer

    read = read_settings(settings)
    options.multiply(backend, gemm)
    trainer = Trainer(read, run or folder_for(read), backend)
    folder = trainer.folder
    announce_compilation()
    try:
        trainer.run()
    except KeyboardInterrupt:
        saved = f"goes on from the last checkpoint in {folder.path}"
        note(f"stopped; the same command {saved if folder.last.exists() else 'begins anew'}")
        ctx.exit(130)
    with atomic_write(folder.picture) as file:
        training(trainer.progress.rows).savefig(file, format="png", dpi=150)
    best = trainer.progress.rows[trainer.progress.best_epoch - 1]
    click.echo(json.dumps({"model": str(folder.best), **best}) if as_json else folder.best)

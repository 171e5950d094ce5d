"""`minids train`: learn from recordings."""

import json
from pathlib import Path

import click

from minids.cli import announce_compilation, note, options


@click.command()
@click.argument("settings", type=click.Path(path_type=Path), metavar="SETTINGS.toml")
@click.option("--run", type=click.Path(path_type=Path), help="The run's folder.  [default: runs/SETTINGS]")
@options.BACKEND
@click.option(
    "--split-time",
    is_flag=True,
    help="Of two ranks, each computes half of the frames, not of the batch.",
)
@click.option("--json", "as_json", is_flag=True, help="The best epoch's metrics as JSON, for machines.")
def command(
    settings: Path,
    run: Path | None,
    backend: str,
    split_time: bool,
    as_json: bool,
) -> None:
    """Train a model as SETTINGS.toml says (examples/an4.toml explains them); print the path of the best.

    The run's folder holds best.safetensors to use, last.safetensors to go on from, metrics.jsonl and
    training.png to look at. A run that was stopped, or killed, goes on when the same command is given again.

    Started by mpiexec, each process (rank) learns from its share of every batch, and all keep the same
    weights, those of one process that learns alone. Without --bind-to none, Open MPI lets each of two use one
    core alone.

    \b
    Example:
      minids train examples/an4.toml
      mpiexec --bind-to none -n 2 minids train examples/an4.toml
      minids transcribe hello.wav --model runs/an4/best.safetensors
    """
    from minids._utils.files import atomic_write
    from minids.plot.training import training
    from minids.training.checkpoint import RunFolder, folder_for
    from minids.training.parallel import ProcessGroup
    from minids.training.settings import read_settings
    from minids.training.trainer import Trainer

    ranks = ProcessGroup.world()
    with ranks.abort_on_error():
        read = read_settings(settings)
        folder = RunFolder(run or folder_for(read))
        if backend == "cuda":
            ranks.select_gpu()
        if ranks.is_main:
            announce_compilation()
        try:
            trainer = Trainer(read, folder.path, backend, ranks, split_time)
            trainer.run()
        except KeyboardInterrupt:
            saved = f"goes on from the last checkpoint in {folder.path}"
            if ranks.is_main:
                note(f"stopped; the same command {saved if folder.last.exists() else 'begins anew'}")
            ranks.stop(130)
        if not ranks.is_main:
            return
        with atomic_write(folder.picture) as file:
            training(trainer.progress.rows).savefig(file, format="png", dpi=150)
        best = trainer.progress.rows[trainer.progress.best_epoch - 1]
        click.echo(json.dumps({"model": str(folder.best), **best}) if as_json else folder.best)

"""`minids train`: train a model."""

from pathlib import Path

import click

from minids.cli import announce_compilation, options, print_optional


@click.command()
@click.argument("settings", type=options.PATH, metavar="SETTINGS.toml")
@click.option(
    "--run",
    type=options.PATH,
    help="Folder of the run.  [default: runs/NAME for NAME.toml or NAME/settings.toml]",
)
@options.BACKEND
@click.option("--init", metavar="MODEL", help="Fine-tune this model; `shipped` is the one in minids.")
@click.option("--minutes", type=float, help="End training after this time.")
@click.option(
    "--select", type=click.Choice(["wer", "cer", "loss"]), help="Metric that selects the best epoch."
)
@click.option("--find-rate", is_flag=True, help="Only suggest a learning rate, after some steps of training.")
@click.option(
    "--split-time",
    is_flag=True,
    help="Split the frames of each batch between two ranks instead of its utterances.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the metrics of the best epoch as JSON.")
def command(
    settings: Path,
    run: Path | None,
    backend: str,
    init: str | None,
    minutes: float | None,
    select: str | None,
    find_rate: bool,
    split_time: bool,
    as_json: bool,
) -> None:
    """Train a model with the settings of a TOML file and print the path of the best weights.

    All settings are documented in examples/an4.toml; options replace settings. The folder of the run holds
    best.safetensors to use, last.safetensors to resume from, and metrics.jsonl, steps.jsonl and training.png
    to look at. To resume a run that was stopped or killed, repeat the command.

    Under mpiexec, each process (rank) trains on a shard of every batch, and all have the weights that a
    single process would have. With --backend cuda, each uses one of the GPUs. Without --bind-to none, Open
    MPI restricts each of two ranks to one core.

    \b
    Example:
      minids train examples/an4.toml
      minids train mine.toml --init shipped --minutes 30
      mpiexec --bind-to none -n 2 minids train examples/an4.toml
      minids transcribe hello.wav --model runs/an4/best.safetensors
    """
    from minids._utils.strict_json import to_json
    from minids.training.checkpoint import RunFolder, default_run_folder
    from minids.training.parallel import ProcessGroup
    from minids.training.settings import read_settings
    from minids.training.signals import Stopped
    from minids.training.trainer import Trainer

    ranks = ProcessGroup.world()
    with ranks.abort_on_error():
        if init and init != "shipped":
            init = str(Path(init).absolute())  # in a settings file it is relative to that
        read = read_settings(settings, init=init, minutes=minutes, select=select)
        folder = RunFolder(run or default_run_folder(read))
        if backend == "cuda":
            ranks.select_gpu()
        if ranks.is_main:
            announce_compilation()
        try:
            trainer = Trainer(read, folder.path, backend, ranks, split_time)
            if find_rate:
                from minids.training import rate_search

                found = rate_search.find_rate(trainer)
                if ranks.is_main:
                    values = found._asdict() | {"picture": str(found.picture)}
                    print_optional(to_json(values) if as_json else f"{found.rate:.2g}")
                return
            trainer.run()
        except Stopped as stopped:  # on all ranks, after rank 0 has saved
            raise SystemExit(128 + stopped.number) from None
        if not ranks.is_main:
            return
        trainer.draw()
        best = trainer.state.best_row or {}
        print_optional(to_json({"model": str(folder.best), **best}) if as_json else folder.best)

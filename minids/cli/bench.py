"""`minids bench`: measure the speed of this machine."""

import click

from minids.cli import options


@click.command()
@click.option(
    "--hidden",
    multiple=True,
    type=click.IntRange(1, 65536),
    default=(128, 512, 1024),
    show_default=True,
    help="Units per layer; repeat the option for several sizes.",
)
@click.option(
    "--batch", default=16, type=click.IntRange(1, 4096), show_default=True, help="Utterances per step."
)
@click.option(
    "--frames", default=200, type=click.IntRange(2, 100_000), show_default=True, help="Frames per utterance."
)
@options.BACKEND
@options.GEMM
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line per size.")
def command(hidden: tuple[int, ...], batch: int, frames: int, backend: str, gemm: str, as_json: bool) -> None:
    """Measure a training step (forward, CTC, backward, update) and the time of each operation.

    The rate is also given relative to a plain matrix product on this machine.

    \b
    Example:
      minids bench --hidden 512 --hidden 2048
    """
    from minids.cli import announce_compilation, print_json
    from minids.training.bench import bench

    announce_compilation()
    ops = options.load_backend(backend, gemm)
    for H in hidden:
        result = bench(ops, H, batch, frames)
        if as_json:
            values = result._asdict()
            values["frames_per_second"] = values.pop("frames")
            print_json({"backend": backend, "hidden": H, "batch": batch, "frames": frames} | values)
            continue
        click.echo(
            f"H {H}, B {batch}, T {frames}: {1e3 * result.seconds:.1f} ms per step, "
            f"{result.frames / 1e3:.0f} k frames/s, "
            f"{result.flops / 1e9:.0f} GFLOP/s, {result.flops / result.product:.0%} of a matrix product"
        )
        for name, seconds in sorted(result.parts.items(), key=lambda item: -item[1]):
            click.echo(f"  {name:<20} {1e3 * seconds:8.2f} ms  {seconds / result.seconds:4.0%}")

"""`minids bench`: time this machine."""

import json

import click

from minids.cli import options


@click.command()
@click.option(
    "--hidden",
    multiple=True,
    type=click.IntRange(1, 65536),
    default=(128, 512, 1024),
    show_default=True,
    help="Units of a layer; give it several times for several.",
)
@click.option(
    "--batch", default=16, type=click.IntRange(1, 4096), show_default=True, help="Utterances in a step."
)
@click.option(
    "--frames", default=200, type=click.IntRange(2, 100_000), show_default=True, help="Of each of them."
)
@options.BACKEND
@options.GEMM
@click.option("--json", "as_json", is_flag=True, help="A line of JSON a width.")
def command(hidden: tuple[int, ...], batch: int, frames: int, backend: str, gemm: str, as_json: bool) -> None:
    """Time a training step (forward, CTC, backward, update), and what each operation takes of it.

    The share is that of this machine's own matrix product, measured beside it.

    \b
    Example:
      minids bench --hidden 512 --hidden 2048
    """
    from minids.cli import announce_compilation
    from minids.training.bench import bench

    announce_compilation()
    options.multiply(backend, gemm)
    for H in hidden:
        result = bench(backend, H, batch, frames)
        if as_json:
            row = {"backend": backend, "hidden": H, "batch": batch, "frames": frames} | result._asdict()
            click.echo(json.dumps(row))
            continue
        click.echo(
            f"H {H}, B {batch}, T {frames}: {1e3 * result.seconds:.1f} ms a step, "
            f"{result.frames / 1e3:.0f} k frames/s, "
            f"{result.flops / 1e9:.0f} GFLOP/s, {result.flops / result.product:.0%} of a matrix product's"
        )
        for name, seconds in sorted(result.parts.items(), key=lambda part: -part[1]):
            click.echo(f"  {name:<20} {1e3 * seconds:8.2f} ms  {seconds / result.seconds:4.0%}")

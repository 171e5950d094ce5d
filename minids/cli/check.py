"""`minids check`: verify the mathematics on this machine."""

from typing import Any

import click

from minids.cli import options


@click.command()
@options.BACKEND
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line per check.")
@click.pass_context
def command(ctx: click.Context, backend: str, as_json: bool) -> None:
    """Verify gradients, CTC, beam search, language model and the fast backends against independent results.

    Gradients are compared with finite differences, CTC with a sum over all alignments, beam search with CTC,
    and compiled code with its readable reference. The exit code is 1 if an error exceeds its tolerance.
    With --backend cuda it first lists driver, GPUs and packages; the exit code is 2 if they do not suffice.

    \b
    Example:
      minids check
      minids check --backend cuda
    """
    from minids.cli import announce_compilation, print_error, print_json
    from minids.gradcheck import all_checks
    from minids.ops import diagnosis

    if backend == "cuda":
        facts, problem = diagnosis.facts(), diagnosis.problem()
        if as_json:
            print_json(facts | {"problem": problem})
        else:
            _print_facts(**facts)
        if problem is not None:
            print_error(problem)
            ctx.exit(2)
    announce_compilation()
    failed = 0
    for check in all_checks(backend):
        failed += not check.passed
        if as_json:
            print_json(vars(check) | {"passed": check.passed})
        else:
            verdict = "ok" if check.passed else "FAILED"
            click.echo(f"{check.name:<52} {check.error:9.1e}  of {check.tolerance:.0e}  {verdict}")
    if not as_json:
        problem = f"{failed} failed; please report this with your machine and versions"
        click.echo(problem if failed else "all checks passed")
    ctx.exit(int(failed > 0))


def _print_facts(driver: str | None, gpus: list[dict[str, Any]], packages: dict[str, str]) -> None:
    click.echo(f"driver     {f'runs CUDA {driver}' if driver else 'none'}")
    for number, gpu in enumerate(gpus):
        capability = "compute capability {}.{}".format(*gpu["capability"])
        click.echo(f"GPU {number}      {gpu['name']}, {gpu['gigabytes']:.0f} GB, {capability}")
    click.echo("packages   " + (", ".join(" ".join(package) for package in packages.items()) or "none"))

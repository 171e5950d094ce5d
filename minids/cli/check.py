"""`minids check`: prove the mathematics on this machine."""

import json

import click

from minids.cli import options


@click.command()
@options.BACKEND
@click.option("--json", "as_json", is_flag=True, help="A line of JSON a check.")
@click.pass_context
def command(ctx: click.Context, backend: str, as_json: bool) -> None:
    """Compare gradients with differences, CTC with enumeration, beam search with CTC, fast with plain.

    Exit code 1 when any error is above its tolerance.

    \b
    Example:
      minids check
    """
    from minids.cli import announce_compilation
    from minids.gradcheck import all_checks

    announce_compilation()
    failed = 0
    for check in all_checks(backend):
        failed += not check.passed
        if as_json:
            row = {
                "name": check.name,
                "error": check.error,
                "tolerance": check.tolerance,
                "passed": check.passed,
            }
            click.echo(json.dumps(row))
        else:
            verdict = "ok" if check.passed else "FAILED"
            click.echo(f"{check.name:<52} {check.error:9.1e}  of {check.tolerance:.0e}  {verdict}")
    if not as_json:
        click.echo(
            "all green"
            if not failed
            else f"{failed} failed: please report this with your machine and versions"
        )
    ctx.exit(int(failed > 0))

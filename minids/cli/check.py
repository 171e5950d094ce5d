"""`minids check`: verify the mathematics on this machine."""

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

    \b
    Example:
      minids check
    """
    from minids.cli import announce_compilation, print_json
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
            print_json(row)
        else:
            verdict = "ok" if check.passed else "FAILED"
            click.echo(f"{check.name:<52} {check.error:9.1e}  of {check.tolerance:.0e}  {verdict}")
    if not as_json and failed:
        click.echo(f"{failed} failed; please report this with your machine and versions")
    elif not as_json:
        click.echo("all checks passed")
    ctx.exit(int(failed > 0))

"""Commands with a limit, whose failure is told and ends nothing else. See gpu.py."""

import contextlib
import json
import os
import signal
import subprocess
import sys

MINUTE = 60.0
PYTHON = sys.executable, "-m"


def ran(command: list[str], limit: float, stderr=subprocess.PIPE) -> tuple[int, str, str]:
    """Exit code, output and errors of a command; after `limit` seconds it and its children are ended."""
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True
    )
    try:
        output, errors = child.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        _end(child)
        raise TimeoutError(f"not done after {limit:.0f} s") from None
    except BaseException:
        _end(child)
        raise
    return child.returncode, output, errors or ""


def _end(child: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):  # where the driver holds it, it is left behind
        child.communicate(timeout=10)


def row_of(command: list[str], name: str, limit: float) -> dict:
    """The last line that a command prints, which is JSON."""
    try:
        code, output, errors = ran(command, limit)
        if code == 0:
            return {"name": name, **json.loads(output.strip().splitlines()[-1])}
        said = (errors.strip().splitlines() or [""])[-1]
        return {"name": name, "failed": f"exit code {code}: {said[-300:]}"}
    except Exception as error:
        return {"name": name, "failed": f"{type(error).__name__}: {error}"}

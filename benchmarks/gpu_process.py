"""Commands with a time limit, whose failure is reported and does not stop the others. See gpu.py."""

import contextlib
import json
import os
import signal
import subprocess
import sys

MINUTE = 60.0
PYTHON = sys.executable, "-m"


def run(command: list[str], limit: float, stderr=subprocess.PIPE) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command. After `limit` seconds it and its children are killed."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=stderr, text=True, start_new_session=True
    )
    try:
        output, errors = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        _kill(process)
        raise TimeoutError(f"not finished after {limit:.0f} s") from None
    except BaseException:
        _kill(process)
        raise
    return process.returncode, output, errors or ""


def _kill(process: subprocess.Popen) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):  # a process that the driver blocks cannot be killed
        process.communicate(timeout=10)


def json_of(command: list[str], name: str, limit: float) -> dict:
    """The last line of a command's output, which must be JSON, or how the command failed."""
    try:
        code, output, errors = run(command, limit)
        if code == 0:
            return {"name": name, **json.loads(output.strip().splitlines()[-1])}
        last_line = (errors.strip().splitlines() or [""])[-1]
        return {"name": name, "failed": f"exit code {code}: {last_line[-300:]}"}
    except Exception as error:
        return {"name": name, "failed": f"{type(error).__name__}: {error}"}

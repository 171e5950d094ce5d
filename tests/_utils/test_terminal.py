"""Text for a terminal, and standard streams that are closed, full or gone."""

import io
import os
import subprocess
import sys

import pytest

from minids._utils.terminal import printable
from tests import ROOT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b 가é العربية \u200d", "a b 가é العربية \u200d"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\nb\tc\x7f\x9b", "a\\nb\\tc\\x7f\\x9b"),
        ("\u202eexe.wav\u2028", "\\u202eexe.wav\\u2028"),
        ("\udcff.wav", "\\udcff.wav"),
    ],
)
def test_control_characters_are_escaped(text, expected):
    assert printable(text) == expected


SCRIPT = """
import sys, types, click, os, minids.cli
def body():
    minids.cli.note("a note")
    print("a warning", file=sys.stderr)
    {body}
sys.modules["minids.cli.transcribe"] = types.SimpleNamespace(command=click.command("transcribe")(body))
minids.cli.main(["transcribe"])
"""


def run(body: str, redirection: str) -> subprocess.CompletedProcess:
    command = f"'{sys.executable}' -c '{SCRIPT.format(body=body)}' {redirection}"
    return subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


@pytest.mark.parametrize(
    "redirection", ["2>&-", "2>/dev/full", "2>&1 | cat >/dev/null; exit ${PIPESTATUS[0]}"]
)
def test_a_command_succeeds_if_nobody_reads_its_messages(redirection):
    assert run("click.echo(1)", redirection).returncode == 0


@pytest.mark.parametrize("redirection", [">&-", ">/dev/full"])
def test_a_result_that_cannot_be_printed_is_one_error(redirection):
    done = run("click.echo(1)", redirection)
    assert done.returncode == 1
    (error,) = [line for line in done.stderr.splitlines() if "error" in line]
    assert error.startswith("minids: error: ")


@pytest.mark.parametrize(
    "redirection", [">&-", ">/dev/full", "| head -c 0; exit ${PIPESTATUS[0]}", ">&- 2>&- <&-"]
)
def test_a_result_that_is_also_in_a_file_need_not_be_printed(redirection):
    done = run("minids.cli.print_optional(1)", redirection)
    assert done.returncode == 0
    assert "error" not in done.stderr


def test_files_do_not_get_the_numbers_of_closed_streams(tmp_path):
    """Or messages of C libraries would be written into them."""
    path = tmp_path / "result"
    body = f'file = open("{path}", "wb"); os.write(1, b"x"); os.write(2, b"x"); file.close()'
    assert run(body, ">&- 2>&- <&-").returncode == 0
    assert path.read_bytes() == b""


def test_progress_bars_work_without_a_stderr(monkeypatch):
    from tqdm import tqdm

    from minids._utils.terminal import protect_streams

    monkeypatch.setattr(sys, "stdout", io.StringIO())
    for stream in (None, open(os.devnull, "w")):  # noqa: SIM115
        if stream:
            stream.close()
        monkeypatch.setattr(sys, "stderr", stream)
        protect_streams()
        for _ in tqdm(range(3), disable=None):
            tqdm.write("x", file=sys.stderr)

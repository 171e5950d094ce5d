"""The command line: its help, its errors, the cost of importing it."""

import importlib
import subprocess
import sys
import types
import warnings

import click
import pytest

import minids
from minids import cli
from minids._utils.errors import InputError

HEAVY = {"numba", "scipy", "matplotlib", "soundfile"}


def run(monkeypatch, body, *arguments):
    """Call `minids transcribe` with `body` as its function, and return the exit code."""
    command = click.command("transcribe")(body)
    monkeypatch.setitem(sys.modules, "minids.cli.transcribe", types.SimpleNamespace(command=command))
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main() replaces it
    with pytest.raises(SystemExit) as end:
        cli.main(["transcribe", *arguments])
    return end.value.code or 0


def raiser(error):
    def body():
        raise error

    return body


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_a_summary_and_an_example(name, capsys):
    command = importlib.import_module(f"minids.cli.{name}").command
    for path, part in leaves(command, f"minids {name}"):
        help_text = part.get_help(click.Context(part, info_name=path))
        assert "Example" in help_text, f"{path} --help shows no example"
        assert f"\n      {path}" in help_text or f"\n    {path}" in help_text, (
            f"{path}'s example calls another"
        )


def leaves(command, path):
    if not isinstance(command, click.Group):
        return [(path, command)]
    return [leaf for name, part in command.commands.items() for leaf in leaves(part, f"{path} {name}")]


def test_the_help_lists_every_command_without_importing_one():
    script = """
import sys, minids.cli
try:
    minids.cli.main(["--help"])
except SystemExit as end:
    assert not end.code
print(sorted(m for m in sys.modules if m.startswith("minids.cli.")), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    for name, summary in cli.COMMANDS.items():
        assert f"  {name}" in done.stdout
        assert summary in done.stdout


@pytest.mark.parametrize("module", ["minids", "minids.cli"])
def test_importing_is_light(module):
    script = f"import sys, {module}; print(*{{m.partition('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(done.stdout.split())


def test_public_names_come_from_their_modules():
    from minids.text import Alphabet

    assert minids.Alphabet is Alphabet
    for name in minids.__all__:
        assert getattr(minids, name).__name__ == name
        assert name in dir(minids)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = minids.nonsense


def test_bad_input_is_one_line_and_exit_code_1(monkeypatch, capsys):
    assert run(monkeypatch, raiser(InputError("a.wav: empty;\nrecord it again"))) == 1
    assert capsys.readouterr() == ("", "minids: error: a.wav: empty; record it again\n")


@pytest.mark.parametrize("arguments", [["--nonsense"], ["surplus"]])
def test_wrong_options_are_one_line_and_exit_code_2(monkeypatch, capsys, arguments):
    assert run(monkeypatch, lambda: None, *arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("minids: error: ")
    assert err.endswith("See `minids transcribe --help`.\n")
    assert err.count("\n") == 1


def test_an_unknown_command_is_named(monkeypatch, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["transcrbe"])
    assert end.value.code == 2
    assert "'transcrbe'" in capsys.readouterr().err


def test_lack_of_memory_or_disk_space_is_a_user_error(monkeypatch, capsys):
    assert run(monkeypatch, raiser(MemoryError("Unable to allocate 9 TiB"))) == 1
    assert "out of memory (Unable to allocate 9 TiB)" in capsys.readouterr().err
    done = subprocess.run(
        f"'{sys.executable}' -m minids --help > /dev/full",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("minids: error: ")
    assert done.stderr.count("\n") == 1


def test_a_bug_shows_its_traceback(monkeypatch):
    with pytest.raises(KeyError, match="a bug"):
        run(monkeypatch, raiser(KeyError("a bug")))


def test_ctrl_c_reports_that_files_are_safe(monkeypatch, capsys):
    assert run(monkeypatch, raiser(KeyboardInterrupt())) == 130
    err = capsys.readouterr().err.strip()
    assert err.startswith("minids: note: stopped; no file is left half-written")
    assert err.count("\n") == 0


def test_a_warning_is_a_note(monkeypatch, capsys):
    def body():
        warnings.warn("8000 Hz is low", UserWarning, stacklevel=1)
        click.echo("hello")

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert run(monkeypatch, body) == 0
    assert capsys.readouterr() == ("hello\n", "minids: note: 8000 Hz is low\n")


def test_a_reader_that_exits_early_causes_no_message():
    script = """
import sys, types, click, minids.cli
def body():
    for _ in range(100_000):
        click.echo("a line")
sys.modules["minids.cli.transcribe"] = types.SimpleNamespace(command=click.command("transcribe")(body))
minids.cli.main(["transcribe"])
"""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"a line\n"
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 1


@pytest.mark.parametrize(
    "line", ["data import", "train a b", "lm train a --ou b", "bench --hidden x", "lm prune a --out --json"]
)
def test_a_wrong_command_line_is_one_line_of_error(line, capsys):
    with warnings.catch_warnings(), pytest.raises(SystemExit) as end:
        cli.main(line.split())
    out, err = capsys.readouterr()
    assert end.value.code == 2
    assert not out
    assert len(err.splitlines()) == 1
    assert err.startswith("minids: error: ")
    assert err.endswith(" --help`.\n")
    assert err.split(" See `minids ")[0][-1] in ".?)"

"""`minids lessons` in the folder of a reader of two tiny lessons."""

import json
import os
import subprocess
import sys
import time
import webbrowser

import pytest

from minids import cli
from minids.cli import lessons as command
from minids.lesson import folder


@pytest.fixture
def call(capsys):
    """Run `minids lessons` with these arguments; return its exit code, stdout and stderr."""

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(["lessons", *map(str, arguments)])
        out, err = capsys.readouterr()
        return end.value.code or 0, out, err

    return call


def test_the_list_shows_progress_and_what_the_reader_wrote(reader, run, call, monkeypatch):
    monkeypatch.setattr(folder, "SECOND_BOOK", range(8, 9))
    out = call("--folder", reader)[1]
    assert out.startswith("Book one: ")
    assert "no copies in" in out
    run(double="return 1")
    out = call("--folder", reader)[1]
    assert "07_double.py      A question?\n" in out
    assert "[✗] 7.1 double   [ ] 7.2 quadruple\nBook two: making it fast\n08_powers.py" in out
    assert out.endswith(f"0 of 3 exercises right, in {reader}/\n")
    run(double="return 2 * x")
    out = call("--folder", reader)[1]
    assert "[✓] 7.1 double" in out
    assert out.endswith(
        f"1 of 3 exercises right, in {reader}/\n{reader}/mine.py: 1 function that you wrote\n"
    )
    listed = json.loads(call("--folder", reader, "--json")[1])
    assert listed[0]["exercises"][0] == {"number": "7.1", "name": "double", "state": "right"}
    assert [row["book"] for row in listed] == [1, 2]


def test_the_working_copy_is_this_folder_or_a_subfolder(reader, call, monkeypatch, tmp_path):
    below = tmp_path / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    out, err = call()[1:]
    assert out.splitlines()[-1].startswith("no copies in lessons/ yet; `minids lessons copy lessons`")
    assert "exercises right" not in out
    assert err == ""
    call("copy", "mine")
    (below / "lessons" / "answers").mkdir(parents=True)  # a checkout's own lessons, which nobody writes in
    (below / "lessons" / "07_double.py").write_text("")
    assert call()[1].endswith("in mine/\n")
    assert "hint 1 of 3" in call("hint", "7.1")[1]
    assert (below / "mine" / "progress.json").exists()
    monkeypatch.chdir(below / "mine")
    assert "hint 2 of 3" in call("hint", "7.1")[1]


def test_copies_are_python_files_and_notebooks(reader, call):
    mine = reader / "copies"
    start = f"start with {mine}/07_double.py or 07_double.ipynb\n"
    assert call("copy", mine) == (0, f"{mine}: 4 files copied; {start}", "")
    (mine / "07_double.py").write_text("mine\n")
    code, out, err = call("copy", mine)
    assert (code, out) == (
        0,
        f"{mine}: 0 files copied, 1 skipped: you have changed them, or they are of an older version; {start}",
    )
    assert "skipped: " in err
    (mine / "13_score.py").write_text("")
    assert "13_score.py is of another version: no lesson has this name now" in call("copy", mine)[2]
    code, _, err = call("copy", mine / "07_double.py")
    assert code == 1
    assert "choose a folder you can write to" in err


def test_hints_are_shown_one_by_one(reader, call):
    outputs = [call("--folder", reader, "hint", "7.1")[1] for _ in range(4)]
    assert [words.split(": ")[1].strip() for words in outputs] == ["twice", "two times", "2 * x", "2 * x"]
    assert outputs[1].startswith("7.1 double, hint 2 of 3: ")
    code, _, err = call("--folder", reader, "hint", "7.9")
    assert code == 1
    assert "no such exercise" in err
    code, _, err = call("--folder", reader, "hint", "7")
    assert code == 1
    assert "give the number of one: 7.1, 7.2" in err


def test_one_exercise_can_be_checked_without_the_rest(reader, write, call):
    rest = "\nraise SystemExit('the rest of the lesson')\n"
    path = write(double="return x")
    path.write_text(path.read_text() + rest)
    code, out, _ = call("--folder", reader, "check", "7.1")
    assert (code, out.splitlines()) == (
        1,
        ["7.1 double  [✗] double(1): expected 2, got 1", "    For a hint: minids lessons hint 7.1"],
    )
    path = write(double="return 2 * x")
    path.write_text(path.read_text() + rest)
    code, out, _ = call("--folder", reader, "check", "7.1")
    assert (code, out) == (0, "7.1 double  [✓] right (3 checks), kept in mine.py\n")
    assert "return 2 * x" in (reader / "mine.py").read_text()
    write(double="return (")
    code, _, err = call("--folder", reader, "check", "7.1")
    assert code == 1
    assert "07_double.py: SyntaxError" in err
    assert "no such folder" in call("--folder", reader / "empty", "check", "7.1")[2]


def test_all_exercises_of_a_lesson_can_be_checked(reader, write, call):
    write(double="return x", quadruple="return double(2 * x)")
    code, out, _ = call("--folder", reader, "check", "7")
    assert (code, out.splitlines()[0]) == (1, "7.1 double  [✗] double(1): expected 2, got 1")
    assert out.splitlines()[-1] == "7.2 quadruple  [✓] right (1 check), kept in mine.py"
    write(double="return 2 * x", quadruple="return double(2 * x)")
    assert call("--folder", reader, "check", "7")[0] == 0
    code, _, err = call("--folder", reader, "check", "8")
    assert code == 1
    assert "lesson 8 is not here; `minids lessons copy` it" in err


def test_of_script_and_notebook_the_one_saved_last_is_checked(reader, write, call):
    script = write(double="return 2 * x")
    notebook = script.with_suffix(".ipynb")
    call("copy", reader)
    os.utime(notebook, (10, time.time() + 10))
    assert "[✓]" in call("--folder", reader, "check", "7.1")[1], "nothing is written in the notebook"
    notebook.write_text(notebook.read_text().replace("raise NotImplementedError", "return x + x + 1", 1))
    os.utime(notebook, (10, time.time() + 10))
    assert "double(1): expected 2, got 3" in call("--folder", reader, "check", "7.1")[1]
    os.utime(script, (20, time.time() + 20))
    assert "[✓]" in call("--folder", reader, "check", "7.1")[1]
    notebook.write_text(notebook.read_text().replace("return x + x + 1", "return 1 / 0"))
    os.utime(notebook, (30, time.time() + 30))
    assert (
        "ZeroDivisionError: division by zero (line 9: return 1 / 0)"
        in call("--folder", reader, "check", "7.1")[1]
    )


def test_watching_checks_again_whenever_a_file_is_saved(reader, write, call, monkeypatch):
    saves = iter(["return 3 * x", "return (", None, "return 2 * x"])
    write(double="return x")

    def sleep(seconds):
        body = next(saves, "stop")
        if body == "stop":
            raise KeyboardInterrupt
        if body:
            os.utime(write(double=body), (1, time.time() + len(body)))

    monkeypatch.setattr(command.time, "sleep", sleep)
    code, out, _ = call("--folder", reader, "check", "7.1", "--watch")
    results = [line for line in out.splitlines() if not line.startswith(("---", "    ")) and line]
    assert code == 0
    assert results[0] == "7.1 double  [✗] double(1): expected 2, got 1"
    assert results[1] == "7.1 double  [✗] double(1): expected 2, got 3"
    assert "SyntaxError" in results[2]
    assert results[3:] == ["7.1 double  [✓] right (3 checks), kept in mine.py"]


def test_a_file_that_an_editor_replaces_is_no_error(reader, write, call, monkeypatch):
    """Many editors save under another name and rename: for a moment the file is not there."""
    path = write(double="return x")
    calls = iter(["gone", "broken link", "back", "stop"])

    def sleep(seconds):
        match next(calls):
            case "gone":
                path.unlink()
            case "broken link":  # it is listed, but stat fails
                path.symlink_to(reader / "nowhere")
                (reader / "other.py").write_text("")
            case "back":
                path.unlink()
                write(double="return 2 * x")
            case "stop":
                raise KeyboardInterrupt

    monkeypatch.setattr(command.time, "sleep", sleep)
    code, out, _ = call("--folder", reader, "check", "7.1", "--watch")
    assert code == 0
    assert out.count("lesson 7 is not here") == 2
    assert out.splitlines()[-2] == "7.1 double  [✓] right (3 checks), kept in mine.py"


def test_only_files_named_like_the_lesson_are_checked(reader, write, call):
    """Not Emacs's lock, a conflicted copy of a synchronized folder, or a file that is half written."""
    path = write(double="return 2 * x")
    copied = path.read_text().replace("2 * x", "x")
    (reader / ".#07_double.py").symlink_to("reader@host.1")
    (reader / "07_double (conflicted copy).py").write_text(copied)
    (reader / "07_double.ipynb").write_text("")
    for name in "07_double (conflicted copy).py", "07_double.ipynb":
        os.utime(reader / name, (10, time.time() + 10))
    assert call("--folder", reader, "check", "7.1")[0] == 0
    path.unlink()
    code, _, err = call("--folder", reader, "check", "7.1")
    assert code == 1
    assert "07_double.ipynb: cannot be read" in err


def test_a_folder_that_keeps_no_hints_is_named(reader, call):
    (reader / "progress.json").mkdir()
    err = call("--folder", reader, "hint", "7.1")[2]
    assert f"{reader}/progress.json cannot be written" in err


def test_code_that_exits_is_an_error(reader, write, call):
    path = write(double="return ONE * 2 * x")
    path.write_text(path.read_text().replace("ONE = 1", "ONE = exit()"))
    code, _, err = call("--folder", reader, "check", "7.1")
    assert code == 1
    assert "07_double.py: SystemExit" in err


def test_a_broken_mine_is_said_in_the_list(reader, write, call):
    write()
    (reader / "mine.py").write_text("def (\n")
    assert f"{reader}/mine.py cannot be used: mine.py, line 1: SyntaxError: " in call("--folder", reader)[1]


def test_a_lesson_is_opened_in_jupyterlab(reader, call, monkeypatch):
    opened = []
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: name == "jupyterlab")
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **_: opened.append(*arguments))
    code, _, err = call("--folder", reader, "open", "7")
    assert code == 1
    assert f"minids lessons copy {reader}" in err
    call("copy", reader)
    notebook = str(reader / "07_double.ipynb")
    assert call("--folder", reader, "open", "7", "--print")[:2] == (
        0,
        f"{sys.executable} -m jupyterlab {notebook}\n",
    )
    assert opened == []
    assert call("--folder", reader, "open", "7")[0] == 0
    assert opened == [[sys.executable, "-m", "jupyterlab", notebook]]
    assert "no such lesson" in call("--folder", reader, "open", "9")[2]


def test_without_jupyterlab_the_page_is_opened(reader, call, monkeypatch):
    opened = []
    monkeypatch.chdir(reader)
    monkeypatch.setattr(command.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(webbrowser, "open", opened.append)
    code, _, err = call("--folder", reader, "open", "7")
    assert code == 1
    assert "pip install 'minids[lessons]'" in err
    page = reader / "out" / "lessons" / "site" / "07_double.html"
    page.parent.mkdir(parents=True)
    page.write_text("")
    assert call("--folder", reader, "open", "7", "--print")[1] == "out/lessons/site/07_double.html\n"
    assert opened == []
    call("--folder", reader, "open", "7")
    assert opened == [page.as_uri()]

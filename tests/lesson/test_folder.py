"""Where lessons, data, answers and checks are found, and copies of lessons."""

import os

import pytest

from minids._utils.errors import InputError
from minids.lesson import folder
from tests import ROOT


def test_unknown_data_is_an_error(reader):
    (folder.root() / "data").mkdir()
    (folder.root() / "data" / "one.flac").write_bytes(b"")
    assert folder.data("one.flac").is_file()
    with pytest.raises(InputError, match=r"two\.flac: .* has one\.flac"):
        folder.data("two.flac")


def test_answers_are_found_by_name(reader):
    assert folder.number_of("powers") == "8.1"
    assert folder.answer("quadruple")(2) == 8
    checks = folder.root() / "checks" / "08_powers.py"
    checks.write_text(checks.read_text().replace('"8.1", ', '"8.1", keep=False, '))
    folder.kept_exercises.cache_clear()
    with pytest.raises(InputError, match=r"powers: no exercise keeps .*; they keep double, quadruple$"):
        folder.answer("powers")
    assert folder.answer_to("8.1", "powers")(1) == 1
    with pytest.raises(InputError, match="no answers of lesson 9"):
        folder.answers(9)


def test_copies_never_overwrite_changed_lessons(reader):
    mine = reader / "new" / "copies"
    copied, skipped = folder.copy_lessons(mine)
    names = ["07_double.ipynb", "07_double.py", "08_powers.ipynb", "08_powers.py"]
    assert sorted(path.name for path in copied) == names
    assert skipped == []
    assert (mine / "07_double.py").read_text() == (folder.root() / "07_double.py").read_text()
    assert sorted(path.name for path in mine.iterdir()) == [*names, "progress.json"]
    assert folder.copy_lessons(mine) == ([], [])
    (mine / "07_double.py").write_text("mine\n")
    (mine / "08_powers.ipynb").unlink()
    assert folder.copy_lessons(mine) == ([mine / "08_powers.ipynb"], [mine / "07_double.py"])
    assert (mine / "07_double.py").read_text() == "mine\n"
    with pytest.raises(InputError, match="choose a folder you can write to"):
        folder.copy_lessons(mine / "07_double.py")


def test_copies_that_nobody_has_changed_follow_the_lessons(reader):
    folder.copy_lessons(reader)
    (reader / "07_double.py").write_text("mine\n")
    for name in "07_double.py", "08_powers.py":
        shipped = folder.root() / name
        shipped.write_text(shipped.read_text() + "\n# A new version\n")
    copied, skipped = folder.copy_lessons(reader)
    assert [path.name for path in copied] == ["07_double.ipynb", "08_powers.py", "08_powers.ipynb"]
    assert [path.name for path in skipped] == ["07_double.py"]
    assert (reader / "07_double.py").read_text() == "mine\n"
    assert (reader / "08_powers.py").read_text() == (folder.root() / "08_powers.py").read_text()
    assert folder.copy_lessons(reader) == ([], [reader / "07_double.py"])


def test_copies_of_an_unknown_version_are_as_if_changed(reader):
    folder.copy_lessons(reader)
    (reader / "progress.json").unlink()
    shipped = folder.root() / "08_powers.py"
    shipped.write_text(shipped.read_text() + "\n# A new version\n")
    assert [path.name for path in folder.copy_lessons(reader)[1]] == ["08_powers.py", "08_powers.ipynb"]
    assert folder.copy_lessons(reader)[0] == []


def test_a_copy_that_is_stopped_is_completed_by_the_next(reader, monkeypatch):
    """Each file is complete or not there: a part of one would count as a change."""
    calls = iter(range(3))
    with monkeypatch.context() as patch:
        replace = os.replace
        patch.setattr(os, "replace", lambda *names: replace(*names) if next(calls) < 2 else os._exit(9))
        child = os.fork()
        if not child:
            folder.copy_lessons(reader)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert len(folder.lessons(reader)) == 1
    copied, skipped = folder.copy_lessons(reader)
    assert (len(copied), skipped) == (2, [])


@pytest.mark.parametrize("depth", [0, 1])
def test_the_calling_file_is_the_first_outside_the_package(depth, tmp_path):
    inside = {"__name__": "minids.lesson.other", "folder": folder}
    exec("def f():\n    return folder.calling_file('none')\ndef g():\n    return f()", inside)
    outside = {"f": inside["fg"[depth]], "__file__": str(tmp_path / "a.py")}
    assert eval("f()", outside) == tmp_path / "a.py"
    assert str(eval("f()", {"f": outside["f"]})) == "none"


def test_the_working_copy_is_where_a_lesson_was_saved_last(reader, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "a", "b":
        folder.copy_lessons(tmp_path / name)
    for i, name in enumerate("ba"):
        os.utime(tmp_path / name / "08_powers.ipynb", (0, 2**32 + i))
        assert folder.working_copy().name == name


def test_a_folder_of_notebooks_has_lessons(reader, monkeypatch):
    folder.copy_lessons(reader)
    for path in [*reader.glob("*.py"), reader / "progress.json"]:
        path.unlink()
    monkeypatch.chdir(reader)
    assert str(folder.working_copy()) == "."
    assert [path.name for path in folder.copies(reader)] == ["07_double.ipynb", "08_powers.ipynb"]


def test_lessons_of_another_version_are_found(reader):
    folder.copy_lessons(reader)
    (reader / "08_other.py").write_text("")
    (reader / "notes.py").write_text("")
    assert folder.strangers(reader) == [reader / "08_other.py"]


def test_examples_are_found():
    assert folder.example("README.md") == ROOT / "examples" / "README.md"
    assert folder.example("README.md").is_file()

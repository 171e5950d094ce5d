"""Lessons read without being run: question, exercises, and a reader's function with what it needs."""

import sys

import pytest

from minids.lesson import folder, notebooks, source


def test_a_lesson_is_read_without_being_run(reader):
    path = folder.root() / "07_double.py"
    path.write_text(path.read_text() + "\nraise SystemExit\n")
    assert source.title(path) == "A question?"
    assert source.exercises(path) == [
        source.Exercise("7.1", "double", ["twice", "two times", "2 * x"]),
        source.Exercise("7.2", "quadruple", ["four", "4 * x"]),
    ]


def test_a_function_comes_with_what_it_needs_and_nothing_else(write):
    path = write(double="return helper() * x", quadruple="return 4 * x")
    text = path.read_text().replace(
        "\n\n# %%\ndef double",
        "\nraised = 1 / 0\nTWO = [1, 1]\nTWO[0] = 2\n\n\ndef helper():\n    raised = TWO[0]\n"
        "    return raised\n"
        "\n\n# %%\ndef double",
    )
    path.write_text(text + "\ndouble = 1 / 0\n")
    assert source.reader_function(path, "7.1")(3) == 6
    assert source.reader_function(path, "7.2")(3) == 12
    with pytest.raises(LookupError, match=r"no line calls check\('7.3', …\)"):
        source.reader_function(path, "7.3")


@pytest.mark.parametrize(
    "before",
    [
        "try:\n    from math import floor\nexcept ImportError:\n    floor = int",
        "for floor in [int]:\n    pass",
        "TABLE = {}\nfor i in range(9):\n    TABLE.update({i: i})\n\n\ndef floor(x):\n    return TABLE[x]",
        "COUNT = 0\n\n\ndef floor(x):\n    global COUNT\n    COUNT += 1\n    return x",
        "class Box:\n    pass\n\n\nbox = Box()\nbox.one = 1\n\n\ndef floor(x):\n    return box.one * x",
    ],
)
def test_all_that_binds_or_changes_a_name_is_run(write, before):
    path = write(double="return floor(2 * x) if x > 4 else 2 * floor(x)")
    path.write_text(path.read_text().replace("# %%\ndef double", f"{before}\n\n\n# %%\ndef double"))
    assert source.reader_function(path, "7.1")(4) == 8


@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
def test_imports_from_the_future_are_for_all_code(write, suffix):
    """Also where they are in a cell that is not the first one."""
    path = write(double="return 2 * x")
    text = path.read_text().replace("double(x)", "double(x: Number) -> Number")
    future = "from __future__ import annotations\n"
    if suffix == ".py":
        path.write_text(future + text)
    else:
        path = path.with_suffix(suffix)
        path.write_bytes(notebooks.from_percent(text.replace("ONE = 1", f"{future}ONE = 1")))
    assert source.reader_function(path, "7.1")(3) == 6


def test_a_compiled_function_does_not_run_the_whole_lesson(write):
    """Numba imports the module in which it believes a function to be."""
    path = write(double="return 2 * x")
    text = path.read_text().replace("import numpy as np", "import numba\nimport numpy as np")
    text = text.replace("# %%\ndef double", "@numba.njit\ndef double")
    path.write_text(text + "\n__import__('pathlib').Path(__file__).with_suffix('.ran').touch()\n")
    assert source.reader_function(path, "7.1")(3) == 6
    assert not path.with_suffix(".ran").exists()


def test_endless_code_is_stopped(write, monkeypatch):
    monkeypatch.setattr(source, "_SECONDS", 0.2)
    path = write(double="return ONE * 2 * x")
    endless = "ONE = 1\nwhile ONE:\n    ONE += 1\n"
    path.write_text(path.read_text().replace("ONE = 1  # a constant\n", endless))
    with pytest.raises(TimeoutError, match=r"no result after 0.2 seconds; line \d+ was running: "):
        source.reader_function(path, "7.1")


@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
def test_files_saved_by_any_editor_are_read(write, suffix):
    path = write(double="return 2 * x")
    text = path.read_text()
    path = path.with_suffix(suffix)
    content = text.encode() if suffix == ".py" else notebooks.from_percent(text)
    path.write_bytes(b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"))
    assert source.is_written(path, "7.1")
    assert source.reader_function(path, "7.1")(3) == 6
    if suffix == ".py":
        path.write_bytes(b"# coding: latin-1\n# \xe9\n" + content)
        assert source.reader_function(path, "7.1")(3) == 6


def test_exercises_are_found_by_name_in_copies_of_another_version(write):
    path = write(double="return 2 * x", quadruple="return double(double(x))")
    path.write_text(path.read_text().replace('"7.2"', '"7.3"').replace('"7.1"', '"7.2"'))
    assert source.reader_function(path, "7.1")(3) == 6
    assert source.reader_function(path, "7.2")(3) == 12


@pytest.mark.parametrize("body", ["return 2 * x", "return 3 * x", "raise NotImplementedError"])
def test_other_exercises_are_as_in_the_lesson(write, body, capsys):
    """The reader's function if it is right, else our answer; nothing is printed."""
    path = write(double=body, quadruple="return double(double(x))")
    assert source.reader_function(path, "7.2")(3) == 12
    assert capsys.readouterr().out == ""


def test_functions_of_earlier_lessons_are_at_hand(write, run, capsys):
    run(double="return 2 * x")
    path = write("08_powers.py", powers="return [quadruple(double(1)) // 8, 2, 4, 8, 16][:n]")
    capsys.readouterr()
    assert source.reader_function(path, "8.1")(3) == [1, 2, 4]
    assert capsys.readouterr().out == ""


def test_a_module_of_the_reader_is_read_again_each_time(write, reader, monkeypatch):
    monkeypatch.delitem(sys.modules, "recognizer", raising=False)  # the capstone of another test
    path = write()
    path.write_text("import recognizer\nfrom minids.lesson import check\ncheck('7.1', recognizer.double)\n")
    with pytest.raises(ModuleNotFoundError, match="recognizer"):
        source.reader_function(path, "7.1")
    for k in 2, 3:
        text = f"from tools import K\n\n\ndef double(x):\n    return K * x + {k} - {k}\n"
        (reader / "recognizer.py").write_text(text)
        (reader / "tools.py").write_text(f"K = {k}  # {'x' * k}\n")
        assert source.reader_function(path, "7.1")(3) == 3 * k
    assert source.is_written(path, "7.1")
    assert [exercise.name for exercise in source.exercises(path)] == ["double"]


def test_errors_of_the_reader_are_raised(write):
    path = write(double="return 2 * x")
    path.write_text(path.read_text().replace("def double", "@gone\ndef double"))
    with pytest.raises(NameError, match="gone"):
        source.reader_function(path, "7.1")


@pytest.mark.parametrize(
    ("body", "written"),
    [
        ("raise NotImplementedError", False),
        ("return 2 * x", True),
        ("y = x\n    raise NotImplementedError", False),
        ("return (", True),
    ],
)
@pytest.mark.parametrize("suffix", [".py", ".ipynb"])
def test_whether_a_stub_has_been_replaced(write, body, written, suffix):
    path = write(double=body)
    if suffix == ".ipynb":
        path = path.with_suffix(suffix)
        path.write_bytes(notebooks.from_percent(path.with_suffix(".py").read_text()))
    assert source.is_written(path, "7.1") == written

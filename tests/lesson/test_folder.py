"""Where lessons, data, answers and checks are found, and copies of lessons."""

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
    assert sorted(path.name for path in mine.iterdir()) == names
    assert folder.copy_lessons(mine) == ([], [])
    (mine / "07_double.py").write_text("mine\n")
    (mine / "08_powers.ipynb").unlink()
    assert folder.copy_lessons(mine) == ([mine / "08_powers.ipynb"], [mine / "07_double.py"])
    assert (mine / "07_double.py").read_text() == "mine\n"
    with pytest.raises(InputError, match="choose a folder you can write to"):
        folder.copy_lessons(mine / "07_double.py")


def test_examples_are_found():
    assert folder.example("README.md") == ROOT / "examples" / "README.md"
    assert folder.example("README.md").is_file()

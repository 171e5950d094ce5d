"""Lessons as notebooks, written and read."""

import inspect
import json

import pytest

from minids._utils.errors import InputError
from minids.lesson import folder, notebooks, source


@pytest.mark.parametrize("path", folder.lessons(), ids=lambda path: path.stem)
def test_a_notebook_is_valid_and_has_the_cells_of_the_lesson(path):
    nbformat = pytest.importorskip("nbformat")
    jupytext = pytest.importorskip("jupytext")
    text = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(notebooks.from_percent(text).decode(), 4)
    nbformat.validate(notebook)
    cells, expected = notebook.cells, jupytext.read(path).cells
    assert [(cell.cell_type, cell.source) for cell in cells] == [(c.cell_type, c.source) for c in expected]
    assert notebooks.from_percent(text) == notebooks.from_percent(text)


def test_the_code_of_a_notebook_is_one_text(write):
    path = write(double="%time 1\n    return 2 * x").with_suffix(".ipynb")
    text = path.with_suffix(".py").read_text() + "\n# %%\n!ls\nquadruple(1)\n"
    path.write_bytes(notebooks.from_percent(text))
    code, file = notebooks.code_of(path, "7.1")
    assert "pass  # !ls\nquadruple(1)" in code
    assert "question" not in code
    function = source.reader_function(path, "7.1")
    assert function(3) == 6
    assert function.__code__.co_filename == file
    assert "return 2 * x" in inspect.getsource(function)


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("x = (7\n     % 4)", "x = (7\n     % 4)"),
        ("x = '''\n%time\n!\n?'''", "x = '''\n%time\n!\n?'''"),
        ("x = (7\n% 4)\n%time x\n!ls 'it", "x = (7\n% 4)\npass  # %time x\npass  # !ls 'it"),
        ("if x:\n    !ls\n    y = 1", "if x:\n    pass  # !ls\n    y = 1"),
        ("files, n = !ls (\nnp.sin?\n?np", "pass  # files, n = !ls (\npass  # np.sin?\npass  # ?np"),
        ("%%time\nx = 1", "pass  # %%time\nx = 1"),
        ("%%bash\nls -l", "# %%bash\n# ls -l"),
        ("x = f(1, 2", "# x = f(1, 2"),
        ("double = (\ncheck('7.2', double)", "# double = (\n# check('7.2', double)"),
    ],
)
def test_only_commands_of_ipython_become_comments(reader, cell, code):
    path = reader / "07_double.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": cell}]}))
    assert notebooks.code_of(path, "7.1")[0] == code


def test_a_cell_that_checks_and_is_not_python_is_named(reader):
    path = reader / "07_double.ipynb"
    cells = ["x = 1", "\ndef double(x):\n    return (\n\ndouble = check('7.1', double)"]
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": cell} for cell in cells]}))
    with pytest.raises(SyntaxError, match=r"\(the cell that begins with 'def double\(x\):'\)"):
        notebooks.code_of(path, "7.1")
    assert notebooks.code_of(path, "7.2")[0].startswith("x = 1\n\n# \n# def double")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"cells": [7]}', b"\xff"])
def test_a_damaged_notebook_is_an_error(reader, content):
    path = reader / "07_double.ipynb"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"07_double\.ipynb: cannot be read"):
        notebooks.code_of(path, "7.1")


def test_sources_may_be_lists_or_one_text(reader):
    path = reader / "07_double.ipynb"
    cells = [{"cell_type": "code", "source": "a = 1\nb = 2"}, {"cell_type": "markdown", "source": []}]
    path.write_text(json.dumps({"cells": [*cells, {"cell_type": "code", "source": ["c = 3\n", "d = 4"]}]}))
    assert notebooks.code_of(path, "7.1")[0] == "a = 1\nb = 2\n\nc = 3\nd = 4"

"""docs/paper.md: every function, lesson and test that it names is there, and every figure is right."""

import ast
import re
from functools import reduce
from importlib import import_module
from math import prod
from pathlib import Path

import pytest

from minids.model import ModelSettings
from minids.ops import reference
from tests import ROOT

MAP = (ROOT / "docs" / "paper.md").read_text(encoding="utf-8")
# fmt: off
LESSONS = [
    "01_hear", "02_letters", "03_layer", "04_time", "05_align", "06_blame",
    "07_learn", "08_batch", "09_noise", "10_search", "11_language", "12_score",
    "13_compile", "14_real", "15_before", "16_recognizer", "17_you", "18_threads",
    "19_tiles", "20_wavefront", "21_convolution",
]
SECTIONS = ["2", "2.1", "2.2", "3", "3.1", "3.2", "3.3", "4", "4.1", "4.2", "5", "5.1", "5.2"]
# fmt: on

LINKS = sorted(set(re.findall(r"\[([^]]+)\]\(\.\./(\S+?)\)", MAP)))  # (text, path)
CODE = [(text.strip("`"), path) for text, path in LINKS if path.startswith("minids/")]
TESTS = [
    ("test_" + re.sub("[.']", "", text).replace(" ", "_").lower(), path)
    for text, path in LINKS
    if path.startswith("tests/")
]
ROWS = [
    [cell.strip() for cell in line[1:-1].split("|")]
    for table in re.split(r"^\| the paper \|.*\n\|-.*\n", MAP, flags=re.MULTILINE)[1:]
    for line in table.split("\n\n")[0].splitlines()
]


@pytest.mark.parametrize(("name", "path"), CODE, ids=[name for name, _ in CODE])
def test_every_function_is_in_the_linked_file(name, path):
    """`ops.reference.affine_forward` in ops/reference/affine.py; `features.frames` in features.py."""
    module = import_module(path.removesuffix(".py").replace("/", "."))
    home = module.__name__.removeprefix("minids.")
    prefix = home if f"{name}.".startswith(f"{home}.") else home.rpartition(".")[0]
    rest = name.removeprefix(prefix).lstrip(".")
    assert name == ".".join(filter(None, (prefix, rest)))
    assert reduce(getattr, filter(None, rest.split(".")), module) is not None


@pytest.mark.parametrize(("name", "path"), TESTS, ids=[name for name, _ in TESTS])
def test_every_test_is_in_the_linked_file(name, path):
    """[the gate is open between the kinks alone](…) is test_the_gate_is_open_between_the_kinks_alone."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", LESSONS)
def test_every_lesson_exists_and_is_on_the_map(name):
    assert (str(int(name[:2])), f"lessons/{name}.py") in LINKS
    assert (ROOT / "lessons" / f"{name}.py").exists()


def test_nothing_else_is_linked():
    rest = [path for _, path in LINKS if path.split("/")[0] not in ("minids", "tests", "lessons")]
    assert rest == ["README.md"]
    assert {path for _, path in LINKS if path.startswith("lessons/")} == {f"lessons/{n}.py" for n in LESSONS}


def test_every_section_of_the_paper_is_on_the_map():
    assert [number for number in SECTIONS if not re.search(rf"§{re.escape(number)}(?![.\d])", MAP)] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_every_entry_has_a_function_a_test_and_a_lesson(row):
    _, entry, lesson = row
    assert re.search(r"\]\(\.\./minids/\S+\): \[.*\]\(\.\./tests/\S+\)$", entry)
    assert re.search(r"\]\(\.\./lessons/\S+\)$", lesson)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_a_lesson_names_the_functions_that_the_map_links_to_it(row):
    """A function's name, or its file to be read."""
    names = [name.rpartition(".")[2].lower() for name in re.findall(r"\[`([\w.]+)`\]", row[1])]
    paths = re.findall(r"\(\.\./(minids/\S+?)\)", row[1])
    for lesson in re.findall(r"\(\.\./lessons/(\S+?)\)", row[2]):
        files = [ROOT / "lessons" / lesson, ROOT / "lessons" / "answers" / lesson]
        text = " ".join(file.read_text(encoding="utf-8") for file in files)
        words = re.findall(r"\w+", text.lower())
        assert set(words).intersection(names) or any(path in text for path in paths), lesson


def test_every_function_of_the_reference_is_on_the_map():
    named = {name.rpartition(".")[2] for name, path in CODE if path.startswith("minids/ops/reference/")}
    public = set()
    for file in Path(reference.__path__[0]).glob("[a-z]*.py"):
        if file.stem != "arrays":  # not a formula
            tree = ast.parse(file.read_text(encoding="utf-8"))
            public |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert {name for name in public if not name.startswith("_")} == named


def recurrent_layer(H: int, gates: int, shared_input: bool, stored: int, functions: int) -> list[int]:
    """The column of the table: weights, flops, flops over time, their bytes, bytes stored, functions.

    A layer of H units with H inputs, in two directions, for one frame of one utterance in float32. `stored`
    numbers and `functions` are per unit and direction.
    """
    over_time = 2 * gates * H * H
    weights = gates * H * H * (1 if shared_input else 2) + over_time
    return [weights, 2 * weights, 2 * over_time, 4 * over_time, 2 * stored * H * 4, 2 * functions * H]


PLAIN = (1, True, 1, 1)  # W4 is shared; h is stored; a clip
LSTM = (4, False, 6, 5)  # i, f, o, g, cell, state are stored; 3 sigmoids, 2 tanh


@pytest.mark.parametrize(("column", "kind"), [(1, PLAIN), (2, LSTM)], ids=["plain", "LSTM"])
def test_the_costs_of_a_recurrence(column, kind):
    table = MAP.split("| one layer, one frame |")[1].split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line[1:-1].split("|")] for line in table]
    for row, at_2048, at_3 in zip(rows, recurrent_layer(2048, *kind), recurrent_layer(3, *kind), strict=True):
        factor, power = re.fullmatch(r"\$(\d+) H(\^2)?\$", row[column]).groups()
        assert int(factor) * 3 ** (2 if power else 1) == at_3, row[0]
        scale = 1e6 if at_2048 > 1e6 else 1e3
        assert row[column + 2] == f"{at_2048 / scale:.1f} {'M' if scale == 1e6 else 'k'}", row[0]


def test_the_sizes_of_the_whole_network_with_either():
    shapes = ModelSettings(inputs=81, characters=29, hidden=2048, context=9).shapes()
    whole = sum(prod(shape) for shape in shapes.values())
    recurrence = [name for name in shapes if name in ("W4", "Wr_f", "Wr_b")]
    assert sum(prod(shapes[name]) for name in recurrence) == recurrent_layer(2048, *PLAIN)[0]
    other = whole - recurrent_layer(2048, *PLAIN)[0] + recurrent_layer(2048, *LSTM)[0]
    stated = re.search(r"has (\S+) M weights; with an LSTM .* it would have (\S+) M", MAP, re.DOTALL)
    assert stated.groups() == (f"{whole / 1e6:.1f}", f"{other / 1e6:.1f}")


def test_the_common_misreading_is_corrected_first():
    from minids.features import Features
    from minids.recognizer import JITTER_MS

    features = Features()
    assert (features.window_ms, features.hop_ms) == (20, 10)
    assert sorted(JITTER_MS) == [-features.hop_ms / 2, 0, features.hop_ms / 2]
    first = MAP.split("\n## ")[1]
    assert "The window is 20 ms, the hop 10 ms" in first
    assert "shifted by 5 ms" in first

"""mine.py: what a reader's right functions become, and how later lessons use them."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minids.lesson import checking, folder, mine, progress

HELPERS = '''\
import math
import numpy.fft as transforms
from collections import OrderedDict as Ordered
from itertools import product
from numpy import sqrt

TWO = 1 + 1
SCALE = 0x2  # as it is written
TABLE = np.linspace(0, 10, 11)
NAMES = {"a": (1, None), "b": [True, -2.5]}


def helper(x):
    """Twice."""
    return len(list(product("ab", repeat=1))) * x + shift(0)


def shift(x, by=ONE - ONE):
    return x + by


@__import__("functools").cache
def cached(x):
    return x


class Doubler:
    """A class of the reader."""

    def __call__(self, x):
        return helper(x) * math.ceil(sqrt(1)) if NAMES and TABLE[1] and Ordered and transforms else None
'''


def sections(reader):
    lines = (reader / "mine.py").read_text().splitlines()
    return [re.sub(r" \([0-9a-f]{8}\)$", "", line[5:]) for line in lines if line.startswith("# %% ")]


def imports(reader):
    return (reader / "mine.py").read_text().split("# %% imports")[1].split("\n\n")[0].splitlines()[1:]


def alone(reader):
    """The names of mine.py, run in a new process-like namespace."""
    return runpy.run_path(str(reader / "mine.py"))


def test_what_a_function_needs_is_kept_with_it_once(run, reader):
    out, _ = run(
        before=HELPERS, double="return Doubler()(cached(x)) * TWO // SCALE", quadruple="return helper(2 * x)"
    )
    assert out.count("kept in mine.py") == 2
    helpers = ["Doubler", "NAMES", "ONE", "SCALE", "TABLE", "TWO", "cached", "helper", "shift"]
    assert sorted(sections(reader)[1:-2]) == [f"{name}, for 7.1" for name in helpers]
    assert sections(reader)[-2:] == ["7.1 double", "7.2 quadruple"]
    text = (reader / "mine.py").read_text()
    assert "SCALE = 0x2\n" in text
    assert "import numpy.fft as transforms\n" in text
    assert "from collections import OrderedDict as Ordered\n" in text
    assert text.count("import numpy as np") == 1
    assert alone(reader)["double"](4) == 8
    assert alone(reader)["quadruple"](4) == 16
    done = subprocess.run([sys.executable, "mine.py"], cwd=reader, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_imports_are_written_as_in_the_lesson(run, reader):
    pytest.importorskip("numba")
    before = "from numba import (\n    njit as compiled,\n    prange,\n)\n\n\n@compiled\ndef twice(x):\n"
    before += "    return 2 * x"
    run(before=before, double="return int(np.asarray(twice(x)))")
    assert imports(reader) == ["import numpy as np", "from numba import njit as compiled"]
    assert alone(reader)["double"](4) == 8


def test_sections_are_in_the_order_of_the_exercises(run, reader):
    run(quadruple="return x + x + x + x")
    run("08_powers.py", powers="return [2**i for i in range(n)]")
    assert sections(reader) == ["imports", "7.2 quadruple", "8.1 powers"]
    run(double="return x * (ONE + ONE)", quadruple="return x + x + x + x")
    assert sections(reader) == ["imports", "ONE, for 7.1", "7.1 double", "7.2 quadruple", "8.1 powers"]


def test_our_answer_holds_the_place_of_an_exercise_that_is_not_done(run, reader):
    out, _ = run(quadruple="return double(double(x))")
    assert "7.2 quadruple  [✓] right (1 check), kept in mine.py" in out
    assert sections(reader) == ["7.1 double, our answer", "7.2 quadruple"]
    assert alone(reader)["quadruple"](4) == 16
    out, _ = run("08_powers.py")
    assert out.startswith("from your mine.py: quadruple; our answers: double (7.1)\n")
    assert mine.kept(reader) == ["7.2"]
    run(double="return 2 * x", quadruple="return double(double(x))")
    assert sections(reader) == ["7.1 double", "7.2 quadruple"]
    assert "    return 2 * x\n" in (reader / "mine.py").read_text()
    assert mine.kept(reader) == ["7.1", "7.2"]


def test_later_lessons_run_on_the_functions_of_the_reader(run, reader):
    out, _ = run("08_powers.py")
    assert out.splitlines() == [
        "our answers: double (7.1), quadruple (7.2)",
        "8.1 powers  [ ] not written yet; the lesson continues with our answer",
        "eight is 8 3",
    ]
    run(double="return x * 2", quadruple="return 4 * x")
    out, names = run("08_powers.py", powers="return [2**i for i in range(n)]")
    assert out.splitlines() == [
        "from your mine.py: double, quadruple",
        "8.1 powers  [✓] right (2 checks), kept in mine.py",
        "eight is 8 3",
    ]
    assert names["double"].__code__.co_filename == str(reader / "mine.py")


def test_a_new_version_replaces_the_old_one_and_its_helpers(run, reader):
    run(
        before="def helper(x):\n    return x + x", double="return helper(x)", quadruple="return helper(2 * x)"
    )
    run(
        before="def helper(x):\n    return x * 2", double="return helper(x)", quadruple="return 2 * helper(x)"
    )
    assert sections(reader) == ["helper, for 7.1", "7.1 double", "7.2 quadruple"]
    text = (reader / "mine.py").read_text()
    assert "return x * 2" in text
    assert "return 2 * helper(x)" in text
    assert "x + x" not in text
    before = (reader / "mine.py").stat().st_mtime_ns
    run(
        before="def helper(x):\n    return x * 2", double="return helper(x)", quadruple="return 2 * helper(x)"
    )
    assert (reader / "mine.py").stat().st_mtime_ns == before, "nothing new: the file is not touched"


def test_an_edited_section_is_never_overwritten(run, reader):
    run(double="return 2 * x")
    path = reader / "mine.py"
    path.write_text(path.read_text().replace("return 2 * x", "return x * 2  # mine"))
    out, _ = run(double="return x + x")
    assert out.splitlines()[0] == (
        "7.1 double  [✓] right (3 checks), but not kept: you have edited `7.1 double` in mine.py;"
        " remove it there to replace it"
    )
    assert "# mine" in path.read_text()
    assert "from your mine.py: double;" in run("08_powers.py")[0]
    path.write_text(path.read_text().split("# %% 7.1")[0])
    run(double="return x + x")
    assert "return x + x" in path.read_text()


def test_what_the_reader_adds_to_the_file_stays(run, reader):
    run(quadruple="return 4 * x")
    path = reader / "mine.py"
    path.write_text("# My file\n" + path.read_text() + "\n# %% my experiments\nprint(quadruple(1))\n")
    run(double="return 2 * x", quadruple="return 4 * x")
    assert path.read_text().startswith("# My file\n")
    assert sections(reader) == ["7.1 double", "7.2 quadruple", "my experiments"]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("def double(x:", "mine.py, line 8: SyntaxError"),
        ("raise KeyError('gone')", "mine.py, line 8: KeyError: 'gone'"),
        ("import not_there", "mine.py, line 8: ModuleNotFoundError"),
        ("exit()", "mine.py, line 8: SystemExit"),
    ],
)
def test_a_broken_file_is_one_line_and_our_answers(run, reader, broken, message):
    run(double="return 2 * x")
    path = reader / "mine.py"
    good = path.read_text()
    path.write_text(good.replace("def double(x):", f"{broken}\ndef double(x):"))
    first, second, *_ = run("08_powers.py")[0].splitlines()
    assert first.startswith(f"mine.py cannot be used: {message}")
    assert second == "our answers: double (7.1), quadruple (7.2)"
    out, _ = run(double="return 2 * x", quadruple="return 4 * x")
    assert f"7.2 quadruple  [✓] right (1 check), but not kept: {message}" in out
    path.write_text(good)
    assert "quadruple  [✓] right (1 check), kept" in run(quadruple="return 4 * x")[0]


def test_an_endless_file_is_stopped(run, reader, monkeypatch):
    monkeypatch.setattr(mine, "_SECONDS", 0.1)
    (reader / "mine.py").write_text("while True:\n    pass\n")
    out, _ = run("08_powers.py")
    assert out.startswith("mine.py cannot be used: mine.py: TimeoutError: no result after 0.1 seconds; line ")


def test_an_edited_function_is_checked_again_and_must_be_right(run, reader):
    run(double="return 2 * x", quadruple="return 4 * x")
    path = reader / "mine.py"
    path.write_text(path.read_text().replace("return 2 * x", "return 3 * x"))
    first, second, *_ = run("08_powers.py")[0].splitlines()
    assert first == "mine.py, double  [✗] double(1): expected 2, got 3; using our answer"
    assert second == "from your mine.py: quadruple; our answers: double (7.1)"


def test_a_function_of_the_file_without_a_section_is_checked(run, reader):
    (reader / "mine.py").write_text("def double(x):\n    return x + x\n")
    assert run("08_powers.py")[0].startswith("from your mine.py: double; our answers: quadruple (7.2)\n")


def test_the_answers_do_not_touch_the_file(run, reader, monkeypatch):
    monkeypatch.setenv("MINIDS_ANSWERS", "1")
    (reader / "mine.py").write_text("def double(x):\n    return 0\n")
    assert run("08_powers.py")[0].startswith("our answers: double (7.1), quadruple (7.2)\n")
    assert (reader / "mine.py").read_text() == "def double(x):\n    return 0\n"


NOT_KEPT = {
    "a value that is not in the lesson": (
        "for SIZE in [[np.zeros(1)]]:\n    pass",
        "return 2 * x + len(SIZE) - 1",
        "it uses `SIZE`, whose value is not in the lesson; make it an argument",
    ),
    "a closure": (
        "def make(k):\n    def inner(x):\n        return k * x\n    return inner\n\n\ninner = make(2)",
        "return inner(x)",
        "`inner` is defined inside another function",
    ),
    "an object that cannot be compared or printed": (
        "class Odd:\n    __eq__ = __repr__ = lambda *_: 1 / 0\n\n\nODD = [Odd()]",
        "return 2 * x + 0 * len(ODD)",
        "ZeroDivisionError: division by zero",
    ),
    "the name of an exercise": (
        "powers = 2",
        "return powers * x",
        "`powers` is the name of exercise 8.1; give yours another name",
    ),
}


@pytest.mark.parametrize("case", NOT_KEPT)
def test_what_cannot_be_kept_says_why(run, reader, case):
    before, body, why = NOT_KEPT[case]
    out, names = run(before=before, double=body)
    assert out.splitlines()[0] == f"7.1 double  [✓] right (3 checks), but not kept: {why}"
    assert names["double"](4) == 8
    assert not (reader / "mine.py").exists()


CUT = "def cut(x, by=2):\n    return by * x"
CUT_3 = "def cut(x, by):\n    return by * x"


def test_a_helper_of_two_exercises_stays_as_both_need_it(run, reader):
    run(before=CUT, double="return cut(x)")
    before = (reader / "mine.py").read_text()
    out, _ = run(before=CUT_3, quadruple="return cut(x, 4)")
    assert out.splitlines()[1] == (
        "7.2 quadruple  [✓] right (1 check), but not kept: with the new `cut`, your `double` (7.1) would"
        " fail: TypeError: cut() missing 1 required positional argument: 'by' (line 15: return cut(x));"
        " called with x = 1; give yours another name"
    )
    assert (reader / "mine.py").read_text() == before
    out, _ = run(before=CUT_3, double="return cut(x, 2)", quadruple="return cut(x, 4)")
    assert out.count("kept in mine.py") == 2, "the function that replaces the other user is kept first"
    assert alone(reader)["double"](4) == 8


def test_a_helper_of_a_helper_is_checked_with_all_functions_that_use_it(run, reader):
    base = "def base(x):\n    return {}\n\n\ndef cut(x):\n    return base(x)"
    run(before=base.format("x"), double="return 2 * cut(x)")
    out, _ = run(before=base.format("2 * x"), quadruple="return base(2 * x)")
    assert (
        "not kept: with the new `base`, your `double` (7.1) would fail: double(1): expected 2, got 4" in out
    )


def test_the_functions_of_a_lesson_are_kept_together(run, reader):
    """The new `quadruple` needs the new `double`, which the old `quadruple` does not understand."""
    old, new = "return Number(2 * x)", "return 2 * x"
    before = "class Number(int):\n    def twice(self):\n        return 2 * self"
    run(before=before, double=old, quadruple="return double(x).twice()")
    assert sections(reader) == ["Number, for 7.1", "7.1 double", "7.2 quadruple"]
    out, _ = run(before=before, double=new, quadruple="return 2 * double(x)")
    assert "(3 checks), but not kept: with the new `double`, your `quadruple` (7.2) would fail: " in out
    assert "7.2 quadruple  [✓] right (1 check), kept in mine.py" in out
    assert new in (reader / "mine.py").read_text()
    assert old not in (reader / "mine.py").read_text()


def test_a_helper_named_like_an_exercise_is_not_replaced_by_it(run, reader):
    before = "def powers(x, n):\n    return x * n"
    out, _ = run(before=before, double="return powers(x, 2)")
    assert "not kept: `powers` is the name of exercise 8.1; give yours another name" in out
    assert not (reader / "mine.py").exists()


def test_a_marker_inside_a_function_or_a_text_is_none(run, reader):
    body = """text = \"\"\"
# %% 8.1 powers
\"\"\"
# %% 8.1 powers
    return 2 * x"""
    for code in body, body.replace("2 * x", "x + x"):
        out, _ = run(double=code)
        assert "7.1 double  [✓] right (3 checks), kept in mine.py" in out
        assert mine.kept(reader) == ["7.1"]
    out, _ = run("08_powers.py")
    assert out.startswith("from your mine.py: double; our answers: quadruple (7.2)\n")


def test_annotations_that_are_not_evaluated_stay_so(run, write, reader):
    path = write(double="return 2 * x")
    text = path.read_text().replace("double(x)", "double(x: Number) -> Number")
    (folder.root() / "07_double.py").write_text("from __future__ import annotations\n\n" + text)
    assert "7.1 double  [✓] right (3 checks), kept in mine.py" in run()[0]
    assert imports(reader) == ["from __future__ import annotations"]
    assert alone(reader)["double"](3) == 6


@pytest.mark.parametrize(
    ("before", "body", "kept"),
    [
        ("COUNT = 0", "global COUNT; COUNT += 1; return 2 * x", "COUNT = 0"),
        ("MEMO = {}", "MEMO[x] = 2 * x; return MEMO[x]", "MEMO = {}"),
        ("SEEN = list()", "SEEN.append(x); return 2 * x", "SEEN = list()"),
    ],
)
def test_what_a_function_changes_is_kept_as_it_was_at_first(run, reader, before, body, kept):
    for _ in range(2):
        assert "7.1 double  [✓] right (3 checks), kept in mine.py" in run(before=before, double=body)[0]
        assert f"\n{kept}\n" in (reader / "mine.py").read_text()


@pytest.mark.parametrize("mark", ["\ufeff", "# -*- coding: latin-1 -*-\n"])
def test_other_encodings_are_understood(run, reader, mark):
    run(double="return 2 * x  # für 2")
    path = reader / "mine.py"
    path.write_bytes((mark + path.read_text()).encode("latin-1" if "latin" in mark else "utf-8"))
    assert run("08_powers.py")[0].startswith("from your mine.py: double;")
    out, _ = run(double="return 2 * x  # für 2", quadruple="return 4 * x")
    assert "7.2 quadruple  [✓] right (1 check), kept in mine.py" in out
    assert runpy.run_path(str(path))["quadruple"](2) == 8
    assert "# für 2" in path.read_bytes().decode("latin-1" if "latin" in mark else "utf-8")


def test_what_a_function_uses_may_be_edited_and_is_then_checked(run, reader):
    run(before="def cut(x):\n    return 2 * x", double="return cut(x)")
    path = reader / "mine.py"
    path.write_text(path.read_text().replace("return 2 * x", "return 3 * x"))
    assert run("08_powers.py")[0].startswith("mine.py, double  [✗] double(1): expected 2, got 3;")
    path.write_text(path.read_text().replace("return 3 * x", "return x + x"))
    assert run("08_powers.py")[0].startswith("from your mine.py: double;")
    path.write_text(path.read_text() + "\n\n# %% mine\ndef double(x):\n    return 0\n")
    assert run("08_powers.py")[0].startswith("mine.py, double  [✗] double(1): expected 2, got 0;")


def test_edited_imports_stay_as_they_are_and_are_added_to(run, reader):
    before = "from math import floor\nfrom math import ceil"
    run(before=before, double="return ceil(floor(2 * x))")
    path = reader / "mine.py"
    merged = "from math import (  # mine\n    ceil,\n    floor,\n)"
    path.write_text(path.read_text().replace("from math import ceil\nfrom math import floor", merged))
    out, _ = run(
        before=f"{before}\nfrom operator import mul",
        double="return ceil(floor(2 * x))",
        quadruple="return mul(ceil(4.0), x)",
    )
    assert out.count("kept in mine.py") == 2
    assert imports(reader) == [*merged.splitlines(), "from operator import mul"]


def test_two_processes_keep_all_functions(write, reader):
    """Each checks an exercise of its own again and again; none overwrites what another has written."""
    write(double="return 2 * x", quadruple="return 4 * x")
    write("08_powers.py", powers="return [2**i for i in range(n)]")
    script = reader.parent / "check.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nfrom minids.lesson import checking, folder, source\n"
        f"folder.root = lambda: Path({str(folder.root())!r})\n"
        "file, number = Path(sys.argv[1]), sys.argv[2]\n"
        "for i in range(12):\n"
        "    file.with_suffix(f'.{number}.py').write_text(\n"
        "        file.read_text().replace('return', f'unused = {i}\\n    return')\n    )\n"
        "    function = source.reader_function(file.with_suffix(f'.{number}.py'), number)\n"
        "    checking.report(checking.find_check(number), function, file.parent)\n"
    )
    exercises = [("07_double.py", "7.1"), ("07_double.py", "7.2"), ("08_powers.py", "8.1")]
    processes = [
        subprocess.Popen(
            [sys.executable, script, reader / file, number], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for file, number in exercises
    ]
    outputs = [process.communicate(timeout=120)[0].decode() for process in processes]
    assert [output.count("kept in mine.py") for output in outputs] == [12, 12, 12], outputs
    assert mine.kept(reader) == ["7.1", "7.2", "8.1"]
    assert {number: entry["state"] for number, entry in progress.load(reader).items()} == {
        "double": "right",
        "quadruple": "right",
        "powers": "right",
    }
    assert [path.name for path in reader.glob(".*")] == []
    assert (reader / "mine.py").read_text().count("unused = 11") == 3


def test_a_kill_at_any_moment_leaves_a_file_that_can_be_improved(run, reader, monkeypatch):
    run(double="return 2 * x")
    for call in "fsync", "replace", "close":
        before = (reader / "mine.py").read_text()
        with monkeypatch.context() as patch:
            patch.setattr(os, call, lambda *_: os.kill(os.getpid(), 9))
            child = os.fork()
            if not child:
                run(double=f"return 2 * x + 0 * len('{call}')")
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 9
        assert (reader / "mine.py").read_text() == before or call == "close"
        out, _ = run(double=f"return x + x + 0 * len('{call}')")
        assert out.startswith("7.1 double  [✓] right (3 checks), kept in mine.py")


def test_two_lessons_cannot_use_one_name_for_two_things(run, reader):
    run(before="SIZE = 2", double="return SIZE * x")
    out, _ = run("08_powers.py", before="SIZE = 3", powers="return [2**i for i in range(n + SIZE - SIZE)]")
    assert "not kept: mine.py has another `SIZE`, for 7.1; give yours another name" in out
    out, _ = run("08_powers.py", before="SIZE = 2", powers="return [2**i for i in range(n + 0 * SIZE)]")
    assert "kept in mine.py" in out
    assert sections(reader) == ["imports", "SIZE, for 7.1", "7.1 double", "8.1 powers"]


def test_imports_of_one_name_from_two_places_are_refused(run, reader):
    run(before="from math import floor", double="return floor(2 * x)")
    out, _ = run(
        "08_powers.py", before="from numpy import floor", powers="return floor([2.0**i for i in range(n)])"
    )
    assert "not kept: mine.py imports another `floor`" in out


def test_a_function_must_be_right_in_the_file_too(run, reader):
    """Here it depends on a name that later code of the lesson changes."""
    out, _ = run(before="STATE = [2]\nSTATE.append(STATE.pop())", double="return globals()['STATE'][0] * x")
    assert "but not kept: in mine.py it fails: KeyError: 'STATE'" in out
    assert not (reader / "mine.py").exists()


def test_a_folder_that_cannot_be_written_does_not_stop_the_lesson(run, reader):
    (reader / "mine.py").mkdir()
    (reader / "progress.json").mkdir()
    out, names = run(double="return 2 * x")
    assert out.startswith("7.1 double  [✓] right (3 checks), but not kept: ")
    assert names["double"](3) == 6
    assert run("08_powers.py")[0].startswith("mine.py cannot be used: ")


def test_a_module_of_the_reader_is_copied_into_the_file(run, reader, monkeypatch):
    (reader / "tools.py").write_text("BASE = 2\n\n\ndef twice(x):\n    return BASE * x\n")
    monkeypatch.syspath_prepend(str(reader))
    run(before="from tools import twice", double="return twice(x)")
    assert sections(reader) == ["BASE, for 7.1", "twice, for 7.1", "7.1 double"]
    sys.modules.pop("tools")


def test_a_function_from_the_file_under_another_name(run, reader):
    run(double="return 2 * x")
    before = 'twice, quadruple = yours("double", "quadruple")'
    run(
        "08_powers.py",
        before=before,
        powers="return [1] if n == 1 else [*powers(n - 1), twice(2 ** (n - 2))]",
    )
    assert sections(reader) == ["imports", "7.1 double", "twice, for 8.1", "8.1 powers"]
    assert "twice = double\n" in (reader / "mine.py").read_text()


def test_notebooks_keep_functions_too(reader, monkeypatch):
    """Cells have no file; `In` has their texts, and the current folder is the reader's."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    setup = (
        "from pathlib import Path\nfrom minids.lesson import folder\n"
        f"folder.root = lambda: Path({str(folder.root())!r})\n"
        "import numpy as np\nfrom minids.lesson import check, yours\n%time 1\nWEIGHTS = np.array([2, 3])"
    )
    cells = [
        setup,
        "from dataclasses import dataclass",
        "@dataclass\nclass Scale:\n    by: int",
        "def helper(x):\n    return WEIGHTS[0] * x * Scale(1).by",
        "def double(x):\n    return helper(x)\n\n\ndouble = check('7.1', double)",
        "double = yours('double')\nprint(double(4))",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    environment = {key: value for key, value in os.environ.items() if key != "MINIDS_ANSWERS"}
    environment["PYTHONPATH"] = str(Path(checking.__file__).parents[2])
    monkeypatch.setattr(os, "environ", environment)
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(reader)}}, timeout=60).execute()
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ()))
    assert "7.1 double  [✓] right (3 checks), kept in mine.py\nfrom your mine.py: double\n8\n" in printed
    assert sections(reader) == [
        "imports",
        "Scale, for 7.1",
        "WEIGHTS, for 7.1",
        "helper, for 7.1",
        "7.1 double",
    ]
    assert "WEIGHTS = np.array([2, 3])\n" in (reader / "mine.py").read_text()


def test_a_source_that_changed_while_it_ran_is_not_kept(run, write, reader):
    path = write(double="return 2 * x")
    change = f"import pathlib\npathlib.Path({str(path)!r}).write_text('import this_is_new\\n')\n"
    (folder.root() / "07_double.py").write_text(
        path.read_text().replace("# %%\ndef double", f"{change}\ndef double")
    )
    out, _ = run()
    assert "but not kept: the source of `double` has changed, perhaps while it ran; run it again" in out


def test_the_file_does_not_depend_on_the_progress(run, reader):
    run(double="return 2 * x")
    (reader / "progress.json").unlink()
    out, _ = run(double="return x + x")
    assert out.startswith("7.1 double  [✓] right (3 checks), kept in mine.py")
    assert "return x + x" in (reader / "mine.py").read_text()


def test_a_function_that_returns_lists_returns_arrays_in_mine(tmp_path):
    """As in the lesson, where later functions work with arrays."""
    lesson = tmp_path / "01_hear.py"
    lesson.write_text(
        "from minids.lesson import check\n"
        "def frames(wave, size, hop):\n"
        "    return [list(wave[i : i + size]) for i in range(0, len(wave) - size + 1, hop)]\n"
        'frames = check("1.1", frames)\n'
    )
    for _ in range(2):  # the second time nothing changes
        done = subprocess.run([sys.executable, lesson], capture_output=True, text=True, timeout=60)
        assert "kept in mine.py" in done.stdout, done
        namespace = runpy.run_path(str(tmp_path / "mine.py"))
        assert namespace["frames"](np.arange(6.0), 4, 2).tolist() == [[0, 1, 2, 3], [2, 3, 4, 5]]
        assert not mine.is_edited(tmp_path, "1.1", "frames")
    assert (tmp_path / "mine.py").read_text().count("frames = as_array(frames)") == 1

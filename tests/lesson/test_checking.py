"""Exercises: what is printed, which function the lesson continues with, and which hint comes next."""

import json
import runpy
from types import SimpleNamespace

import numpy as np
import pytest

from minids import cli
from minids._utils.errors import InputError
from minids.lesson import checking, exercise, folder, source
from minids.lesson.checking import FormatDifference, difference, run_check

LESSON = '''
# # 7. A question?
from minids.lesson import exercise

SCALE = [3]
unneeded = 1 / 0 if __name__ == "never" else 0

def check_double():
    for x in 1, 2, 5:
        yield f"double({x})", double(x), x + x

@exercise("7.1", check_double)
def double(x):
    """About 1 line."""
    BODY
'''

ANSWERS = """
HINTS = {"double": ["twice", "two times", "2 * x"]}

def double(x):
    return x + x
"""


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    """The folder of a reader, next to a folder of lessons with one answer."""
    shipped = tmp_path / "shipped"
    (shipped / "answers").mkdir(parents=True)
    (shipped / "answers" / "07_double.py").write_text(ANSWERS)
    (shipped / "07_double.py").write_text(LESSON.replace("BODY", "raise NotImplementedError"))
    (tmp_path / "mine").mkdir()
    monkeypatch.setattr(folder, "root", lambda: shipped)
    monkeypatch.delenv("MINIDS_ANSWERS", raising=False)
    folder.answers.cache_clear()
    yield tmp_path / "mine"
    folder.answers.cache_clear()


@pytest.fixture
def attempt(workdir, capsys):
    """Run the lesson with this body of double(); return what it prints, and the double it continues with."""

    def run(body):
        (workdir / "07_double.py").write_text(LESSON.replace("BODY", body))
        bound = runpy.run_path(str(workdir / "07_double.py"))["double"]
        return capsys.readouterr().out, bound

    return run


def test_an_exercise_that_is_not_written_yet_continues_with_our_answer(attempt):
    out, double = attempt("raise NotImplementedError")
    assert out == "7.1 double  [ ] not written yet; the lesson continues with our answer\n"
    assert double(4) == 8
    assert double.__module__.startswith("minids_answers")


def test_a_right_function_is_kept(attempt):
    out, double = attempt("return 2 * x")
    assert out == "7.1 double  [✓] right (3 checks)\n"
    assert double.__doc__ == "About 1 line."


def test_the_first_difference_is_printed(attempt):
    out, double = attempt("return x * x if x > 1 else 2")
    assert out == "7.1 double  [✗] double(5): expected 10, got 25\n    hint: twice\n"
    assert double(5) == 10


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return x[0]", "TypeError: 'int' object is not subscriptable (line 15)"),
        ("return double(x)", "RecursionError"),
        ("raise KeyError", "KeyError: KeyError (line 15)"),
        ("pass", "double(1): expected a number, such as 2, got None"),
        ("return [x, x]", "double(1): expected a number, such as 2, got shape (2,)"),
        ("return [[x], [x, x]]", "expected a number, such as 2, got [[1], [1, 1]]"),
        ("return 'two'", "double(1): expected 2, got 'two'"),
        ("return lambda: 2", "expected a number, such as 2, got <function"),
        ("yield x + x", "expected a number, such as 2, got <generator"),
        ("return list(range(10**6))", "expected a number, such as 2, got shape (1000000,)"),
        ("return float('inf')", "double(1): expected 2, got inf"),
        ("return 10**400", "expected a number, such as 2, got 1000"),
        ("exit('enough')", "SystemExit: enough (line 15)"),
        ("raise ValueError(' much '.join(map(str, range(999))))", "… (line 15)"),
        ("return None + x", "'int'; is a return missing? (line 15)"),
    ],
)
def test_nothing_a_reader_writes_stops_the_lesson(attempt, body, words):
    out, double = attempt(body)
    assert out.startswith("7.1 double  [✗] ")
    assert words in out
    assert out.splitlines()[1:] in ([], ["    hint: twice"])
    assert double(3) == 6


def test_a_function_may_be_decorated(attempt, workdir):
    """@cache returns an object that is not a function and has no globals."""
    lesson = LESSON.replace("def double", "@__import__('functools').cache\ndef double")
    (workdir / "07_double.py").write_text(lesson.replace("BODY", "return x / 0"))
    runpy.run_path(str(workdir / "07_double.py"))
    assert json.loads((workdir / "progress.json").read_text())["7.1"]["state"] == "wrong"


def test_a_function_may_print(attempt):
    out, _ = attempt("print('x is', x); return 2 * x")
    assert out == "x is 1\nx is 2\nx is 5\n7.1 double  [✓] right (3 checks)\n"


def test_each_new_attempt_gets_the_next_hint_but_never_the_finished_code(attempt):
    hints = [
        attempt(body)[0].splitlines()[1].split("hint: ")[1]
        for body in ("return x", "return x", "return -x", "return x**2", "return x**3")
    ]
    assert hints == ["twice", "twice", "two times", "two times", "two times"]


@pytest.mark.parametrize(
    "body",
    [
        "pass",
        "return [2 * x]",
        "return np.array([2 * x])",
        "return str(x)",
        "return 2j * x",
        "return {2 * x}",
    ],
)
def test_a_wrong_type_or_shape_gets_no_hint(attempt, body):
    """Its message says what to change; the hints are for what is computed."""
    out, _ = attempt("import numpy as np; " + body)
    assert out.startswith("7.1 double  [✗] double(1): expected ")
    assert "hint" not in out
    assert attempt("return x")[0].endswith("hint: twice\n")


@pytest.mark.parametrize(
    ("got", "expected", "is_format"),
    [
        ([1, 2], np.array([1, 2]), True),
        (np.ones((2, 1)), np.ones(2), True),
        ((np.ones(2), [1, 2]), (np.ones(2), np.array([1, 2])), True),
        (["a", 1], ["a", "b"], True),
        (1, "a", True),
        (2, None, False),
        (["a"], ["a", "b"], False),
        ((np.ones(2), np.zeros(2)), (np.ones(2), np.ones(2)), False),
        ({"a": 1}, {"b": 1}, False),
    ],
)
def test_a_difference_of_type_or_shape_is_distinguished_from_one_of_values(got, expected, is_format):
    assert isinstance(difference(got, expected), FormatDifference) == is_format


def test_only_the_hint_command_shows_the_last_hint(workdir, attempt, capsys):
    for body in ("return x", "return -x", "return x**2"):
        attempt(body)
    assert "hint 3 of 3: 2 * x" in command(capsys, "--folder", workdir, "hint", "7.1")[1]
    assert attempt("return x**3")[0].endswith("hint: two times\n")


def test_the_answers_can_be_run_and_record_no_progress(attempt, workdir, monkeypatch):
    monkeypatch.setenv("MINIDS_ANSWERS", "1")
    out, double = attempt("return 'wrong'")
    assert out == "7.1 double  [✓] right (3 checks)\n"
    assert double(3) == 6
    assert not (workdir / "progress.json").exists()


def test_an_exercise_without_an_answer_is_an_error(workdir):
    def check_half():
        yield "half(2)", half(2), 1

    with pytest.raises(InputError, match=r"7\.2 half: .* no answer of that name"):

        @exercise("7.2", check_half)
        def half(x):
            return x / 2

    with pytest.raises(InputError, match="no answers to lesson 8"):

        @exercise("8.1", check_half)
        def third(x):
            return x / 3


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (1.0, 1),
        (np.float32(0.5), 0.5),
        (1 + 1e-12, 1.0),
        ([1, 2], (1, 2)),
        (np.array([1.0, np.inf, -np.inf, np.nan]), [1.0, np.inf, -np.inf, np.nan]),
        ("ab", "ab"),
        (np.str_("ab"), "ab"),
        (np.True_, True),
        (1, True),
        (["a", "b"], ["a", "b"]),
        ({"a": 1.0}, {"a": 1}),
        ((np.ones(2), [1, "x"]), (np.ones(2), [1, "x"])),
        (None, None),
        ([], []),
        (np.array(True), True),
        (np.ones(2), (1, 1)),
    ],
)
def test_equal_values_agree(got, expected):
    assert difference(got, expected) is None


@pytest.mark.parametrize(
    ("got", "expected", "words"),
    [
        (0.25, 0.5, "expected 0.5, got 0.25"),
        (
            np.array([[0, 1], [2, 3.5]]),
            np.array([[0, 1], [2, 3]]),
            "first wrong element (1, 1): expected 3, got 3.5",
        ),
        (np.ones(3), np.ones((3, 1)), "expected shape (3, 1), got shape (3,)"),
        ([1, 2], np.array([1, 2]), "expected an array, got a list; convert it with np.array(…)"),
        (np.nan, 0.0, "expected 0, got nan"),
        (np.inf, -np.inf, "expected -inf, got inf"),
        ("ab", "abc", "expected 'abc', got 'ab'"),
        (2, True, "expected True, got 2"),
        ([1, 2], [1], "expected 1 item, got 2: [1, 2]"),
        ((1, [2, 3]), (1, [2, 4]), "item 1: item 1: expected 4, got 3"),
        ({"a": 1}, {"b": 1}, "expected {'b': 1}, got {'a': 1}"),
        ({"a": 1}, {"a": 2}, "'a': expected 2, got 1"),
        (3, [3], "expected a list of 1, got 3"),
        (np.array(["a", "b"]), np.array(["a", "c"]), "first wrong element 1: expected 'c', got 'b'"),
        (np.ones(2, bool), True, "expected True, got array([ True, True])"),
        (np.array(["a"]), "a", "expected 'a', got array(['a'], dtype='<U1')"),
        (np.ones(2), (np.ones(2), 1.0), "expected a tuple of 2, got array([1., 1.])"),
        (np.ones(2, complex), np.ones(2), "expected real numbers, got complex128"),
        ("x" * 200, "y", f"expected 'y', got '{'x' * 76}…"),
    ],
)
def test_the_first_difference_is_described(got, expected, words):
    assert difference(got, expected) == words


def test_tolerances_can_be_chosen():
    assert difference(1.001, 1.0, rtol=1e-2) is None
    assert difference(1.001, 1.0, rtol=1e-4, atol=0) is not None
    assert difference(1e-10, 0.0, atol=1e-9) is None
    assert difference(1e-10, 0.0) is not None


def total(values):
    """run_check binds this name to the function that it checks."""
    raise NotImplementedError


def check_total():
    yield "total([1, 2])", total(np.array([1.0, 2.0])), 3.0


def test_a_function_must_not_change_its_arguments():
    def in_place(values):
        values *= 2
        return values.sum() / 2

    message = run_check("total", in_place, check_total).message
    assert message == "[✗] it changes its argument `values`; work on a copy"
    assert run_check("total", in_place, check_total, pure=False).state == "right"


def test_an_endless_loop_is_stopped(monkeypatch):
    def endless(values):
        while True:
            pass

    monkeypatch.setattr(checking, "TIME_LIMIT", 0.1)
    assert "TimeoutError: no result after 0.1 seconds" in run_check("total", endless, check_total).message


def test_a_lesson_is_read_without_being_run(workdir):
    path = workdir / "07_double.py"
    path.write_text("raise SystemExit\n" + LESSON.replace("BODY", "raise NotImplementedError"))
    assert source.title(path) == "A question?"
    assert source.exercises(path) == [source.Exercise("7.1", "double", ["twice", "two times", "2 * x"])]


def test_a_check_runs_with_what_it_needs_and_nothing_else(workdir):
    path = workdir / "07_more.py"
    path.write_text(
        "import math\nfrom minids.lesson import exercise\nraised = 1 / 0\nTWO = [1, 1]\nTWO[0] = 2\n"
        "LOOSE = {'rtol': 0.1}\ndef helper():\n    raised = TWO[0]\n    return raised\n"
        "def check_it():\n    yield 'it', it(), math.sqrt(helper())\n"
        "@exercise('7.1', check_it, **LOOSE)\ndef it():\n    raise NotImplementedError\n"
    )
    trial = source.trials(path)["it"]
    assert trial.options == {"rtol": 0.1}
    with pytest.raises(NotImplementedError):
        trial.function()
    trial.check.__globals__["it"] = lambda: 5
    assert list(trial.check()) == [("it", 5, 2**0.5)]


def test_later_checks_may_call_our_answer(workdir):
    path = workdir / "07_more.py"
    path.write_text(
        LESSON.replace("BODY", "raise NotImplementedError") + "six = double(3)\n"
        "def check_it():\n    yield 'it', it(), six\n"
        "@exercise('7.2', check_it)\ndef it():\n    raise NotImplementedError\n"
    )
    trial = source.trials(path, SimpleNamespace(double=lambda x: 2 * x))["it"]
    trial.check.__globals__["it"] = lambda: 5
    assert list(trial.check()) == [("it", 5, 6)]


def command(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(["lessons", *map(str, arguments)])
    out, err = capsys.readouterr()
    return end.value.code or 0, out, err


def test_the_list_shows_the_progress(workdir, attempt, capsys):
    code, out, _ = command(capsys, "--folder", workdir)
    assert code == 0
    assert "07_double.py      A question?" in out
    assert "[ ] 7.1 double" in out
    attempt("return 1")
    assert "[✗] 7.1 double" in command(capsys, "--folder", workdir)[1]
    attempt("return 2 * x")
    out = command(capsys, "--folder", workdir)[1]
    assert "[✓] 7.1 double" in out
    assert "1 of 1 exercises right" in out
    listed = json.loads(command(capsys, "--folder", workdir, "--json")[1])
    assert listed[0]["exercises"] == [{"number": "7.1", "name": "double", "state": "right"}]


@pytest.mark.parametrize(
    "content", ['["no', "[7]", '{"7.1": 7}', '{"7.1": {}}', '{"7.1": {"state": "?", "hints": 0}}']
)
def test_damaged_progress_is_ignored(workdir, attempt, capsys, content):
    (workdir / "progress.json").write_text(content)
    assert "[ ] 7.1" in command(capsys, "--folder", workdir)[1]
    attempt("return 2 * x")
    assert "[✓] 7.1" in command(capsys, "--folder", workdir)[1]


def test_a_read_only_folder_does_not_stop_the_lesson(workdir, attempt, capsys):
    (workdir / "progress.json").mkdir()
    assert attempt("return 1")[0].endswith("hint: twice\n")
    assert "hint 1 of 3: twice" in command(capsys, "--folder", workdir, "hint", "7.1")[1]


def test_the_working_copy_is_this_folder_or_a_subfolder(workdir, capsys, monkeypatch, tmp_path):
    below = tmp_path / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    out, err = command(capsys)[1:]
    assert out.splitlines()[-1].startswith("no copies in lessons/ yet; `minids lessons copy lessons`")
    assert "exercises right" not in out
    assert err == ""
    command(capsys, "copy", "mine")
    (below / "lessons" / "answers").mkdir(parents=True)  # a checkout's own lessons, which nobody writes in
    (below / "lessons" / "07_double.py").write_text("")
    assert command(capsys)[1].endswith("in mine/\n")
    assert "hint 1 of 3" in command(capsys, "hint", "7.1")[1]
    assert (below / "mine" / "progress.json").exists()
    monkeypatch.chdir(below / "mine")
    assert "hint 2 of 3" in command(capsys, "hint", "7.1")[1]


def test_copies_never_overwrite_changed_lessons(workdir, capsys):
    mine = workdir / "new" / "copies"
    start = f"start with {mine}/07_double.py\n"
    assert command(capsys, "copy", mine)[:2] == (0, f"{mine}: 1 lessons copied; {start}")
    assert (mine / "07_double.py").read_text() == (folder.root() / "07_double.py").read_text()
    assert not (mine / "answers").exists()
    (mine / "07_double.py").write_text("mine\n")
    code, out, err = command(capsys, "copy", mine)
    assert (code, out) == (0, f"{mine}: 0 lessons copied, 1 skipped because you have changed them; {start}")
    assert "skipped: " in err
    assert (mine / "07_double.py").read_text() == "mine\n"
    code, _, err = command(capsys, "copy", mine / "07_double.py")
    assert code == 1
    assert "choose a folder you can write to" in err


def test_hints_are_shown_one_by_one(workdir, attempt, capsys):
    outputs = [command(capsys, "--folder", workdir, "hint", "7.1")[1] for _ in range(4)]
    assert [words.split(": ")[1].strip() for words in outputs] == ["twice", "two times", "2 * x", "2 * x"]
    assert outputs[1].startswith("7.1 double, hint 2 of 3: ")
    code, _, err = command(capsys, "--folder", workdir, "hint", "7.9")
    assert code == 1
    assert "no such exercise" in err


def test_one_exercise_can_be_checked(workdir, capsys):
    lesson = workdir / "07_double.py"
    other = "\nraise SystemExit('the rest of the lesson')\n"
    lesson.write_text(LESSON.replace("BODY", "return x") + other)
    code, out, _ = command(capsys, "--folder", workdir, "check", "7.1")
    assert (code, out) == (1, "7.1 double  [✗] double(1): expected 2, got 1\n    hint: twice\n")
    lesson.write_text(LESSON.replace("BODY", "return 2 * x") + other)
    code, out, _ = command(capsys, "--folder", workdir, "check", "7.1")
    assert (code, out) == (0, "7.1 double  [✓] right (3 checks)\n")
    lesson.write_text(LESSON.replace("BODY", "return ("))
    code, _, err = command(capsys, "--folder", workdir, "check", "7.1")
    assert code == 1
    assert "07_double.py: SyntaxError" in err
    assert "no such folder" in command(capsys, "--folder", workdir / "empty", "check", "7.1")[2]


def test_all_exercises_of_a_lesson_can_be_checked(workdir, capsys):
    """Each check takes our answers to the other exercises, as in the lesson."""
    second = (
        "def check_quadruple():\n    yield 'quadruple(3)', quadruple(3), 2 * double(3)\n"
        "@exercise('7.2', check_quadruple)\ndef quadruple(x):\n    return 4 * x\n"
    )
    shipped = folder.root() / "07_double.py"
    shipped.write_text(shipped.read_text() + second)
    (folder.root() / "answers" / "07_double.py").write_text(ANSWERS + "quadruple = double\n")
    lesson = workdir / "07_double.py"
    lesson.write_text(LESSON.replace("BODY", "return x") + second)
    code, out, _ = command(capsys, "--folder", workdir, "check", "7")
    assert (code, out.splitlines()[0]) == (1, "7.1 double  [✗] double(1): expected 2, got 1")
    assert out.splitlines()[-1] == "7.2 quadruple  [✓] right (1 check)"
    lesson.write_text(LESSON.replace("BODY", "return 2 * x") + second)
    assert command(capsys, "--folder", workdir, "check", "7")[0] == 0
    assert command(capsys, "--folder", workdir, "check", "8")[0] == 1
    code, _, err = command(capsys, "--folder", workdir, "hint", "7")
    assert code == 1
    assert "give the number of one: 7.1, 7.2" in err


def test_unknown_data_is_an_error(workdir):
    (folder.root() / "data").mkdir()
    (folder.root() / "data" / "one.flac").write_bytes(b"")
    assert folder.data("one.flac").is_file()
    with pytest.raises(InputError, match=r"two\.flac: .* has one\.flac"):
        folder.data("two.flac")

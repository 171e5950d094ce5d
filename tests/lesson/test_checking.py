"""Exercises: what is printed, and which function the lesson continues with."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress

import numpy as np
import pytest

from minids._utils.errors import InputError
from minids.lesson import checking, exercise, folder, time_limit
from minids.lesson.checking import known_mistake
from minids.lesson.comparing import difference
from minids.lesson.running import run_check


def lines(out, number="7.1"):
    """What is printed about one exercise, without the number and the name."""
    before, _, about = out.partition(f"{number} ")
    assert before == "" or number != "7.1"
    first, *more = about.split("\n7.", 1)[0].splitlines()
    return [first.split("  ", 1)[1], *(line.strip() for line in more)]


def test_an_exercise_that_is_not_written_yet_continues_with_our_answer(run):
    out, names = run()
    assert out.splitlines()[0] == "7.1 double  [ ] not written yet; the lesson continues with our answer"
    assert names["double"](4) == 8
    assert names["double"].__module__.startswith("minids_answers")


def test_a_right_function_is_kept(run):
    out, names = run(double="return 2 * x")
    assert out.splitlines()[0] == "7.1 double  [✓] right (3 checks), kept in mine.py"
    assert names["double"].__doc__ == "About 1 line."


def test_the_first_difference_is_printed_and_no_hint(run):
    out, names = run(double="return x if x > 2 else 2 * x")
    assert lines(out) == ["[✗] double(5): expected 10, got 5", "For a hint: minids lessons hint 7.1"]
    assert names["double"](5) == 10


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return x[0]", "TypeError: 'int' object is not subscriptable (line 15: return x[0])"),
        ("return double(x)", "RecursionError"),
        ("raise KeyError", "KeyError: KeyError (line 15: raise KeyError)"),
        ("pass", "double(1): expected a number, such as 2, got None"),
        ("return [x, x]", "double(1): expected a number, such as 2, got shape (2,)"),
        ("return [[x], [x, x]]", "expected a number, such as 2, got [[1], [1, 1]]"),
        ("return 'two'", "double(1): expected 2, got 'two'"),
        ("return lambda: 2", "expected a number, such as 2, got <function"),
        ("yield x + x", "expected a number, such as 2, got <generator"),
        ("return list(range(10**6))", "expected a number, such as 2, got shape (1000000,)"),
        ("return float('inf')", "double(1): expected 2, got inf"),
        ("return 10**400", "expected a number, such as 2, got 1000"),
        ("exit('enough')", "SystemExit: enough (line 15: exit('enough'))"),
        ("raise ValueError(' much '.join(map(str, range(999))))", "… (line 15: "),
        ("return None + x", "'int'; is a return missing? (line 15: "),
    ],
)
def test_nothing_a_reader_writes_stops_the_lesson(run, body, words):
    out, names = run(double=body)
    message, *more = lines(out)
    assert message.startswith("[✗] ")
    assert words in message
    assert more == ["For a hint: minids lessons hint 7.1"]
    assert names["double"](3) == 6


def test_a_function_may_be_decorated(run, write, reader):
    """@cache returns an object that is not a function and has no globals."""
    path = write(double="return x / 0")
    path.write_text(path.read_text().replace("def double", "@__import__('functools').cache\ndef double"))
    (folder.root() / "07_double.py").write_text(path.read_text())
    run()
    assert json.loads((reader / "progress.json").read_text())["double"]["state"] == "wrong"


def test_a_function_may_print(run):
    out, _ = run(double="print('x is', x); return 2 * x")
    assert out.startswith("x is 1\nx is 2\nx is 5\n7.1 double  [✓] right (3 checks), kept in mine.py\n")


@pytest.mark.parametrize("passed", ["lambda x: 2 * x", "(2).__mul__", "(lambda y: lambda x: y * x)(2)"])
def test_a_right_function_without_a_def_is_not_kept(run, write, passed):
    path = write()
    text = path.read_text().replace('check("7.1", double)', f'check("7.1", {passed})')
    (folder.root() / "07_double.py").write_text(text)
    why = "`double` is not written with `def`"
    assert run()[0].splitlines()[0] == f"7.1 double  [✓] right (3 checks), but not kept: {why}"


def test_the_answers_can_be_run_and_record_no_progress(run, reader, monkeypatch):
    monkeypatch.setenv("MINIDS_ANSWERS", "1")
    out, names = run(double="return 'wrong'")
    assert out == "7.1 double  [✓] right (3 checks)\n7.2 quadruple  [✓] right (1 check)\n"
    assert names["double"](3) == 6
    assert {path.name for path in reader.iterdir()} == {"07_double.py"}


def test_an_exercise_without_a_check_or_an_answer_is_an_error(reader):
    with pytest.raises(InputError, match=r"7\.3: .* has no check of that number"):
        checking.check("7.3", abs)
    with pytest.raises(InputError, match="no checks of lesson 9"):
        checking.check("9.1", abs)
    answers = folder.root() / "answers" / "07_double.py"
    answers.write_text(answers.read_text().replace("def double", "def other"))
    folder.load.cache_clear()
    with pytest.raises(InputError, match=r"7\.1 double: .* no answer of that name"):
        checking.check("7.1", abs)
    with pytest.raises(InputError, match=r"triple: no exercise keeps .* they keep double, quadruple, powers"):
        checking.yours("triple")


def test_our_answer_is_not_kept_as_the_readers(run, write, reader):
    """In a notebook the name is ours after a wrong result; the cell with the check alone may run again."""
    text = write(double="return x").read_text() + '\ndouble = check("7.1", double)\n'
    (folder.root() / "07_double.py").write_text(text)
    out, names = run()
    assert out.splitlines()[0] == "7.1 double  [✗] double(1): expected 2, got 1"
    again = "7.1 double  [ ] this is our answer; run the cell with your function again"
    assert out.splitlines()[-1] == again
    assert names["double"](3) == 6
    assert not (reader / "mine.py").exists()
    assert json.loads((reader / "progress.json").read_text())["double"]["state"] == "wrong"


def test_a_copy_of_another_version_may_have_other_numbers(run, write):
    text = write(double="return 2 * x", quadruple="return double(double(x))").read_text()
    text = text.replace('"7.2"', '"7.3"').replace('"7.1"', '"7.2"')
    (folder.root() / "07_double.py").write_text(text)
    out, _ = run()
    assert out.splitlines() == [
        "7.2 double  is exercise 7.1 now; your copy of the lesson is of another version",
        "7.1 double  [✓] right (3 checks), kept in mine.py",
        "7.3 quadruple  is exercise 7.2 now; your copy of the lesson is of another version",
        "7.2 quadruple  [✓] right (1 check), kept in mine.py",
    ]


def test_only_the_stub_itself_is_not_written_yet(run):
    out, _ = run(
        double="return np.nditer(x) if x < 0 else todo(x)",
        before="def todo(x):\n    raise NotImplementedError",
    )
    assert lines(out)[0].startswith("[✗] NotImplementedError: NotImplementedError (line ")
    assert "7.2 quadruple  [ ] not written yet; the lesson continues with our answer" in out


def test_a_terminal_that_lacks_a_character_stops_nothing(write, reader):
    lesson = reader / "01_hear.py"
    lesson.write_text(
        "from minids.lesson import check\n\ndef frames(wave, size, hop):\n    raise NotImplementedError\n\n"
        'check("1.1", frames)\nprint("λ ✓")\n'
    )
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run([sys.executable, lesson], capture_output=True, timeout=60, env=environment)
    assert done.stderr == b""
    assert b"1.1 frames  [ ] not written yet" in done.stdout
    assert done.stdout.endswith(b"\\u03bb \\u2713\n")


@pytest.mark.parametrize(
    ("body", "mistake"),
    [
        ("return x**2", "The square. It is the double of 2 only."),
        ("return np.square(x)", "The square. It is the double of 2 only."),
        ("return x**2 if x < 3 else 7", None),
        ("return 2", "Always 2."),
        ("raise ValueError('not this one')", None),
        ("raise ValueError('another')", None),
        ("pass", None),
        ("return 'two'", None),
        ("return x * x if x < 3 else 1 / 0", None),
        ("return np.full(x, 2)", None),
        ("return {x: 2}", None),
    ],
)
def test_a_known_mistake_is_named_if_all_results_are_the_same(run, body, mistake):
    _, *more = lines(run(double=body)[0])
    named = [f"A known mistake gives the same results: {mistake}"] if mistake else []
    assert more == [*named, "For a hint: minids lessons hint 7.1"]


def test_the_search_of_known_mistakes_ends(reader, monkeypatch):
    def forever(x):
        """Forever."""
        while True:
            pass

    monkeypatch.setattr(checking, "MISTAKES_SECONDS", 0.2)
    monkeypatch.setattr(folder.answers(7), "WRONG", {"double": [forever]})
    test = checking.find_check("7.1")
    start = time.perf_counter()
    assert known_mistake(test, run_check(test, lambda x: x)) is None
    assert known_mistake(test, run_check(test, lambda x: x if x < 3 else forever(x))) is None
    assert time.perf_counter() - start < 20


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


def test_results_of_several_quantities_are_named():
    gradients = {"dx": np.ones(2), "dW": np.zeros((2, 2)), "db": 3}
    dW = np.array([[0, 0], [7, 0]])
    assert difference((np.ones(2), np.zeros((2, 2)), 3.0), gradients) is None
    assert difference([np.ones(2), dW, 3], gradients) == ("dW: first wrong element (1, 0): expected 0, got 7")
    assert difference((1, 2), gradients) == "expected dx, dW and db, got 2 values: (1, 2)"
    assert difference(gradients | {"db": 4}, gradients) == "'db': expected 3, got 4"
    assert "expected {'dx'" in difference(7, gradients)


def test_lists_are_accepted_where_a_check_allows_it():
    rows = [[1, 2], [3, 4]]
    assert difference(rows, np.array(rows), lists=True) is None
    assert difference([np.array(row) for row in rows], np.array(rows), lists=True) is None
    assert difference(rows, np.array(rows)).startswith("expected an array, got a list")
    assert difference([[1, 2], [3]], np.array(rows), lists=True) == (
        "expected shape (2, 2), got [[1, 2], [3]]"
    )


def test_a_check_may_have_words_of_its_own():
    expected = np.array([[np.nan, 1], [2, 3]])
    words = "alpha{index} must not be written"
    assert difference(np.array([[0, 1], [2, 3]]), expected, words=words) == "alpha[0, 0] must not be written"
    assert difference(np.ones(3), expected, words=words) == "expected shape (2, 2), got shape (3,)"
    assert difference(1, 2, words="odd") == "odd"
    assert difference("a", "b", words="another letter") == "another letter"
    assert difference((1, 2), {"a": 1, "b": 3}, words="is wrong") == "b: is wrong"


def one(function_check, **options):
    """A check of a single exercise."""
    return exercise("7.9", **options)(function_check)


def check_total(total):
    yield "total([1, 2])", total(np.array([1.0, 2.0])), 3.0


def in_place(values):
    values *= 2
    return values.sum() / 2


def test_a_function_must_not_change_its_arguments():
    message = run_check(one(check_total), in_place).message
    assert message == "[✗] it changes its argument `values`; work on a copy"
    assert run_check(one(check_total, pure=False), in_place).state == "right"


def damages_a_view(x):
    x[::-1][0] = 9
    return 0


def damages_a_row(x):
    x[0].append(1)
    return 0


def damages_a_dict(x):
    x["a"][0] = 9
    return 0


def by_keyword(x=None):
    return damages_a_view(x)


@pytest.mark.parametrize(
    ("function", "call"),
    [
        (damages_a_view, lambda f: f(np.arange(3))),
        (damages_a_view, lambda f: f(np.arange(6)[::2])),
        (damages_a_row, lambda f: f([[], 2])),
        (damages_a_row, lambda f: f([[1], [2]])),
        (damages_a_row, lambda f: f(([1], [2]))),
        (damages_a_dict, lambda f: f({"a": np.zeros(2)})),
        (damages_a_dict, lambda f: f({"a": [np.nan]})),
        (by_keyword, lambda f: f(x=np.zeros(2))),
    ],
)
def test_every_kind_of_change_is_named_before_values_are_compared(function, call):
    def check_it(it):
        yield "wrong anyway", call(it), 1

    message = run_check(one(check_it), function).message
    assert message == "[✗] it changes its argument `x`; work on a copy"


def test_arguments_of_any_kind_can_be_passed():
    def check_it(it):
        yield "it", it(np.array([np.nan]), {1: [None]}, object(), iter([1]), [object()], {2}, max), 1

    assert run_check(one(check_it), lambda *_: 1).state == "right"


def endless(values):
    while True:
        values = values + 1


def stubborn(values):
    while True:
        with suppress(Exception):
            values = values + 1


def waiting(values):
    while True:
        time.sleep(0.01)


@pytest.mark.parametrize("function", [endless, stubborn, waiting])
def test_an_endless_loop_is_stopped_and_located(function):
    message = run_check(one(check_total, seconds=0.1), function).message
    assert message.startswith("[✗] no result after 0.1 seconds; line ")
    line = function.__code__.co_firstlineno
    assert int(message.split("line ")[1].split()[0]) - line in range(1, 6)
    assert any(code in message for code in ("while True:", "values = values + 1", "with suppress", "sleep"))


def test_an_endless_loop_is_stopped_in_any_thread():
    messages = []
    test = one(check_total, seconds=0.1)
    thread = threading.Thread(target=lambda: messages.append(run_check(test, endless).message))
    thread.start()
    thread.join(20)
    assert "no result after 0.1 seconds" in messages[0]


def test_a_loop_that_fills_the_memory_is_stopped(monkeypatch):
    monkeypatch.setattr(time_limit, "MEMORY", 2e8)

    def fills(values):
        arrays = [values]
        while True:
            arrays.append(np.ones(100_000))

    message = run_check(one(check_total), fills).message
    assert re.search(
        r"no result after .* seconds, but 0\.\d GB of memory were used; line \d+ was runn", message
    )
    assert message.endswith("; called with values = [1. 2.]")


def test_a_function_that_waits_for_ever_is_announced(capsys):
    def waits(values):
        threading.Event().wait(5)  # one call of a library
        return 3.0

    assert "no result after" in run_check(one(check_total, seconds=0.2), waits).message
    assert ".wait(5)  # one call of a library. Press Ctrl-C to stop it." in capsys.readouterr().err


def test_numba_is_not_interrupted_while_it_compiles():
    """LLVM would print that an exception in a callback was ignored."""
    script = """
import numpy as np
from numba import njit
from minids.lesson.time_limit import run_with_limit

@njit
def f(x):
    return np.sort(x).sum()

for seconds in 0.01, 0.05, 0.1:
    try:
        print(run_with_limit(seconds, lambda: njit(f.py_func)(np.ones(3))))
    except TimeoutError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 3


def test_the_call_that_took_too_long_is_named():
    message = run_check(one(check_total, seconds=0.1), endless).message
    assert message.endswith("; called with values = [1. 2.]")


def test_nothing_is_raised_after_a_check_that_ends_in_time():
    test = one(check_total, seconds=0.005)

    def slow(values):
        time.sleep(0.005)  # ends at about the time of the limit
        return values.sum()

    for _ in range(100):
        assert run_check(test, slow).state in ("right", "wrong")


def test_yours_in_a_function_says_once_whose_it_is(run):
    out, _ = run(double="return yours('quadruple')(x) // 2", before="from minids.lesson import yours")
    assert out.splitlines()[0] == "our answers: quadruple (7.2)"
    assert out.count("our answers") == 1
    assert "7.1 double  [✓] right (3 checks)" in out


def test_a_name_of_another_exercise_is_explained(run):
    out, _ = run(double="return powers(2)[1] * x")
    words = (
        "NameError: name 'powers' is not defined; you wrote it in 8.1: powers = yours(\"powers\") loads it"
    )
    assert words in out


def test_a_check_can_be_profiled(tmp_path):
    """cProfile hangs after a needless PyThreadState_SetAsyncExc."""
    script = tmp_path / "script.py"
    script.write_text("""
from minids.lesson.time_limit import run_with_limit

def double(x):
    return 2 * x

print(run_with_limit(5, lambda: double(3)), double(4))
""")
    command = [sys.executable, "-m", "cProfile", "-o", os.devnull, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("6 8\n", "")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((np.zeros((3, 4)), 2), "; called with x (3, 4), y = 2"),
        ((np.array([0, 1, 0]), [1, 2]), "; called with x = [0 1 0], y = [1, 2]"),
        (([np.zeros(9)] * 2, {"a": list(range(99))}), "; called with x (list of 2), y (dict of 1)"),
    ],
)
def test_an_error_says_in_which_call(arguments, text):
    @exercise("1.1")
    def check_f(f):
        yield "f", f(*arguments), 0

    def f(x, y):
        raise ValueError("no")

    assert run_check(check_f, f).message.endswith(text)

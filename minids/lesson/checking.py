"""Exercises: a function that the reader writes, and an independent check of it.

A lesson calls `check("5.1", skips)`; the check is in lessons/checks, decorated with `exercise("5.1")`.
"""

import copy
import functools
import inspect
import io
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill, shorten
from typing import Any

import numpy as np

from minids._utils.errors import InputError, reason
from minids.lesson import folder, mine, progress
from minids.lesson.comparing import difference
from minids.lesson.time_limit import run_with_limit

SECONDS = 10  # for the check of an exercise in plain Python
MISTAKES_SECONDS = 3.0  # for the search of a known mistake that explains a wrong result
_printed: set[str] = set()  # what `yours` has said


@dataclass(frozen=True)
class Check:
    """The check of one exercise; the options are those of `exercise`."""

    number: str
    name: str
    run: Callable[[Callable], Iterator[tuple]]
    rtol: float
    atol: float
    pure: bool
    keep: bool
    lists: bool
    seconds: float


@dataclass(frozen=True)
class Result:
    """The result of a check: `state` is "open", "wrong" or "right", `message` explains it in one line.

    `got` has what the function returned, check by check, up to the first difference; `rest` are the checks
    after it, which have not run yet.
    """

    state: str
    message: str
    got: list = field(default_factory=list)
    rest: Iterator[tuple] = field(default_factory=lambda: iter(()))


class SideEffectError(Exception):
    """A function changed an argument that it should only read."""


def exercise(
    number: str,
    rtol: float = 1e-9,
    atol: float = 1e-12,
    pure: bool = True,
    keep: bool = True,
    lists: bool = False,
    seconds: float = SECONDS,
) -> Callable[[Callable], Check]:
    """Decorate `check_NAME(function)` in lessons/checks, the check of the exercise `number`, "<lesson>.<n>".

    It yields (description, got, expected) or (description, got, expected, words): `got` is what the function
    returns, `expected` comes from an independent source. `words`, `rtol`, `atol` and `lists` are as in
    `difference`. With `pure`, arguments must be unchanged when the function returns. With `keep`, a right
    function goes to mine.py. `seconds` limits the time of the whole check.
    """

    def decorate(check: Callable) -> Check:
        name = check.__name__.removeprefix("check_")
        return Check(number, name, check, rtol, atol, pure, keep, lists, seconds)

    return decorate


def check(number: str, function: Callable) -> Callable:
    """Check the reader's function, print the result, record it, and keep a right function in mine.py.

    Returns the function if it is right, else our answer, so that the lesson can continue; MINIDS_ANSWERS=1 in
    the environment always takes our answer. An error in the reader's function is reported, never raised.
    """
    number = _present_number(number, function, sys._getframe(1).f_globals)
    test = find_check(number)
    ours = folder.answer_to(number, test.name)
    if os.environ.get("MINIDS_ANSWERS") == "1":
        print(f"{number} {test.name}  {run_check(test, ours).message}")
        return ours
    return usable(test, function) if report(test, function, folder.calling_folder()) else ours


def _present_number(number: str, function: Callable, scope: dict[str, Any]) -> str:
    """The number of the exercise; a copy of another version may have it under another number."""
    code: Any = inspect.unwrap(function) if callable(function) else None
    name = getattr(code, "__name__", "")
    present = folder.kept_exercises().get(name, number)
    if present != number and getattr(code, "__globals__", None) is scope:
        print(f"{number} {name}  is exercise {present} now; your copy of the lesson is of another version")
        return present
    return number


def yours(*names: str) -> Any:
    """The reader's functions of these names from mine.py; for those that are not there, our answers.

    Prints which are whose, but inside a function only once. Returns one function, or a tuple for several
    names. A section of mine.py that was edited by hand is checked again.
    """
    numbers = {name: folder.number_of(name) for name in names}
    where = folder.calling_folder()
    lines = []
    functions: dict[str, Callable] = {}
    if os.environ.get("MINIDS_ANSWERS") != "1":
        namespace, error = mine.load(where)
        if error:
            lines.append(f"{mine.FILE} cannot be used: {error}")
        for name, number in numbers.items():
            if name in namespace:
                test = find_check(number)
                result = run_check(test, namespace[name]) if mine.is_edited(where, number, name) else None
                if result is None or result.state == "right":
                    functions[name] = usable(test, namespace[name])
                else:
                    lines.append(f"{mine.FILE}, {name}  {result.message}; using our answer")
    theirs = ", ".join(functions)
    ours = ", ".join(f"{name} ({number})" for name, number in numbers.items() if name not in functions)
    parts = [f"from your {mine.FILE}: {theirs}"] if theirs else []
    line = "; ".join([*parts, *([f"our answers: {ours}"] if ours else [])])
    lines.append(fill(line, 88, subsequent_indent="    "))
    caller = sys._getframe(1)
    if caller.f_locals is caller.f_globals or not _printed.issuperset(lines):
        print(*lines, sep="\n")
    _printed.update(lines)
    found = tuple(functions.get(name) or folder.answer(name) for name in names)
    return found if len(names) > 1 else found[0]


def find_check(number: str) -> Check:
    """The check of an exercise. Raises InputError if there is none."""
    module = folder.load("checks", int(number.split(".")[0]))
    for value in vars(module).values():
        if isinstance(value, Check) and value.number == number:
            return value
    raise InputError(f"{number}: {module.__file__} has no check of that number")


def report(test: Check, function: Callable, where: Path) -> bool:
    """Check a function, print the result, record it in the folder `where`; keep it if it is right."""
    if _is_ours(test, function):
        print(f"{test.number} {test.name}  [ ] this is our answer; run the cell with your function again")
        return False
    result = run_check(test, function)
    kept = ""
    if result.state == "right" and test.keep:
        lists = _returns_lists(test, result)
        problem = mine.keep(where, test.number, test.name, function, _check_again, lists)
        kept = f", but not kept: {problem}" if problem else f", kept in {mine.FILE}"
    print(f"{test.number} {test.name}  {result.message}{kept}")
    if result.state == "wrong":
        mistake = known_mistake(test, result)
        if mistake:
            print(f"    A known mistake gives the same results: {mistake}")
        print(f"    For a hint: minids lessons hint {test.number}")
    progress.record(folder.key(test.number, test.name), result.state, where)
    return result.state == "right"


def _is_ours(test: Check, function: Callable) -> bool:
    """Whether it is our answer, which a check of a wrong function returned, under the reader's name."""
    ours = folder.answer_to(test.number, test.name)
    return callable(function) and inspect.unwrap(function) is inspect.unwrap(ours)


def run_check(test: Check, function: Callable) -> Result:
    """Check a function up to the first difference or error, or to the end."""
    guarded = _guard(function) if test.pure and callable(function) else function
    got: list = []
    file = _file(function)
    items = test.run(guarded)

    def first_difference() -> str | None:
        for description, value, expected, *words in items:
            got.append(value)
            message = difference(value, expected, test.rtol, test.atol, "".join(words), test.lists)
            if message:
                return f"{description}: {message}"
        return None

    try:
        message = run_with_limit(test.seconds, first_difference, file)
    except SideEffectError as error:
        return Result("wrong", f"[✗] {error}")
    except TimeoutError as error:
        return Result("wrong", f"[✗] {error}{_call(error.__cause__)}")
    except (Exception, SystemExit) as error:
        if _is_stub(test, function, error):
            return Result("open", "[ ] not written yet; the lesson continues with our answer")
        return Result(
            "wrong", f"[✗] {type(error).__name__}: {_message(error)}{_line(error, file)}{_call(error)}"
        )
    if not message:
        return Result("right", f"[✓] right ({len(got)} check{'s' * (len(got) != 1)})", got)
    return Result("wrong", f"[✗] {message}", got, items)


def _is_stub(test: Check, function: Callable, error: BaseException) -> bool:
    """Whether the function itself or its check raised NotImplementedError, not what the function calls."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return isinstance(error, NotImplementedError) and frames[-1].f_code in (code, test.run.__code__)


def _rest(items: Iterator[tuple]) -> list:
    """What the function returns in the rest of a check; an error is the last item, as text."""
    got: list = []
    try:
        with redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
            run_with_limit(MISTAKES_SECONDS, lambda: got.extend(item[1] for item in items))
    except (Exception, SystemExit) as error:
        got.append(f"{type(error).__name__}: {error}")
    return got


def known_mistake(test: Check, result: Result) -> str | None:
    """What a common mistake that gives the same results as a wrong function is about.

    It must give the same in every check, also after the first difference; where checks compile code there is
    no time for that, so there it must give the same up to the first difference. None for a function that
    raises an error, changes its arguments or returns nothing: its message says what is wrong.
    """
    if not result.got or any(value is None for value in result.got):
        return None
    whole = test.seconds <= SECONDS
    results = result.got + (_rest(result.rest) if whole else [])
    wrong = getattr(folder.answers(int(test.number.split(".")[0])), "WRONG", {}).get(test.name, ())

    def search() -> str | None:
        for mistake in wrong:
            if _gives(mistake, results, test, whole):
                return " ".join((mistake.__doc__ or "").split())
        return None

    try:
        with (
            redirect_stdout(io.StringIO()),
            warnings.catch_warnings(action="ignore"),
            np.errstate(all="ignore"),
        ):
            return run_with_limit(MISTAKES_SECONDS, search)
    except TimeoutError:
        return None


def _gives(function: Callable, results: list, test: Check, whole: bool) -> bool:
    """Whether a function gives these results, check by check, and with `whole` no others."""
    items = test.run(_guard(function) if test.pure else function)
    for result in results:
        try:
            got = next(items)[1]
        except (Exception, SystemExit) as error:
            got = f"{type(error).__name__}: {error}"
        try:
            if difference(got, result, lists=True):
                return False
        except Exception:  # `result` is not of a kind that a check expects
            return False
    return not whole or next(items, None) is None


def _check_again(number: str, function: Callable) -> tuple[str | None, bool]:
    """What is wrong with a function, or None; and whether it returns lists where arrays are expected."""
    test = find_check(number)
    with redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"):
        result = run_check(test, function)
    problem = None if result.state == "right" else result.message.removeprefix("[✗] ")
    return problem, _returns_lists(test, result)


def _returns_lists(test: Check, result: Result) -> bool:
    return test.lists and any(isinstance(value, (list, tuple)) for value in result.got)


def usable(test: Check, function: Callable) -> Callable:
    """The function; if its check accepts lists where an array is expected, made to return an array."""
    return as_array(function) if test.lists else function


def as_array(function: Callable) -> Callable:
    """The function, made to return an array where it returns a list."""

    @functools.wraps(function)
    def converted(*args: Any, **kwargs: Any) -> Any:
        return np.asarray(function(*args, **kwargs))

    return converted


def _guard(function: Callable) -> Callable:
    """`function`, made to raise SideEffectError if a call changes an argument."""

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        before = [_snapshot(value) for value in (*args, *kwargs.values())]
        result = function(*args, **kwargs)
        names = [*_parameters(function, len(args)), *kwargs]
        for name, value, original in zip(names, (*args, *kwargs.values()), before, strict=True):
            if original is not None and not _same(value, original):
                raise SideEffectError(f"it changes its argument `{name}`; work on a copy")
        return result

    return guarded


def _parameters(function: Callable, count: int) -> list[str]:
    try:
        names = list(inspect.signature(function).parameters)[:count]
    except (TypeError, ValueError):
        names = []
    return names + [f"number {i + 1}" for i in range(len(names), count)]


def _snapshot(value: Any) -> Any:
    """A copy of an array or a collection; None for anything else, which is not compared."""
    if not isinstance(value, (np.ndarray, list, tuple, dict, set)):
        return None
    try:
        return copy.deepcopy(value)
    except Exception:  # an item that cannot be copied
        return None


def _same(a: Any, b: Any) -> bool:
    if isinstance(b, np.ndarray):
        equal_nan = b.dtype.kind in "fc"
        return isinstance(a, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=equal_nan)
    if isinstance(b, dict):
        return isinstance(a, dict) and a.keys() == b.keys() and all(_same(a[key], b[key]) for key in b)
    if isinstance(b, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(_same, a, b))
    if isinstance(b, (str, bytes, set, int, float, complex, np.generic, type(None))):
        return type(a) is type(b) and bool(a == b or (a != a and b != b))
    return True  # an object that a copy need not be equal to


def _message(error: BaseException) -> str:
    """An error in one line. None where a value is needed usually means a forgotten return."""
    message = shorten(reason(error), 300, placeholder=" …")
    name = getattr(error, "name", None) if isinstance(error, NameError) else None
    number = folder.kept_exercises().get(name or "")
    if number:
        return f'{message}; you wrote it in {number}: {name} = yours("{name}") loads it'
    return f"{message}; is a return missing?" if "NoneType" in message else message


def _file(function: Callable) -> str:
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return code.co_filename if code else ""


def _line(error: BaseException, file: str) -> str:
    """The last line of the reader's file that the error passed."""
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" (line {lines[-1].lineno}: {shorten(lines[-1].line or '', 60)})" if lines else ""


def _call(error: BaseException | None) -> str:
    """The arguments of the call that raised an error: "; called with f (4, 1), C = 0"."""
    for frame, _ in traceback.walk_tb(error.__traceback__ if error else None):
        if frame.f_code.co_filename == __file__ and frame.f_code.co_name == "guarded":
            args, kwargs = frame.f_locals["args"], frame.f_locals["kwargs"]
            names = [*_parameters(frame.f_locals["function"], len(args)), *kwargs]
            values = zip(names, (*args, *kwargs.values()), strict=True)
            text = ", ".join(f"{name} {_value(value)}" for name, value in values)
            return shorten(f"; called with {text}", 200, placeholder=" …") if text else ""
    return ""


def _value(value: Any) -> str:
    """An argument in a few characters: its shape, its length, or its value if that is short."""
    if isinstance(value, np.ndarray) and value.size > 8:
        return f"{value.shape}"
    text = " ".join((np.array2string(value) if isinstance(value, np.ndarray) else repr(value)).split())
    if len(text) > 50 or "array(" in text:
        return (
            f"({type(value).__name__} of {len(value)})"
            if hasattr(value, "__len__")
            else f"({type(value).__name__})"
        )
    return f"= {text}"

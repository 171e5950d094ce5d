"""Exercises: a function that the reader writes, and an independent check of it.

A lesson calls `check("5.1", skips)`; the check is in lessons/checks, decorated with `exercise("5.1")`.
"""

import functools
import inspect
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from minids._utils.errors import InputError
from minids.lesson import folder, mine, progress
from minids.lesson.comparing import difference
from minids.lesson.running import SECONDS, Check, Result, guard, run_check
from minids.lesson.time_limit import run_with_limit

MISTAKES_SECONDS = 3.0  # for the search of a known mistake that explains a wrong result
_printed: set[str] = set()  # what `yours` has said


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
    items = test.run(guard(function) if test.pure else function)
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

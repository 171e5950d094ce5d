"""Every lesson: its form, its exercises with right and wrong answers, the whole run. Tables: pytest -s."""

import ast
import inspect
import os
import re
import subprocess
import sys
import time
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from minids.lesson import folder, source
from minids.lesson.checking import find_check
from minids.lesson.names import bound_names, used_names
from minids.lesson.running import Check, run_check
from minids.ops import driver

LESSONS = folder.lessons()
EXERCISES = [(path, exercise) for path in LESSONS for exercise in source.exercises(path)]
SIMULATED = [path for path in LESSONS if "minids.lesson.gpu" in path.read_text(encoding="utf-8")]
MAX_LINES, MAX_COLUMNS = 250, 88
CAPSTONE = 16  # its exercises are the milestones of the reader's own file

all_lessons = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
all_exercises = pytest.mark.parametrize(
    ("path", "exercise"), EXERCISES, ids=[f"{exercise.number}-{exercise.name}" for _, exercise in EXERCISES]
)


def number(path):
    return int(path.name[:2])


def skip_without_simulator(path):
    if path in SIMULATED:
        pytest.importorskip("greenlet", reason="the CUDA simulator needs greenlet: pip install greenlet")


def answers_to(path):
    """Our answers to a lesson. Those for the CUDA simulator cannot be loaded in a process that uses a GPU."""
    skip_without_simulator(path)
    if path in SIMULATED and not driver.simulated():
        pytest.skip("there is a GPU; MINIDS_SIM=1 tests the simulator")
    return folder.answers(number(path))


def cells(path):
    """The cells of a lesson: [(is_markdown, text)]."""
    parts = re.split(r"^# %%(.*)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert parts[0] == "", "a lesson starts with a cell"
    return [(kind.strip() == "[markdown]", text) for kind, text in zip(parts[1::2], parts[2::2], strict=True)]


def checks_of(path):
    skip_without_simulator(path)
    return [value for value in vars(folder.load("checks", number(path))).values() if isinstance(value, Check)]


def test_the_lessons_are_numbered_without_a_gap():
    assert [number(path) for path in LESSONS] == list(range(1, len(LESSONS) + 1))


@all_lessons
def test_a_lesson_has_the_form_of_one(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= MAX_LINES
    assert [line for line in lines if len(line) > MAX_COLUMNS] == []
    (opens, first), (_, picture), *_ = cells(path)
    assert opens
    assert re.match(rf"# # {number(path)}\. .+\?\n", first), "the title is the number and a question"
    assert "*You build*" in first
    assert "*You need*" in first
    assert "show(" in picture, "the first code cell shows a picture"
    prose = [text for markdown, text in cells(path) if markdown]
    assert all(line.startswith("#") for text in prose for line in text.splitlines() if line)
    assert "**What we have now**" in prose[-1]
    assert "**Next question**" in prose[-1]


@all_lessons
def test_a_lesson_has_a_few_exercises_with_hints(path):
    exercises = source.exercises(path)
    numbers = [exercise.number for exercise in exercises]
    assert numbers == [f"{number(path)}.{i + 1}" for i in range(len(exercises))]
    assert 1 <= len(exercises) <= (6 if number(path) == CAPSTONE else 4)
    text = path.read_text(encoding="utf-8")
    for exercise in exercises:
        assert len(exercise.hints) >= 2, exercise.number
        assert f"**Exercise {exercise.number}**" in text, f"{exercise.number} has no task"
        if number(path) != CAPSTONE:
            stub = text[text.index(f"\ndef {exercise.name}(") :].split("\n# %%")[0]
            assert re.search(r"\d lines?\b", stub), f"{exercise.number} does not say how long the answer is"


@all_lessons
def test_a_lesson_shows_no_check_hint_or_answer(path):
    text = path.read_text(encoding="utf-8")
    code = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in code if node.name.startswith("check_")] == []
    assert "@exercise" not in text
    answers = answers_to(path)
    for exercise in source.exercises(path):
        assert [hint for hint in exercise.hints if hint in text] == []
        answer = getattr(answers, exercise.name)
        lines = inspect.getsource(getattr(answer, "py_func", answer)).splitlines()
        assert "\n".join(lines[-4:]) not in text, f"the answer to {exercise.number} is in the lesson"


@all_lessons
def test_checks_and_answers_belong_to_exercises(path):
    answers, exercises = answers_to(path), source.exercises(path)
    assert (folder.root() / "answers" / path.name).is_file()
    assert (folder.root() / "checks" / path.name).is_file()
    names = {exercise.name for exercise in exercises}
    assert (set(answers.WRONG), set(answers.RIGHT), set(answers.HINTS)) == (names, names, names)
    assert [(c.number, c.name) for c in checks_of(path)] == [(e.number, e.name) for e in exercises]


def test_no_two_kept_exercises_have_one_name():
    tests = [test for path in LESSONS for test in checks_of(path) if test.keep]
    assert [name for name, count in Counter(test.name for test in tests).items() if count > 1] == []
    assert folder.kept_exercises() == {test.name: test.number for test in tests}


@all_lessons
def test_answers_are_written_out(path):
    """They call no function of the package that does the work, except in the lessons about its kernels."""
    if path in SIMULATED:
        pytest.skip("the subject of this lesson is kernels of the package")
    answers = answers_to(path)
    tree = ast.parse(inspect.getsource(answers))
    package = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minids"):
            package |= bound_names(node)
    package = {name for name in package if callable(getattr(answers, name))}
    for exercise in source.exercises(path):
        answer = getattr(answers, exercise.name)
        used = used_names(inspect.getsource(getattr(answer, "py_func", answer))) & package
        assert used <= {"answer", "njit"}, f"{exercise.number} {exercise.name} calls {used}"


@all_exercises
def test_right_answers_are_accepted_and_common_mistakes_found(path, exercise):
    answers = answers_to(path)
    test = find_check(exercise.number)
    mistakes, others = answers.WRONG[exercise.name], answers.RIGHT[exercise.name]
    with np.errstate(all="ignore"):
        for right in getattr(answers, exercise.name), *others:
            result = run_check(test, right)
            assert result.state == "right", f"{right.__name__}: {result.message}"
        for mistake in mistakes:
            result = run_check(test, mistake)
            assert result.state == "wrong", f"{mistake.__name__}: {result.message}"
            assert mistake.__doc__, f"{mistake.__name__} does not describe its mistake"
    assert len({mistake.__name__ for mistake in mistakes}) >= 3
    assert len({other.__name__ for other in others}) >= 2
    counts = f"{len(mistakes):2} wrong rejected, {len(others)} right accepted"
    print(f"\n{exercise.number:5} {exercise.name:24} {counts}")


@all_exercises
def test_the_exercises_are_not_written_yet(path, exercise):
    answers_to(path)
    function = source.reader_function(path, exercise.number)
    assert run_check(find_check(exercise.number), function).state == "open"


def test_the_wheel_contains_the_lessons(tmp_path):
    build = ["hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    root = folder.root().parent
    subprocess.run([sys.executable, "-m", *build], cwd=root, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    files = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    examples = [root / "examples" / "deepspeech.py", *(root / "examples" / "deepspeech").glob("*.*")]
    for folder_name, expected in {
        "lessons": {
            path.relative_to(root)
            for pattern in ("[0-9]*.py", "*.md", "answers/*.py", "checks/*.py", "data/*")
            for path in folder.root().glob(pattern)
        },
        "examples": {path.relative_to(root) for path in examples},
    }.items():
        shipped = {path.relative_to("minids") for path in files if path.parts[:2] == ("minids", folder_name)}
        assert shipped == expected
    scripts = {
        path.relative_to(root) for path in (root / "minids").rglob("*.*") if path.suffix in (".js", ".css")
    }
    assert scripts <= files


def run_lesson(path, text, environment):
    """Run a lesson of a reader; its output, without errors or warnings, and its seconds."""
    path.write_text(text, encoding="utf-8")
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path.relative_to(path.parents[1]))],
        cwd=path.parents[1],
        env={**os.environ, "MINIDS_ANSWERS": "0", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, time.perf_counter() - start


def is_kept(path):
    """Whether the answers to a lesson are kept in mine.py, for later lessons."""
    return path not in SIMULATED and number(path) != CAPSTONE


RUNS = [(path, False) for path in LESSONS] + [(path, True) for path in LESSONS if not is_kept(path)]


@pytest.mark.slow
@pytest.mark.parametrize(("path", "with_answers"), RUNS, ids=lambda value: getattr(value, "stem", None))
def test_a_lesson_runs_from_any_folder(path, with_answers, tmp_path):
    """A reader's copy, outside the checkout; with our answers where the next test does not use these."""
    skip_without_simulator(path)
    (tmp_path / "mine").mkdir()
    text = path.read_text(encoding="utf-8")
    environment = {"MINIDS_ANSWERS": "1" if with_answers else "0"}
    out, seconds = run_lesson(tmp_path / "mine" / path.name, text, environment)
    for exercise in source.exercises(path):
        pattern = rf"^{re.escape(exercise.number)} {exercise.name}  (.*)$"
        (line,) = re.findall(pattern, out, re.MULTILINE)
        assert line.startswith("[✓] right" if with_answers else "[ ] not written yet")
        assert [hint for hint in exercise.hints if hint in out] == []
    pages = set(re.findall(r"^\w+: ([^#\n]*\.html)", out, re.MULTILINE))
    assert pages
    assert all((tmp_path / page).stat().st_size < 3_000_000 for page in pages)
    how = "with the answers" if with_answers else "as shipped"
    print(f"\n{path.name:18} {len(text.splitlines()):3} lines, {seconds:4.1f} s {how}")


A_COPY = """
def a_copy(number, name):
    import inspect
    from minids.lesson import folder

    answer = getattr(folder.answers(number), name)
    if not inspect.isfunction(answer):  # compiled by Numba
        return answer
    return type(answer)(answer.__code__, answer.__globals__, name, answer.__defaults__)


"""


@pytest.mark.slow
def test_a_reader_who_writes_our_answers_gets_a_file_that_all_lessons_run_on(tmp_path):
    """Each exercise is passed our answer as if the reader had written it: mine.py grows, and is used."""
    mine = tmp_path / "mine"
    mine.mkdir()
    for path in LESSONS:
        if not is_kept(path):
            continue
        text = path.read_text(encoding="utf-8")
        copied = re.sub(r'check\("([\d.]+)", (\w+)\)', rf'check("\1", a_copy({number(path)}, "\2"))', text)
        out, _ = run_lesson(mine / path.name, A_COPY + copied, {})
        for test in checks_of(path):
            (line,) = re.findall(rf"^{re.escape(test.number)} {test.name}  (.*)$", out, re.MULTILINE)
            assert line.endswith("kept in mine.py") == test.keep, line
        assert "our answers: " not in out
    text = (mine / "mine.py").read_text()
    assert ", our answer" not in text
    print(f"\nmine.py: {len(text.splitlines())} lines, {len(folder.kept_exercises())} functions")

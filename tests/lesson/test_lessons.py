"""Every lesson: its form, its exercises with common mistakes, and the whole lesson run. Tables: pytest -s."""

import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from minids.lesson import folder, source
from minids.lesson.checking import run_check
from minids.ops import driver

LESSONS = folder.lessons()
EXERCISES = [(path, exercise) for path in LESSONS for exercise in source.exercises(path)]
SIMULATED = [path for path in LESSONS if "minids.lesson.gpu" in path.read_text(encoding="utf-8")]
MAX_LINES = 250

all_lessons = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
all_exercises = pytest.mark.parametrize(
    ("path", "exercise"), EXERCISES, ids=[f"{exercise.number}-{exercise.name}" for _, exercise in EXERCISES]
)


def skip_without_simulator(path):
    if path in SIMULATED:
        pytest.importorskip("greenlet", reason="the CUDA simulator needs greenlet: pip install greenlet")


def answers_to(path):
    """Our answers to a lesson. Those for the CUDA simulator cannot be loaded in a process that uses a GPU."""
    skip_without_simulator(path)
    if path in SIMULATED and not driver.simulated():
        pytest.skip("there is a GPU; MINIDS_SIM=1 tests the simulator")
    return folder.answers(int(path.name[:2]))


def cells(path):
    """The cells of a lesson: [(is_markdown, text)]."""
    parts = re.split(r"^# %%(.*)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert parts[0] == "", "a lesson starts with a cell"
    return [(kind.strip() == "[markdown]", text) for kind, text in zip(parts[1::2], parts[2::2], strict=True)]


def test_the_lessons_are_numbered_without_a_gap():
    assert [int(path.name[:2]) for path in LESSONS] == list(range(1, len(LESSONS) + 1))


@all_lessons
def test_a_lesson_has_the_form_of_one(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
    (opens, first), (_, picture), *_ = cells(path)
    assert opens
    assert re.match(rf"# # {int(path.name[:2])}\. .+\?\n", first), "the title is the number and a question"
    assert "*You build*" in first
    assert "*You need*" in first
    assert "show(" in picture, "the first code cell shows a picture"
    prose = [text for markdown, text in cells(path) if markdown]
    assert all(line.startswith("#") for text in prose for line in text.splitlines() if line)
    assert "**What we have now**" in prose[-1]
    assert "**Next question**" in prose[-1]


@all_lessons
def test_a_lesson_has_one_to_three_exercises_with_hints(path):
    exercises = source.exercises(path)
    number = int(path.name[:2])
    assert [exercise.number for exercise in exercises] == [f"{number}.{i + 1}" for i in range(len(exercises))]
    assert 1 <= len(exercises) <= 3
    text = path.read_text(encoding="utf-8")
    for exercise in exercises:
        assert len(exercise.hints) >= 2, exercise.number
        stub = text[text.index(f"\ndef {exercise.name}(") :].split("\n# %%")[0]
        assert re.search(r"\d lines?\b", stub), f"{exercise.number} does not say how long the answer is"


@all_lessons
def test_answers_belong_to_exercises(path):
    answers = answers_to(path)
    assert (folder.root() / "answers" / path.name).is_file()
    assert set(answers.WRONG) == {exercise.name for exercise in source.exercises(path)}


@all_exercises
def test_our_answer_is_right_and_common_mistakes_are_found(path, exercise):
    answers = answers_to(path)
    trial = source.trials(path, answers)[exercise.name]
    with np.errstate(all="ignore"):
        result = run_check(exercise.name, getattr(answers, exercise.name), trial.check, **trial.options)
        assert result.state == "right", result.message
        mistakes = answers.WRONG[exercise.name]
        for mistake in mistakes:
            result = run_check(exercise.name, mistake, trial.check, **trial.options)
            assert result.state == "wrong", f"{mistake.__name__}: {result.message}"
            assert mistake.__doc__, f"{mistake.__name__} does not describe its mistake"
    assert len({mistake.__name__ for mistake in mistakes}) >= 3
    print(f"\n{exercise.number:5} {exercise.name:24} {len(mistakes)} wrong answers rejected")


@all_exercises
def test_the_exercises_are_not_written_yet(path, exercise):
    trial = source.trials(path, answers_to(path))[exercise.name]
    assert run_check(exercise.name, trial.function, trial.check, **trial.options).state == "open"


def test_the_wheel_contains_the_lessons(tmp_path):
    build = ["hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(
        [sys.executable, "-m", *build], cwd=folder.root().parent, check=True, capture_output=True, timeout=120
    )
    (wheel,) = tmp_path.glob("*.whl")
    files = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    shipped = {path for path in files if path.parts[:2] == ("minids", "lessons")}
    assert shipped == {
        Path("minids/lessons") / path.relative_to(folder.root())
        for pattern in ("*.py", "*.md", "answers/*.py", "data/*")
        for path in folder.root().glob(pattern)
    }
    assert {
        Path("minids/html/page.css"),
        Path("minids/html/steps.js"),
        Path("minids/lesson/collapse_widget.js"),
    } <= files


@pytest.mark.slow
@pytest.mark.parametrize("with_answers", [False, True], ids=["as-shipped", "with-answers"])
@all_lessons
def test_a_lesson_runs_from_any_folder(path, with_answers, tmp_path):
    """A reader's copy, outside the checkout."""
    skip_without_simulator(path)
    (tmp_path / "mine").mkdir()
    shutil.copy(path, tmp_path / "mine")
    environment = {**os.environ, "MINIDS_ANSWERS": "1" if with_answers else "0"}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-W", "error", f"mine/{path.name}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    seconds = time.perf_counter() - start
    assert done.returncode == 0, done.stderr
    for exercise in source.exercises(path):
        pattern = rf"^{re.escape(exercise.number)} {exercise.name}  (.*)$"
        (line,) = re.findall(pattern, done.stdout, re.MULTILINE)
        assert line.startswith("[✓] right" if with_answers else "[ ] not written yet")
    pictures = re.findall(r"^picture: (.*)$", done.stdout, re.MULTILINE)
    assert pictures
    assert all((tmp_path / picture).stat().st_size < 2_000_000 for picture in pictures)
    lines = len(path.read_text(encoding="utf-8").splitlines())
    how = "with the answers" if with_answers else "as shipped"
    print(f"\n{path.name:18} {lines:3} lines, {len(pictures)} pictures, {seconds:4.1f} s {how}")

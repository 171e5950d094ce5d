"""Every lesson: its form, its exercises against usual mistakes, all of it run. Tables: pytest -s."""

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
from minids.lesson.checking import examine
from minids.ops import driver

LESSONS = folder.lessons()
EXERCISES = [(path, each) for path in LESSONS for each in source.exercises(path)]
SIMULATED = [path for path in LESSONS if "minids.lesson.gpu" in path.read_text(encoding="utf-8")]
MOST_LINES = 250

each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
each_exercise = pytest.mark.parametrize(
    ("path", "exercise"), EXERCISES, ids=[f"{each.number}-{each.name}" for _, each in EXERCISES]
)


def skip_without_simulator(path):
    if path in SIMULATED:
        pytest.importorskip("greenlet", reason="the simulator of a GPU needs a package: pip install greenlet")


def answers_to(path):
    """Our answers to a lesson; those for the simulator cannot be had in a Python that computes on a GPU."""
    skip_without_simulator(path)
    if path in SIMULATED and not driver.simulated():
        pytest.skip("there is a GPU; MINIDS_SIM=1 tests the simulator")
    return folder.answers(int(path.name[:2]))


def cells(path):
    """[(whether Markdown, text)] of a lesson."""
    parts = re.split(r"^# %%(.*)\n", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert parts[0] == "", "a lesson begins with a cell"
    return [(kind.strip() == "[markdown]", text) for kind, text in zip(parts[1::2], parts[2::2], strict=True)]


def test_the_lessons_are_numbered_without_a_gap():
    assert [int(path.name[:2]) for path in LESSONS] == list(range(1, len(LESSONS) + 1))


@each_lesson
def test_a_lesson_has_the_form_of_one(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    (opens, first), (_, picture), *_ = cells(path)
    assert opens
    assert re.match(rf"# # {int(path.name[:2])}\. .+\?\n", first), "it begins with its number and question"
    assert "*You build*" in first
    assert "*You need*" in first
    assert "show(" in picture, "the opening picture comes at once"
    prose = [text for markdown, text in cells(path) if markdown]
    assert all(line.startswith("#") for text in prose for line in text.splitlines() if line)
    assert "**What we have now**" in prose[-1]
    assert "**Next question**" in prose[-1]


@each_lesson
def test_a_lesson_has_one_to_three_exercises_with_their_size_and_hints(path):
    exercises = source.exercises(path)
    number = int(path.name[:2])
    assert [each.number for each in exercises] == [f"{number}.{i + 1}" for i in range(len(exercises))]
    assert 1 <= len(exercises) <= 3
    text = path.read_text(encoding="utf-8")
    for each in exercises:
        assert len(each.hints) >= 2, each.number
        stub = text[text.index(f"\ndef {each.name}(") :].split("\n# %%")[0]
        assert re.search(r"(?i)(\d|one|two) lines?\b", stub), (
            f"{each.number} does not say how long it will be"
        )


@each_lesson
def test_answers_belong_to_exercises(path):
    answers = answers_to(path)
    assert (folder.home() / "answers" / path.name).is_file()
    assert set(answers.WRONG) == {each.name for each in source.exercises(path)}


@each_exercise
def test_ours_is_right_and_every_usual_mistake_is_found(path, exercise):
    answers = answers_to(path)
    trial = source.trials(path, answers)[exercise.name]
    with np.errstate(all="ignore"):
        ours = examine(exercise.name, getattr(answers, exercise.name), trial.check, **trial.tolerances)
        assert ours.state == "right", ours.words
        wrong = answers.WRONG[exercise.name]
        for mistake in wrong:
            verdict = examine(exercise.name, mistake, trial.check, **trial.tolerances)
            assert verdict.state == "wrong", f"{mistake.__name__}: {verdict.words}"
            assert mistake.__doc__, f"{mistake.__name__} does not say its mistake"
    assert len({mistake.__name__ for mistake in wrong}) >= 3
    print(f"\n{exercise.number:5} {exercise.name:24} {len(wrong)} wrong answers tried and rejected")


@each_exercise
def test_what_ships_is_not_written_yet(path, exercise):
    trial = source.trials(path, answers_to(path))[exercise.name]
    assert examine(exercise.name, trial.stub, trial.check, **trial.tolerances).state == "open"


def test_the_lessons_travel_in_the_wheel(tmp_path):
    build = ["hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(
        [sys.executable, "-m", *build], cwd=folder.home().parent, check=True, capture_output=True, timeout=120
    )
    (wheel,) = tmp_path.glob("*.whl")
    files = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    shipped = {path for path in files if path.parts[:2] == ("minids", "lessons")}
    assert shipped == {
        Path("minids/lessons") / path.relative_to(folder.home())
        for pattern in ("*.py", "*.md", "answers/*.py", "data/*")
        for path in folder.home().glob(pattern)
    }
    assert {
        Path("minids/_utils/page/page.css"),
        Path("minids/_utils/page/steps.js"),
        Path("minids/lesson/collapse_widget.js"),
    } <= files


@pytest.mark.slow
@pytest.mark.parametrize("given", [False, True], ids=["as-shipped", "with-answers"])
@each_lesson
def test_a_lesson_runs_from_any_folder(path, given, tmp_path):
    """A copy of it, elsewhere: that of a reader."""
    skip_without_simulator(path)
    (tmp_path / "mine").mkdir()
    shutil.copy(path, tmp_path / "mine")
    environment = {**os.environ, "MINIDS_ANSWERS": "1" if given else "0"}
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
    for each in source.exercises(path):
        (line,) = re.findall(rf"^{re.escape(each.number)} {each.name}  (.*)$", done.stdout, re.MULTILINE)
        assert line.startswith("[✓] right" if given else "[ ] not written yet")
    pictures = re.findall(r"^picture: (.*)$", done.stdout, re.MULTILINE)
    assert pictures
    assert all((tmp_path / picture).stat().st_size < 2_000_000 for picture in pictures)
    lines = len(path.read_text(encoding="utf-8").splitlines())
    how = "with the answers" if given else "as shipped"
    print(f"\n{path.name:18} {lines:3} lines, {len(pictures)} pictures, {seconds:4.1f} s {how}")

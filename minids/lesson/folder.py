"""Where the lessons are: next to the package in a checkout, inside it if it was installed from a wheel."""

import ast
import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FrameType, ModuleType
from zlib import crc32

import minids
from minids._utils.errors import InputError, reason
from minids._utils.files import atomic_write
from minids.lesson import notebooks, progress

SECOND_BOOK = range(18, 100)  # the numbers of the lessons about speed


@cache
def root() -> Path:
    """The folder of the lessons that come with the package. Raises InputError if there are none."""
    package = Path(minids.__file__).resolve().parent
    for folder in package / "lessons", package.parent / "lessons":
        if folder.is_dir():
            return folder
    raise InputError(f"{package}: this installation has no lessons; install the wheel, or use a checkout")


def lessons(folder: Path | None = None) -> list[Path]:
    """The lessons in `folder` (default: those that come with the package), in order."""
    return sorted((folder or root()).glob("[0-9][0-9]_*.py"))


def working_copy() -> Path:
    """The reader's copies: this folder, else the subfolder with the lesson saved last, else "lessons"."""
    if copies(Path(".")) or Path(progress.FILE).exists():
        return Path(".")
    saved = {
        path.stat().st_mtime_ns: folder
        for folder in Path(".").glob("*/")
        if not (folder / "answers").exists()
        for path in copies(folder)
    }
    return saved[max(saved)] if saved else Path("lessons")


def copies(folder: Path) -> list[Path]:
    """The lessons in `folder`, .py and .ipynb, under the names of those that come with the package."""
    paths = [folder / f"{lesson.stem}{suffix}" for lesson in lessons() for suffix in (".py", ".ipynb")]
    return [path for path in paths if path.exists()]


def strangers(folder: Path) -> list[Path]:
    """Files in `folder` that are named like lessons, but that this version does not have."""
    stems = {lesson.stem for lesson in lessons()}
    files = [path for path in folder.glob("[0-9][0-9]_*") if path.suffix in (".py", ".ipynb")]
    return sorted(path for path in files if path.stem not in stems)


def data(name: str) -> Path:
    """The path of a file that the lessons use: "two_five.flac", "digits.safetensors", …

    Raises InputError, with the names that exist, for any other name.
    """
    path = root() / "data" / name
    if not path.is_file():
        names = ", ".join(sorted(file.name for file in path.parent.glob("*.*")))
        raise InputError(f"{name}: not in the data of the lessons, which has {names or 'no files'}")
    return path


@cache
def load(kind: str, number: int) -> ModuleType:
    """The "answers" or the "checks" of a lesson, as a module. Raises InputError if there are none."""
    for path in lessons(root() / kind):
        if int(path.name[:2]) == number:
            return run_file(path, f"minids_{kind}_{number}")
    raise InputError(f"{root() / kind}: no {kind} of lesson {number}")


def run_file(path: Path, name: str) -> ModuleType:
    """A Python file as a new module. Raises whatever its code raises."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answers(number: int) -> ModuleType:
    """The answers to a lesson's exercises, with common mistakes (WRONG) and other right answers (RIGHT).

    Raises InputError if there are none.
    """
    return load("answers", number)


def answer(name: str) -> Callable:
    """Our answer to the exercise of this name, which must be one that mine.py keeps. Raises InputError."""
    number = number_of(name)
    return answer_to(number, name)


def answer_to(number: str, name: str) -> Callable:
    """Our answer to an exercise. Raises InputError if there is none."""
    function = getattr(answers(int(number.split(".")[0])), name, None)
    if function is None:
        raise InputError(f"{number} {name}: lessons/answers has no answer of that name")
    return function


def number_of(name: str) -> str:
    """The number of an exercise that mine.py keeps, "5.1", from its name. Raises InputError."""
    known = kept_exercises()
    if name not in known:
        raise InputError(f"{name}: no exercise keeps a function of that name; they keep {', '.join(known)}")
    return known[name]


@cache
def kept_exercises() -> dict[str, str]:
    """The number of each exercise that mine.py keeps, by its name. The checks are parsed, not run."""
    numbers = {}
    for path in lessons(root() / "checks"):
        for node in ast.parse(path.read_text(encoding="utf-8"), str(path)).body:
            if not isinstance(node, ast.FunctionDef):
                continue
            for call in node.decorator_list:
                if isinstance(call, ast.Call) and "keep=False" not in map(ast.unparse, call.keywords):
                    numbers[node.name.removeprefix("check_")] = ast.literal_eval(call.args[0])
    return numbers


def key(number: str, name: str) -> str:
    """What an exercise has in every version: its name, if mine.py keeps it; else it has its number, too."""
    return name if kept_exercises().get(name) == number else f"{number} {name}"


def example(name: str) -> Path:
    """The path of a file of the examples: next to the package in a checkout, inside it in a wheel."""
    return root().parent / "examples" / name


def copy_lessons(folder: Path) -> tuple[list[Path], list[Path]]:
    """Copy the lessons, .py and .ipynb, into `folder`; a copy that the reader has changed stays as it is.

    Returns the paths copied and skipped. Raises InputError if the folder cannot be written.
    """
    copied, skipped = [], []
    before, now = progress.copies(folder), {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for lesson in lessons():
            text = lesson.read_bytes()
            for suffix, content in (".py", text), (".ipynb", notebooks.from_percent(text.decode())):
                path = folder / f"{lesson.stem}{suffix}"
                old = path.read_bytes() if path.exists() else None
                if old not in (None, content) and before.get(path.name) != crc32(old or b""):
                    skipped.append(path)
                    continue
                if old != content:
                    with atomic_write(path) as file:
                        file.write(content)
                    copied.append(path)
                now[path.name] = crc32(content)
    except (OSError, InputError) as error:
        cause = reason(error.__cause__ or error)
        raise InputError(f"cannot write {folder}: {cause}; choose a folder you can write to") from error
    finally:
        if now:
            progress.record_copies(folder, now)
    return copied, skipped


def calling_file(default: str) -> Path:
    """The file that called this package; `default` if it has none, as in a notebook."""
    frame: FrameType | None = sys._getframe(1)
    while frame and str(frame.f_globals.get("__name__")).startswith("minids."):
        frame = frame.f_back
    return Path(frame.f_globals.get("__file__", default) if frame else default)


def calling_folder() -> Path:
    """The folder of the file that called this package; in a notebook, the current folder."""
    return calling_file("notebook").resolve().parent

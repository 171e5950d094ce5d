"""Where the lessons lie: beside the package in a checkout, inside it when it was installed from a wheel."""

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

import minids
from minids._utils.errors import InputError, reason
from minids.lesson.progress import FILE


@cache
def home() -> Path:
    """The folder of the lessons as they ship. Raises InputError when this installation has none."""
    package = Path(minids.__file__).resolve().parent
    for folder in package / "lessons", package.parent / "lessons":
        if folder.is_dir():
            return folder
    raise InputError(f"{package}: no lessons came with this installation; install the wheel or a checkout")


def lessons(folder: Path | None = None) -> list[Path]:
    """The lessons in `folder` (default: as they ship), in their order."""
    return sorted((folder or home()).glob("[0-9][0-9]_*.py"))


def yours() -> Path:
    """The copies a reader means: here, else in the folder just below that changed last, else "lessons"."""
    if lessons(Path(".")) or Path(FILE).exists():
        return Path(".")
    copies = [path for path in Path(".").glob("*/") if lessons(path) and not (path / "answers").exists()]
    return max(copies, key=lambda path: path.stat().st_mtime, default=Path("lessons"))


def data(name: str) -> Path:
    """A file that the lessons listen to or load: "two_five.flac", "digits.safetensors", …

    Raises InputError, with the names that there are, for any other.
    """
    path = home() / "data" / name
    if not path.is_file():
        there = ", ".join(sorted(file.name for file in path.parent.glob("*.*")))
        raise InputError(f"{name}: the lessons have no such data, only {there or 'none'}")
    return path


@cache
def answers(number: int) -> ModuleType:
    """Our answers to the exercises of a lesson, and WRONG: by exercise, answers with the usual mistakes.

    Raises InputError when there are none.
    """
    found = lessons(home() / "answers")
    for path in found:
        if int(path.name[:2]) == number:
            spec = importlib.util.spec_from_file_location(f"minids_answers_{number}", path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    raise InputError(f"{home() / 'answers'}: no answers to lesson {number}")


def copy(to: Path) -> tuple[list[Path], list[Path]]:
    """Copy the lessons into a folder; never over a file that differs. Returns the copies, and those kept.

    Raises InputError where nothing can be written.
    """
    written, kept = [], []
    try:
        to.mkdir(parents=True, exist_ok=True)
        for lesson in lessons():
            path = to / lesson.name
            if not path.exists():
                path.write_bytes(lesson.read_bytes())
                written.append(path)
            elif path.read_bytes() != lesson.read_bytes():
                kept.append(path)
    except OSError as error:
        raise InputError(f"cannot write {to}: {reason(error)}; choose a folder you can write to") from error
    return written, kept

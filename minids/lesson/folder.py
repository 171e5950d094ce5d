"""Where the lessons are: next to the package in a checkout, inside it if it was installed from a wheel."""

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

import minids
from minids._utils.errors import InputError, reason
from minids.lesson.progress import FILE


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
    """The reader's copies: this folder, else its most recent subfolder with lessons, else "lessons"."""
    if lessons(Path(".")) or Path(FILE).exists():
        return Path(".")
    copies = [path for path in Path(".").glob("*/") if lessons(path) and not (path / "answers").exists()]
    return max(copies, key=lambda path: path.stat().st_mtime, default=Path("lessons"))


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
def answers(number: int) -> ModuleType:
    """The answers to a lesson's exercises, and WRONG: for each exercise, answers with common mistakes.

    Raises InputError if there are none.
    """
    for path in lessons(root() / "answers"):
        if int(path.name[:2]) == number:
            spec = importlib.util.spec_from_file_location(f"minids_answers_{number}", path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    raise InputError(f"{root() / 'answers'}: no answers to lesson {number}")


def copy_lessons(folder: Path) -> tuple[list[Path], list[Path]]:
    """Copy the lessons into `folder`, never over a file that differs. Returns the paths copied and skipped.

    Raises InputError if the folder cannot be written.
    """
    copied, skipped = [], []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for lesson in lessons():
            path = folder / lesson.name
            if not path.exists():
                path.write_bytes(lesson.read_bytes())
                copied.append(path)
            elif path.read_bytes() != lesson.read_bytes():
                skipped.append(path)
    except OSError as error:
        raise InputError(
            f"cannot write {folder}: {reason(error)}; choose a folder you can write to"
        ) from error
    return copied, skipped

"""The reader's own recordings: from a microphone, from files, or else those of a voice that ships."""

import queue
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from minids._utils.errors import InputError
from minids.audio import load_audio, save_audio
from minids.audio.files import SOUND_SUFFIXES
from minids.lesson import folder
from minids.lesson.display import in_notebook
from minids.lesson.sounds import RATE, Recording, from_table

FEWEST = 3  # recordings: two to learn from, one for the test
SHORTEST = 0.2  # s: no word is shorter


def recordings(arguments: Sequence[str], texts: Sequence[str], store: Path) -> tuple[list[Recording], bool]:
    """The recordings to learn from, and whether they are the reader's.

    "--record" asks for each of the `texts`, records it and keeps it in the folder `store`; other arguments
    are recordings, or folders of them, each with its text next to it (001.wav, 001.txt). Without arguments:
    a synthetic voice that speaks German digits. Raises SystemExit, whose message names the remedy, for
    recordings that cannot be used.
    """
    if in_notebook() and list(arguments) == sys.argv[1:]:
        arguments = []  # those of the kernel
    if not arguments:
        return from_table(folder.data("german.tsv"), folder.data("german.ogg")), False
    try:
        return _read_all(arguments, texts, store), True
    except InputError as error:
        raise SystemExit(f"17_you.py: {error}") from None


def _read_all(arguments: Sequence[str], texts: Sequence[str], store: Path) -> list[Recording]:
    if "--record" in arguments:
        record(texts, store)
        arguments = [str(store)]
    paths = [path for name in arguments for path in _sound_files(Path(name))]
    if len(paths) < FEWEST:
        found = f"{len(paths)} recording{'s' * (len(paths) != 1)} in {', '.join(arguments)}"
        raise InputError(f"{found}; training and test need at least {FEWEST}, better two dozen")
    return [_read(path) for path in paths]


def long_enough(recordings: Sequence[Recording], frame: float) -> list[Recording]:
    """Those with a frame of `frame` seconds for each character, and one between equal ones; names the others.

    Raises SystemExit if too few are left. A recording is too short for its text if the text is another's, or
    if a click was much louder than the speech, which `trim` has then cut off.
    """
    kept = []
    for recording in recordings:
        text, seconds = recording.text, len(recording.samples) / RATE
        if seconds / frame - 1 >= len(text) + sum(a == b for a, b in pairwise(text)):
            kept.append(recording)
        else:
            print(f"left out: {seconds:.2f} s with sound are too short for “{text}”")
    if len(kept) < FEWEST:
        raise SystemExit(f"17_you.py: fewer than {FEWEST} recordings are left; record them again")
    return kept


def record(texts: Sequence[str], store: Path) -> None:
    """Record each text from the microphone into `store`, from Enter to Enter; texts that are there are kept.

    Raises InputError if there is no microphone, or no library for it.
    """
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the package is installed, PortAudio is not
        raise InputError(f"{error}: pip install sounddevice (on Linux also libportaudio2)") from error
    store.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts, start=1):
        path = store / f"{number:03}.wav"
        if path.exists():
            continue
        blocks: queue.SimpleQueue[np.ndarray] = queue.SimpleQueue()
        try:
            stream = sounddevice.InputStream(
                samplerate=RATE,
                channels=1,
                dtype="float32",
                callback=lambda block, *_, blocks=blocks: blocks.put(block[:, 0].copy()),
            )
        except (sounddevice.PortAudioError, ValueError) as error:
            raise InputError(f"no microphone ({error}); connect one, or give files") from error
        input(f"{number} of {len(texts)}: press Enter, say “{text}”, and press Enter again. ")
        with stream:
            input()
        samples = np.concatenate([blocks.get() for _ in range(blocks.qsize())] or [np.zeros(0, np.float32)])
        if np.abs(samples).max(initial=0) < 1e-3:
            raise InputError("the microphone is silent; check its volume, then start again")
        path.with_suffix(".txt").write_text(text, encoding="utf-8")
        save_audio(path, samples, RATE)
    print(f"{len(texts)} recordings in {store}", file=sys.stderr)


def _sound_files(path: Path) -> list[Path]:
    if path.suffix.lower() in SOUND_SUFFIXES:
        return [path]
    if not path.is_dir():
        raise InputError(f"{path} is neither a sound file nor a folder; give recordings")
    return sorted(file for file in path.rglob("[!.]*") if file.suffix.lower() in SOUND_SUFFIXES)


def _read(path: Path) -> Recording:
    text = path.with_suffix(".txt")
    if not text.is_file():
        raise InputError(f"{path} has no text; write what is said to {text}")
    words = text.read_text(encoding="utf-8").lower().split()
    if not words:
        raise InputError(f"{text} is empty; write what is said in {path.name}")
    samples, _ = load_audio(path, RATE)
    if len(samples) < SHORTEST * RATE:
        raise InputError(f"{path} lasts only {len(samples) / RATE:.2f} s; record it again")
    return Recording("you", " ".join(words), samples)

"""Synthetic speech: digit strings spoken by many voices, some of which are held out for the test.

    python examples/demo/speech.py OUT [SEED]

The synthesizer is espeak-ng (formant synthesis), from PyPI's `espeakng-loader` (the extra `demo` of minids).
It runs in this process through ctypes, without a system package or network. The library is GPL-3, its speech
is free.
"""

import ctypes
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from minids.audio import resample, save_audio
from minids.data.manifest import Utterance, write_manifest

RATE = 16000
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
ACCENTS = ["en-US", "en", "en-GB-x-rp", "en-GB-scotland", "en-029"]
VOICES = {  # of espeak-ng; no voice is in two splits
    "train": "f1 f2 f5 m1 m2 m3 m5 m7 Alex Andy Annie Gene Jacky Mario Michael adam belinda david ed ian "
    "john klatt linda paul rob steph travis victor",
    "dev": "f3 m4 Lee norbert",
    "test": "f4 m6 Denis Hugo edward max",
}
CHUNK = 500  # utterances spoken by one process


class Espeak:
    """The synthesizer, one per process, because its state is in global variables.

    Each utterance leaves some state behind (the phase of the voice), even if the library is initialized
    again. So only a new process repeats its speech exactly, and each chunk of utterances has a process of its
    own.
    """

    def __init__(self, seed: int) -> None:
        import espeakng_loader

        self.library = library = ctypes.CDLL(espeakng_loader.get_library_path())
        home = str(Path(espeakng_loader.get_data_path()).parent)
        # 2: samples go to the callback before Synth returns; 0x8000: errors do not end the process.
        self.rate = library.espeak_Initialize(2, 0, home.encode(), 0x8000)
        if self.rate <= 0:
            raise RuntimeError(f"espeak-ng does not start from {home}")
        callback = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
        )
        self.callback = callback(self._receive)  # an attribute, because the library holds only its address
        library.espeak_SetSynthCallback(self.callback)
        library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        library.espeak_Synth.argtypes = (
            [ctypes.c_char_p, ctypes.c_size_t] + 4 * [ctypes.c_uint] + 2 * [ctypes.c_void_p]
        )

    def _receive(self, samples, count: int, events) -> int:
        if samples and count > 0:
            self.blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def __call__(
        self, text: str, voice: str, speed: int = 160, pitch: int = 50, melody: int = 50
    ) -> np.ndarray:
        """Samples (N,) in -1 … 1 at `rate`.

        `voice` is a file in the library's folder lang/, such as gmw/en+f3; `speed` is in words per minute;
        `pitch` and its range `melody` are in 0 … 100.
        """
        if self.library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice}")
        for parameter, value in ((1, speed), (3, pitch), (4, melody)):
            self.library.espeak_SetParameter(parameter, value, 0)
        self.blocks: list[np.ndarray] = []
        data = text.encode() + b"\0"
        self.library.espeak_Synth(data, len(data), 0, 0, 0, 1, None, None)  # 1: the text is UTF-8
        return np.concatenate(self.blocks) / np.float32(32768)


def utterances(folder: Path, split: str, seed: int, first: int, count: int) -> list[Utterance]:
    """Synthesize and save utterances `first` … `first` + `count` - 1 of a split. Needs a new process."""
    random = np.random.default_rng([seed, list(VOICES).index(split), first])
    espeak = Espeak(int(random.integers(1 << 31)))
    utterances = []
    for index in range(first, first + count):
        text = " ".join(random.choice(WORDS, random.integers(1, 6)))
        speaker, accent = str(random.choice(VOICES[split].split())), str(random.choice(ACCENTS))
        speed, pitch, melody = (int(random.integers(*span)) for span in ((130, 190), (30, 70), (30, 70)))
        samples = resample(espeak(text, f"gmw/{accent}+{speaker}", speed, pitch, melody), espeak.rate, RATE)
        samples = np.pad(samples, random.integers(RATE // 20, RATE // 4, 2))  # silence around it
        samples *= random.uniform(0.05, 0.5) / np.abs(samples).max()
        samples += random.normal(0, 1e-3, len(samples)).astype(np.float32)  # a room is never silent

        path = folder / split / f"{index:04d}.flac"
        save_audio(path, samples, RATE)
        utterances.append(Utterance(path, text, len(samples) / RATE, speaker, extra={"accent": accent}))
    return utterances


def make(folder: Path, counts: dict[str, int], seed: int = 0) -> dict[str, Path]:
    """Write counts[split] utterances of each split below `folder`; return the manifest of each split.

    The same seed makes the same files on any number of cores.
    """
    manifests = {}
    for split in counts:
        (folder / split).mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        chunks = {
            split: [
                pool.submit(utterances, folder, split, seed, first, min(CHUNK, count - first))
                for first in range(0, count, CHUNK)
            ]
            for split, count in counts.items()
        }
        for split, futures in chunks.items():
            manifests[split] = folder / f"{split}.jsonl"
            write_manifest(manifests[split], [u for future in futures for u in future.result()])
    return manifests


if __name__ == "__main__":
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    print(*make(Path(sys.argv[1]), {"train": 1600, "dev": 100, "test": 200}, seed).values(), sep="\n")

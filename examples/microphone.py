"""Live speech to text, phrase by phrase, until Ctrl-C.

    pip install sounddevice
    python examples/microphone.py                     # or with --model runs/mine/best.safetensors
    python examples/microphone.py --file talk.wav     # as if it were spoken now

A network that reads in both directions needs the end of what it hears before it can say the first word. So
sound is cut where the speaker pauses, at the latest after ten seconds, at the quietest moment. Pieces
overlap: a phrase is heard with some of the sound on either side, and says the words whose middle lies within.
A word waits for the rest of its phrase, the pause, and the computation; the last line tells how long. Of
AN4's 130 test recordings, one behind the other, 1.5 s in the middle, 7.7 at most, 0.04 of it computing; 8.2 %
of the words were wrong, where each recording heard by itself has 6.9 %.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np

import minids
from minids.decode.greedy import Word
from minids.recognizer import split_at_pauses

BLOCK = 0.05  # seconds that come in at once
MARGIN = 0.25  # seconds on either side that are heard with a phrase: a pause is two of them
QUIET = 0.01  # of the loudest block's power, 20 dB below it; with every block that fades a little
FADING = 0.999  # 20 dB in four minutes
LONGEST = 10.0  # seconds of a phrase


class Phrase(NamedTuple):
    """From `begin` to `end` (seconds), in the middle of the samples heard from `start` until now."""

    begin: float
    end: float
    start: float
    samples: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="default: the one that ships")
    parser.add_argument("--file", type=Path, help="hear this file instead of the microphone")
    given = parser.parse_args()
    recognizer = minids.Recognizer.load(given.model)
    rate = recognizer.features.rate
    recognizer.transcribe(np.zeros(rate, np.float32))  # compiles, where that is still to be done
    waited, computed = [], []
    for phrase in phrases(from_file(given.file, rate) if given.file else microphone(rate), rate):
        asked = time.perf_counter()
        words = said(phrase, recognizer)
        computed.append(time.perf_counter() - asked)
        now = phrase.start + len(phrase.samples) / rate + computed[-1]
        waited += [now - word.end for word in words]
        if words:
            print(f"{words[0].start:7.2f} s  {' '.join(word.text for word in words)}", flush=True)
    if waited:
        print(
            f"from the end of a word to its text: {np.median(waited):.2f} s, at most {max(waited):.2f};"
            f" of these computing took at most {max(computed):.3f}"
        )


def said(phrase: Phrase, recognizer: minids.Recognizer) -> list[Word]:
    """The words whose middle lies in the phrase."""
    heard = recognizer.transcribe(phrase.samples).words
    words = [w._replace(start=w.start + phrase.start, end=w.end + phrase.start) for w in heard]
    return [w for w in words if phrase.begin <= (w.start + w.end) / 2 < phrase.end]


def phrases(blocks: Iterable[np.ndarray], rate: int) -> Iterator[Phrase]:
    """Blocks of BLOCK seconds, as they come -> phrases, one behind the other; none where nobody speaks."""
    margin = int(MARGIN * rate)
    sound, first, begin = np.zeros(0, np.float32), 0, 0  # in samples: `sound` is all from the `first` on
    loudest, spoken, quiet = 0.0, False, 0  # `quiet` counts the blocks since the last that was not
    for block in blocks:
        sound = np.concatenate([sound, block])
        now, power = first + len(sound), float(np.var(block))  # deaf to an offset
        loudest = max(power, FADING * loudest)
        if power > QUIET * loudest:
            spoken, quiet = True, 0
        else:
            quiet += 1
        pause = quiet * BLOCK >= 2 * MARGIN
        if spoken and pause:
            end = now - margin
        elif now - begin > LONGEST * rate:
            end = begin + split_at_pauses(sound[begin - first :], rate, LONGEST)[0][1]
        else:
            continue
        if spoken:
            yield Phrase(begin / rate, end / rate, first / rate, sound)
        sound, first, begin = sound[end - margin - first :], end - margin, end
        spoken = spoken and not pause
    if spoken:
        yield Phrase(begin / rate, (first + len(sound)) / rate, first / rate, sound)


def from_file(path: Path, rate: int) -> Iterator[np.ndarray]:
    samples, _ = minids.load_audio(path, rate)
    size = int(BLOCK * rate)
    yield from (samples[i : i + size] for i in range(0, len(samples), size))


def microphone(rate: int) -> Iterator[np.ndarray]:
    """What the computer's microphone hears, until Ctrl-C."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the package is there, PortAudio is not
        raise minids.InputError(
            f"{error}: pip install sounddevice (on Linux also libportaudio2), or give --file"
        ) from error
    heard: SimpleQueue[np.ndarray] = SimpleQueue()
    settings = {"samplerate": rate, "blocksize": int(BLOCK * rate), "channels": 1, "dtype": "float32"}
    try:
        stream = sounddevice.InputStream(**settings, callback=lambda block, *_: heard.put(block[:, 0].copy()))
    except (sounddevice.PortAudioError, ValueError) as error:
        raise minids.InputError(f"no microphone ({error}); plug one in, or give --file") from error
    with stream:
        print("listening; Ctrl-C ends", file=sys.stderr)
        with suppress(KeyboardInterrupt):
            while True:
                yield heard.get()


if __name__ == "__main__":
    try:
        main()
    except minids.InputError as error:
        sys.exit(str(error))

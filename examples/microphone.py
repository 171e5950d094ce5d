"""Live speech to text, phrase by phrase, until Ctrl-C.

    pip install sounddevice
    python examples/microphone.py                     # or with --model runs/mine/best.safetensors
    python examples/microphone.py --file talk.wav     # the file as if it were spoken now

A bidirectional network needs the end of its input before it can output the first word. The sound is therefore
cut into phrases at pauses, or after ten seconds at the quietest moment. Each phrase is transcribed with a
margin of sound on either side, and keeps the words whose middle lies within it. A word waits for the end of
its phrase, for the pause, and for the computation; the last line reports how long. For the 130 test
recordings of AN4, played one after the other, the wait is 1.3 s in the median and 7.4 s at most, of which
0.04 s is computation; the word error rate is 5.6 %, and 5.2 % if each recording is transcribed alone.
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
from minids.decode.path import Word
from minids.recognizer import split_at_pauses

BLOCK_SECONDS = 0.05  # sound arrives in blocks
MARGIN_SECONDS = 0.25  # transcribed on either side of a phrase; a pause lasts two margins
SILENCE_POWER = 0.01  # relative to the loudest block: 20 dB below
DECAY = 0.999  # of the loudest block's power per block: 20 dB in four minutes
MAX_PHRASE_SECONDS = 10.0


class Phrase(NamedTuple):
    """A phrase from `begin` to `end` (seconds), within the samples from `start` until now."""

    begin: float
    end: float
    start: float
    samples: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="default: the included AN4 model")
    parser.add_argument("--file", type=Path, help="read this file instead of the microphone")
    arguments = parser.parse_args()
    recognizer = minids.Recognizer.load(arguments.model)
    rate = recognizer.features.rate
    recognizer.transcribe(np.zeros(rate, np.float32))  # compiles, if that is still necessary
    latencies, seconds = [], []
    blocks = read_file(arguments.file, rate) if arguments.file else microphone(rate)
    for phrase in phrases(blocks, rate):
        began = time.perf_counter()
        words = phrase_words(phrase, recognizer)
        seconds.append(time.perf_counter() - began)
        now = phrase.start + len(phrase.samples) / rate + seconds[-1]
        latencies += [now - word.end for word in words]
        if words:
            print(f"{words[0].start:7.2f} s  {' '.join(word.text for word in words)}", flush=True)
    if latencies:
        print(
            f"from the end of a word to its text: {np.median(latencies):.2f} s, at most {max(latencies):.2f};"
            f" computation took at most {max(seconds):.3f} s"
        )


def phrase_words(phrase: Phrase, recognizer: minids.Recognizer) -> list[Word]:
    """The words whose middle lies in the phrase."""
    words = recognizer.transcribe(phrase.samples).words
    words = [w._replace(start=w.start + phrase.start, end=w.end + phrase.start) for w in words]
    return [w for w in words if phrase.begin <= (w.start + w.end) / 2 < phrase.end]


def phrases(blocks: Iterable[np.ndarray], rate: int) -> Iterator[Phrase]:
    """Blocks of BLOCK_SECONDS as they arrive -> consecutive phrases; silence yields none."""
    margin = int(MARGIN_SECONDS * rate)
    buffer, first, begin = np.zeros(0, np.float32), 0, 0  # positions in samples; `buffer` starts at `first`
    loudest, has_speech, quiet_blocks = 0.0, False, 0
    for block in blocks:
        buffer = np.concatenate([buffer, block])
        now, power = first + len(buffer), float(np.var(block))  # the variance ignores an offset
        loudest = max(power, DECAY * loudest)
        if power > SILENCE_POWER * loudest:
            has_speech, quiet_blocks = True, 0
        else:
            quiet_blocks += 1
        pause = quiet_blocks * BLOCK_SECONDS >= 2 * MARGIN_SECONDS
        if has_speech and pause:
            end = now - margin
        elif now - begin > MAX_PHRASE_SECONDS * rate:
            end = begin + split_at_pauses(buffer[begin - first :], rate, MAX_PHRASE_SECONDS)[0][1]
        else:
            continue
        if has_speech:
            yield Phrase(begin / rate, end / rate, first / rate, buffer)
        buffer, first, begin = buffer[end - margin - first :], end - margin, end
        has_speech = has_speech and not pause
    if has_speech:
        yield Phrase(begin / rate, (first + len(buffer)) / rate, first / rate, buffer)


def read_file(path: Path, rate: int) -> Iterator[np.ndarray]:
    samples, _ = minids.load_audio(path, rate)
    size = int(BLOCK_SECONDS * rate)
    yield from (samples[i : i + size] for i in range(0, len(samples), size))


def microphone(rate: int) -> Iterator[np.ndarray]:
    """Blocks from the computer's microphone, until Ctrl-C."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the package is installed, PortAudio is not
        raise minids.InputError(
            f"{error}: pip install sounddevice (on Linux also libportaudio2), or give --file"
        ) from error
    blocks: SimpleQueue[np.ndarray] = SimpleQueue()
    settings = {"samplerate": rate, "blocksize": int(BLOCK_SECONDS * rate), "channels": 1, "dtype": "float32"}
    try:
        stream = sounddevice.InputStream(
            **settings, callback=lambda block, *_: blocks.put(block[:, 0].copy())
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        raise minids.InputError(f"no microphone ({error}); connect one, or give --file") from error
    with stream:
        print("listening; Ctrl-C ends", file=sys.stderr)
        with suppress(KeyboardInterrupt):
            while True:
                yield blocks.get()


if __name__ == "__main__":
    try:
        main()
    except minids.InputError as error:
        sys.exit(str(error))

"""Transcribe a recording, with the time of each word and the model's confidence in it.

python examples/transcribe.py hello.wav
python examples/transcribe.py hello.wav runs/mine/best.safetensors
"""

import sys

import minids


def main() -> None:
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    recording, *model = sys.argv[1:]
    recognizer = minids.Recognizer.load(*model)  # default: the included AN4 model
    transcript = recognizer.transcribe(recording)
    print(transcript.text)
    for word in transcript.words:
        print(f"{word.start:8.2f} to {word.end:6.2f} s  {word.score:4.0%}  {word.text}")


if __name__ == "__main__":
    try:
        main()
    except minids.InputError as error:  # one line: the file, the problem and what to do
        sys.exit(str(error))

"""`minids transcribe`: recordings to text."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minids._utils.errors import InputError
from minids._utils.terminal import printable
from minids.cli import announce_compilation, note, options, print_error, print_json

if TYPE_CHECKING:
    from minids.recognizer import Segment, Transcript


@click.command()
@click.argument("files", nargs=-1, required=True, type=options.PATH, metavar="FILE...")
@options.MODELS
@options.JITTER
@options.search
@options.BACKEND
@click.option(
    "--channel",
    type=click.IntRange(0),
    metavar="N",
    help="Channel to transcribe, counted from 0.  [default: the mean of all]",
)
@click.option(
    "--n-best",
    type=click.IntRange(1),
    metavar="N",
    help="Print the N best texts with their scores.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON per file, with word times.")
@click.pass_context
def command(
    ctx: click.Context,
    files: tuple[Path, ...],
    models: tuple[Path, ...],
    channel: int | None,
    n_best: int | None,
    as_json: bool,
    **search: Any,
) -> None:
    """Transcribe recordings: WAV, FLAC, Ogg, MP3 and others, at any sampling rate, of any length.

    For one file only the text is printed, for several files each text after its file name. The file - is the
    standard input. If a file cannot be read, the error names it, the other files are transcribed, and the
    exit code is 1.

    With a language model, or a beam width, a beam search maximizes log P(text|sound) + alpha log P_lm(text) +
    beta words(text). --lm none decodes greedily.

    \b
    Example:
      minids transcribe hello.wav
      minids transcribe *.flac --model runs/mine/best.safetensors --json
      minids transcribe hello.wav --lm english.arpa --n-best 5
      curl -s https://example.com/hello.mp3 | minids transcribe -
    """
    from minids.recognizer import Recognizer

    announce_compilation()
    recognizer = Recognizer.load(models or None, **search)
    failed = False
    for path in files:
        source = sys.stdin.buffer if str(path) == "-" else path
        try:
            if n_best:
                segments = recognizer.n_best(source, n_best, channel=channel)
                _print_n_best(path, segments, as_json)
            else:
                transcript = recognizer.transcribe(source, channel=channel)
                _print_transcript(path, transcript, as_json, len(files) > 1)
        except InputError as error:
            print_error(error)
            failed = True
    ctx.exit(int(failed))


def _print_transcript(path: Path, transcript: "Transcript", as_json: bool, with_name: bool) -> None:
    if not transcript.text:
        note(f"{path}: no text; the model's output is all blanks")
    if as_json:
        print_json({"path": str(path)} | transcript.to_dict())
    else:
        click.echo(printable(f"{path}: {transcript.text}" if with_name else transcript.text))


def _print_n_best(path: Path, segments: "list[Segment]", as_json: bool) -> None:
    if as_json:
        print_json({"path": str(path), "segments": [segment.to_dict() for segment in segments]})
        return
    for segment in segments:
        click.echo(printable(f"{path} {segment.start:.2f} to {segment.end:.2f} s"))
        click.echo(
            "   score  acoustic  language model  (score = acoustic + alpha language model + beta words)"
        )
        for text, score, log_prob, lm_log_prob, _ in segment.hypotheses:
            click.echo(f"{score:8.2f} {log_prob:9.2f} {lm_log_prob:9.2f}  {printable(text)}")

"""`minids transcribe`: recordings to text."""

import json
from pathlib import Path

import click

from minids.cli import announce_compilation, complain, note
from minids.errors import InputError


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "--model", type=click.Path(path_type=Path), help="A trained model.  [default: the one that ships]"
)
@click.option("--json", "as_json", is_flag=True, help="A line of JSON a file, with the words' times.")
@click.pass_context
def command(ctx: click.Context, files: tuple[Path, ...], model: Path | None, as_json: bool) -> None:
    """Write down what recordings say: WAV, FLAC, Ogg, MP3 and more, at any rate, of any length.

    Of one file the text alone is printed, of several each text behind its file's name. A file that cannot be
    read is named, the others are transcribed, and the exit code is 1.

    \b
    Example:
      minids transcribe hello.wav
      minids transcribe *.flac --model runs/mine/best.safetensors --json
    """
    from minids.recognize import Recognizer

    announce_compilation()
    recognizer = Recognizer.load(model)
    failed = False
    for path in files:
        try:
            transcript = recognizer.transcribe(path)
        except InputError as error:
            complain(error)
            failed = True
            continue
        if not transcript.text:
            note(f"{path}: nothing was heard; the model gave blanks alone")
        if as_json:
            words = [word._asdict() for word in transcript.words]
            row = {
                "path": str(path),
                "text": transcript.text,
                "log_prob": transcript.log_prob,
                "words": words,
            }
            click.echo(json.dumps(row, ensure_ascii=False))
        else:
            click.echo(transcript.text if len(files) == 1 else f"{path}: {transcript.text}")
    ctx.exit(int(failed))

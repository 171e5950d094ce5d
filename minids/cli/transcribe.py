"""`minids transcribe`: recordings to text."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from minids._utils.errors import InputError
from minids._utils.strict_json import to_json
from minids._utils.terminal import printable
from minids.cli import announce_compilation, note, options, print_error
from minids.transcript_formats import FORMATS, ONE_RECORDING, ctm_name, output_paths, render, write

if TYPE_CHECKING:
    from minids.recognizer import Segment


@click.command()
@click.argument("files", nargs=-1, required=True, type=options.PATH, metavar="FILE|FOLDER...")
@options.MODELS
@options.JITTER
@options.search
@options.BACKEND
@click.option(
    "--channel", type=click.IntRange(0), metavar="N", help="Channel, from 0.  [default: all, mixed]"
)
@click.option("--n-best", type=click.IntRange(1), metavar="N", help="The N best texts with their scores.")
@click.option("--format", "kind", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("--out", type=options.PATH, help="Folder for one file per recording.")
@click.pass_context
def command(
    ctx: click.Context,
    files: tuple[Path, ...],
    models: tuple[Path, ...],
    channel: int | None,
    n_best: int | None,
    kind: str,
    as_json: bool,
    out: Path | None,
    **search: Any,
) -> None:
    """Transcribe recordings: WAV, FLAC, Ogg, MP3 and others, at any sampling rate, of any length.

    A folder stands for all sound files in it, - for the standard input. For one file the text is printed, for
    several files each text after its file name. --format json has the times of words and characters; srt and
    vtt are subtitles, cut at pauses; ctm and textgrid (for Praat) are tables of words. If a file cannot be
    read, the error names it, the other files are transcribed, and the exit code is 1.

    With a language model, or a beam width, a beam search maximizes log P(text|sound) + alpha log P_lm(text) +
    beta words(text). --lm none decodes greedily.

    \b
    Example:
      minids transcribe hello.wav
      minids transcribe *.flac --model runs/mine/best.safetensors --json
      minids transcribe lectures/ --format srt --out subtitles
      minids transcribe hello.wav --lm english.arpa --n-best 5
      curl -s https://example.com/hello.mp3 | minids transcribe -
    """
    from minids.data.noise import sound_files
    from minids.recognizer import Recognizer

    kind = "json" if as_json else kind
    recordings = [path for file in files for path in sound_files(file)]
    if n_best and kind not in ("text", "json"):
        raise click.UsageError(f"--n-best has no --format {kind}; use text or json")
    if out is None and kind in ONE_RECORDING and len(recordings) > 1:
        raise click.UsageError(f"{len(recordings)} recordings need a file each; give --out FOLDER as well")
    if out is None and kind == "ctm" and len(set(map(ctm_name, recordings))) < len(recordings):
        raise click.UsageError("recordings of the same name would be one in a table; give --out as well")
    outputs = output_paths(recordings, out, kind) if out else {}
    announce_compilation()
    recognizer = Recognizer.load(models or None, **search)
    failed = False
    for path in recordings:
        source = sys.stdin.buffer if str(path) == "-" else path
        try:
            if n_best:
                content = _n_best(path, recognizer.n_best(source, n_best, channel=channel), kind)
            else:
                transcript = recognizer.transcribe(source, channel=channel)
                if not transcript.text:
                    note(f"{path}: no text; the model's output is all blanks")
                if transcript.unlike:
                    note(f"{path}: unlike what the model learned; expect many errors")
                content = render(kind, path, transcript, channel)
            if out:
                write(outputs[path], content)
                content = f"{outputs[path]}\n"
            elif kind == "text" and len(recordings) > 1 and not n_best:
                content = f"{path}: {content}"
            click.echo("\n".join(map(printable, content.split("\n"))), nl=False)
        except InputError as error:
            print_error(error)
            failed = True
    ctx.exit(int(failed))


def _n_best(path: Path, segments: "list[Segment]", kind: str) -> str:
    if kind == "json":
        return to_json({"path": str(path), "segments": [segment.to_dict() for segment in segments]}) + "\n"
    rows = []
    for segment in segments:
        rows.append(f"{printable(path)} {segment.start:.2f} to {segment.end:.2f} s")
        rows.append("   score  acoustic  language model  (acoustic + alpha language model + beta words)")
        for text, score, log_prob, lm_log_prob, _ in segment.hypotheses:
            rows.append(f"{score:8.2f} {log_prob:9.2f} {lm_log_prob:9.2f}  {text}")
    return "".join(f"{row}\n" for row in rows)

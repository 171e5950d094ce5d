"""`minids align`: when each word of a known text was spoken."""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import click

from minids.cli import announce_compilation, note, options, report_skipped
from minids.transcript_formats import FORMATS, groups, output_paths, pieces, render, text_of, write

PART_SECONDS = (1.0, 15.0)  # of the lines of a manifest; longer ones need more memory in training


@click.command()
@click.argument("manifest", type=options.PATH)
@options.MODELS
@options.BACKEND
@click.option("--format", "kind", type=click.Choice(FORMATS[1:]), help="[default: a manifest]")
@click.option(
    "--out", type=options.PATH, required=True, help="File of the manifest, or with --format a folder."
)
def command(manifest: Path, models: tuple[Path, ...], backend: str, kind: str | None, out: Path) -> None:
    """Find when the words of the texts of MANIFEST were spoken, in recordings of any length.

    Writes a manifest of parts of at most 15 s, cut at pauses, with which a model can be trained; or, as
    `minids transcribe` does, a file with the words of each recording: subtitles, a table, Praat's TextGrid.
    Words keep their spelling. Stretches where text and speech differ are named and left out.

    \b
    Example:
      minids align book.jsonl --out parts.jsonl
      minids align lectures.jsonl --format srt --out subtitles
    """
    from tqdm import tqdm

    from minids._utils.errors import InputError
    from minids._utils.files import check_writable
    from minids._utils.terminal import printable
    from minids.audio import audio_info
    from minids.data.manifest import read_manifest, write_manifest
    from minids.decode.path import Word
    from minids.recognizer import Recognizer, Transcript
    from minids.text import TextReport

    utterances = read_manifest(manifest)
    for a, b in pairwise(sorted(utterances, key=lambda u: (u.path, u.start))) if kind else ():
        if a.path == b.path and (a.channel != b.channel or a.end is None or b.start < a.end):
            problem = f"has words at the same time as {a.location}, or in another channel"
            raise InputError(f"{b.location}: {problem}; give a manifest for each, or no --format")
    channels = {u.path: u.channel for u in utterances}
    outputs = output_paths([u.path for u in utterances], out, kind) if kind else {}
    if kind is None:
        check_writable(out, manifest, *models)
    announce_compilation()
    recognizer = Recognizer.load(models or None, lm="none", backend=backend)
    texts = TextReport(recognizer.alphabet, (utterance.text for utterance in utterances))
    if texts:
        note(f"{manifest}: {texts}")
    parts, skipped = [], []
    words_of: dict[Path, list[Word]] = {utterance.path: [] for utterance in utterances}
    for utterance in tqdm(utterances, unit="utt", leave=False, disable=None):
        try:
            samples, rate = utterance.load_audio(recognizer.features.rate)
            words, unmatched = recognizer.align(samples, utterance.text)
        except InputError as error:
            skipped.append(str(error))
            note(f"skipped: {error}")
            continue
        begin, end = utterance.start, utterance.start + len(samples) / rate
        for start, stop, lost in unmatched:
            words_lost = " ".join(lost[:8] + ["…"] * (len(lost) > 8)) or "speech without text"
            place = f"{utterance.path}, {begin + start:.1f} to {begin + stop:.1f} s"
            note(f"{place}: speech and text differ, or are not understood; left out: {words_lost}")
        words_of[utterance.path] += (words := [word.moved(begin, end) for word in words])
        for part in groups(pieces(words, math.inf, PART_SECONDS[1]), *PART_SECONDS):
            start, stop = round(part[0].start, 3), round(part[-1].end, 3)
            parts.append(replace(utterance, text=text_of(part), start=start, end=stop, duration=stop - start))
    report_skipped(manifest, skipped, len(utterances))
    if not parts:
        raise InputError(f"{manifest}: no words could be aligned; check the texts, or give another --model")
    if kind is None:
        write_manifest(out, parts)
        click.echo(printable(f"{out}: {len(parts)} parts"))
        return
    for path, output in outputs.items():
        if words := sorted(words_of[path], key=lambda word: word.start):
            text, duration = " ".join(word.text for word in words), audio_info(path).duration
            write(
                output,
                render(kind, path, Transcript(text, words, math.nan, duration=duration), channels[path]),
            )
            click.echo(printable(output))

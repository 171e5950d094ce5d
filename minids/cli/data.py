"""`minids data`: import corpora, validate datasets, listen to noise and augmentation."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from minids._utils.errors import InputError
from minids._utils.terminal import printable
from minids.cli import options
from minids.cli.options import FiniteFloat
from minids.data import importers
from minids.text import Alphabet

if TYPE_CHECKING:
    import numpy as np

    from minids.features import Features

MAX_LISTED = 20  # missing recordings or findings on the terminal; --json lists all


@click.group(context_settings={"show_default": True})
def command() -> None:
    """Import corpora, validate a dataset before training, add noise to recordings.

    \b
    Example:
      minids data import an4 ~/an4 --out data/an4
      minids data doctor data/an4/train.jsonl data/an4/dev.jsonl
      minids data noise hello.wav --noise kitchen.wav --out listen
      minids data augment mine.toml --out listen
    """


def _import_options(function: Callable) -> Callable:
    """--path, --text, ...: the columns of tables and the fields of JSON; then --audio and --tier."""
    for role in reversed(importers.ROLES):
        function = click.option(
            f"--{role}", metavar="COLUMN", help=f"Column of a table, or field of JSON: {role}."
        )(function)
    audio = click.option("--audio", metavar="FOLDER", help="Folder of the recordings.  [default: the list's]")
    return audio(
        click.option("--tier", help="Tier of TextGrids, or *words for several.  [default: that of most]")(
            function
        )
    )


@command.command("import")
@click.argument("kind", type=click.Choice(sorted(importers.KINDS)), metavar="KIND")
@click.argument("root", type=options.PATH)
@click.option("--out", required=True, type=options.PATH, help="Folder for the manifests.")
@_import_options
@click.option("--json", "as_json", is_flag=True, help="Print counts and all missing recordings as JSON.")
def import_(kind: str, root: Path, out: Path, as_json: bool, **columns: str | None) -> None:
    """Write manifests for the recordings and texts in ROOT.

    KIND is a corpus as published: an4, commonvoice, fsdd, librispeech, ljspeech, speechcommands; or table
    (CSV, TSV; also those of Mozilla DeepSpeech), json (also JSON Lines, as those of NVIDIA NeMo), folder
    (texts beside recordings, or a list), kaldi, textgrid. Columns and fields, of table and json, are found if
    they have usual names. No audio is copied.

    Recordings that are missing or damaged are listed and left out.

    \b
    Example:
      minids data import librispeech ~/LibriSpeech --out data/librispeech
      minids data import table clips.csv --text sentence --out data/clips
      minids data import json calls.json --path 'calls[].file' --text 'calls[].parts[].text' --out data/calls
    """
    from minids.cli import note

    given = {name: value for name, value in columns.items() if value is not None}
    corpus = importers.read(kind, root, given, progress=True)
    manifests = corpus.write(out)
    note(f"read: {printable(corpus.source)}")
    counts = {
        path: {
            "utterances": len(utterances),
            "hours": round(sum(u.duration for u in utterances) / 3600, 4),
            "speakers": len({u.speaker for u in utterances} - {None}),
        }
        for path, utterances in manifests.items()
    }
    if as_json:
        from minids.cli import print_json

        print_json({"manifests": counts, "source": corpus.source, "missing": corpus.missing})
        return
    for path, count in counts.items():
        click.echo(
            f"{path}: {count['utterances']} utterances, {count['hours']:.2f} h, {count['speakers']} speakers"
        )
    if corpus.missing:
        click.echo(f"left out: {len(corpus.missing)}", err=True)
    for line in corpus.missing[:MAX_LISTED]:
        click.echo(f"  {printable(line)}", err=True)
    if len(corpus.missing) > MAX_LISTED:
        click.echo(f"  and {len(corpus.missing) - MAX_LISTED} more; --json lists all", err=True)


@command.command()
@click.argument("speech", nargs=-1, required=True, type=options.PATH, metavar="SPEECH...")
@click.option(
    "--noise",
    "recordings",
    required=True,
    multiple=True,
    type=options.PATH,
    help="Recording of noise, or a folder of them; may be repeated.",
)
@click.option(
    "--reference",
    "reference_recordings",
    multiple=True,
    type=options.PATH,
    help="Recordings with the expected noise; noise unlike them is rejected.  [default: the noise itself]",
)
@click.option("--snr", default=5.0, type=FiniteFloat(-50, 100), help="Signal-to-noise ratio in dB.")
@click.option("--tracks", default=3, type=click.IntRange(1), help="Number of noise tracks that are summed.")
@click.option("--seed", default=0, type=click.IntRange(0), help="Seed of the random clips.")
@click.option("--out", required=True, type=options.PATH, help="Folder for the WAV files.")
def noise(
    speech: tuple[Path, ...],
    recordings: tuple[Path, ...],
    reference_recordings: tuple[Path, ...],
    snr: float,
    tracks: int,
    seed: int,
    out: Path,
) -> None:
    """Add noise to SPEECH as [noise] in the settings does.

    Rejected parts of the noise are listed with the reason.

    \b
    Example:
      minids data noise hello.wav --noise kitchen.wav --noise street/ --snr 5 --out listen
    """
    from minids._utils.random import generator
    from minids.audio import load_audio
    from minids.cli import note
    from minids.data.noise import Noise

    ((name, count),) = Counter(path.stem for path in speech).most_common(1)
    if count > 1:
        raise InputError(
            f"{count} recordings are named {name}, and so would be their results; give one at a time"
        )
    noise_at: dict[int, Noise] = {}  # by sampling rate
    for i, path in enumerate(speech):
        samples, rate = load_audio(path)
        if rate not in noise_at:
            noise_at[rate] = Noise(recordings, rate, reference_recordings, tracks)
            for rejected in noise_at[rate].rejected:
                note(f"rejected: {rejected}")
        mixed = noise_at[rate].add_to(samples, snr, generator("noise", seed, i))
        _save(out / f"{path.stem}-{snr:g}dB.wav", mixed, rate, f"{snr:g} dB")


@command.command()
@click.argument("settings", type=options.PATH, metavar="SETTINGS.toml")
@click.option("--count", default=8, type=click.IntRange(1), help="Number of recordings.")
@click.option("--out", required=True, type=options.PATH, help="Folder for the WAV files.")
def augment(settings: Path, count: int, out: Path) -> None:
    """Write recordings as the first epoch hears them.

    So [augment] and [noise] can be heard. They come from the whole training set, at equal distances. Masks
    change features, and are not heard.

    \b
    Example:
      minids data augment mine.toml --out listen
    """
    from minids.cli import note
    from minids.data.manifest import read_manifest
    from minids.training.checkpoint import RunFolder, default_run_folder
    from minids.training.initial import with_initial
    from minids.training.inputs import load_noise, training_batches
    from minids.training.parallel import ProcessGroup
    from minids.training.settings import read_settings

    read = read_settings(settings)
    read = with_initial(read, RunFolder(default_run_folder(read)).last)
    features, train = read.features, read_manifest(read.path("train"))
    noise = load_noise(read, features.rate, note)
    batches = training_batches(read, train, features, noise, ProcessGroup())
    for i in range(0, len(train), -(-len(train) // count)):
        target = out / f"{train[i].line}-{train[i].path.stem}.wav"
        _save(target, batches.augmented(i, epoch=0), features.rate, train[i].text)


def _save(target: Path, samples: "np.ndarray", rate: int, description: str) -> None:
    """Write a WAV file, scaled to full scale where it would be clipped, and print what it is."""
    from minids.audio import save_audio

    peak = max(1.0, float(abs(samples).max()))
    target.parent.mkdir(parents=True, exist_ok=True)
    save_audio(target, samples / peak, rate)
    click.echo(f"{target}: {printable(description)}{f', scaled by 1/{peak:.2f}' if peak > 1 else ''}")


@command.command()
@click.argument("manifests", nargs=-1, required=True, type=options.PATH)
@click.option("--model", type=options.PATH, help="Model that defines alphabet, rate and stride.")
@click.option("--alphabet", help="Characters of the model.  [default: space, apostrophe, a to z]")
@click.option(
    "--rate", type=click.IntRange(min=1), help="Sampling rate of the model in Hz.  [default: 16000]"
)
@click.option("--stride", type=click.IntRange(min=1), help="Stride of the model in frames.  [default: 2]")
@click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON.")
@click.pass_context
def doctor(
    ctx: click.Context,
    manifests: tuple[Path, ...],
    model: Path | None,
    alphabet: str | None,
    rate: int | None,
    stride: int | None,
    as_json: bool,
) -> None:
    """Find what would abort training or degrade the model.

    Give all splits of a dataset together, so that recordings and speakers in two splits are found. The exit
    code is 1 if there is an error; notes, such as recordings below the rate of the features, leave it 0.

    \b
    Example:
      minids data doctor train.jsonl dev.jsonl test.jsonl
    """
    from minids.cli import print_json
    from minids.data.doctor import validate_dataset

    if model and any(option is not None for option in (alphabet, rate, stride)):
        raise click.UsageError("--model defines alphabet, rate and stride; do not give these with it.")
    settings = _model_settings(model) if model else _option_settings(alphabet, rate or 16_000, stride or 2)
    report = validate_dataset(manifests, *settings, progress=True)
    if as_json:
        print_json(report.to_dict())
    else:
        click.echo(report.table())
    ctx.exit(0 if report.valid else 1)


def _model_settings(path: Path) -> "tuple[Alphabet, Features, int]":
    from minids.weights import load_model

    saved = load_model(path, backend="reference")
    return saved.alphabet, saved.features, saved.model.settings.stride


def _option_settings(symbols: str | None, rate: int, stride: int) -> "tuple[Alphabet, Features, int]":
    from minids.features import Features

    features = Features(rate=rate, kind="spectrogram")  # only the number of frames matters
    try:
        return Alphabet() if symbols is None else Alphabet(symbols), features, stride
    except ValueError as error:
        raise InputError(f"--alphabet: {error}; list each character once") from error

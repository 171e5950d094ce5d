"""`minids data`: import known corpora, examine your own, hear them in noise."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from minids._utils.errors import InputError
from minids.text import Alphabet

if TYPE_CHECKING:
    from minids.features import Features

CORPORA = ("an4", "commonvoice", "fsdd", "librispeech", "ljspeech", "mozilla", "nemo", "speechcommands")
MOST_NAMED = 20  # missing recordings on the terminal; --json names all


@click.group()
def command() -> None:
    """Import known corpora; examine your own before training on it; hear it in noise.

    \b
    Example:
      minids data import an4 ~/an4 --out data/an4
      minids data doctor data/an4/train.jsonl data/an4/dev.jsonl
      minids data noise hello.wav --noise kitchen.wav --out listen
    """


@command.command("import")
@click.argument("corpus", type=click.Choice(CORPORA))
@click.argument("root", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the manifests.")
@click.option("--json", "as_json", is_flag=True, help="Counts and all missing recordings, for machines.")
def import_(corpus: str, root: Path, out: Path, as_json: bool) -> None:
    """Write manifests for CORPUS, unpacked in ROOT as it is published. No audio is copied.

    mozilla is any corpus in CSV files for Mozilla DeepSpeech, nemo in JSON manifests for NVIDIA NeMo: ROOT is
    such a file, or the folder of several.

    Recordings that are missing or damaged are named and left out.

    \b
    Example:
      minids data import librispeech ~/LibriSpeech --out data/librispeech
    """
    result = _importer(corpus)(root, out, True)
    counts = {
        path: {
            "utterances": len(utterances),
            "hours": round(sum(u.duration for u in utterances) / 3600, 4),
            "speakers": len({u.speaker for u in utterances}),
        }
        for path, utterances in result.manifests.items()
    }
    if as_json:
        click.echo(json.dumps({"manifests": counts, "missing": result.missing}))
        return
    for path, count in counts.items():
        click.echo(
            f"{path}: {count['utterances']} utterances, {count['hours']:.2f} h, {count['speakers']} speakers"
        )
    if result.missing:
        click.echo(f"left out: {len(result.missing)}", err=True)
    for line in result.missing[:MOST_NAMED]:
        click.echo(f"  {line}", err=True)
    if len(result.missing) > MOST_NAMED:
        click.echo(f"  and {len(result.missing) - MOST_NAMED} more; --json names all", err=True)


def _importer(corpus: str) -> Callable:
    from importlib import import_module

    return getattr(import_module(f"minids.data.importers.{corpus}"), f"import_{corpus}")


@command.command()
@click.argument("speech", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SPEECH...")
@click.option(
    "--noise",
    "recordings",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="A recording of noise, or a folder of them; give it several times for several.",
)
@click.option(
    "--like",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Recordings with the noise to expect; clips unlike them are rejected.  [default: one another]",
)
@click.option(
    "--snr",
    default=5.0,
    show_default=True,
    type=click.FloatRange(-50, 100),
    help="How far the speech is above the noise, in dB.",
)
@click.option(
    "--layers", default=3, show_default=True, type=click.IntRange(1), help="Chains that are summed."
)
@click.option(
    "--tilt",
    default=0.0,
    show_default=True,
    type=click.FloatRange(-20, 20),
    help="Brighten the speech first, in dB an octave.",
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0), help="Of all that is drawn.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the WAV files.")
def noise(
    speech: tuple[Path, ...],
    recordings: tuple[Path, ...],
    like: tuple[Path, ...],
    snr: float,
    layers: int,
    tilt: float,
    seed: int,
    out: Path,
) -> None:
    """Superpose noise on recordings of SPEECH, to hear what [noise] in the settings of a training does.

    Every part of the noise that is rejected is named, with the reason.

    \b
    Example:
      minids data noise hello.wav --noise kitchen.wav --noise street/ --snr 5 --out listen
    """
    import numpy as np

    from minids.audio import load_audio, save_audio
    from minids.cli import note
    from minids.data.noise import Noise, tilted

    ((name, count),) = Counter(path.stem for path in speech).most_common(1)
    if count > 1:
        raise InputError(
            f"{count} recordings are called {name}, as their results would be; give one at a time"
        )
    loaded: dict[int, Noise] = {}
    for i, path in enumerate(speech):
        samples, rate = load_audio(path)
        if rate not in loaded:
            loaded[rate] = Noise(recordings, rate, like, layers)
            for rejected in loaded[rate].rejected:
                note(f"rejected: {rejected}")
        mixed = loaded[rate].over(tilted(samples, rate, tilt), snr, np.random.default_rng([seed, i]))
        loudest = float(abs(mixed).max())
        if loudest > 1:  # in training it may be so loud; in a file it would be clipped
            mixed /= np.float32(loudest)
        out.mkdir(parents=True, exist_ok=True)
        target = out / f"{path.stem}-{snr:g}dB.wav"
        save_audio(target, mixed, rate)
        click.echo(f"{target}: {snr:g} dB{f', at 1/{loudest:.2f} of its loudness' if loudest > 1 else ''}")


@command.command()
@click.argument("manifests", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", type=click.Path(path_type=Path), help="A model; it says all three that follow.")
@click.option("--alphabet", help="Its characters.  [default: space, apostrophe, a to z]")
@click.option("--rate", type=click.IntRange(min=1), help="Its rate in Hz.  [default: 16000]")
@click.option("--stride", type=click.IntRange(min=1), help="Its stride in frames.  [default: 2]")
@click.option("--json", "as_json", is_flag=True, help="Everything as one JSON object, for machines.")
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
    """Name every line and recording of MANIFESTS that would stop or spoil training, and the remedy.

    Give the splits of one corpus together: then recordings and speakers in two of them are found too. The
    exit code is 1 when anything would stop or spoil training.

    \b
    Example:
      minids data doctor train.jsonl dev.jsonl test.jsonl
    """
    from minids.data.doctor import examine

    if model and any(option is not None for option in (alphabet, rate, stride)):
        raise click.UsageError("--model says the alphabet, the rate and the stride; give one or the others.")
    ear = _of_model(model) if model else _of_options(alphabet, rate or 16_000, stride or 2)
    report = examine(manifests, *ear, progress=True)
    if as_json:
        click.echo(json.dumps(report.to_dict()))
    else:
        for finding in report.findings:
            click.echo(str(finding))
        click.echo(("\n" if report.findings else "") + report.table())
    ctx.exit(0 if report.healthy else 1)


def _of_model(path: Path) -> "tuple[Alphabet, Features, int]":
    from minids.weights import load_weights

    saved = load_weights(path, backend="reference")
    return saved.alphabet, saved.features, saved.model.settings.stride


def _of_options(symbols: str | None, rate: int, stride: int) -> "tuple[Alphabet, Features, int]":
    from minids.features import Features

    features = Features(rate=rate, kind="spectrogram")  # of which only the lengths matter here
    try:
        return Alphabet() if symbols is None else Alphabet(symbols), features, stride
    except ValueError as error:
        raise InputError(f"--alphabet: {error}; name each character once") from error

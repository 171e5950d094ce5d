"""The paper's findings, one by one, on real speech: train, measure, and compare with what the paper reports.

    python examples/reproduce_paper.py --quick      AN4, two seeds, at most two hours on two cores
    python examples/reproduce_paper.py --full       four seeds, a larger network, masks: a night on a GPU

It reads train, dev and test.jsonl in $MINIDS_DATA/an4 (another corpus: --data FOLDER) and noise in
$MINIDS_DATA/noise (other noise: --noise and --test-noise). A run that was stopped continues where it was,
because models and scores are saved in --out. At the end it prints the table, and writes table.json and
table.png.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from findings import plot_findings

from minids import NGram, Recognizer
from minids._utils.files import atomic_write
from minids.audio import load_audio, save_audio
from minids.data.batches import Batches
from minids.data.manifest import Utterance, read_manifest, write_manifest
from minids.data.noise import Noise
from minids.decode.beam_search import BeamSearch
from minids.decode.tune import tune
from minids.metrics import bootstrap_interval, wer
from minids.training.settings import NoiseSettings, Settings, read_settings
from minids.training.step import step
from minids.training.trainer import Trainer

SNRS = (20, 10, 5, 0)  # dB
RATE = 16_000  # Hz
BEAM_WIDTHS = (1, 10, 100, 1000, 4000)
BEAM_WIDTH = 500  # of all other searches
EXPERIMENTS: dict[str, dict[str, dict[str, Any]]] = {  # changes to the settings of each training
    "clean": {},
    "noise": {"noise": {}},
    "no dropout": {"model": {"dropout": 0.0}},
    "no context": {"model": {"context": 0}},
    "stride 1": {"model": {"stride": 1}},
}


@dataclass
class Finding:
    """A row of the table. `change` of the WER from the first row of the subject, in points."""

    subject: str
    setting: str
    wer: float  # %
    interval: tuple[float, float]
    change: float | None
    change_interval: tuple[float, float] | None
    note: str  # seconds, decibels
    paper: str

    @property
    def verdict(self) -> str:
        if self.change_interval is None:
            return ""
        low, high = self.change_interval
        return "fewer errors" if high < 0 else "more errors" if low > 0 else "no significant difference"


class Study:
    """The training runs and scores in the folder `out`."""

    def __init__(self, arguments: argparse.Namespace):
        self.out, self.data = arguments.out, arguments.data
        self.seeds = range(4 if arguments.full else 2)
        self.full, self.backend = arguments.full, arguments.backend
        self.noise, self.test_noise = arguments.noise, arguments.test_noise
        self.dev, self.test = read_manifest(self.data / "dev.jsonl"), self.data / "test.jsonl"
        self.out.mkdir(parents=True, exist_ok=True)
        self.scores_path = self.out / "scores.json"
        self.scores = json.loads(self.scores_path.read_text()) if self.scores_path.exists() else {}
        self.rows: list[Finding] = []

    def settings(self, experiment: str, seed: int) -> Settings:
        base = read_settings(Path(__file__).parent / "an4.toml")
        paths = {name: str((self.data / f"{name}.jsonl").resolve()) for name in ("train", "dev")}
        size = {"hidden": 512} if self.full else {"hidden": 256, "context": 5}
        epochs = {"epochs": 300, "lr_decay": 1.01} if self.full else {"epochs": 70, "lr_decay": 1.03}
        masks = {} if self.full else {"time_masks": 0, "frequency_masks": 0}  # they need more epochs
        settings = replace(
            base,
            data=replace(base.data, **paths),
            model=replace(base.model, **size | EXPERIMENTS[experiment].get("model", {})),
            augment=replace(base.augment, band_prob=0.0, **masks),
            noise=NoiseSettings(),
            train=replace(base.train, seed=seed, **epochs),
        )
        if "noise" in EXPERIMENTS[experiment]:
            settings = replace(settings, noise=NoiseSettings([str(path.resolve()) for path in self.noise]))
        return settings

    def run(self, experiment: str, seed: int) -> Path:
        return self.out / f"{experiment.replace(' ', '-')}-{seed}"

    def train(self) -> None:
        for seed in self.seeds:
            for experiment in EXPERIMENTS:
                folder = self.run(experiment, seed)
                print(f"\n== {experiment}, seed {seed}: {folder}", file=sys.stderr)
                Trainer(self.settings(experiment, seed), folder, self.backend).run()

    def minutes(self, experiment: str) -> list[float]:
        """The training time of each seed."""
        texts = [(self.run(experiment, seed) / "metrics.jsonl").read_text() for seed in self.seeds]
        return [sum(json.loads(line)["seconds"] for line in text.splitlines()) / 60 for text in texts]

    def noisy_test_set(self, noise: Path, snr: float) -> Path:
        """The manifest of the test set with added noise, which is the same in every run."""
        folder = self.out / f"test-{noise.stem}-{snr:g}dB"
        manifest = folder / "test.jsonl"
        if not manifest.exists():
            utterances: list[Utterance] = []
            source = Noise([noise], RATE, tracks=1)
            folder.mkdir(parents=True, exist_ok=True)
            for i, utterance in enumerate(read_manifest(self.test)):
                samples, rate = load_audio(utterance.path, RATE)
                mixed = source.add_to(samples, snr, np.random.default_rng([1, i]))
                path = folder / f"{i:04d}.flac"
                save_audio(path, mixed / max(1, abs(mixed).max()), rate)
                utterances.append(replace(utterance, path=path.absolute()))
            write_manifest(manifest, utterances)
        return manifest

    # Scores

    def search(self, recognizer: Recognizer, key: str, beam_width: int) -> BeamSearch:
        """A search with a 3-gram of the training texts, and with alpha and beta tuned on the dev set."""
        lm = NGram.train([u.text for u in read_manifest(self.data / "train.jsonl")], order=3)
        if key not in self.scores:
            inferred = [pair for batch in recognizer.log_prob_batches(self.dev, []) for pair in batch]
            log_probs = [np.concatenate(segments) for _, segments in inferred]
            tuned = tune(log_probs, [u.text for u, _ in inferred], lm, recognizer.alphabet, beam_width=100)
            self.save_score(key, [tuned.alpha, tuned.beta])
        return BeamSearch(recognizer.alphabet, lm, *self.scores[key], beam_width)

    def save_score(self, key: str, value: Any) -> None:
        self.scores[key] = value
        with atomic_write(self.scores_path) as file:
            file.write(json.dumps(self.scores).encode())

    def errors(
        self, runs: list[Path], manifest: Path | None = None, beam_width: int = 0, jitter: bool = False
    ) -> np.ndarray:
        """(n, 2): the word errors and the words of each utterance, recognized by the ensemble of the runs.

        `beam_width` 0 decodes greedily; any other searches with the language model.
        """
        manifest = manifest or self.test
        models = [run / "best.safetensors" for run in runs]
        ensemble = f"{[zlib.crc32(model.read_bytes()) for model in models]} jitter {jitter}"
        key = f"{ensemble} {manifest.parent.name} beam {beam_width}"
        if key not in self.scores:
            recognizer = Recognizer.load(models, lm="none", jitter=jitter, backend=self.backend)
            if beam_width:
                recognizer.search = self.search(recognizer, f"tuned {ensemble}", beam_width)
            results, _ = recognizer.recognize(read_manifest(manifest))
            results.sort(key=lambda result: result.name)
            counts = wer([r.reference for r in results], [r.hypothesis for r in results]).counts
            self.save_score(key, np.column_stack([counts[:, :3].sum(axis=1), counts[:, 3]]).tolist())
        return np.array(self.scores[key])

    def over_seeds(self, experiment: str, **options: Any) -> np.ndarray:
        """The errors and words of each utterance, summed over the networks of all seeds."""
        return np.sum([self.errors([self.run(experiment, seed)], **options) for seed in self.seeds], axis=0)

    def add(
        self,
        subject: str,
        setting: str,
        counts: np.ndarray,
        base: np.ndarray | None,
        paper: str,
        note: str = "",
    ) -> None:
        errors, words = counts.T
        change = None
        if base is not None:
            # Both count the same words, but a sum over seeds counts them once per seed, an ensemble once.
            change = errors / words.sum() - base[:, 0] / base[:, 1].sum()
        low, high = bootstrap_interval(errors, words)
        self.rows.append(
            Finding(
                subject,
                setting,
                100 * errors.sum() / words.sum(),
                (100 * low, 100 * high),
                None if change is None else 100 * change.sum(),
                None if change is None else paired_interval(change, words),
                note,
                paper,
            )
        )

    # The findings

    def all(self) -> None:
        greedy, searched = self.over_seeds("clean"), self.over_seeds("clean", beam_width=BEAM_WIDTH)
        self.language_and_beam(greedy, searched)
        self.in_noise()
        for name, paper in (
            ("dropout", "§2.1: dropout of 5 to 10 % on the feed-forward layers"),
            ("context", "§2: 5, 7 or 9 frames of context on each side"),
        ):
            self.add(name, "with", greedy, None, paper)
            self.add(name, "without", self.over_seeds(f"no {name}"), greedy, paper)
        paper = "§3.3: every second frame, half the steps of the recurrence"
        stride_1 = self.over_seeds("stride 1")
        self.add("stride", "every frame", stride_1, None, paper)
        self.add("stride", "every second frame", greedy, stride_1, paper)
        runs = [self.run("clean", seed) for seed in self.seeds]
        self.jitter_and_ensemble(runs, searched, ", with the language model", beam_width=BEAM_WIDTH)
        self.jitter_and_ensemble(runs, greedy, ", greedy")
        both = runs + [self.run("noise", seed) for seed in self.seeds]
        self.add("all together", "one network, greedy", greedy, None, "")
        everything = self.errors(both, beam_width=BEAM_WIDTH, jitter=True)
        self.add("all together", "noise, jitter, ensemble, language model", everything, greedy, "")

    def jitter_and_ensemble(self, runs: list[Path], single: np.ndarray, decoder: str, **search: Any) -> None:
        jitter, ensemble = "§2.1: averaged over ±5 ms", "§5: 4 and 6 networks, averaged"
        jittered = self.over_seeds("clean", jitter=True, **search)
        self.add(f"jitter{decoder}", "without", single, None, jitter)
        self.add(f"jitter{decoder}", "±5 ms", jittered, single, jitter)
        self.add(f"ensemble{decoder}", "1 network, on average", single, None, ensemble)
        for size in sorted({2, len(runs)}):
            counts = self.errors(runs[:size], **search)
            self.add(f"ensemble{decoder}", f"{size} networks", counts, single, ensemble)

    def language_and_beam(self, greedy: np.ndarray, searched: np.ndarray) -> None:
        paper = "§2.2, Table 1: “arther n tickets” becomes “are there any tickets”"
        self.add("language model", "none, greedy", greedy, None, paper)
        self.add("language model", "3-gram of the training texts", searched, greedy, paper)
        narrowest = None
        for width in BEAM_WIDTHS:
            counts = self.over_seeds("clean", beam_width=width)
            self.add("beam size", f"{width}", counts, narrowest, "§2.2: typically 1000 to 8000")
            narrowest = counts if narrowest is None else narrowest

    def in_noise(self) -> None:
        paper = "§4.1: noise synthesized by superposition; §5.2: 19.1 % of noisy words, others 30.5 %"
        sets = [("clean", self.test)]
        sets += [
            (f"{n.stem}, {snr} dB", self.noisy_test_set(n, snr)) for n in self.test_noise for snr in SNRS
        ]
        for name, manifest in sets:
            clean = self.over_seeds("clean", manifest=manifest)
            self.add(f"tested in: {name}", "trained clean", clean, None, paper)
            noisy = self.over_seeds("noise", manifest=manifest)
            percent = 100 * (noisy[:, 0].sum() / max(1, clean[:, 0].sum()) - 1)
            note = f"{abs(percent):.0f} % {'fewer' if percent < 0 else 'more'} errors"
            self.add(f"tested in: {name}", "trained in noise", noisy, clean, paper, note)

    # Speed

    def speed(self) -> list[str]:
        """Training speed with and without striding (§3.3), sorted batches, and ranks (§3.1)."""
        return [*self.step_times(), *self.rank_speeds()]

    def step_times(self) -> list[str]:
        """The time of the steps of an epoch (at most 500 utterances) without reading: median of three."""
        utterances = read_manifest(self.data / "train.jsonl")
        utterances = utterances[:: -(-len(utterances) // 500)]
        order = np.random.default_rng(0).permutation(len(utterances))
        shuffled = [replace(u, duration=60.0 + i / 1000) for u, i in zip(utterances, order, strict=True)]
        variants = {
            "every frame": ("stride 1", utterances),
            "every second frame": ("clean", utterances),
            "every second frame, batches in random order": ("clean", shuffled),
        }
        prepared: dict[str, tuple] = {}
        for name, (experiment, ordered) in variants.items():
            recognizer = Recognizer.load(self.run(experiment, 0) / "best.safetensors", lm="none")
            model, stride = recognizer.model, recognizer.model.settings.stride
            batches = Batches(ordered, recognizer.features, recognizer.alphabet, 8, stride)
            prepared[name] = model, list(batches.in_length_order())
        seconds: dict[str, list[float]] = {name: [] for name in variants}
        for _ in range(3):
            for name, (model, batches) in prepared.items():
                velocity, start = np.zeros_like(model.flat_params), time.monotonic()
                for batch in batches:
                    step(model, velocity, batch, None, 0.0, 0.9, 50.0)
                seconds[name].append(time.monotonic() - start)
        lines = []
        for name, (_, batches) in prepared.items():
            frames = sum(batch.frames.shape[0] * batch.frames.shape[1] for batch in batches)
            padding = 100 * (1 - sum(int(batch.lengths.sum()) for batch in batches) / frames)
            median = f"{np.median(seconds[name]):.1f} s for {len(utterances)} utterances"
            lines.append(f"{name}: {median}, {padding:.0f} % padding")
        return lines

    def rank_speeds(self) -> list[str]:
        command = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
        if command is None:
            return ["data parallelism: not measured without mpiexec; pip install 'minids[mpi]'"]
        lines = []
        for ranks in (1, 2):
            folder = self.out / f"ranks-{ranks}"
            toml = self.out / f"ranks-{ranks}.toml"
            data = "".join(f'{n} = "{(self.data / n).resolve()}.jsonl"\n' for n in ("train", "dev"))
            size = "[features]\nbands = 40\n[model]\nhidden = 256\ncontext = 5\n"
            toml.write_text(f"[data]\n{data}{size}[train]\nepochs = 3\nbatch_size = 16\n")
            root = ["--allow-run-as-root"] if os.name == "posix" and os.geteuid() == 0 else []
            minids = [command, *root, "-n", str(ranks), sys.executable, "-m", "minids"]
            subprocess.run([*minids, "train", toml, "--run", folder], check=True, stdout=subprocess.DEVNULL)
            rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
            rate = np.median([row["frames_per_second"] for row in rows])
            lines.append(
                f"{ranks} rank{'s' * (ranks > 1)} of one core: {rate / 1000:.0f} k frames/s of training"
            )
        return lines


def paired_interval(change: np.ndarray, words: np.ndarray) -> tuple[float, float]:
    """The 95 % interval of a change, in points, by a paired bootstrap: the same draws for both systems."""
    low, high = bootstrap_interval(change * words.sum(), words)
    return 100 * low, 100 * high


def table(rows: list[Finding]) -> str:
    lines = [f"{'setting':<44} {'WER %':>6} {'95 % interval':>15} {'change':>7} {'95 % interval':>16}  "]
    for i, row in enumerate(rows):
        if i == 0 or row.subject != rows[i - 1].subject:
            lines.append(f"\n{row.subject}   ({row.paper})" if row.paper else f"\n{row.subject}")
        low, high = row.interval
        line = f"  {row.setting:<42} {row.wer:6.1f} {f'{low:.1f} to {high:.1f}':>15}"
        if row.change is not None and row.change_interval is not None:
            low, high = row.change_interval
            line += f" {row.change:+7.1f} {f'{low:+.1f} to {high:+.1f}':>16}  {row.verdict}"
        lines.append(f"{line}  {row.note}".rstrip())
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    size = parser.add_mutually_exclusive_group(required=True)
    size.add_argument("--quick", action="store_true", help="two seeds, a small network")
    size.add_argument("--full", action="store_true", help="four seeds, a larger network")
    root = Path(os.environ.get("MINIDS_DATA", "data"))
    parser.add_argument("--data", type=Path, default=root / "an4", help="train, dev and test.jsonl")
    parser.add_argument("--noise", type=Path, nargs="+", help="recordings of noise to train with")
    parser.add_argument("--test-noise", type=Path, nargs="+", help="other recordings of noise to test with")
    parser.add_argument("--out", type=Path, default=Path("runs/paper"))
    parser.add_argument("--backend", choices=["cpu", "cuda"], default="cpu")
    arguments = parser.parse_args()
    manifest = root / "noise" / "manifest.jsonl"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()] if manifest.exists() else []
    for name, use in (("noise", "train"), ("test_noise", "test")):
        if not getattr(arguments, name):
            paths = [manifest.parent / row["path"] for row in rows if row["use"] == use]
            setattr(arguments, name, paths)
        if not getattr(arguments, name):
            parser.error(f"no noise in {manifest.parent}; give --noise and --test-noise")
    study = Study(arguments)
    study.train()
    study.all()
    speed = study.speed()
    print(table(study.rows) + "\n\n" + "\n".join(speed))
    result = {
        "seeds": list(study.seeds),
        "cores": os.cpu_count(),
        "training_minutes": {experiment: study.minutes(experiment) for experiment in EXPERIMENTS},
        "rows": [asdict(row) for row in study.rows],
        "speed": speed,
    }
    with atomic_write(arguments.out / "table.json") as file:
        file.write(json.dumps(result, indent=1, ensure_ascii=False).encode())
    with atomic_write(arguments.out / "table.png") as file:
        plot_findings([asdict(row) for row in study.rows]).savefig(file, format="png", dpi=150)


if __name__ == "__main__":
    main()

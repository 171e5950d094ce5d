"""The paper's findings, one by one, on real speech: trained, measured, and put beside what the paper reports.

    python examples/reproduce_paper.py --quick      AN4, two seeds, at most two hours on two cores
    python examples/reproduce_paper.py --full       four seeds and a larger network: a night, or a GPU

It reads train, dev and test.jsonl in $MINIDS_DATA/an4 (another corpus: --data FOLDER) and noise in
$MINIDS_DATA/noise (others: --noise and --test-noise). Stopped at any moment it goes on where it was: what is
trained and scored is kept in --out. At the end it prints the table, and writes table.json and table.png.
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
from findings import findings as draw

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
BEAMS = (1, 10, 100, 1000, 4000)
BEAM = 500  # of all other searches
ARMS: dict[str, dict[str, dict[str, Any]]] = {  # what is trained: changes to the settings
    "clean": {},
    "noise": {"noise": {}},
    "no dropout": {"model": {"dropout": 0.0}},
    "no context": {"model": {"context": 0}},
    "stride 1": {"model": {"stride": 1}},
}


@dataclass
class Finding:
    """A row of the table. `change` is of the word error rate to the first row of its subject, in points."""

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
        return "fewer errors" if high < 0 else "more errors" if low > 0 else "no difference seen"


class Study:
    """The runs and scores in the folder `out`."""

    def __init__(self, given: argparse.Namespace):
        self.out, self.data = given.out, given.data
        self.seeds = range(4 if given.full else 2)
        self.full, self.backend = given.full, given.backend
        self.noise, self.test_noise = given.noise, given.test_noise
        self.dev, self.test = read_manifest(self.data / "dev.jsonl"), self.data / "test.jsonl"
        self.out.mkdir(parents=True, exist_ok=True)
        self.kept = self.out / "scores.json"
        self.scores = json.loads(self.kept.read_text()) if self.kept.exists() else {}
        self.rows: list[Finding] = []

    def settings(self, arm: str, seed: int) -> Settings:
        base = read_settings(Path(__file__).parent / "an4.toml")
        paths = {name: str((self.data / f"{name}.jsonl").resolve()) for name in ("train", "dev")}
        size = {"hidden": 512} if self.full else {}
        epochs = {"epochs": 120, "lr_decay": 1.015} if self.full else {"epochs": 70, "lr_decay": 1.03}
        made = replace(
            base,
            data=replace(base.data, **paths),
            model=replace(base.model, **size | ARMS[arm].get("model", {})),
            train=replace(base.train, seed=seed, **epochs),
        )
        if "noise" in ARMS[arm]:
            made = replace(made, noise=NoiseSettings([str(path.resolve()) for path in self.noise]))
        return made

    def run(self, arm: str, seed: int) -> Path:
        return self.out / f"{arm.replace(' ', '-')}-{seed}"

    def train(self) -> None:
        for seed in self.seeds:
            for arm in ARMS:
                folder = self.run(arm, seed)
                print(f"\n== {arm}, seed {seed}: {folder}", file=sys.stderr)
                Trainer(self.settings(arm, seed), folder, self.backend).run()

    def minutes(self, arm: str) -> list[float]:
        """How long each seed trained, beside whatever else the machine did."""
        texts = [(self.run(arm, seed) / "metrics.jsonl").read_text() for seed in self.seeds]
        return [sum(json.loads(line)["seconds"] for line in text.splitlines()) / 60 for text in texts]

    def noisy(self, noise: Path, snr: float) -> Path:
        """The test set in that noise: made once, the same in every run."""
        folder = self.out / f"test-{noise.stem}-{snr:g}dB"
        manifest = folder / "test.jsonl"
        if not manifest.exists():
            made: list[Utterance] = []
            source = Noise([noise], RATE, layers=1)
            folder.mkdir(parents=True, exist_ok=True)
            for i, utterance in enumerate(read_manifest(self.test)):
                samples, rate = load_audio(utterance.path, RATE)
                mixed = source.add_to(samples, snr, np.random.default_rng([1, i]))
                path = folder / f"{i:04d}.flac"
                save_audio(path, mixed / max(1, abs(mixed).max()), rate)
                made.append(replace(utterance, path=path.absolute()))
            write_manifest(manifest, made)
        return manifest

    # Scores

    def search(self, recognizer: Recognizer, key: str, beam: int) -> BeamSearch:
        """With a 3-gram of the training texts; alpha and beta as they are best on dev for this recognizer."""
        lm = NGram.train([u.text for u in read_manifest(self.data / "train.jsonl")], order=3)
        if key not in self.scores:
            heard = [one for some in recognizer.hear(self.dev, []) for one in some]
            log_probs = [np.concatenate(pieces) for _, pieces in heard]
            tuned = tune(log_probs, [u.text for u, _ in heard], lm, recognizer.alphabet, beam_width=100)
            self.keep(key, [tuned.alpha, tuned.beta])
        return BeamSearch(recognizer.alphabet, lm, *self.scores[key], beam)

    def keep(self, key: str, value: Any) -> Any:
        self.scores[key] = value
        with atomic_write(self.kept) as file:
            file.write(json.dumps(self.scores).encode())
        return value

    def errors(
        self, runs: list[Path], manifest: Path | None = None, beam: int = 0, jitter: bool = False
    ) -> np.ndarray:
        """(n, 2): the word errors and the words of each utterance, heard by the runs together.

        `beam` 0 is greedy, any other searches with the language model.
        """
        manifest = manifest or self.test
        heard_by = f"{[zlib.crc32((run / 'best.safetensors').read_bytes()) for run in runs]} jitter {jitter}"
        key = f"{heard_by} {manifest.parent.name} beam {beam}"
        if key not in self.scores:
            models = [run / "best.safetensors" for run in runs]
            recognizer = Recognizer.load(models, lm="none", jitter=jitter, backend=self.backend)
            recognizer.search = self.search(recognizer, f"tuned {heard_by}", beam) if beam else None
            rows, _ = recognizer.recognize(read_manifest(manifest))
            rows.sort(key=lambda row: row.name)
            counts = wer([row.reference for row in rows], [row.hypothesis for row in rows]).counts
            self.keep(key, np.column_stack([counts[:, :3].sum(axis=1), counts[:, 3]]).tolist())
        return np.array(self.scores[key])

    def over_seeds(self, arm: str, **how: Any) -> np.ndarray:
        """The errors and words of each utterance, summed over the seeds' networks."""
        return np.sum([self.errors([self.run(arm, seed)], **how) for seed in self.seeds], axis=0)

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
            # Both on the same words, though not always heard equally often (an ensemble is one).
            change = errors / words.sum() - base[:, 0] / base[:, 1].sum()
        self.rows.append(
            Finding(
                subject,
                setting,
                100 * errors.sum() / words.sum(),
                tuple(100 * each for each in bootstrap_interval(errors, words)),
                None if change is None else 100 * change.sum(),
                None if change is None else paired(change, words),
                note,
                paper,
            )
        )

    # The findings

    def all(self) -> None:
        greedy, searched = self.over_seeds("clean"), self.over_seeds("clean", beam=BEAM)
        self.language_and_beam(greedy, searched)
        self.in_noise()
        for arm, paper in (
            ("no dropout", "§2.1: dropout of 5 to 10 % on the feed-forward layers"),
            ("no context", "§2: 5, 7 or 9 frames of context on each side"),
        ):
            self.add(arm.removeprefix("no "), "with", greedy, None, paper)
            self.add(arm.removeprefix("no "), "without", self.over_seeds(arm), greedy, paper)
        paper = "§3.3: every second frame, half the steps of the recurrence"
        every = self.over_seeds("stride 1")
        self.add("stride", "every frame", every, None, paper)
        self.add("stride", "every second frame", greedy, every, paper)
        runs = [self.run("clean", seed) for seed in self.seeds]
        self.jitter_and_ensemble(runs, searched, ", searched with the language model", beam=BEAM)
        self.jitter_and_ensemble(runs, greedy, ", greedy")
        both = runs + [self.run("noise", seed) for seed in self.seeds]
        self.add("all together", "one network, greedy", greedy, None, "")
        everything = self.errors(both, beam=BEAM, jitter=True)
        self.add("all together", "noise, jitter, ensemble, language model", everything, greedy, "")

    def jitter_and_ensemble(self, runs: list[Path], one: np.ndarray, how: str, **search: Any) -> None:
        jitter, ensemble = "§2.1: averaged over ±5 ms", "§5: 4 and 6 networks, averaged"
        self.add(f"jitter{how}", "without", one, None, jitter)
        self.add(f"jitter{how}", "±5 ms", self.over_seeds("clean", jitter=True, **search), one, jitter)
        self.add(f"ensemble{how}", "1 network, on average", one, None, ensemble)
        for size in sorted({2, len(runs)}):
            self.add(f"ensemble{how}", f"{size} networks", self.errors(runs[:size], **search), one, ensemble)

    def language_and_beam(self, greedy: np.ndarray, searched: np.ndarray) -> None:
        paper = "§2.2, Table 1: “arther n tickets” becomes “are there any tickets”"
        self.add("language model", "none, greedy", greedy, None, paper)
        self.add("language model", "3-gram of the training texts", searched, greedy, paper)
        narrow = self.over_seeds("clean", beam=BEAMS[0])
        for beam in BEAMS:
            counts = self.over_seeds("clean", beam=beam)
            base = None if beam == BEAMS[0] else narrow
            self.add("beam size", f"{beam}", counts, base, "§2.2: typically 1000 to 8000")

    def in_noise(self) -> None:
        paper = "§4.1: noise synthesized by superposition; §5.2: 19.1 % of noisy words, others 30.5 %"
        sets = [("clean", self.test)]
        sets += [(f"{n.stem}, {snr} dB", self.noisy(n, snr)) for n in self.test_noise for snr in SNRS]
        for name, manifest in sets:
            clean = self.over_seeds("clean", manifest=manifest)
            self.add(f"heard in: {name}", "trained clean", clean, None, paper)
            noisy = self.over_seeds("noise", manifest=manifest)
            share = 100 * (noisy[:, 0].sum() / max(1, clean[:, 0].sum()) - 1)
            words = f"{abs(share):.0f} % {'fewer' if share < 0 else 'more'} errors"
            self.add(f"heard in: {name}", "trained in noise", noisy, clean, paper, words)

    # Speed

    def speed(self) -> list[str]:
        """Striding (§3.3), sorted batches and ranks (§3.1): what they are worth in time."""
        return [*self.steps(), *self.ranks()]

    def steps(self) -> list[str]:
        """The steps of an epoch (of 500 utterances at most), without reading them: medians of turns."""
        everyone = read_manifest(self.data / "train.jsonl")
        utterances = everyone[:: -(-len(everyone) // 500)]
        order = np.random.default_rng(0).permutation(len(utterances))
        shuffled = [replace(u, duration=1000.0 + i) for u, i in zip(utterances, order, strict=True)]
        forms = {
            "every frame": ("stride 1", utterances),
            "every second frame": ("clean", utterances),
            "every second frame, batches in any order": ("clean", shuffled),
        }
        made: dict[str, tuple] = {}
        for name, (arm, ordered) in forms.items():
            heard = Recognizer.load(self.run(arm, 0) / "best.safetensors", lm="none")
            given = ordered, heard.features, heard.alphabet, 8, heard.model.settings.stride
            made[name] = heard.model, list(Batches(*given).in_length_order())
        seconds: dict[str, list[float]] = {name: [] for name in forms}
        for _ in range(3):
            for name, (model, batches) in made.items():
                velocity, started = np.zeros_like(model.flat_params), time.monotonic()
                for batch in batches:
                    step(model, velocity, batch, None, 0.0, 0.9, 50.0)
                seconds[name].append(time.monotonic() - started)
        lines = []
        for name, (_, batches) in made.items():
            computed = sum(batch.frames.shape[0] * batch.frames.shape[1] for batch in batches)
            waste = 1 - sum(int(batch.lengths.sum()) for batch in batches) / computed
            took = float(np.median(seconds[name]))
            lines.append(
                f"{name}: {took:.1f} s for {len(utterances)} utterances, {100 * waste:.0f} % padding"
            )
        return lines

    def ranks(self) -> list[str]:
        command = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
        if command is None:
            return ["data parallelism: not measured, there is no mpiexec; pip install 'minids[mpi]'"]
        lines = []
        for ranks in (1, 2):
            folder = self.out / f"ranks-{ranks}"
            toml = self.out / f"ranks-{ranks}.toml"
            data = "".join(f'{n} = "{(self.data / n).resolve()}.jsonl"\n' for n in ("train", "dev"))
            size = "[features]\nbands = 40\n[model]\nhidden = 256\ncontext = 5\n"
            toml.write_text(f"[data]\n{data}{size}[train]\nepochs = 3\nbatch_size = 16\n")
            root = ["--allow-run-as-root"] if os.name == "posix" and os.geteuid() == 0 else []
            here = [command, *root, "-n", str(ranks), sys.executable, "-m", "minids"]
            subprocess.run([*here, "train", toml, "--run", folder], check=True, stdout=subprocess.DEVNULL)
            rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
            rate = np.median([row["frames_per_second"] for row in rows])
            lines.append(f"ranks of one core each, {ranks}: {rate / 1000:.0f} k frames/s of training")
        return lines


def paired(change: np.ndarray, words: np.ndarray) -> tuple[float, float]:
    """A 95 % interval of a sum over utterances, drawn with replacement: the same ones for both systems."""
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
    parser.add_argument("--test-noise", type=Path, nargs="+", help="and others to test with")
    parser.add_argument("--out", type=Path, default=Path("runs/paper"))
    parser.add_argument("--backend", choices=["cpu", "cuda"], default="cpu")
    given = parser.parse_args()
    listed = root / "noise" / "manifest.jsonl"
    uses = [json.loads(line) for line in listed.read_text().splitlines()] if listed.exists() else []
    for name, use in (("noise", "train"), ("test_noise", "test")):
        if not getattr(given, name):
            setattr(given, name, [listed.parent / each["path"] for each in uses if each["use"] == use])
        if not getattr(given, name):
            parser.error(f"no noise in {listed.parent}; give --noise and --test-noise")
    study = Study(given)
    study.train()
    study.all()
    speed = study.speed()
    print(table(study.rows) + "\n\n" + "\n".join(speed))
    result = {
        "seeds": list(study.seeds),
        "cores": os.cpu_count(),
        "training_minutes": {arm: study.minutes(arm) for arm in ARMS},
        "rows": [asdict(row) for row in study.rows],
        "speed": speed,
    }
    with atomic_write(given.out / "table.json") as file:
        file.write(json.dumps(result, indent=1, ensure_ascii=False).encode())
    with atomic_write(given.out / "table.png") as file:
        draw([asdict(row) for row in study.rows]).savefig(file, format="png", dpi=150)


if __name__ == "__main__":
    main()

"""examples/deepspeech.py: gradients, agreement with minids, data, size, and what it learns."""

import ast
import importlib.util
import pickle
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from minids.text import collapse
from tests import ROOT

PROGRAM = ROOT / "examples" / "deepspeech.py"


@pytest.fixture
def program():
    return load(PROGRAM)


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_needs_only_numpy_and_soundfile():
    imported = set()
    for node in ast.walk(ast.parse(PROGRAM.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.partition(".")[0])
    assert imported - sys.stdlib_module_names == {"numpy", "soundfile"}


def test_it_stays_short_and_so_does_its_data():
    assert len(PROGRAM.read_text(encoding="utf-8").splitlines()) <= 450
    assert sum(path.stat().st_size for path in PROGRAM.with_suffix("").glob("t*.*")) <= 3_000_000


def test_gradients_and_all_numbers_agree():
    """`--check` itself, as a user runs it."""
    command = [sys.executable, PROGRAM, "--check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert sum("central differences  " in line for line in lines) == 14
    for quantity in (
        "features",
        "log_probs",
        "CTC losses",
        "CTC gradient",
        "gradients",
        "weights after three steps",
        "n-gram probabilities",
        "Q of",
        "word error rate",
    ):
        assert any(line.startswith(quantity) for line in lines), quantity


@pytest.mark.parametrize("name", ["linear_backward", "clipped_relu_backward", "recur_backward", "ctc"])
def test_the_check_finds_a_wrong_gradient(program, monkeypatch, name):
    right = getattr(program, name)

    def wrong(*arguments):
        result = right(*arguments)
        return (*result[:-1], 1.001 * result[-1]) if isinstance(result, tuple) else 1.001 * result

    monkeypatch.setattr(program, name, wrong)
    assert any(error > limit for _, error, limit in program.gradient_errors())


def test_the_check_finds_a_number_that_minids_does_not_have(program, monkeypatch):
    compare = load(PROGRAM.with_suffix("") / "compare.py")
    monkeypatch.setattr(program, "FLOOR", 1.0001e-7)
    monkeypatch.setattr(program.NGram, "discounts", staticmethod(lambda t: [0.0, 0.5, 1.0, 1.4999]))
    monkeypatch.setattr(program, "wer", lambda *texts: 0.7)
    wrong = {name for name, error, limit in compare.errors(program) if not error <= limit}
    assert wrong == {"features, minids", "n-gram probabilities, minids", "word error rate, minids"}


def test_ctc_adds_up_all_alignments(program):
    """Texts of a batch, of different lengths: empty, repeated, and one that does not fit into its frames."""
    rng, K = np.random.default_rng(0), 3
    log_probs = np.log(rng.dirichlet(np.ones(K), (5, 5)))  # (T, B, K)
    lengths, labels = np.array([5, 4, 3, 5, 2]), [[1, 2], [1, 1], [], [2, 1, 2, 1], [2, 2]]
    losses, dlogits = program.ctc(log_probs, lengths, labels)
    for b, (T, label) in enumerate(zip(lengths, labels, strict=True)):
        paths = [path for path in product(range(K), repeat=int(T)) if collapse(path) == label]
        exact = sum(np.exp(sum(log_probs[t, b, k] for t, k in enumerate(path))) for path in paths)
        with np.errstate(divide="ignore"):
            np.testing.assert_allclose(losses[b], -np.log(exact), rtol=1e-12)
        assert not dlogits[T:, b].any()
        np.testing.assert_allclose(dlogits[:T, b].sum(axis=1), 0, atol=1e-12)
    assert losses[4] == np.inf
    assert not dlogits[:, 4].any()


def test_padding_changes_nothing(program):
    rng = np.random.default_rng(0)
    params = program.initial_params(4, 6, 3)
    utterances, labels = [rng.normal(size=(T, 4)) for T in (7, 4, 2)], [[1, 2], [2, 2], [1]]

    def run(which):
        x, lengths = program.pad([utterances[b] for b in which])
        log_probs, cache = program.forward(params, x, lengths)
        losses, dlogits = program.ctc(log_probs, lengths, [labels[b] for b in which])
        return losses, program.backward(params, cache, dlogits)

    losses, grads = run([0, 1, 2])
    alone = [run([b]) for b in range(3)]
    np.testing.assert_allclose(losses, np.concatenate([loss for loss, _ in alone]), rtol=1e-12)
    for name in params:
        np.testing.assert_allclose(grads[name], sum(g[name] for _, g in alone), rtol=1e-10, atol=1e-14)


def test_a_narrow_beam_spells_only_words_and_prefers_likely_ones(program):
    lm = program.NGram(["one two", "one two", "nine six", "one nine"])
    y = np.log(np.full((12, len(program.LETTERS) + 1), 1e-4))  # (T, K)
    for t, symbol in enumerate("one-tw-o"):
        y[t, program.LETTERS.index(symbol) + 1 if symbol != "-" else 0] = np.log(0.9)
    y[8:, 0] = np.log(0.9)
    y -= np.logaddexp.reduce(y, axis=1, keepdims=True)
    assert program.greedy(y) == "onetwo"
    text, _ = program.beam_search(y, lm, alpha=1.0, beta=0.0, width=8)
    assert text == "one two"


def test_a_beam_without_a_complete_word_gives_no_text(program):
    log_probs = np.full((2, len(program.LETTERS) + 1), -20.0)
    log_probs[:, program.LETTERS.index("t") + 1] = -0.1
    lm = program.NGram(["two", "two three"])
    assert program.beam_search(log_probs, lm, 1.0, 1.0, width=1) == ("", -np.inf)


def test_an_unknown_option_does_not_start_a_training():
    done = subprocess.run([sys.executable, PROGRAM, "--chek"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "--check" in done.stderr


def test_test_voices_are_not_in_the_training_set(program):
    voices, texts = {}, {}
    for split in "train", "test":
        sounds = program.recordings(split)
        voices[split], texts[split] = {v for v, *_ in sounds}, [text for _, text, _ in sounds]
        assert all(len(samples) > program.WINDOW and samples.any() for *_, samples in sounds)
    assert len(voices["train"]) == 28
    assert len(voices["test"]) == 10
    assert not voices["train"] & voices["test"]
    assert set(" ".join(texts["train"])) == set(program.LETTERS)


def test_the_recordings_can_be_made_again(program):
    """Up to what Ogg Vorbis leaves out."""
    pytest.importorskip("espeakng_loader")
    record = PROGRAM.with_suffix("") / "record.py"
    script = f"import sys; sys.path.insert(0, {str(record.parent)!r}); import record, pickle\n"
    script += "sys.stdout.buffer.write(pickle.dumps(record.record('test', 3)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    made = pickle.loads(done.stdout)
    for (voice, text, samples), shipped in zip(made, program.recordings("test"), strict=False):
        assert (voice, text, len(samples)) == (*shipped[:2], len(shipped[2]))
        assert np.corrcoef(samples, shipped[2])[0, 1] > 0.9


@pytest.mark.slow
def test_it_learns_to_read_voices_that_it_never_heard(program, capsys, monkeypatch):
    """A quarter of its epochs, annealed four times as fast."""
    monkeypatch.setattr(program, "EPOCHS", 20)
    monkeypatch.setitem(program.SCHEDULE, "decay", program.SCHEDULE["decay"] ** 4)
    with threadpool_limits(1):  # as the program does, before NumPy is loaded
        program.main()
    rates = [float(word[:-1]) for word in capsys.readouterr().out.split() if word.endswith("%")]
    greedily, with_the_model = rates[-2:]
    assert with_the_model < greedily
    assert with_the_model < 15

"""The checks of `minids check`: each compares a computation with an independent one.

A gradient is compared with central differences of a scalar L in float64,

    dL/dθ_i ≈ [L(θ + h e_i) - L(θ - h e_i)] / 2h,        error = max_i |difference| / max_i |gradient|

for every entry of every parameter. The sizes are small; the activations lie on both sides of both kinks of
the clip, 0 and 20.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from minids import ops
from minids.model import DeepSpeech, ModelSettings
from minids.ops import Backend
from minids.ops.common import CLIP, Dropout, hash_key
from minids.text import collapse

# Tolerances, each with its reason. tests/tolerances.py adds those that only tests need.
GRADIENT_OPERATION = 1e-7  # float64: h = 1e-5 leaves h² ~ 1e-10 of truncation, 1e-16 / h ~ 1e-11 of rounding
GRADIENT_NETWORK = 1e-5  # the same, through eight layers and a recurrence
CTC_ENUMERATION = 1e-12  # float64, log space against the sum over all alignments: some hundred additions
PADDING_REFERENCE = 1e-12  # float64: only the order of additions differs
SEARCH = 1e-9  # float64: sums of some hundred terms, in another order and as logarithms
LANGUAGE = 1e-5  # a model's logarithms are float32; a probability is the sum of a few of them
FLOAT32_VALUES = 2e-5  # float32 has 6e-8; some hundred additions in another order, through eight layers
FLOAT32_GRADIENTS = 2e-4  # and backward through them, over all frames

STEP = 1e-5
MARGIN = 1e-3  # a difference across a kink is not a gradient: the inputs of `affine` are further from one


@dataclass(frozen=True)
class Check:
    """One line of the table: an error and its tolerance."""

    name: str
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        return bool(self.error <= self.tolerance)  # False for NaN


def numerical_gradient(loss: Callable[[], float], value: np.ndarray, h: float = STEP) -> np.ndarray:
    """Central differences of `loss()` to every entry of the array `value`, which is restored."""
    gradient = np.empty_like(value)
    for i in np.ndindex(value.shape):
        original = value[i]
        value[i] = original + h
        above = loss()
        value[i] = original - h
        below = loss()
        value[i] = original
        gradient[i] = (above - below) / (2 * h)
    return gradient


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """max |a - b| / max(|a|, |b|), over the whole array: relative to the largest entry."""
    largest = max(np.abs(a).max(), np.abs(b).max())
    return float(np.abs(a - b).max() / largest) if largest else 0.0


def all_checks(backend: str = "cpu") -> Iterator[Check]:
    """Every check, in the order of the table; each is computed when it is asked for.

    Raises InputError for a backend that is not available, before the first.
    """
    ops.load(backend)
    yield from check_affine()
    yield from check_birnn()
    yield from check_ctc()
    yield from check_network()
    yield from check_enumeration()
    yield from check_padding("reference")
    if backend != "reference":
        yield from check_padding(backend)
        yield from check_backend(backend)
    yield from check_search()
    yield from check_language_model()


def check_affine() -> Iterator[Check]:
    """affine: linear, clipped, clipped with dropout."""
    reference, rng = ops.load("reference"), np.random.default_rng(1)
    x, W, b = rng.normal(size=(5, 3, 4)), 6 * rng.normal(size=(6, 4)), 6 * rng.normal(size=6)
    dy = rng.normal(size=(5, 3, 6))
    dropout = Dropout(0.3, hash_key(1, np.arange(3)))
    _away_from_kinks(reference.affine_forward(x, W, b))
    cases = {"linear": (False, None), "clipped": (True, None), "clipped, dropout": (True, dropout)}
    for name, options in cases.items():
        y = reference.affine_forward(x, W, b, *options)
        gradients = reference.affine_backward(dy, x, W, y, *options)

        def loss(options=options):
            return float((reference.affine_forward(x, W, b, *options) * dy).sum())

        yield from _gradients(f"affine, {name}", loss, zip("xWb", (x, W, b), gradients, strict=True))


def check_birnn() -> Iterator[Check]:
    """birnn: uneven lengths."""
    reference, rng = ops.load("reference"), np.random.default_rng(2)
    z, Wr_f, Wr_b = 8 * rng.normal(size=(6, 3, 4)), rng.normal(size=(4, 4)), rng.normal(size=(4, 4))
    dh, lengths = rng.normal(size=z.shape), np.array([6, 3, 1])
    _, hf, hb = reference.birnn_forward(z, Wr_f, Wr_b, lengths)
    gradients = reference.birnn_backward(dh, hf, hb, Wr_f, Wr_b, lengths)

    def loss():
        return float((reference.birnn_forward(z, Wr_f, Wr_b, lengths)[0] * dh).sum())

    variables = zip(("z", "Wr_f", "Wr_b"), (z, Wr_f, Wr_b), gradients, strict=True)
    yield from _gradients("birnn", loss, variables)


def check_ctc() -> Iterator[Check]:
    """ctc through log_softmax, to the logits: repeats, an empty text, uneven lengths."""
    reference, rng = ops.load("reference"), np.random.default_rng(3)
    logits = rng.normal(size=(7, 3, 4))
    labels, label_lengths = np.array([[1, 1, 2], [3, 0, 0], [0, 0, 0]]), np.array([3, 1, 0])
    lengths = np.array([7, 5, 2])

    def forward():
        return reference.ctc(reference.log_softmax_forward(logits), lengths, labels, label_lengths)

    yield from _gradients("ctc", lambda: float(forward()[0].sum()), [("logits", logits, forward()[1])])


def check_network() -> Iterator[Check]:
    """The network: context, stride, dropout, every parameter."""
    model, batch = _small_network("reference", "float64")
    model.loss_and_grad(*batch)
    gradients = {name: value.copy() for name, value in model.grads.items()}

    def loss():
        return float(model.loss_and_grad(*batch).sum())

    for name, value in model.params.items():
        yield Check(
            f"network, d{name}",
            relative_error(gradients[name], numerical_gradient(loss, value)),
            GRADIENT_NETWORK,
        )


def check_enumeration() -> Iterator[Check]:
    """CTC against the sum over every alignment, for all texts of up to 5 frames; their total probability."""
    reference, rng = ops.load("reference"), np.random.default_rng(4)
    K, worst, worst_total = 3, 0.0, 0.0
    for T in range(1, 6):
        log_probs = reference.log_softmax_forward(2 * rng.normal(size=(T, 1, K)))
        exact: dict[tuple[int, ...], float] = {}
        for path in product(range(K), repeat=T):
            text = tuple(collapse(path))
            exact[text] = exact.get(text, 0.0) + float(
                np.exp(sum(log_probs[t, 0, k] for t, k in enumerate(path)))
            )
        total = 0.0
        for text, probability in exact.items():
            labels = np.array([text or (0,)], np.int32)
            losses, _ = reference.ctc(log_probs, np.array([T]), labels, np.array([len(text)]))
            worst = max(worst, abs(float(losses[0]) + float(np.log(probability))))
            total += float(np.exp(-losses[0]))
        worst_total = max(worst_total, abs(total - 1))
    yield Check("ctc loss, against all alignments", worst, CTC_ENUMERATION)
    yield Check("ctc, all texts' probabilities sum to 1", worst_total, CTC_ENUMERATION)


def check_padding(backend: str) -> Iterator[Check]:
    """A padded batch, with NaN in the padding, against its utterances in batches of their own."""
    dtype = "float64" if backend == "reference" else "float32"
    model, (frames, lengths, labels, label_lengths, dropout_keys) = _small_network(backend, dtype)
    to_host = model.ops.arrays.to_host
    losses = model.loss_and_grad(frames, lengths, labels, label_lengths, dropout_keys)
    gradient, total = to_host(model.flat_grads).copy(), np.zeros(model.flat_grads.shape, dtype)
    single = np.empty_like(losses)
    for b in range(len(lengths)):
        only = slice(b, b + 1)
        single[only] = model.loss_and_grad(
            frames[: lengths[b], only], lengths[only], labels[only], label_lengths[only], dropout_keys[only]
        )
        total += to_host(model.flat_grads)
    tolerances = FLOAT32_VALUES, FLOAT32_GRADIENTS
    if backend == "reference":
        tolerances = PADDING_REFERENCE, PADDING_REFERENCE
    yield Check(f"{backend}, padded against single: losses", relative_error(losses, single), tolerances[0])
    yield Check(
        f"{backend}, padded against single: gradients", relative_error(gradient, total), tolerances[1]
    )


def check_backend(backend: str | Backend, hidden: int = 33, steps: int = 10) -> Iterator[Check]:
    """Another backend against the reference: losses, every gradient, and the weights after some steps."""
    reference, batch64 = _small_network("reference", "float64", hidden)
    other, batch32 = _small_network(backend, "float32", hidden)
    losses, expected = other.loss_and_grad(*batch32), reference.loss_and_grad(*batch64)
    to_host, against = other.ops.arrays.to_host, f"{other.ops.name} against reference"
    yield Check(f"{against}: losses", relative_error(losses, expected), FLOAT32_VALUES)
    for name in reference.grads:
        error = relative_error(to_host(other.grads[name]), reference.grads[name])
        yield Check(f"{against}: d{name}", error, FLOAT32_GRADIENTS)
    for model, batch in ((reference, batch64), (other, batch32)):
        velocity = model.ops.arrays.from_host(np.zeros(model.flat_params.shape, model.dtype))
        for _ in range(steps):
            model.loss_and_grad(*batch)
            scale = min(1.0, 1 / model.ops.norm(model.flat_grads))
            model.ops.nesterov(model.flat_params, model.flat_grads, velocity, 0.01, 0.9, scale)
    error = relative_error(to_host(other.flat_params), reference.flat_params)
    yield Check(f"{against}: weights after ten steps", error, FLOAT32_GRADIENTS)


def check_search() -> Iterator[Check]:
    """Beam search without pruning against CTC: the probability of each text, and their sum."""
    from minids.decode.beam_search import BeamSearch

    rng, worst, worst_total = np.random.default_rng(6), 0.0, 0.0
    search = BeamSearch("ab ", beam_width=10**6, token_min_logp=-np.inf, beam_prune_logp=-np.inf)
    for T in range(1, 7):
        log_probs = ops.load("reference").log_softmax_forward(2 * rng.normal(size=(T, 1, 4)))[:, 0]
        hypotheses = search.decode(log_probs, n_best=10**6)
        for hypothesis in hypotheses:
            exact = search.score(log_probs, hypothesis.text).log_prob
            worst = max(worst, abs(hypothesis.log_prob - exact))
        worst_total = max(worst_total, abs(sum(np.exp(h.log_prob) for h in hypotheses) - 1))
    yield Check("beam search, every text against ctc", worst, SEARCH)
    yield Check("beam search, all texts' probabilities sum to 1", worst_total, SEARCH)


def check_language_model() -> Iterator[Check]:
    """Kneser-Ney smoothing against the readable one, for every word after every history; their total."""
    from minids.lm.kneser_ney import DiscountWarning
    from minids.lm.ngram import NGram
    from minids.lm.reference import ReferenceNGram

    lines = ["a b a c", "b a", "c a b a", "a c c", "b", "a b b a", "c b a a"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscountWarning)  # so few words do not determine discounts
        model, plain = NGram.train(lines, order=3), ReferenceNGram(lines, order=3)
    worst, worst_total = 0.0, 0.0
    for history in product("abc", repeat=2):
        before = model.log_prob(history, bos=False, eos=False)
        total = 0.0
        for word in ["a", "b", "c", "<unk>", "</s>"]:
            log_prob = model.log_prob([*history, word] if word != "</s>" else history, False, word == "</s>")
            probability = np.exp(log_prob - before)
            worst = max(worst, abs(probability - plain.probability(word, history)))
            total += probability
        worst_total = max(worst_total, abs(total - 1))
    yield Check("language model, compiled against reference", worst, LANGUAGE)
    yield Check("language model, the words after a history sum to 1", worst_total, LANGUAGE)


def _small_network(backend: str | Backend, dtype: str, hidden: int = 7):
    """A network with units on both sides of both kinks; a batch of uneven lengths with NaN in its padding."""
    settings = ModelSettings(inputs=5, characters=4, hidden=hidden, context=2, stride=2, dropout=0.1)
    params, rng = DeepSpeech(settings, 0, "reference", dtype).params, np.random.default_rng(5)
    for name, value in params.items():
        value *= 4 if name in ("W1", "W4", "W6") else 1
        if name.startswith("b"):
            value[...] = rng.normal(size=value.shape)
    model = DeepSpeech(settings, None, backend, dtype)
    model.load_params(params)
    frames, lengths = 4 * rng.normal(size=(11, 3, 5)).astype(dtype), np.array([11, 7, 9], np.int32)
    for b, length in enumerate(lengths):
        frames[length:, b] = np.nan
    labels, label_lengths = (
        np.array([[1, 2, 2], [3, 1, 0], [1, 1, 0]], np.int32),
        np.array([3, 2, 2], np.int32),
    )
    return model, (frames, lengths, labels, label_lengths, np.array([5, 6, 7], np.uint32))


def _gradients(name: str, loss: Callable[[], float], variables) -> Iterator[Check]:
    for letter, value, gradient in variables:
        yield Check(
            f"{name}: d{letter}",
            relative_error(gradient, numerical_gradient(loss, value)),
            GRADIENT_OPERATION,
        )


def _away_from_kinks(z: np.ndarray) -> None:
    distance = float(np.minimum(np.abs(z), np.abs(z - CLIP)).min())
    if distance < MARGIN:
        raise AssertionError(f"the inputs of this check are {distance:.1g} from a kink; draw others")

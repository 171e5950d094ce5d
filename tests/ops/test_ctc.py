"""CTC against what it means: the sum over every alignment, written out, and counts that are known."""

import math
from collections import defaultdict
from itertools import groupby, pairwise, product

import numpy as np
import pytest
from scipy.special import log_softmax

from minids import ctc_loss, ops
from tests.tolerances import CTC_ENUMERATION, CTC_FLOAT32_GRADIENT, CTC_FLOAT32_LONG, CTC_FLOAT32_LOSS

BACKENDS = pytest.mark.parametrize("backend", ["reference", "cpu"])  # whose arrays are NumPy's


def loss_of(log_probs, label, backend="reference"):
    """One utterance: log_probs (T, K) -> its loss and dlogits (T, K)."""
    labels = np.array([list(label) or [0]], np.int32)
    lengths, label_lengths = np.array([len(log_probs)], np.int32), np.array([len(label)], np.int32)
    losses, dlogits = ctc_loss(log_probs[:, None], lengths, labels, label_lengths, backend)
    return float(losses[0]), dlogits[:, 0]


def enumerate_texts(y):
    """y (T, K) probabilities -> for every text its probability, and its occupancy (T, K): the probability of
    its alignments that have character k at t.
    """
    T, K = y.shape
    probability, occupancy = defaultdict(float), defaultdict(lambda: np.zeros((T, K)))
    for path in product(range(K), repeat=T):
        p = math.prod(y[t, k] for t, k in enumerate(path))
        text = tuple(k for k, _ in groupby(path) if k != 0)
        probability[text] += p
        occupancy[text][np.arange(T), path] += p
    return probability, occupancy


def alignments(T, label):
    """How many paths of T frames spell a label: each letter and each forced blank lasts a frame or more, the
    other T - U - r frames are shared among 2U + 1 states: C(T + U - r, 2U).
    """
    U, r = len(label), sum(a == b for a, b in pairwise(label))
    return math.comb(T + U - r, 2 * U) if T + U - r >= 0 else 0


@pytest.mark.parametrize("seed", range(12))
def test_loss_and_gradient_are_the_sum_over_every_alignment(seed):
    """Every text that so many frames can spell, in float64: some 700 pairs of a text and a matrix."""
    rng = np.random.default_rng(seed)
    T, K = [(1, 4), (2, 4), (3, 4), (4, 3), (4, 4), (5, 3), (5, 2), (6, 2), (7, 2), (6, 3), (2, 6), (3, 5)][
        seed
    ]
    log_y = log_softmax(rng.normal(scale=rng.uniform(0.1, 5), size=(T, K)), axis=1)
    probability, occupancy = enumerate_texts(np.exp(log_y))
    assert sum(probability.values()) == pytest.approx(1, abs=CTC_ENUMERATION)
    for text, p in probability.items():
        loss, dlogits = loss_of(log_y, text)
        assert abs(loss + math.log(p)) <= CTC_ENUMERATION
        np.testing.assert_allclose(dlogits, np.exp(log_y) - occupancy[text] / p, atol=CTC_ENUMERATION)


def test_the_enumerated_cases_contain_every_form_of_repeats():
    texts = enumerate_texts(np.full((5, 3), 1 / 3))[0]
    assert {(), (1,), (1, 1), (1, 1, 1), (1, 1, 2), (1, 2, 2), (1, 2, 1), (1, 2, 1, 2), (1, 1, 2, 2)} - set(
        texts
    ) == {(1, 1, 2, 2)}, "two pairs of repeats need six frames"


@BACKENDS
def test_known_example_hi(backend):
    """Blank, h, i over four frames: 15 alignments of "hi" with 0.478 of the probability."""
    y = np.array([[0.1, 0.7, 0.2], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [0.5, 0.1, 0.4]])
    loss, _ = loss_of(np.log(y), [1, 2], backend)
    assert math.exp(-loss) == pytest.approx(0.478, rel=1e-6)
    assert loss == pytest.approx(0.738145, abs=1e-6)
    assert alignments(4, [1, 2]) == 15


@BACKENDS
def test_known_example_a(backend):
    """The most probable path spells nothing, the most probable text is "a"."""
    y = np.array([[0.6, 0.4, 1e-30]] * 2)  # blank, a, b
    assert math.exp(-loss_of(np.log(y), [], backend)[0]) == pytest.approx(0.36)
    assert math.exp(-loss_of(np.log(y), [1], backend)[0]) == pytest.approx(0.64)


@BACKENDS
@pytest.mark.parametrize(
    ("T", "label"),
    [
        *[(4, [1, 2]), (5, [1, 2, 3]), (6, [1, 2, 3]), (1, [1]), (3, [1, 1]), (4, [1, 1]), (5, [1, 1, 1])],
        *[(9, [1, 1, 2, 2, 1]), (9, [2, 1, 1, 1, 3]), (20, [1, 2] * 5), (20, []), (3000, [1, 2, 3] * 100)],
        *[(3000, [1, 1, 2] * 300), (1500, [3] * 750), (3000, [])],
    ],
)
def test_uniform_probabilities_count_the_alignments(backend, T, label):
    loss, dlogits = loss_of(np.zeros((T, 4)), label, backend)
    count = alignments(T, label)
    tolerance = {"reference": 1e-9, "cpu": CTC_FLOAT32_LOSS}[backend]
    if count:
        assert loss == pytest.approx(T * math.log(4) - math.log(count), rel=tolerance)
        assert np.isfinite(dlogits).all()
    else:
        assert loss == math.inf
        assert not dlogits.any()


@BACKENDS
@pytest.mark.parametrize(
    ("T", "label"),
    [(0, [1]), (1, [1, 2]), (2, [1, 1]), (4, [1, 1, 1]), (5, [1, 1, 2, 2]), (8, [2, 2, 2, 1, 1, 3])],
)
def test_a_text_that_does_not_fit_has_loss_inf_and_gradient_0(backend, T, label):
    """One frame fewer than letters and the blanks between equal ones; with one more frame it fits."""
    log_y = log_softmax(np.random.default_rng(0).normal(size=(T, 5)), axis=1)
    loss, dlogits = loss_of(log_y, label, backend)
    assert loss == math.inf
    assert not dlogits.any(), "neither NaN nor a push in any direction"
    log_y = log_softmax(np.random.default_rng(0).normal(size=(T + 1, 5)), axis=1)
    loss, dlogits = loss_of(log_y, label, backend)
    assert math.isfinite(loss)
    assert dlogits.any()


@BACKENDS
def test_the_only_alignment_of_an_empty_text_is_blanks(backend):
    log_y = log_softmax(np.random.default_rng(1).normal(size=(9, 5)), axis=1)
    loss, dlogits = loss_of(log_y, [], backend)
    assert loss == pytest.approx(-log_y[:, 0].sum(), rel=1e-6)
    np.testing.assert_allclose(dlogits, np.exp(log_y) - np.eye(5)[0], atol=1e-6)


@BACKENDS
def test_no_frames_spell_the_empty_text_with_probability_1(backend):
    log_y = np.zeros((0, 5))
    assert loss_of(log_y, [], backend)[0] == 0
    assert loss_of(log_y, [3], backend)[0] == math.inf


def mixed_batch(rng, T=40, K=6):
    """Logits and texts of every kind: long, tight, too long, empty, repeats, no frames."""
    cases = [(T, [1, 2, 3] * 5), (T, [1] * 20), (9, [1, 1, 2, 2, 5, 5]), (8, [1, 1, 2, 2, 5, 5]), (T - 1, [])]
    cases += [(0, []), (0, [1]), (1, [4]), (17, [5, 5, 1]), (T, list(rng.integers(1, K, 18)))]
    lengths, label_lengths = (
        np.array(a, np.int32) for a in ([n for n, _ in cases], [len(label) for _, label in cases])
    )
    labels = rng.integers(-(10**6), 10**6, (len(cases), label_lengths.max())).astype(np.int32)  # rubbish
    for b, (_, label) in enumerate(cases):
        labels[b, : len(label)] = label
    return rng.normal(scale=3, size=(T, len(cases), K)), lengths, labels, label_lengths


@BACKENDS
def test_a_batch_equals_its_single_utterances_for_any_padding(backend):
    logits, lengths, labels, label_lengths = mixed_batch(np.random.default_rng(2))
    for b, n in enumerate(lengths):
        logits[n:, b] = np.nan
    with np.errstate(invalid="ignore"):  # the softmax of the padding
        losses, dlogits = ctc_loss(logits, lengths, labels, label_lengths, backend)
    for b, n in enumerate(lengths):
        label = labels[b, : label_lengths[b]]
        loss, gradient = loss_of(logits[:n, b], label, backend)
        assert losses[b] == loss
        np.testing.assert_array_equal(dlogits[:n, b], gradient)
        assert not dlogits[n:, b].any()
        assert math.isfinite(loss) == (alignments(int(n), label) > 0)


def test_the_cpu_equals_the_reference():
    batch = mixed_batch(np.random.default_rng(3))
    (losses, dlogits), (expected, gradient) = (ctc_loss(*batch, backend) for backend in ("cpu", "reference"))
    np.testing.assert_allclose(losses, expected, rtol=CTC_FLOAT32_LOSS)
    np.testing.assert_allclose(dlogits, gradient, atol=CTC_FLOAT32_GRADIENT)
    assert losses.dtype == dlogits.dtype == np.float32
    assert expected.dtype == gradient.dtype == np.float64


def test_the_cpu_equals_the_reference_for_any_number_of_frames_and_letters():
    """Each number of frames up to 14 with each number of letters up to 9, of two letters, so with repeats."""
    rng = np.random.default_rng(9)
    lengths, label_lengths = (n.ravel().astype(np.int32) for n in np.meshgrid(range(15), range(10)))
    labels = rng.integers(1, 3, (150, 9)).astype(np.int32)
    logits = rng.normal(scale=3, size=(14, 150, 3))
    (losses, dlogits), (expected, gradient) = (
        ctc_loss(logits, lengths, labels, label_lengths, backend) for backend in ("cpu", "reference")
    )
    np.testing.assert_allclose(losses, expected, rtol=CTC_FLOAT32_LOSS, atol=CTC_FLOAT32_LOSS)
    np.testing.assert_allclose(dlogits, gradient, atol=CTC_FLOAT32_GRADIENT)
    assert 50 < np.isfinite(losses).sum() < 140


@pytest.mark.parametrize("K", [2, 16, 17, 5000])
def test_the_cpu_equals_the_reference_where_characters_have_probability_0(K):
    """Each with a chance of 10 % in each frame, also the blank; some texts become impossible."""
    rng = np.random.default_rng(10)
    log_probs = log_softmax(rng.normal(size=(40, 20, K)), axis=2).astype(np.float32)
    log_probs[rng.random(log_probs.shape) < 0.1] = -np.inf
    lengths, label_lengths = rng.integers(20, 41, 20, np.int32), rng.integers(0, 19, 20, np.int32)
    labels = rng.integers(1, K, (20, 18), np.int32)
    losses, dlogits = ops.load("cpu").ctc(log_probs, lengths, labels, label_lengths)
    expected, gradient = ops.load("reference").ctc(log_probs.astype(float), lengths, labels, label_lengths)
    np.testing.assert_allclose(losses, expected, rtol=CTC_FLOAT32_LOSS)
    np.testing.assert_allclose(dlogits, gradient, atol=CTC_FLOAT32_GRADIENT)
    assert 5 < np.isfinite(losses).sum() < 20


@BACKENDS
def test_every_row_of_the_gradient_sums_to_0(backend):
    """ŷ sums to 1, and so do the posteriors of the states: in each frame one of them is visited."""
    logits, lengths, labels, label_lengths = mixed_batch(np.random.default_rng(4))
    _, dlogits = ctc_loss(logits, lengths, labels, label_lengths, backend)
    tolerance = {"reference": CTC_ENUMERATION, "cpu": CTC_FLOAT32_GRADIENT}[backend]
    np.testing.assert_allclose(dlogits.sum(axis=2), 0, atol=tolerance)
    assert dlogits.any(axis=(0, 2)).sum() == sum(
        n > 0 and alignments(int(n), labels[b, :u]) > 0
        for b, (n, u) in enumerate(zip(lengths, label_lengths, strict=True))
    )


@pytest.mark.parametrize(("T", "U"), [(3000, 40), (3000, 300), (500, 499)])
@pytest.mark.parametrize("sharp", [0, 3, 30])
def test_long_recordings_keep_their_precision(T, U, sharp):
    """Sharp logits that know nothing of the text: probabilities down to e^-100000."""
    rng = np.random.default_rng(5)
    log_y = log_softmax(rng.normal(scale=sharp, size=(T, 29)), axis=1)
    label = 1 + np.arange(U) % 28
    (loss, dlogits), (expected, gradient) = (loss_of(log_y, label, b) for b in ("cpu", "reference"))
    assert loss == pytest.approx(expected, rel=CTC_FLOAT32_LOSS)
    np.testing.assert_allclose(dlogits, gradient, atol=CTC_FLOAT32_LONG)


@BACKENDS
def test_extreme_logits(backend):
    """±10,000 before the softmax; and a letter of probability 0, which the text needs or does without."""
    logits = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0], [1e4, -1e4, 0.0]])
    loss, dlogits = loss_of(logits, [1], backend)
    assert loss == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(dlogits, 0, atol=1e-6)
    loss, dlogits = loss_of(logits, [2], backend)
    assert loss == pytest.approx(1e4, rel=1e-6), "in the middle frame, instead of the other letter"
    log_y = np.array([[math.log(0.5), math.log(0.5), -math.inf]] * 2)
    loss, dlogits = loss_of(log_y, [1], backend)
    assert loss == pytest.approx(-math.log(0.75))
    np.testing.assert_allclose(dlogits, [[0.5 - 1 / 3, 0.5 - 2 / 3, 0]] * 2, atol=1e-6)
    loss, dlogits = loss_of(log_y, [2], backend)
    assert loss == math.inf
    assert not dlogits.any()


@pytest.mark.parametrize("k", [0, 1, 2])
def test_nan_of_any_character_is_a_loss_of_nan(k):
    """The blank, a letter of the text, another letter: training must not go on with such a network."""
    log_probs = np.full((4, 1, 3), np.float32(-1))
    log_probs[2, 0, k] = np.nan
    losses, _ = ops.load("cpu").ctc(log_probs, *(np.array(a, np.int32) for a in ([4], [[1]], [1])))
    assert math.isnan(losses[0])


@BACKENDS
def test_log_probabilities_and_logits_give_the_same_loss(backend):
    logits, *rest = mixed_batch(np.random.default_rng(6))
    shifted = logits + np.random.default_rng(7).normal(size=(*logits.shape[:2], 1))
    a, b = ctc_loss(log_softmax(logits, axis=2), *rest, backend), ctc_loss(shifted, *rest, backend)
    np.testing.assert_allclose(a[0], b[0], rtol=CTC_FLOAT32_LOSS)
    np.testing.assert_allclose(a[1], b[1], atol=CTC_FLOAT32_GRADIENT)


def test_the_reference_keeps_the_type_it_is_given():
    logits, *rest = mixed_batch(np.random.default_rng(8))
    losses, dlogits = ctc_loss(logits.astype(np.float32), *rest, "reference")
    assert losses.dtype == dlogits.dtype == np.float32


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"lengths": [4, 7]}, "lengths must be integers from 0 to 6; one is 7"),
        ({"lengths": [-1, 6]}, "lengths must be integers from 0 to 6; one is -1"),
        ({"label_lengths": [2, 4]}, "label_lengths must be integers from 0 to 3; one is 4"),
        ({"label_lengths": [2, -1]}, "label_lengths must be integers from 0 to 3"),
        ({"labels": [[1, 5, 0], [1, 2, 3]]}, "labels must be integers from 1 to 4; one is 5"),
        ({"labels": [[1, 0, 0], [1, 2, 3]]}, "labels must be integers from 1 to 4; one is 0"),
        ({"labels": [[1, -1, 0], [1, 2, 3]]}, "labels must be integers from 1 to 4; one is -1"),
        ({"labels": [1, 2, 3]}, r"labels must have the shape \(2 utterances, Umax\)"),
        ({"lengths": [6]}, "there are 1 lengths for 2 utterances"),
        ({"label_lengths": [2, 3, 1]}, "there are 3 label_lengths for 2 utterances"),
        ({"labels": [[1, 2, 3]]}, r"labels must have the shape \(2 utterances, Umax\)"),
        ({"logits": np.zeros((6, 5))}, r"logits have the shape \(6, 5\), not \(T, B, K\)"),
        ({"backend": "tpu"}, "no backend 'tpu'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(changed, message):
    good = {"logits": np.zeros((6, 2, 5)), "lengths": [6, 4], "labels": [[1, 2, 0], [1, 2, 3]]}
    good |= {"label_lengths": [2, 3], "backend": "cpu"}
    assert np.isfinite(ctc_loss(**good)[0]).all()
    with pytest.raises(ValueError, match=message):
        ctc_loss(**(good | changed))

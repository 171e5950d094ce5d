"""Public names with awkward arguments: each call gives the right result or one clear error."""

import math
import warnings
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minids import BeamSearch, DeepSpeech, Features, NGram, Recognizer, cer, ctc_loss, wer
from minids.lm.kneser_ney import DiscountWarning
from minids.model import ModelSettings
from tests.tolerances import FLOAT32_NETWORK

EXAMPLES = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
INPUTS = CHARACTERS = 5  # so that frames may be logits


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def strided(array):
    return np.repeat(array, 2, axis=-1)[..., ::2] if array.ndim else array


# Forms of the same numbers. The result must be the same, or the call must be refused.
SAME = {
    "itself": lambda a: a,
    "a list": lambda a: a.tolist(),
    "a tuple": lambda a: tuple(a.tolist()),
    "Fortran order": np.asfortranarray,
    "strided": strided,
    "reversed twice": lambda a: a[::-1].copy()[::-1],
    "read-only": read_only,
    "big endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "unaligned": lambda a: np.frombuffer(b"x" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape),
    "float64": lambda a: a.astype(np.float64),
    "float16": lambda a: a.astype(np.float16).astype(np.float16),
    "int64": lambda a: a.astype(np.int64),
    "uint8": lambda a: a.astype(np.uint8),
    "uint16": lambda a: a.astype(np.uint16),
    "uint64": lambda a: a.astype(np.uint64),
    "objects": lambda a: a.astype(object),
}
# Other numbers. The call must be refused, or its result must not look like a good one.
OTHER = {
    "2^32 + 1": lambda a: a.astype(np.int64) + 2**32 + 1,
    "negative": lambda a: -1 - a.astype(np.int64),
    "NaN": lambda a: np.full(a.shape, np.nan),
    "infinite": lambda a: np.full(a.shape, np.inf),
    "1e300": lambda a: np.full(a.shape, 1e300),
    "complex": lambda a: a + 1j,
    "strings": lambda a: a.astype(str),
    "booleans": lambda a: a.astype(bool),
    "no elements": lambda a: a[:0],
    "one axis more": lambda a: a[None],
    "a scalar": lambda a: a.ravel()[0],
    "halves": lambda a: a + 0.5,
    "None": lambda a: None,
}


def result_or_error(function, *args, **kwargs):
    """The result, or None after an error that a caller can read."""
    try:
        with np.errstate(all="ignore"):
            return function(*args, **kwargs)
    except (ValueError, TypeError) as error:  # InputError is a ValueError
        text = str(error)
        assert text, "an error says what is wrong"
        assert "numba" not in text.lower(), text
        assert "\n" not in text, text
        assert len(text) < 300, text
        return None


def same_numbers(form, array):
    """The array in this form, or None where the form cannot hold the numbers."""
    with np.errstate(all="ignore"):
        changed = SAME[form](array)
    return changed if np.array_equal(np.asarray(changed).astype(np.float64), array) else None


@st.composite
def batch(draw):
    """frames, lengths, labels, label_lengths of a small batch."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    T, B, U = draw(st.integers(2, 9)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    frames = rng.integers(-8, 8, (T, B, INPUTS)).astype(np.float32)
    lengths = rng.integers(1, T + 1, B).astype(np.int32)
    labels = rng.integers(1, CHARACTERS, (B, U)).astype(np.int32)
    return frames, lengths, labels, np.full(B, U, np.int32)


MODEL = DeepSpeech(ModelSettings(INPUTS, CHARACTERS, hidden=6, context=1, stride=2, dropout=0.1))


def gradients(*arguments):
    losses = MODEL.loss_and_grad(*arguments)
    return losses, MODEL.flat_grads.copy()


NETWORK = {
    "ctc_loss": ctc_loss,
    "forward": lambda x, n, *_: MODEL.forward(x, n),
    "loss_and_grad": gradients,
}


@pytest.mark.parametrize("name", NETWORK)
@EXAMPLES
@given(arrays=batch(), position=st.integers(0, 3), form=st.sampled_from(list(SAME)))
def test_networks_take_the_same_numbers_in_any_form(name, arrays, position, form):
    function = NETWORK[name]
    expected = function(*arrays)
    changed = same_numbers(form, arrays[position])
    if changed is None:
        return
    result = result_or_error(function, *(changed if i == position else a for i, a in enumerate(arrays)))
    if result is not None:
        for a, b in zip(result, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    else:
        assert form in ("float64", "float16", "objects"), "integers only, or real numbers only"


@pytest.mark.parametrize("name", NETWORK)
@EXAMPLES
@given(arrays=batch(), position=st.integers(0, 3), form=st.sampled_from(list(OTHER)))
def test_networks_refuse_other_numbers(name, arrays, position, form):
    function = NETWORK[name]
    changed = OTHER[form](arrays[position])
    result = result_or_error(function, *(changed if i == position else a for i, a in enumerate(arrays)))
    if result is None or (name == "forward" and position > 1):
        return
    if position == 0 and form in ("NaN", "infinite"):
        lengths = arrays[1]
        for b in range(len(lengths)):
            values = result[0][0, b] if name == "forward" else result[0][b]
            assert not np.isfinite(values).all() or name == "forward", "a number that looks right"
    elif position == 0 and form in ("2^32 + 1", "negative", "halves"):
        assert np.asarray(changed).dtype.kind in "if", "other frames, and right ones"
    else:
        with np.errstate(all="ignore"):
            valid = np.asarray(changed).shape == arrays[position].shape and np.array_equal(
                changed, arrays[position]
            )
        assert valid or np.asarray(changed).size == 0 or form == "no elements", f"{form} was taken"


@EXAMPLES
@given(arrays=batch(), form=st.sampled_from([*SAME, *OTHER]))
def test_backward_takes_the_shape_of_the_logits(arrays, form):
    log_probs, _ = MODEL.forward(*arrays[:2])
    dlogits = np.round(8 * log_probs) / 8
    MODEL.backward(dlogits)
    expected = MODEL.flat_grads.copy()
    changed = (SAME | OTHER)[form](dlogits)
    if form in SAME and np.array_equal(np.asarray(changed).astype(np.float64), dlogits):
        MODEL.flat_grads[...] = 0
        if result_or_error(lambda: MODEL.backward(changed) or True):
            np.testing.assert_array_equal(MODEL.flat_grads, expected)
        else:
            assert form == "objects"
    else:
        result_or_error(MODEL.backward, changed)


@EXAMPLES
@given(
    seed=st.integers(0, 1000),
    T=st.integers(1, 8),
    form=st.sampled_from([*SAME, *OTHER]),
)
def test_beam_search_takes_log_probabilities_in_any_form(seed, T, form):
    rng = np.random.default_rng(seed)
    y = rng.dirichlet(np.ones(4), T).astype(np.float16)
    log_probs = np.log(y / y.sum(1, keepdims=True, dtype=np.float32), dtype=np.float32)
    if not np.isfinite(log_probs).all():
        return
    search = BeamSearch("ab ", beam_width=20)
    expected = search.decode(log_probs)
    changed = (SAME | OTHER)[form](log_probs)
    result = result_or_error(search.decode, changed)
    if form in SAME and np.array_equal(np.asarray(changed).astype(np.float64), log_probs):
        assert result == expected or (result is None and form == "objects")
    elif result is not None:
        assert np.asarray(changed).size == 0 or form == "float16", f"{form} was taken"


@cache
def recognizer():
    """The model that ships, decoded greedily."""
    return Recognizer.load(lm="none")


@cache
def language_model():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DiscountWarning)
        return NGram.train(["a b", "b a a", "a"], order=2)


@settings(parent=EXAMPLES, max_examples=25)
@given(seed=st.integers(0, 10), form=st.sampled_from([*SAME, *OTHER]))
def test_samples_in_any_form(seed, form):
    samples = np.random.default_rng(seed).integers(-64, 64, 1600).astype(np.float32) / 64
    changed = (SAME | OTHER)[form](samples)
    same = form in SAME and np.array_equal(np.asarray(changed).astype(np.float64), samples)
    for function in (Features(), lambda x: recognizer().transcribe(x, 16000)):
        expected, result = function(samples), result_or_error(function, changed)
        if result is None:
            continue
        if same and isinstance(result, np.ndarray):
            np.testing.assert_array_equal(result, expected)
        elif same:
            assert result == expected
        elif isinstance(result, np.ndarray):
            assert np.isfinite(result).all() or form in ("NaN", "infinite", "1e300")


@EXAMPLES
@given(
    words=st.one_of(
        st.lists(st.sampled_from(["a", "b", "zzz", "", "é", "a b"]), max_size=5),
        st.sampled_from([None, 3, 1.5, [1, 2], b"a b", np.array([1.0]), [None], {"a": 1}, "a b", ""]),
    )
)
def test_sentences_of_any_kind(words):
    model = language_model()
    result = result_or_error(model.log_prob, words)
    if isinstance(words, str):
        assert result == model.log_prob(words.split())
    if result is not None:
        assert math.isfinite(result)
        assert result <= 0


@EXAMPLES
@given(
    references=st.one_of(
        st.lists(st.text("ab é", max_size=6), max_size=3), st.sampled_from([None, 3, [1], "a"])
    ),
    hypotheses=st.one_of(
        st.lists(st.text("ab é", max_size=6), max_size=3), st.sampled_from([None, [b"a"], "a"])
    ),
)
def test_texts_of_any_kind(references, hypotheses):
    for rate in (wer, cer):
        result = result_or_error(rate, references, hypotheses)
        if result is not None:
            assert result.reference_length >= 0
            swapped = rate(hypotheses, references)
            assert (result.insertions, result.deletions) == (swapped.deletions, swapped.insertions)


def test_float16_frames_are_close_to_float32():
    frames = np.random.default_rng(0).normal(size=(9, 2, INPUTS)).astype(np.float16)
    lengths = np.array([9, 4])
    result, expected = MODEL.forward(frames, lengths)[0], MODEL.forward(frames.astype(np.float32), lengths)[0]
    np.testing.assert_allclose(result, expected, atol=FLOAT32_NETWORK)

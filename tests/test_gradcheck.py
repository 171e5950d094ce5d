"""The checks pass, and each of them fails when the code that it checks is broken."""

import dataclasses
import json
import sys

import numpy as np
import pytest

from minids import cli, gradcheck, ops
from minids.gradcheck import Check, numerical_gradient, relative_error
from tests.tolerances import CTC_ENUMERATION, GRADIENT_NETWORK, GRADIENT_OPERATION

LOAD = ops.load
REFERENCE = LOAD("reference")


def test_all_checks_pass():
    checks = list(gradcheck.all_checks())
    assert [check for check in checks if not check.passed] == []
    names = [check.name for check in checks]
    assert len(set(names)) == len(names)
    for parameter in ("W1", "b1", "W2", "b2", "W3", "b3", "W4", "b4", "Wr_f", "Wr_b", "W5", "b5", "W6", "b6"):
        assert f"network, d{parameter}" in names
        assert f"cpu against reference: d{parameter}" in names
    for start in ("affine", "birnn", "ctc", "reference, padded", "cpu, padded"):
        assert any(name.startswith(start) for name in names)
    for check in checks:
        if check.name.startswith(("affine", "birnn", "ctc:")):
            assert check.tolerance <= GRADIENT_OPERATION
        elif check.name.startswith("network"):
            assert check.tolerance <= GRADIENT_NETWORK
        elif check.name.startswith("ctc"):
            assert check.tolerance <= CTC_ENUMERATION


def test_the_checked_network_has_units_on_both_sides_of_the_kinks():
    model, batch = gradcheck._small_network("reference", "float64")
    model.loss_and_grad(*batch)
    for name in ("h1", "h2", "h3", "hf", "hb", "h5"):
        h = model.activations[name]
        assert (h == 0).any()
        assert ((h > 0) & (h < 20)).any()
    for name in ("h1", "hf", "hb"):
        assert (model.activations[name] >= 20).any()


def passes(check, name):
    """Whether the check of this name passes; those after it are not computed."""
    with np.errstate(all="ignore"):  # broken code may overflow on its way
        return next(c.passed for c in check() if c.name == name)


@pytest.fixture
def replace_operation(monkeypatch):
    """Makes gradcheck use another function for an operation of a backend."""

    def replace(backend, operation, function):
        broken = dataclasses.replace(LOAD(backend), **{operation: function})
        monkeypatch.setattr(ops, "load", lambda name: broken if name == backend else LOAD(name))

    return replace


def no_clip_gate(dy, x, W, y, clip=False, dropout=None, **rest):
    """Forgets that the gradient ends at 20."""
    return REFERENCE.affine_backward(dy, x, W, np.where(y > 0, 1.0, 0.0), clip, dropout, **rest)


def no_dropout_scale(dy, x, W, y, clip=False, dropout=None, **rest):
    return REFERENCE.affine_backward(dy, x, W, y * (dropout.rate < 1) if dropout else y, clip, None, **rest)


def no_carry_backward(dh, hf, hb, Wr_f, Wr_b, *args):
    """Forgets the gradient that one direction carries from frame to frame."""
    return REFERENCE.birnn_backward(dh, hf, hb, Wr_f, 0 * Wr_b, *args)


def no_recurrent_clip(dh, hf, hb, *args):
    return REFERENCE.birnn_backward(dh, np.minimum(hf, 19), np.minimum(hb, 19), *args)


def recurrence_of_the_same_frame(dh, hf, hb, *args):
    """dWr from h_t instead of h_{t-1}."""
    dz, dWr_f, dWr_b = REFERENCE.birnn_backward(dh, hf, hb, *args)
    dWr_f[...] = (dz - dz / 2).reshape(-1, dz.shape[2]).T @ hf.reshape(-1, dz.shape[2])
    return dz, dWr_f, dWr_b


def wrong_sign(*args, **kwargs):
    losses, dlogits = REFERENCE.ctc(*args, **kwargs)
    dlogits *= -1
    return losses, dlogits


def no_softmax_gradient(log_probs, *args):
    """The gradient to log ŷ, without the softmax's."""
    losses, dlogits = REFERENCE.ctc(log_probs, *args)
    dlogits -= np.exp(log_probs)
    return losses, dlogits


@pytest.mark.parametrize(
    ("operation", "broken", "check", "name"),
    [
        ("affine_backward", no_clip_gate, gradcheck.check_affine, "affine, clipped: dW"),
        ("affine_backward", no_clip_gate, gradcheck.check_network, "network, dW1"),
        ("affine_backward", no_dropout_scale, gradcheck.check_affine, "affine, clipped, dropout: dx"),
        ("birnn_backward", no_carry_backward, gradcheck.check_birnn, "birnn: dWr_b"),
        ("birnn_backward", no_recurrent_clip, gradcheck.check_birnn, "birnn: dz"),
        ("birnn_backward", recurrence_of_the_same_frame, gradcheck.check_birnn, "birnn: dWr_f"),
        ("ctc", wrong_sign, gradcheck.check_ctc, "ctc: dlogits"),
        ("ctc", no_softmax_gradient, gradcheck.check_ctc, "ctc: dlogits"),
        ("ctc", wrong_sign, gradcheck.check_network, "network, dW1"),
    ],
)
def test_a_broken_gradient_fails_its_check(replace_operation, operation, broken, check, name):
    replace_operation("reference", operation, broken)
    assert not passes(check, name)


def test_a_broken_recurrence_fails_the_check_of_the_network(replace_operation):
    def broken(Wr_b, **kwargs):
        return REFERENCE.birnn_backward(Wr_b=0 * Wr_b, **kwargs)

    replace_operation("reference", "birnn_backward", broken)
    assert not passes(gradcheck.check_network, "network, dW1")


def test_a_broken_lattice_fails_the_enumeration(monkeypatch):
    """From a letter straight to the same letter: that would be one letter."""
    module = sys.modules["minids.ops.reference.ctc"]  # the package's attribute of this name is the function
    monkeypatch.setattr(module, "skips", lambda states: (states != 0) & (np.arange(len(states)) > 1))
    assert not passes(gradcheck.check_enumeration, "ctc loss, against all alignments")
    assert not passes(gradcheck.check_enumeration, "ctc, all texts' probabilities sum to 1")


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_a_recurrence_that_starts_in_the_padding_fails(replace_operation, backend):
    forward = LOAD(backend).birnn_forward

    def ignores_lengths(z, lengths, **kwargs):
        return forward(z=z, lengths=np.full_like(lengths, len(z)), **kwargs)

    replace_operation(backend, "birnn_forward", ignores_lengths)
    assert not passes(lambda: gradcheck.check_padding(backend), f"{backend}, padded against single: losses")


@pytest.mark.parametrize(
    ("operation", "name"),
    [("affine_backward", "dW6"), ("birnn_backward", "dWr_f"), ("nesterov", "weights after ten steps")],
)
def test_a_slightly_wrong_backend_fails(replace_operation, operation, name):
    """By a thousandth of a gradient or of a step."""
    right = getattr(LOAD("cpu"), operation)

    def broken(*args, **kwargs):
        if operation == "nesterov":
            return right(*args[:3], args[3] * 1.01, *args[4:])
        results = right(*args, **kwargs)
        results[1][...] *= np.float32(1.001)
        return results

    replace_operation("cpu", operation, broken)
    assert not passes(lambda: gradcheck.check_backend("cpu"), f"cpu against reference: {name}")


def test_central_differences_of_a_known_function():
    x = np.array([[-2.0, 0.5], [1.0, 3.0]])
    before = x.copy()
    gradient = numerical_gradient(lambda: float((x**3).sum() + x[0, 0] * x[1, 1]), x)
    np.testing.assert_allclose(gradient, 3 * before**2 + [[3, 0], [0, -2]], rtol=1e-8)
    np.testing.assert_array_equal(x, before)


def test_errors_are_relative_to_the_largest_entry():
    assert relative_error(np.array([1.0, 100.0]), np.array([2.0, 100.0])) == 0.01
    assert relative_error(np.zeros(3), np.zeros(3)) == 0
    assert not Check("a", float("nan"), 1.0).passed
    assert Check("a", 0.5, 0.5).passed
    assert not Check("a", 0.6, 0.5).passed


def test_inputs_too_near_a_kink_are_refused():
    gradcheck._away_from_kinks(np.array([-1.0, 10.0, 21.0]))
    for kink in (0, 20):
        with pytest.raises(AssertionError, match="draw others"):
            gradcheck._away_from_kinks(np.array([kink + 1e-6]))


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_fails_when_a_check_does(monkeypatch, capsys, as_json):
    def run(*checks):
        monkeypatch.setattr(gradcheck, "all_checks", lambda *_: iter(checks))
        with pytest.raises(SystemExit) as end:
            cli.main(["check", *(["--json"] if as_json else [])])
        return end.value.code, capsys.readouterr().out

    good, bad = Check("good", 1e-9, 1e-7), Check("bad", 1e-3, 1e-7)
    assert run(good)[0] in (None, 0)
    code, out = run(good, bad)
    assert code == 1
    if as_json:
        rows = [json.loads(line) for line in out.splitlines()]
        assert [(row["name"], row["passed"]) for row in rows] == [("good", True), ("bad", False)]
    else:
        assert [line.split()[0] for line in out.splitlines()] == ["good", "bad", "1"]
        assert "1.0e-03  of 1e-07  FAILED" in out

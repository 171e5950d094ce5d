"""The proofs themselves: they pass, and each of them fails when the code that it watches is broken."""

import json
import sys

import numpy as np
import pytest

from minids import cli, gradcheck, ops
from minids.gradcheck import Check, numerical_gradient, relative_error
from tests.tolerances import CTC_ENUMERATION, GRADIENT_NETWORK, GRADIENT_OPERATION

REFERENCE, CPU = ops.load("reference"), ops.load("cpu")


def test_everything_is_proved():
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


def test_the_checked_network_meets_both_kinks():
    model, batch = gradcheck._small_network("reference", "float64")
    model.loss_and_grad(*batch)
    for name in ("h1", "h2", "h3", "hf", "hb", "h5"):
        h = model._acts[name]
        assert (h == 0).any()
        assert ((h > 0) & (h < 20)).any()
    for name in ("h1", "hf", "hb"):
        assert (model._acts[name] >= 20).any()


def passes(check, name):
    """Whether the check of this name passes; those after it are not computed."""
    with np.errstate(all="ignore"):  # broken code may overflow on its way
        return next(c.passed for c in check() if c.name == name)


def no_clip_gate(dy, x, W, y, clip=False, dropout=None, *rest):
    """Forgets that the gradient ends at 20."""
    return AFFINE_BACKWARD(dy, x, W, np.where(y > 0, 1.0, 0.0), clip, dropout, *rest)


def no_dropout_scale(dy, x, W, y, clip=False, dropout=None, *rest):
    return AFFINE_BACKWARD(dy, x, W, y * (dropout.rate < 1) if dropout else y, clip, None, *rest)


def no_carry_backwards(dh, hf, hb, Wr_f, Wr_b, *rest):
    """Forgets the gradient that one direction carries from frame to frame."""
    return BIRNN_BACKWARD(dh, hf, hb, Wr_f, 0 * Wr_b, *rest)


def no_recurrent_clip(dh, hf, hb, *rest):
    return BIRNN_BACKWARD(dh, np.minimum(hf, 19), np.minimum(hb, 19), *rest)


def recurrence_of_the_same_frame(dh, hf, hb, *rest):
    """dWr from h_t instead of h_{t-1}."""
    dz, dWr_f, dWr_b = BIRNN_BACKWARD(dh, hf, hb, *rest)
    dWr_f[...] = (dz - dz / 2).reshape(-1, dz.shape[2]).T @ hf.reshape(-1, dz.shape[2])
    return dz, dWr_f, dWr_b


def wrong_sign(*arguments):
    losses, dlogits = CTC(*arguments)
    dlogits *= -1
    return losses, dlogits


def no_softmax_gradient(log_probs, *rest):
    """The gradient to log ŷ, without the softmax's."""
    losses, dlogits = CTC(log_probs, *rest)
    dlogits -= np.exp(log_probs)
    return losses, dlogits


AFFINE_BACKWARD, BIRNN_BACKWARD, CTC = REFERENCE.affine_backward, REFERENCE.birnn_backward, REFERENCE.ctc


@pytest.mark.parametrize(
    ("operation", "broken", "check", "found"),
    [
        ("affine_backward", no_clip_gate, gradcheck.check_affine, "affine, clipped: dW"),
        ("affine_backward", no_clip_gate, gradcheck.check_network, "network, dW1"),
        ("affine_backward", no_dropout_scale, gradcheck.check_affine, "affine, clipped, dropout: dx"),
        ("birnn_backward", no_carry_backwards, gradcheck.check_birnn, "birnn: dWr_b"),
        ("birnn_backward", no_carry_backwards, gradcheck.check_network, "network, dW1"),
        ("birnn_backward", no_recurrent_clip, gradcheck.check_birnn, "birnn: dz"),
        ("birnn_backward", recurrence_of_the_same_frame, gradcheck.check_birnn, "birnn: dWr_f"),
        ("ctc", wrong_sign, gradcheck.check_ctc, "ctc: dlogits"),
        ("ctc", no_softmax_gradient, gradcheck.check_ctc, "ctc: dlogits"),
        ("ctc", wrong_sign, gradcheck.check_network, "network, dW1"),
    ],
)
def test_a_broken_gradient_is_found(monkeypatch, operation, broken, check, found):
    monkeypatch.setattr(REFERENCE, operation, broken)
    assert not passes(check, found)


def test_a_broken_lattice_is_found(monkeypatch):
    """From a letter straight to the same letter: that would be one letter."""
    module = sys.modules["minids.ops.reference.ctc"]  # its name in the package is the function's
    monkeypatch.setattr(module, "skips", lambda states: (states != 0) & (np.arange(len(states)) > 1))
    assert not passes(gradcheck.check_enumeration, "ctc loss, against all alignments")
    assert not passes(gradcheck.check_enumeration, "ctc, all texts' probabilities sum to 1")


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_a_recurrence_that_begins_in_the_padding_is_found(monkeypatch, backend):
    grid = ops.load(backend)
    forward = grid.birnn_forward

    def all_as_long(z, Wr_f, Wr_b, lengths, *rest):
        return forward(z, Wr_f, Wr_b, np.full_like(lengths, len(z)), *rest)

    monkeypatch.setattr(grid, "birnn_forward", all_as_long)
    assert not passes(lambda: gradcheck.check_padding(backend), f"{backend}, padded against single: losses")


@pytest.mark.parametrize(
    ("operation", "found"),
    [("affine_backward", "dW6"), ("birnn_backward", "dWr_f"), ("nesterov", "weights after ten steps")],
)
def test_a_backend_that_is_a_little_wrong_is_found(monkeypatch, operation, found):
    """By a thousandth of a gradient or of a step."""
    right = getattr(CPU, operation)

    def broken(*arguments):
        if operation == "nesterov":
            return right(*arguments[:3], arguments[3] * 1.01, *arguments[4:])
        results = right(*arguments)
        results[1][...] *= np.float32(1.001)
        return results

    monkeypatch.setattr(CPU, operation, broken)
    assert not passes(lambda: gradcheck.check_backend("cpu"), f"cpu against reference: {found}")


def test_central_differences_of_a_known_function():
    x = np.array([[-2.0, 0.5], [1.0, 3.0]])
    before = x.copy()
    gradient = numerical_gradient(lambda: float((x**3).sum() + x[0, 0] * x[1, 1]), x)
    np.testing.assert_allclose(gradient, 3 * before**2 + [[3, 0], [0, -2]], rtol=1e-8)
    np.testing.assert_array_equal(x, before)


def test_errors_are_measured_by_the_largest_entry():
    assert relative_error(np.array([1.0, 100.0]), np.array([2.0, 100.0])) == 0.01
    assert relative_error(np.zeros(3), np.zeros(3)) == 0
    assert not Check("a", float("nan"), 1.0).passed
    assert Check("a", 0.5, 0.5).passed
    assert not Check("a", 0.6, 0.5).passed


def test_a_check_too_near_a_kink_says_so():
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

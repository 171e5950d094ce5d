"""Every barrier of every kernel is needed, and its absence is noticed: each is taken out in turn.

`MINIDS_SIM=1 python -m tests.ops.cuda.test_barriers` prints the table: which barrier, and what noticed.
"""

import ast
from pathlib import Path

import numpy as np
import pytest

from minids import ops
from minids.gradcheck import relative_error
from minids.ops import driver

pytest.importorskip("greenlet", reason="the simulator runs on greenlets")
if not driver.simulated():
    pytest.skip("there is a GPU; MINIDS_SIM=1 tests the simulator", allow_module_level=True)

from minids import cuda_simulator
from minids.ops.cuda import birnn, matmul

CUDA, REFERENCE = ops.load("cuda"), ops.load("reference")

BARRIERS = {"syncthreads", "syncthreads_and", "syncthreads_or", "syncwarp", "sync"}
ORDERS = [("forward", 0), ("reverse", 0), ("random", 1)]
TOLERANCE = 2e-3  # TF32's: a barrier's absence makes other differences


def normal(*shape, scale=1.0):
    return (scale * np.random.default_rng(sum(shape)).normal(size=shape)).astype(np.float32)


def compared(name, *arguments):
    """[(ours, the reference's)] of one operation."""
    ours = getattr(CUDA, name)(
        *(CUDA.arrays.from_host(a) if isinstance(a, np.ndarray) else a for a in arguments)
    )
    theirs = getattr(REFERENCE, name)(
        *(
            a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype == np.float32 else a
            for a in arguments
        )
    )
    if name == "norm":
        return [(np.array(ours), np.array(theirs))]
    if not isinstance(theirs, tuple):
        ours, theirs = (ours,), (theirs,)
    return [(CUDA.arrays.to_host(a), b) for a, b in zip(ours, theirs, strict=True) if b is not None]


def norm():
    return compared("norm", normal(600))


def ctc():
    """More frames than are counted from one peak, more states than a warp has threads."""
    T, U = 20, 18
    log_probs = REFERENCE.log_softmax_forward(normal(T, 2, 5))
    labels = (np.arange(2 * U).reshape(2, U) % 3 + 1).astype(np.int32)
    return compared("ctc", log_probs, np.array([T, 9], np.int32), labels, np.array([U, 3], np.int32))


def affine(gemm):
    """Several slices along k, in each of the three products."""
    x, W, dy = normal(40, 1, 36, scale=0.2), normal(33, 36), normal(40, 1, 33)
    matmul.use(gemm)
    try:
        y = REFERENCE.affine_forward(x, W, W[:, 0], True)
        yield from compared("affine_forward", x, W, W[:, 0], True)
        yield from compared("affine_backward", dy, x, W, y, True)
    finally:
        matmul.use("fp32")


def recurrence(way):
    """More utterances than a block takes at a time, several chunks along k."""
    T, B, H = 3, 9, 20
    z, Wr, lengths = normal(T, B, H, scale=9), normal(2, H, H, scale=0.1), np.full(B, T, np.int32)
    birnn.use(way)
    try:
        yield from compared("birnn_forward", z, *Wr, lengths)
        _, hf, hb = REFERENCE.birnn_forward(z, *Wr, lengths)
        yield from compared("birnn_backward", normal(T, B, H), hf, hb, *Wr, lengths)
    finally:
        birnn.use(None)


CASES = {
    "norm": norm,
    "ctc": ctc,
    "affine, fp32": lambda: affine("fp32"),
    "affine, tf32": lambda: affine("tf32"),
    "birnn, launches": lambda: recurrence("launches"),
    "birnn, persistent": lambda: recurrence("persistent"),
}


def noticed(case):
    """What is wrong with a run: the simulator's complaint, or numbers that are not the reference's."""
    try:
        for got, expected in case():
            if not relative_error(got, expected) <= TOLERANCE:
                return "wrong numbers"
    except cuda_simulator.KernelError as error:
        return type(error).__name__
    return None


def without_each(case):
    """(site, what noticed its absence in each order) for all barriers that a case passes."""
    with cuda_simulator.barriers() as sites:
        assert noticed(case) is None
    for site in sorted(sites):
        found = []
        for order, seed in ORDERS:
            with cuda_simulator.without(site), cuda_simulator.order(order, seed):
                found.append(noticed(case))
        yield site, found


def written():
    """The barriers that stand in the source of the kernels: {(file, line)}."""
    found = set()
    for path in Path(CUDA.__file__).parent.glob("*.py"):
        if path.stem not in ("simulator", "native"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "attr", None) in BARRIERS:
                    found.add((str(path), node.lineno))
    return found


@pytest.mark.parametrize("case", CASES)
def test_a_barrier_that_is_taken_out_is_noticed(case):
    for site, found in without_each(CASES[case]):
        assert any(found), f"nothing changes without the barrier in {site.file}, line {site.line}"


def test_every_barrier_is_among_them():
    with cuda_simulator.barriers() as sites:
        for case in CASES.values():
            list(case())
    assert {tuple(site) for site in sites} == written()


if __name__ == "__main__":
    for name, case in CASES.items():
        for site, found in without_each(case):
            place = f"{Path(site.file).name}:{site.line}"
            print(f"{name:20} {place:20}", *(f"{what or '-':16}" for what in found))

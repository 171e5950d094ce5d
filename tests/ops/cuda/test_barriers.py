"""Every barrier of every kernel is needed: each is removed in turn, and the simulator must notice.

`MINIDS_SIM=1 python -m tests.ops.cuda.test_barriers` prints a table of the barriers and what noticed each.
"""

import ast
from pathlib import Path

import numpy as np
import pytest

from minids import ops
from minids.gradcheck import relative_error
from minids.ops import cuda, driver

pytest.importorskip("greenlet", reason="the simulator runs on greenlets")
if not driver.simulated():
    pytest.skip("there is a GPU; MINIDS_SIM=1 tests the simulator", allow_module_level=True)

from minids import cuda_simulator
from minids.ops.cuda.launch import launch

REFERENCE, GPU = ops.load("reference"), ops.load("cuda")

BARRIERS = {"syncthreads", "syncthreads_and", "syncthreads_or", "syncwarp", "sync"}
ORDERS = [("forward", 0), ("reverse", 0), ("random", 1)]
TOLERANCE = 2e-3  # of TF32; the lack of a barrier causes larger errors


def normal(*shape, scale=1.0):
    return (scale * np.random.default_rng(sum(shape)).normal(size=shape)).astype(np.float32)


def results(name, *arguments, gpu=GPU):
    """[(result, expected)] of one operation, on the GPU and in the reference."""
    on_device = (gpu.arrays.from_host(a) if isinstance(a, np.ndarray) else a for a in arguments)
    result = getattr(gpu, name)(*on_device)
    is_float = [isinstance(a, np.ndarray) and a.dtype == np.float32 for a in arguments]
    in_float64 = (a.astype(np.float64) if f else a for a, f in zip(arguments, is_float, strict=True))
    expected = getattr(REFERENCE, name)(*in_float64)
    if name == "norm":
        return [(np.array(result), np.array(expected))]
    if not isinstance(expected, tuple):
        result, expected = (result,), (expected,)
    return [(gpu.arrays.to_host(a), b) for a, b in zip(result, expected, strict=True) if b is not None]


def norm():
    return results("norm", normal(600))


def ctc():
    """More frames than share one offset, more states than a warp has lanes."""
    T, U = 20, 18
    log_probs = REFERENCE.log_softmax_forward(normal(T, 2, 5))
    labels = (np.arange(2 * U).reshape(2, U) % 3 + 1).astype(np.int32)
    return results("ctc", log_probs, np.array([T, 9], np.int32), labels, np.array([U, 3], np.int32))


def affine(gemm):
    """Several slices along k, in each of the three products."""
    x, W, dy = normal(40, 1, 36, scale=0.2), normal(33, 36), normal(40, 1, 33)
    gpu = ops.load("cuda", gemm=gemm)
    y = REFERENCE.affine_forward(x, W, W[:, 0], True)
    yield from results("affine_forward", x, W, W[:, 0], True, gpu=gpu)
    yield from results("affine_backward", dy, x, W, y, True, gpu=gpu)


def birnn(recurrence):
    """More utterances than a block handles at a time, several chunks along k."""
    T, B, H = 3, 9, 40
    z, Wr, lengths = normal(T, B, H, scale=9), normal(2, H, H, scale=0.1), np.full(B, T, np.int32)
    gpu = ops.load("cuda", recurrence=recurrence)
    yield from results("birnn_forward", z, *Wr, lengths, gpu=gpu)
    _, hf, hb = REFERENCE.birnn_forward(z, *Wr, lengths)
    yield from results("birnn_backward", normal(T, B, H), hf, hb, *Wr, lengths, gpu=gpu)


def ladder_product(name):
    """Two slices along k."""
    from minids.ops.cuda import ladder

    kernel = getattr(ladder, name)
    side, _ = ladder.LADDER[kernel]
    x, W, y = normal(side, 32), normal(side, 32), GPU.arrays.empty((side, side), np.float32)
    ladder.product(kernel, GPU.arrays.from_host(x), GPU.arrays.from_host(W), y)
    return [(GPU.arrays.to_host(y), x @ W.T)]


def ladder_recurrence():
    from minids.ops.cuda import ladder

    z, Wr, lengths = normal(3, 2, 4, scale=9), normal(4, 4), np.array([3, 2], np.int32)
    h = GPU.arrays.from_host(np.zeros_like(z))
    launch(ladder.recurrence, 2, 4, *map(GPU.arrays.from_host, (z, Wr, lengths)), h)
    return [(GPU.arrays.to_host(h), REFERENCE.birnn_forward(z, Wr, Wr, lengths)[1])]


CASES = {
    "norm": norm,
    "ctc": ctc,
    "affine, fp32": lambda: affine("fp32"),
    "affine, tf32": lambda: affine("tf32"),
    "birnn, graph": lambda: birnn("graph"),
    "birnn, persistent": lambda: birnn("persistent"),
    "ladder, tiled": lambda: ladder_product("tiled"),
    "ladder, register_blocked": lambda: ladder_product("register_blocked"),
    "ladder, vector_loads": lambda: ladder_product("vector_loads"),
    "ladder, tensor_cores": lambda: ladder_product("tensor_cores"),
    "ladder, recurrence": ladder_recurrence,
}


def symptom(case):
    """What is wrong with a run: the simulator's error, or results that differ from the reference."""
    try:
        for result, expected in case():
            if not relative_error(result, expected) <= TOLERANCE:
                return "wrong numbers"
    except cuda_simulator.KernelError as error:
        return type(error).__name__
    return None


def without_each(case):
    """For each barrier of a case: its site, and the symptom of its removal in each order of threads."""
    with cuda_simulator.barriers() as sites:
        assert symptom(case) is None
    for site in sorted(sites):
        symptoms = []
        for order, seed in ORDERS:
            with cuda_simulator.remove_barrier(site), cuda_simulator.thread_order(order, seed):
                symptoms.append(symptom(case))
        yield site, symptoms


def barriers_in_source():
    """The barriers in the source of the kernels: {(file, line)}; that of blocks is simulated."""
    sites = set()
    for path in Path(cuda.__file__).parent.glob("*.py"):
        if path.stem not in ("driver_api", "barrier"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "attr", None) in BARRIERS:
                    sites.add((str(path), node.lineno))
    return sites


TESTED: set[tuple] = set()  # the barriers that the cases below have passed


@pytest.mark.parametrize("case", CASES)
def test_a_missing_barrier_is_noticed(case):
    for site, symptoms in without_each(CASES[case]):
        assert any(symptoms), f"nothing changes without the barrier in {site.file}, line {site.line}"
        TESTED.add(tuple(site))


def test_every_barrier_in_the_source_was_tested():
    if not TESTED:
        pytest.skip("the cases above did not run")
    assert barriers_in_source() == {site for site in TESTED if Path(site[0]).stem != "intrinsics"}


if __name__ == "__main__":
    for name, case in CASES.items():
        for site, symptoms in without_each(case):
            place = f"{Path(site.file).name}:{site.line}"
            print(f"{name:24} {place:20}", *(f"{symptom or '-':16}" for symptom in symptoms))

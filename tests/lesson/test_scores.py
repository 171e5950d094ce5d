"""lesson/scores: the numbers of lesson 19's ladder, without a GPU."""

import shutil
import sys
from importlib.util import find_spec

import pytest

from minids.ops import driver

pytest.importorskip("greenlet", reason="the simulator runs on greenlets: pip install greenlet")
if not driver.simulated():
    pytest.skip("there is a GPU; MINIDS_SIM=1 tests the simulator", allow_module_level=True)

from minids.lesson import folder, ptx, scores
from minids.ops.cuda import ladder


def test_the_scores_of_the_ladder():
    """2 K numbers per element, divided by the side of a tile; the fill of a tile adds to the others."""
    far_reads, wavefronts, multiplications = zip(*map(scores.score, ladder.LADDER), strict=True)
    assert far_reads == (32, 2, 0.5, 0.5, 0.5)
    assert wavefronts == (0, 2.1875, 0.28125, 0.28125, 0.125)
    assert [round(value, 2) for value in multiplications] == [0.33, 0.32, 0.78, 0.93, 8]


def test_the_package_has_larger_tiles_and_no_bank_conflicts():
    """A thread's 64 multiplications need four loads of four wavefronts; a 16-th of that stores the slices."""
    score = scores.score_of_the_package()
    assert score.far_reads == 2 * 16 / 128
    assert score.wavefronts == 16 / 64 * 17 / 16
    assert score.multiplications == 1024 / (1024 + 64 + 16)


def test_the_reader_takes_a_place_in_the_ladder():
    answers = folder.answers(19)
    names, readers = scores.ladder_with(answers.tiled)
    assert [*names] == [
        "naive",
        "our tiled",
        "register_blocked",
        "vector_loads",
        "tensor_cores",
        "the package's",
    ]
    assert readers == ["our tiled"]

    def tiled(x, W, y):
        answers.variant_of_tiled(x, W, y)

    names, readers = scores.ladder_with(tiled)
    assert readers == ["your tiled"]
    assert names["your tiled"].wavefronts == 9.125  # a column of rows of 16


def test_few_multiplications_per_instruction_are_explained():
    answers = folder.answers(19)
    _, got, expected, _ = scores.many_multiplications(0.75, "", answers.register_blocked)
    assert got == expected
    _, got, expected, words = scores.many_multiplications(0.75, "advice", answers.reads_in_the_inner_loop)
    assert got < expected
    assert words == "0.44, where 0.75 are possible; advice"


LOOP = """
	mov.f32 	%f1, 0f00000000;
$L__BB0_1:
	ld.shared.f32 	%f2, [%r1];
	@%p2 add.s32 	%r1, %r1, 4;
	fma.rn.f32 	%f1, %f2, %f2, %f1;
	fma.rn.f32 	%f1, %f2, %f2, %f1;
	@%p1 bra 	$L__BB0_1;
	st.global.f32 	[%rd1], %f1;
"""


def test_the_innermost_loop_of_an_assembly():
    assert ptx.inner_loop(LOOP) == {"fma": 2, "mma": 0, "instructions": 4}
    assert ptx.inner_loop(LOOP.replace("fma.rn.f32 ", "mma.sync.aligned "))["mma"] == 2


@pytest.mark.skipif(find_spec("numba_cuda") is None, reason="needs pip install 'minids[cuda]'")
def test_the_ladder_is_compiled_without_a_gpu():
    loops = scores.compiled_ladder()
    share = {name: loop["fma"] / loop["instructions"] for name, loop in loops.items()}
    assert 0 < share["naive"] < share["tiled"] < share["register_blocked"] < share["vector_loads"] < 1
    assert loops["tensor_cores"]["mma"] == 8


def test_without_a_compiler_there_are_no_counts(monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    assert scores.compiled_ladder() == {}

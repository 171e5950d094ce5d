"""Compiled functions follow the text of all their sources, wherever their cache lies."""

import argparse
import os
import pickle
import shutil
import subprocess
import sys

import pytest

from tests import ROOT

KERNEL = """
from pathlib import Path
import sys

from minids._utils import compile_cache

compile_cache._PACKAGE = Path(__file__).parent
from constants import NUMBER

njit = compile_cache.cached_njit("constants.py", "kernel.py")


@njit(nogil=True)
def number():
    return NUMBER

print(number(), sum(number.stats.cache_hits.values()))
"""


@pytest.fixture
def run(tmp_path):
    """Runs a module that compiles a function with a constant of another module: the constant, cache hits."""

    def run(constant, **environment):
        folder = tmp_path / "source"
        folder.mkdir(exist_ok=True)
        (folder / "kernel.py").write_text(KERNEL)
        (folder / "constants.py").write_text(f"NUMBER = {constant}\n")
        for file in folder.glob("*.py"):  # as after a checkout or a copy that keeps times
            os.utime(file, (1e9, 1e9))
        variables = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | environment
        done = subprocess.run(
            [sys.executable, folder / "kernel.py"], env=variables, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    return run


def test_a_changed_constant_is_compiled_again(run):
    assert run(1) == ["1", "0"]
    assert run(1) == ["1", "1"], "from the cache"
    assert run(2) == ["2", "0"]
    assert run(1) == ["1", "0"]


def test_a_changed_constant_is_compiled_again_in_a_cache_folder_of_the_user(run, tmp_path):
    folder = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    assert run(1, **folder) == ["1", "0"]
    assert run(1, **folder) == ["1", "1"]
    assert run(2, **folder) == ["2", "0"]
    assert list((tmp_path / "cache").rglob("*.nbi"))


@pytest.mark.parametrize("content", [b"", b"no pickle", "moved"])
def test_a_damaged_cache_is_compiled_again(run, tmp_path, content):
    """ "moved": a cache of an older version, whose index names a class that is somewhere else now."""
    assert run(1) == ["1", "0"]
    (index,) = (tmp_path / "source").rglob("*.nbi")
    with index.open("rb") as file:
        version = pickle.load(file)
    if content == "moved":
        content = pickle.dumps(version) + pickle.dumps(argparse.Namespace()).replace(b"argparse", b"elsewher")
    index.write_bytes(content)
    assert run(1) == ["1", "0"]
    assert run(1) == ["1", "1"]
    for file in (tmp_path / "source").rglob("*.nbc"):
        file.write_bytes(b"")
    assert run(1) == ["1", "0"]


def test_without_a_writable_folder_functions_are_compiled_without_cache(run, monkeypatch):
    from numba.core import caching

    from minids._utils import compile_cache

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    compile_cache.warn_without_cache.cache_clear()
    with pytest.warns(UserWarning, match="compiled code cannot be stored"):
        function = compile_cache.cached_njit("text.py")(nogil=True)(lambda x: x + 1)
    assert function(1) == 2
    assert compile_cache.cached_njit("text.py")(nogil=True)(lambda x: x + 2)(1) == 3, "one warning is enough"


def test_python_code_is_not_run_in_place_of_compiled_code(monkeypatch):
    from numba import config

    from minids._utils import compile_cache
    from minids._utils.errors import InputError

    monkeypatch.setattr(config, "DISABLE_JIT", 1)
    with pytest.raises(InputError, match="NUMBA_DISABLE_JIT is set"):
        compile_cache.cached_njit("text.py")(nogil=True)(lambda x: x)


@pytest.mark.slow
def test_an_edited_clip_changes_every_kernel(tmp_path):
    """The package itself, copied, with CLIP = 10 and unchanged times, and one cache folder for both."""
    script = """
import numpy as np
from minids import ops
x = np.full((1, 1, 1), 100, np.float32)
cpu = ops.load("cpu")
y = cpu.affine_forward(x, x[0], np.zeros(1, np.float32), True)
h = cpu.birnn_forward(x, 0 * x[0], 0 * x[0], np.ones(1, np.int32))[1]
print(float(y[0, 0, 0]), float(h[0, 0, 0]))
"""
    package = tmp_path / "minids"
    shutil.copytree(
        ROOT / "minids", package, ignore=shutil.ignore_patterns("__pycache__", "models", "lesson")
    )
    results = []
    for clip in ("20.0", "10.0"):
        file = package / "ops" / "common.py"
        times = file.stat().st_atime, file.stat().st_mtime
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("CLIP = 20.0", f"CLIP = {clip}"), encoding="utf-8")
        os.utime(file, times)
        variables = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            env=os.environ | variables | {"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        results.append(done.stdout.split())
    assert results == [["20.0", "20.0"], ["10.0", "10.0"]]

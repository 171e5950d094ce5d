"""What importing minids does and does not do, and that its modules import in one direction."""

import ast
import subprocess
import sys
from functools import cache

import pytest

from tests import ROOT

# A package imports only packages of lower layers, and those of its own.
LAYERS = [
    {"_utils", "text"},
    {"audio", "cuda_simulator", "edit_distance"},
    {"features", "ops", "metrics"},
    {"loss", "data"},
    {"model"},
    {"weights", "lm"},
    {"decode"},
    {"confidence", "transcript_formats"},
    {"plot", "recognizer", "gradcheck"},
    {"html"},
    {"training", "report"},
    {"lesson"},
    {"cli"},
]


@cache
def sources():
    """{module: syntax tree} of every module of the package."""
    trees = {}
    for path in sorted((ROOT / "minids").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        trees[name] = ast.parse(path.read_text(encoding="utf-8"))
    return trees


def imports(tree):
    """The modules of minids that a module imports, in functions too, but not for type checkers."""
    nodes, found = list(ast.iter_child_nodes(tree)), set()
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            nodes += node.orelse
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            known = submodules & sources().keys()
            found |= known
            if len(known) < len(submodules):
                found.add(node.module)
        else:
            nodes += ast.iter_child_nodes(node)
    return {name for name in found if name == "minids" or str(name).startswith("minids.")}


@cache
def graph():
    return {name: imports(tree) - {name} for name, tree in sources().items()}


def cycle(edges):
    """The nodes of a cycle, or []."""
    done, path = set(), []

    def visit(node):
        if node in path:
            return path[path.index(node) :]
        if node in done:
            return []
        path.append(node)
        for other in sorted(edges.get(node, ())):
            if found := visit(other):
                return found
        done.add(path.pop())
        return []

    return next((found for node in sorted(edges) if (found := visit(node))), [])


def test_cycles_are_found():
    assert cycle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert imports(ast.parse("def f():\n    from minids.ops import common\n    import minids.text, os")) == {
        "minids.ops.common",
        "minids.text",
    }


def test_modules_import_without_cycles():
    assert cycle(graph()) == []


def test_packages_import_in_one_direction():
    layer = {package: i for i, packages in enumerate(LAYERS) for package in packages}
    wrong = []
    for module, imported in graph().items():
        for other in imported:
            here, there = (name.split(".")[1] if "." in name else name for name in (module, other))
            if here == there or here in ("minids", "__main__") or there == "minids":
                continue
            if layer[there] >= layer[here]:
                wrong.append(f"{module} imports {other}")
    assert wrong == []


def run(script, **options):
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_minids_loads_no_other_package():
    script = """
import sys
before = set(sys.modules)
import minids
names = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(names - sys.stdlib_module_names))
"""
    assert run(script).strip() == "['minids']"


@pytest.mark.parametrize("module", ["features", "text", "audio", "data", "model", "ops", "weights"])
def test_light_modules_load_no_compiler(module):
    heavy = {"numba", "scipy", "matplotlib", "soundfile", "click"}
    loaded = set(run(f"import sys, minids.{module}; print(*sys.modules)").split())
    assert loaded & heavy == set()


def test_importing_every_module_changes_nothing_in_the_process(tmp_path):
    """Neither the environment, nor thread limits, nor files, nor the signal handlers, nor the umask."""
    script = """
import importlib, os, pkgutil, signal, sys
from pathlib import Path

import numpy, numba, scipy.linalg, scipy.signal
from threadpoolctl import threadpool_info
import minids

def state():
    umask = os.umask(0o22)
    os.umask(umask)
    limits = {lib["filepath"]: lib["num_threads"] for lib in threadpool_info()}
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    return dict(os.environ), limits, handlers, umask, sorted(Path.home().rglob("*"))

def skipped(name):
    return "cuda" in name or "__main__" in name or name in ("minids.lesson.gpu", "minids.lesson.scores")

before = state()
for module in pkgutil.walk_packages(minids.__path__, "minids.", onerror=print):
    if not skipped(module.name):
        importlib.import_module(module.name)
after = state()
for name, a, b in zip(("environment", "limits", "handlers", "umask", "files"), before, after):
    if name == "limits":
        b = {path: b[path] for path in a}
    assert a == b, (name, a, b)
print(len(sys.modules))
"""
    environment = {"HOME": str(tmp_path), "MPLCONFIGDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    run(script, env=environment | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}, cwd=tmp_path)

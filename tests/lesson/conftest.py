"""Two tiny lessons with checks and answers, the folder of a reader, and pages in a browser."""

import json
import runpy

import pytest

from minids.lesson import folder

FIRST = '''\
# %% [markdown]
# # 7. A *question*?
# Text.
# %%
import numpy as np

from minids.lesson import check

ONE = 1  # a constant


# %%
def double(x):
    """About 1 line."""
    BODY


double = check("7.1", double)


# %%
def quadruple(x):
    """1 line."""
    raise NotImplementedError


quadruple = check("7.2", quadruple)
'''
SECOND = '''\
# %% [markdown]
# # 8. Another?
# %%
from minids.lesson import check, yours

double, quadruple = yours("double", "quadruple")


# %%
def powers(n):
    """(n,)  2 lines."""
    raise NotImplementedError


powers = check("8.1", powers)
print("eight is", quadruple(double(1)), powers(2).sum())
'''
CHECKS = {
    "07_double.py": """
from minids.lesson import exercise


@exercise("7.1")
def check_double(double):
    for x in 1, 2, 5:
        yield f"double({x})", double(x), x + x


@exercise("7.2")
def check_quadruple(quadruple):
    yield "quadruple(3)", quadruple(3), 12
""",
    "08_powers.py": """
import numpy as np

from minids.lesson import exercise


@exercise("8.1", lists=True)
def check_powers(powers):
    for n in 1, 5:
        yield f"powers({n})", powers(n), np.array([1, 2, 4, 8, 16][:n])
""",
}
ANSWERS = {
    "07_double.py": '''
HINTS = {"double": ["twice", "two times", "2 * x"], "quadruple": ["four", "4 * x"]}


def double(x):
    return x + x


def quadruple(x):
    return double(double(x))


def squares(x):
    """The square. It is the double of 2 only."""
    return x * x


def raises(x):
    """An error."""
    raise ValueError("not this one")


def fixed(x):
    """Always 2."""
    return 2


WRONG = {"double": [raises, fixed, squares], "quadruple": [squares]}
''',
    "08_powers.py": """
import numpy as np

HINTS = {"powers": ["arange", "2 ** np.arange(n)"]}


def powers(n):
    return 2 ** np.arange(n)
""",
}


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """The folder of a reader, next to a folder of two lessons that ship."""
    shipped = tmp_path / "shipped"
    for kind, files in ("checks", CHECKS), ("answers", ANSWERS):
        (shipped / kind).mkdir(parents=True)
        for name, text in files.items():
            (shipped / kind / name).write_text(text)
    (shipped / "07_double.py").write_text(FIRST.replace("BODY", "raise NotImplementedError"))
    (shipped / "08_powers.py").write_text(SECOND)
    (tmp_path / "reader").mkdir()
    monkeypatch.setattr(folder, "root", lambda: shipped)
    monkeypatch.delenv("MINIDS_ANSWERS", raising=False)
    folder.load.cache_clear()
    folder.kept_exercises.cache_clear()
    yield tmp_path / "reader"
    folder.load.cache_clear()
    folder.kept_exercises.cache_clear()


@pytest.fixture
def write(reader):
    """Write a lesson of the reader: the shipped one in which some texts are replaced; returns its path."""

    def write(name="07_double.py", **replacements):
        text = (folder.root() / name).read_text()
        for stub, body in replacements.items():
            start = text.index(f"def {stub}(")
            place = text.index("raise NotImplementedError", start)
            text = text[:place] + body + text[place + len("raise NotImplementedError") :]
        path = reader / name
        path.write_text(text)
        return path

    return write


@pytest.fixture
def run(write, capsys):
    """Run a lesson of the reader; returns what it prints, and its names."""

    def run(name="07_double.py", before="", **replacements):
        path = write(name, **replacements)
        if before:
            path.write_text(path.read_text().replace("\n\n# %%\ndef ", f"\n{before}\n\n\n# %%\ndef ", 1))
        names = runpy.run_path(str(path))
        return capsys.readouterr().out, names

    return run


@pytest.fixture
def visit(browser):
    """Open a page at a width, light or dark. Afterwards: no page logged an error or used the network."""

    def open_(path, width=1280, scheme="light"):
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get(path.resolve().as_uri())
        return browser

    browser.get_log("browser"), browser.get_log("performance")
    yield open_
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert urls, "the log of requests is empty"
    assert [url for url in urls if not url.startswith(("file:", "data:"))] == []

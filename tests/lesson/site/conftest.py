"""The site of two very small lessons."""

import pytest

from minids.lesson import folder
from minids.lesson.site import build as site

TINY = r"""# %% [markdown]
# # 1. Is this a "lesson"?
# It is, of $x^2$ and [another](02_other.py), not [of a file](../minids/model.py).
#
# *You build* almost nothing. *You need* little.
# %%
from minids.plot import subplots, two_widths
from minids.lesson import check, data, listen, show


@two_widths
def figure_of(t):
    figure, axes = subplots(6, 2)
    axes.text(0.5, 0.5, f"step {t} of it")
    return figure


show([figure_of(t) for t in range(4)], captions=[f"Caption {t}" for t in range(4)], title="Four steps")
# %% [markdown]
# ## The first section
# $$ \sum_{t=1}^{T} \alpha_t $$
#
# | a | b |
# |---|---|
# | 1 | 2 |
#
# **Exercise 1.1** Cut *it*
# into frames.


# %%
def frames(wave, size, hop):  # an exercise of the real lesson 1, whose check the kernel finds
    '''About 1 line.'''
    raise NotImplementedError


frames = check("1.1", frames)
print("a < b", flush=True)
print("b < c", flush=True)
2**10
# %% [markdown]
# ## It's the second
# **Exercise 1.2** Without a stub.
# %%
listen(data("seven.flac"))
import math
power_spectrum = check("1.2", math.sqrt)
# %%
listen(data("seven.flac"))
"""
ANSWERS = """HINTS = {"frames": ["twice <x>", "thrice", "four times"], "sqrt": []}


def frames(x):
    return x + x


def sqrt(x):
    return x**0.5
"""


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The site of two very small lessons."""
    home = tmp_path_factory.mktemp("tiny")
    for name in "lessons/answers", "examples", "docs", "minids":
        (home / name).mkdir(parents=True)
    (home / "lessons/01_tiny.py").write_text(TINY)
    (home / "lessons/02_other.py").write_text("# %% [markdown]\n# # 2. Another?\n# %%\nprint(2)\n")
    (home / "lessons/answers/01_tiny.py").write_text(ANSWERS)
    (home / "examples/deepspeech.py").write_text('def f(x):\n    """Twice `x`."""\n    return x + x  # < 3\n')
    (home / "minids/x.py").write_text("")
    (home / "docs/paper.md").write_text(
        "# The paper\nNesterov's [x](../minids/x.py) [no](../no.py) [1](../lessons/01_tiny.py)\n\n"
        r"Wide: $Q(c) = \log P(c \mid x) + \alpha \log P_{lm}(c) + \beta\,\text{words}(c) + \gamma$.\n"
    )
    (home / "lessons/data").symlink_to(folder.root() / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder, "root", lambda: home / "lessons")
        folder.load.cache_clear()
        site.build(home / "site")
    folder.load.cache_clear()
    return home / "site"


@pytest.fixture
def fresh(tiny, browser):
    """A browser that has not seen the lessons."""
    browser.get((tiny / "index.html").as_uri())
    browser.execute_script("localStorage.clear()")

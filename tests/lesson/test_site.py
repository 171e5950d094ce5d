"""The pages in headless Chromium: they load without errors or network, steppers and formulas work."""

import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import nbformat
import pytest

from minids._utils.errors import InputError
from minids.lesson import folder
from minids.lesson.site import build as site
from minids.lesson.site import markdown, thumbnails
from minids.plot.svg import DARK_COLORS

pytest.importorskip("selenium", reason="selenium is not installed; it comes with the extra 'dev'")
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

TINY = r"""# %% [markdown]
# # 1. Is this a lesson?
# It is, of $x^2$ and [another](02_other.py), not [of a file](../minids/model.py).
#
# $$ \sum_{t=1}^{T} \alpha_t $$
#
# | a | b |
# |---|---|
# | 1 | 2 |
# %%
from minids.plot import subplots
from minids.lesson import exercise, show


def figure_of(t):
    figure, axes = subplots(6, 2)
    axes.text(0.5, 0.5, f"step {t} of it")
    return figure


show([figure_of(t) for t in range(4)], captions=[f"Caption {t}" for t in range(4)], title="Four steps")


# %%
def check_double():
    yield "double(2)", frames(2), 4


@exercise("1.1", check_double)
def frames(x):  # the name of an exercise of the real lesson 1, whose answer the kernel finds
    raise NotImplementedError


print("a < b", flush=True)
print("b < c", flush=True)
2**10
"""


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


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The site of two very small lessons."""
    home = tmp_path_factory.mktemp("tiny")
    (home / "answers").mkdir()
    (home / "01_tiny.py").write_text(TINY)
    (home / "02_other.py").write_text("# %% [markdown]\n# # 2. Another?\n# %%\nprint(2)\n")
    answers = 'HINTS = {"frames": ["twice <x>"]}\n\n\ndef frames(x):\n    return x + x\n'
    (home / "answers" / "01_tiny.py").write_text(answers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder, "root", lambda: home)
        folder.answers.cache_clear()
        site.build(home / "site")
    folder.answers.cache_clear()
    return home / "site"


def test_a_page_has_text_code_and_outputs(tiny):
    text = (tiny / "01_tiny.html").read_text()
    assert "<h1>1. Is this a lesson?</h1>" in text
    assert '<a href="02_other.html">another</a>' in text
    assert "not of a file." in text
    printed = "1.1 frames  [ ] not written yet; the lesson continues with our answer\na &lt; b\nb &lt; c\n"
    assert f">{printed}</pre>" in text, "consecutive prints are one block"
    assert ">1024</pre>" in text
    assert "<li>twice &lt;x&gt;</li>" in text
    assert "Answer to 1.1" in text
    assert text.count("customElements.define") == 1
    assert 'rel="next" href="02_other.html"' in text
    assert 'rel="prev"' not in text
    assert 'rel="prev" href="01_tiny.html"' in (tiny / "02_other.html").read_text()


def test_pages_load_nothing_from_the_network(tiny):
    for path in tiny.glob("*.html"):
        text = path.read_text()
        for link in re.findall(r'\b(?:src|href|srcset|action|poster)="([^"]*)"', text):
            assert link.startswith(("data:", "#")) or (tiny / link).is_file(), f"{path.name}: {link}"
        assert "@import" not in text
        assert not re.search(r"url\((?!#)", text)


def test_a_notebook_is_valid_and_without_outputs(tiny):
    notebook = nbformat.read(tiny / "01_tiny.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert [cell.cell_type for cell in notebook.cells] == ["code", "markdown", "code", "code"]
    assert "pip install" in notebook.cells[0].source
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert len({cell.id for cell in notebook.cells}) == 4


def test_a_thumbnail_contains_the_colors_of_the_page(tiny, tmp_path):
    (thumbnail,) = [
        path for path in thumbnails.write_thumbnails(tiny, tmp_path / "to") if path.name == "01.svg"
    ]
    text = thumbnail.read_text()
    root = ElementTree.fromstring(text)
    assert root.get("viewBox") == "0 0 432 144"
    assert "step 3 of it" in text  # the last step
    variables = set(re.findall(r"var\((--\w+)", text))
    assert variables <= set(re.findall(r"(--\w+):", text)) | {f"--c{color[1:]}" for color in DARK_COLORS}
    assert "prefers-color-scheme: dark" in text


def test_an_error_in_a_lesson_names_the_lesson(tmp_path, monkeypatch):
    (tmp_path / "01_bad.py").write_text("# %% [markdown]\n# # 1. Bad?\n# %%\n1 / 0\n")
    monkeypatch.setattr(folder, "root", lambda: tmp_path)
    with pytest.raises(InputError, match=r"01_bad\.py: a cell fails: ZeroDivisionError"):
        site.build(tmp_path / "site")


def test_links_lead_to_pages_or_become_text():
    html = markdown.html(
        "[a](03_layer.py) [b](../lessons/03_layer.py) [c](../minids/x.py) [d](#here) [e](https://a.b)"
    )
    assert re.findall(r'href="([^"]*)"', html) == ["03_layer.html", "03_layer.html", "#here"]
    assert " c " in html
    assert " e<" in html


def step(browser):
    """The indices of the visible figures of the stepper, its counter and its caption."""
    stepper = browser.find_element(By.TAG_NAME, "minids-steps")
    figures = stepper.find_elements(By.TAG_NAME, "figure")
    visible = [i for i, figure in enumerate(figures) if figure.is_displayed()]
    caption = stepper.find_element(By.CSS_SELECTOR, "[aria-live]").text
    return visible, stepper.find_element(By.TAG_NAME, "output").text, caption


def test_a_stepper_works_with_its_buttons(tiny, visit):
    browser = visit(tiny / "01_tiny.html")
    assert step(browser) == ([0], "1 / 4", "Caption 0")

    def press(name):
        browser.find_element(By.CSS_SELECTOR, f'button[aria-label="{name}"]').click()
        return step(browser)[0]

    assert press("next step") == [1]
    assert press("previous step") == [0]
    assert press("previous step") == [0]
    assert press("last step") == [3]
    assert press("next step") == [3]
    assert step(browser) == ([3], "4 / 4", "Caption 3")
    assert press("first step") == [0]


def test_a_stepper_works_with_the_keyboard_alone(tiny, visit):
    browser = visit(tiny / "01_tiny.html")
    for _ in range(12):  # Tab from the top of the page
        browser.switch_to.active_element.send_keys(Keys.TAB)
        if browser.switch_to.active_element.get_attribute("aria-label") == "first step":
            break
    button = browser.switch_to.active_element
    for key, expected in (
        (Keys.ARROW_RIGHT, 1),
        (Keys.ARROW_RIGHT, 2),
        (Keys.ARROW_LEFT, 1),
        (Keys.END, 3),
        (Keys.ARROW_RIGHT, 3),
        (Keys.HOME, 0),
    ):
        button.send_keys(key)
        assert step(browser)[0] == [expected]


def test_a_stepper_works_with_its_slider(tiny, visit):
    browser = visit(tiny / "01_tiny.html")
    slider = browser.find_element(By.CSS_SELECTOR, "minids-steps input[type=range]")
    browser.execute_script("arguments[0].value = 3; arguments[0].dispatchEvent(new Event('input'))", slider)
    assert step(browser) == ([2], "3 / 4", "Caption 2")
    slider.send_keys(Keys.ARROW_RIGHT)
    assert step(browser)[0] == [3]


def test_formulas_are_rendered_as_mathml(tiny, visit):
    browser = visit(tiny / "01_tiny.html")
    inline, block = browser.find_elements(By.TAG_NAME, "math")
    assert inline.get_attribute("display") == "inline"
    assert block.get_attribute("display") == "block"
    assert block.size["height"] > 1.3 * inline.size["height"] > 0  # a sum with its limits
    sub = browser.execute_script("return document.querySelector('math msub') instanceof MathMLElement")
    assert sub


def test_a_figure_takes_the_colors_of_the_page(tiny, visit):
    colors = {}
    for scheme in "light", "dark":
        browser = visit(tiny / "01_tiny.html", scheme=scheme)
        colors[scheme] = browser.execute_script(
            "const style = (selector, key) => getComputedStyle(document.querySelector(selector))[key];"
            "return [style('body', 'backgroundColor'), style('body', 'color'),"
            " style('.minids svg text', 'fill')]"
        )
    for background, ink, text in colors.values():
        assert text == ink
        assert background != ink
    assert colors["light"] != colors["dark"]


def fits(browser):
    """Whether the page needs no horizontal scrolling."""
    return browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


def structure(browser):
    """What a screen reader would miss on the page."""
    return browser.execute_script("""
        const all = (selector) => [...document.querySelectorAll(selector)], wrong = [];
        if (all("h1").length !== 1) wrong.push("not one h1");
        if (all("main").length !== 1) wrong.push("not one main");
        if (document.documentElement.lang !== "en" || !document.title) wrong.push("no language or title");
        for (const svg of all("svg:not([aria-hidden])"))
            if (svg.getAttribute("role") !== "img" || !svg.getAttribute("aria-label"))
                wrong.push("a figure without a name");
        for (const image of all("img")) if (!image.alt) wrong.push("an image without alt text");
        for (const control of all("button, input"))
            if (!control.ariaLabel && !control.labels.length)
                wrong.push("a nameless " + control.tagName);
        for (const audio of all("audio")) if (!audio.controls) wrong.push("a sound that cannot be stopped");
        const levels = all("h1, h2, h3, h4").map((heading) => +heading.tagName[1]);
        levels.forEach((level, i) => {
            if (i && level > levels[i - 1] + 1) wrong.push("a heading level is skipped");
        });
        const ids = all("[id]").map((element) => element.id);
        const repeated = ids.filter((id, i) => ids.indexOf(id) !== i);
        if (repeated.length) wrong.push("repeated ids: " + repeated);
        return wrong;
    """)


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["index", "01_tiny", "02_other"])
def test_a_small_page_fits_and_is_accessible(tiny, visit, name, width):
    browser = visit(tiny / f"{name}.html", width)
    assert fits(browser)
    assert structure(browser) == []


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """All pages, built as `make lessons` does."""
    pytest.importorskip("greenlet", reason="lessons 13 and 14 need a package: pip install greenlet")
    out = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, "-m", "minids.lesson.site.build"], cwd=out, check=True)
    return out / site.OUT


@pytest.mark.slow
def test_every_page_fits_and_its_steppers_work(real, visit):
    lessons = folder.lessons()
    pages = sorted(real.glob("*.html"))
    assert {path.stem for path in lessons} | {"index"} <= {path.stem for path in pages}
    for path in pages:
        assert path.stat().st_size <= 2_000_000, path.name
        for width in 390, 1280:
            browser = visit(path, width)
            assert fits(browser), f"{path.name} at {width}"
        assert structure(browser) == [], path.name
        formulas = browser.find_elements(By.TAG_NAME, "math")
        assert all(formula.size["height"] > 0 for formula in formulas)
        assert "merror" not in path.read_text()
        for stepper in browser.find_elements(By.TAG_NAME, "minids-steps"):
            figures = stepper.find_elements(By.TAG_NAME, "figure")
            for i in range(1, len(figures) + 1):
                assert [figure.is_displayed() for figure in figures].index(True) == i - 1
                stepper.find_element(By.CSS_SELECTOR, '[aria-label="next step"]').send_keys(Keys.ENTER)
            sizes = {
                figure.find_element(By.TAG_NAME, "svg").get_dom_attribute("viewBox") for figure in figures
            }
            assert len(sizes) == 1, f"{path.name}: the steps differ in size"
        print(f"\n{path.name:20} {path.stat().st_size / 1000:5.0f} kB, {len(formulas)} formulas", end="")


@pytest.mark.slow
def test_the_index_links_every_lesson(real, visit):
    browser = visit(real / "index.html")
    links = browser.find_elements(By.CSS_SELECTOR, ".lessons a")
    assert [link.get_attribute("href").rsplit("/")[-1] for link in links] == [
        f"{path.stem}.html" for path in folder.lessons()
    ]
    assert all(link.find_elements(By.TAG_NAME, "svg") for link in links)

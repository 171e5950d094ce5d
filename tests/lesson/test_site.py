"""The pages in headless Chromium: they load without errors or network, steppers and formulas work."""

import json
import re
import subprocess
import sys
from contextlib import suppress
from types import SimpleNamespace
from xml.etree import ElementTree

import nbformat
import pytest
from PIL import Image

from minids._utils.errors import InputError
from minids.lesson import folder
from minids.lesson.site import build as site
from minids.lesson.site import cells, drawings, markdown, thumbnails
from minids.plot.svg import DARK_COLORS

pytest.importorskip("selenium", reason="selenium is not installed; it comes with the extra 'dev'")
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

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
    for name in "lessons/answers", "examples", "docs", "minids":
        (home / name).mkdir(parents=True)
    (home / "lessons/01_tiny.py").write_text(TINY)
    (home / "lessons/02_other.py").write_text("# %% [markdown]\n# # 2. Another?\n# %%\nprint(2)\n")
    (home / "lessons/answers/01_tiny.py").write_text(ANSWERS)
    (home / "examples/deepspeech.py").write_text('def f(x):\n    """Twice `x`."""\n    return x + x  # < 3\n')
    (home / "minids/x.py").write_text("")
    (home / "docs/paper.md").write_text(
        "# The paper\nNesterov's [x](../minids/x.py) [no](../no.py) [1](../lessons/01_tiny.py)\n"
    )
    (home / "lessons/data").symlink_to(folder.root() / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder, "root", lambda: home / "lessons")
        folder.load.cache_clear()
        site.build(home / "site")
    folder.load.cache_clear()
    return home / "site"


def test_a_page_has_text_code_and_outputs(tiny):
    text = (tiny / "01_tiny.html").read_text()
    assert "<h1>1. Is this a “lesson”?</h1>" in text
    assert '<a href="02_other.html">another</a>' in text
    assert "not of a file." in text
    assert ">a &lt; b\nb &lt; c\n</pre>" in text, "consecutive prints are one block"
    assert ">1024</pre>" in text
    assert "not written yet" not in text, "what check prints is not shown"
    assert 'rel="next" href="02_other.html"' in text
    assert 'rel="prev"' not in text
    assert 'rel="prev" href="01_tiny.html"' in (tiny / "02_other.html").read_text()


@pytest.mark.parametrize(
    ("code", "folded"),
    [("show(f(x))\nlisten(y, 8000)", True), ("live.lattice('hi', 4)", True), ("x = 1\nshow(x)", False)],
)
def test_code_that_only_shows_something_is_folded(code, folded):
    cell = SimpleNamespace(cell_type="code", source=code, outputs=[])
    opening = SimpleNamespace(cell_type="code", source="import math", outputs=[])
    parts = cells.body([opening, cell], folder.lessons()[0]).parts
    assert ("<details" in "".join(parts[1:])) is folded


def test_a_page_includes_each_script_once(tiny):
    text = (tiny / "01_tiny.html").read_text()
    assert text.count("</minids-player>") == 2
    defined = re.findall(r'customElements\.define\("([\w-]+)"', text)
    assert sorted(defined) == ["minids-packed", "minids-player", "minids-steps"]
    assert text.count("minids-player .wave {") == 1
    assert "minids-player" not in (tiny / "02_other.html").read_text()


def test_what_check_and_yours_print_is_left_out():
    text = (
        "1.1 frames  [ ] not written yet; the lesson continues with our answer\n"
        "our answers: frames (1.1), power_spectrum (1.2), filter_banks (1.3), normalize (1.4),\n"
        "    with_context (2.1), softmax (2.2)\n    a table (of 2)\nour answers: f (1.1)\n"
    )
    assert cells._QUIET.sub("", text) == "    a table (of 2)\n"


def test_an_exercise_is_a_card_with_its_task_stub_hints_and_answer(tiny):
    cards = re.findall(
        r'<section class="exercise".*?</section>', (tiny / "01_tiny.html").read_text(), re.DOTALL
    )
    texts = [" ".join(re.sub("<[^>]*>", "", card).split()) for card in cards]
    assert len(cards) == 2
    assert "Exercise 1.1 frames" in texts[0]
    assert "<p>Cut <em>it</em>\ninto frames.</p>" in cards[0]
    assert "raise NotImplementedError" in texts[0]
    assert "minids lessons check 1.1" in texts[0]
    assert "twice &lt;x&gt;" in texts[0]
    assert "return x + x" in texts[0]
    assert "print" not in texts[0]
    assert "Without a stub." in texts[1]
    assert "math.sqrt" in texts[1]
    assert "import math" not in texts[1]


def test_pages_load_nothing_from_the_network(tiny):
    for path in tiny.glob("*.html"):
        text = path.read_text()
        for link in re.findall(r'\b(?:src|href|srcset|action|poster)="([^"]*)"', text):
            assert link.startswith(("data:", "#")) or (tiny / link).is_file(), f"{path.name}: {link}"
        assert "@import" not in text
        assert not re.search(r"url\((?!#)", text)


def test_the_map_of_the_paper_links_code_and_lessons(tiny):
    text = (tiny / "paper.html").read_text()
    assert 'Nesterov’s <a href="../minids/x.py">x</a> no <a href="01_tiny.html">1</a>' in text


def test_code_is_linked_in_the_repository_if_its_address_is_known(tiny, monkeypatch):
    urls = {"Project-URL": ["Repository, https://example.org/minids"]}
    monkeypatch.setattr(site, "metadata", lambda name: SimpleNamespace(get_all=urls.get))
    monkeypatch.setattr(folder, "root", lambda: tiny.parent / "lessons")
    link = site._code_link(tiny.parent / "docs/paper.md", "../minids/x.py", tiny)
    assert link == "https://example.org/minids/blob/HEAD/minids/x.py"


def test_a_program_has_a_page_with_numbered_lines_and_its_functions(tiny, visit):
    browser = visit(tiny / "deepspeech.html")
    assert [line.text for line in browser.find_elements(By.CSS_SELECTOR, ".line")] == [
        "def f(x):",
        '    """Twice `x`."""',
        "    return x + x  # < 3",
    ]
    browser.find_element(By.LINK_TEXT, "f").click()
    assert browser.find_element(By.CSS_SELECTOR, ".line:target").text == "def f(x):"


def test_links_to_the_site_have_a_preview(tiny):
    text = (tiny / "index.html").read_text()
    assert '<meta property="og:image" content="preview.png">' in text
    with Image.open(tiny / "preview.png") as image:
        assert image.size == (1200, 630)


def test_a_notebook_is_valid_and_without_outputs(tiny):
    notebook = nbformat.read(tiny / "01_tiny.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert [cell.cell_type for cell in notebook.cells] == [
        "code",
        "markdown",
        "code",
        "markdown",
        "code",
        "markdown",
        "code",
        "code",
    ]
    assert "pip install" in notebook.cells[0].source
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert len({cell.id for cell in notebook.cells}) == 8


@pytest.mark.parametrize("number", drawings.DRAWINGS)
def test_a_thumbnail_is_a_small_drawing_without_small_words(number):
    root = ElementTree.fromstring(drawings.thumbnail(number))
    assert root.get("viewBox") == "0 0 320 150"
    assert len(ElementTree.tostring(root)) < 40_000
    assert all(float(text.get("font-size")) >= 14 for text in root.iter("{http://www.w3.org/2000/svg}text"))


def test_every_lesson_has_a_thumbnail_with_the_colors_of_the_page(tmp_path):
    paths = thumbnails.write_thumbnails(tmp_path / "to")
    assert [path.stem for path in paths] == [path.name[:2] for path in folder.lessons()]
    for path in paths:
        text = path.read_text()
        assert len(list(ElementTree.fromstring(text).iter())) > 4, path.name
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
    html = markdown.html("[c](../minids/x.py)", link=lambda target: f"code/{target[3:]}")
    assert 'href="code/minids/x.py"' in html


def test_sections_have_ids_and_quotation_marks_are_those_of_print():
    assert '<h2 id="why-20-ms-and-x">Why "20" ms' not in markdown.html('## Why "20" ms, and `x`?')
    assert '<h2 id="why-20-ms-and-x">Why “20” ms, and <code>x</code>?</h2>' in markdown.html(
        '## Why "20" ms, and `x`?'
    )
    assert markdown.plain('It\'s *a* "b" < `c`') == "It’s a “b” < c"


def step(browser):
    """The indices of the visible figures of the stepper, its counter and its caption."""
    stepper = browser.find_element(By.TAG_NAME, "minids-steps")
    figures = stepper.find_elements(By.TAG_NAME, "figure")
    visible = [i for i, figure in enumerate(figures) if figure.is_displayed()]
    caption = stepper.find_element(By.CSS_SELECTOR, "[aria-live]").text
    return visible, stepper.find_element(By.TAG_NAME, "output").text, caption


def test_a_stepper_works_with_its_buttons(tiny, visit):
    browser = visit(tiny / "01_tiny.html")
    assert step(browser) == ([3], "4 / 4", "Caption 3")

    def press(name):
        browser.find_element(By.CSS_SELECTOR, f'button[aria-label="{name}"]').click()
        return step(browser)[0]

    assert press("first step") == [0]
    assert press("next step") == [1]
    assert press("previous step") == [0]
    assert press("previous step") == [0]
    assert press("last step") == [3]
    assert press("next step") == [3]
    assert step(browser) == ([3], "4 / 4", "Caption 3")
    assert press("first step") == [0]


def test_a_stepper_works_with_the_keyboard_alone(tiny, visit):
    browser = visit(tiny / "01_tiny.html")
    for _ in range(20):  # Tab from the top of the page
        browser.switch_to.active_element.send_keys(Keys.TAB)
        if browser.switch_to.active_element.get_attribute("aria-label") == "first step":
            break
    button = browser.switch_to.active_element
    for key, expected in (
        (Keys.HOME, 0),
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
            if (!control.ariaLabel && !control.labels?.length && !control.textContent.trim())
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


def shown(browser, selector):
    return [
        element.text for element in browser.find_elements(By.CSS_SELECTOR, selector) if element.is_displayed()
    ]


def test_hints_are_out_of_sight_until_asked_for_and_come_one_at_a_time(tiny, visit):
    browser = visit(tiny / "01_tiny.html")
    card = '[data-exercise="1.1"]'
    assert shown(browser, f"{card} .hint > p") == []
    assert shown(browser, f"{card} .answer pre") == []
    browser.find_element(By.CSS_SELECTOR, f"{card} .hint > summary").click()
    assert shown(browser, f"{card} .hint > p") == ["twice <x>"]
    assert shown(browser, f"{card} .hint > summary") == ["Hint 1 of 3", "Next hint 2 of 3"]
    browser.find_elements(By.CSS_SELECTOR, f"{card} .hint > summary")[1].send_keys(Keys.ENTER)
    assert shown(browser, f"{card} .hint > p") == ["twice <x>", "thrice"]
    assert shown(browser, f"{card} .answer pre") == []
    browser.find_element(By.CSS_SELECTOR, f"{card} .answer summary").click()
    assert "return x + x" in shown(browser, f"{card} .answer pre")[0]
    assert shown(browser, '[data-exercise="1.2"] .hint') == [], "it has no hints"


@pytest.fixture
def fresh(tiny, browser):
    """A browser that has not seen the lessons."""
    browser.get((tiny / "index.html").as_uri())
    browser.execute_script("localStorage.clear()")


def test_what_is_done_is_kept_in_the_browser_and_shown_on_the_index(tiny, visit, fresh):
    browser = visit(tiny / "index.html")
    start = browser.find_element(By.ID, "start")
    assert start.text == "Start here\n1. Is this a “lesson”?"
    assert shown(browser, ".lessons .state") == []
    assert shown(browser, "#forget") == []
    start.click()
    box = browser.find_element(By.CSS_SELECTOR, '[data-exercise="1.1"] input')
    dot = browser.find_element(By.CSS_SELECTOR, '[data-dot="1.1"]')
    assert dot.accessible_name == "Exercise 1.1, not done"
    assert box.accessible_name == "Exercise 1.1 is done"
    box.click()
    assert dot.accessible_name == "Exercise 1.1, done"
    browser.refresh()
    assert browser.find_element(By.CSS_SELECTOR, '[data-exercise="1.1"] input').is_selected()
    assert browser.find_elements(By.CSS_SELECTOR, '[data-exercise="1.1"].is-done')
    assert not browser.find_element(By.CSS_SELECTOR, '[data-exercise="1.2"] input').is_selected()

    browser.find_element(By.CSS_SELECTOR, "header .home").click()
    assert shown(browser, ".lessons .state") == ["1 of 2 exercises done"]
    assert shown(browser, "#progress") == ["1 of 2 exercises done"]
    assert browser.find_element(By.ID, "start").text.startswith("Continue\n1. Is this a “lesson”?")
    browser.find_element(By.ID, "forget").click()
    browser.switch_to.alert.dismiss()
    assert shown(browser, ".lessons .state")
    browser.find_element(By.ID, "forget").click()
    browser.switch_to.alert.accept()
    assert shown(browser, ".lessons .state") == []


def test_a_mark_can_be_taken_back(tiny, visit, fresh):
    browser = visit(tiny / "01_tiny.html")
    for expected in True, False:
        browser.find_element(By.CSS_SELECTOR, '[data-exercise="1.2"] input').click()
        browser.refresh()
        box = browser.find_element(By.CSS_SELECTOR, '[data-exercise="1.2"] input')
        assert box.is_selected() is expected


def test_the_bar_stays_in_sight_and_says_where_the_reader_is(tiny, visit, fresh):
    browser = visit(tiny / "01_tiny.html")

    def scroll_to(selector):
        script = "document.querySelector(arguments[0]).scrollIntoView(); return [scrollY, innerHeight]"
        browser.execute_script(script, selector)
        browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        bar = browser.find_element(By.CSS_SELECTOR, "header.bar")
        assert browser.execute_script("return arguments[0].getBoundingClientRect().top", bar) == 0
        return browser.find_element(By.CSS_SELECTOR, "header .here").text

    assert scroll_to("h1") == ""
    assert "The first section" in scroll_to("#the-first-section")
    browser.execute_script("document.querySelector('main').style.paddingBottom = '1000px'")
    assert "It’s the second" in scroll_to("#it-s-the-second")
    width = "return parseFloat(document.querySelector('.read div').style.width)"
    assert 0 < browser.execute_script(width) < 100
    browser.get((tiny / "index.html").as_uri())
    link = browser.find_element(By.ID, "start")
    assert link.get_attribute("href").endswith("01_tiny.html#it-s-the-second")
    assert link.text == "Continue\n1. Is this a “lesson”? · It’s the second"
    assert re.fullmatch(r"\d+ % read", shown(browser, ".lessons .state")[0])


def test_the_contents_open_and_close(tiny, visit):
    browser = visit(tiny / "01_tiny.html", 390)
    summary = browser.find_element(By.CSS_SELECTOR, ".contents > summary")
    assert shown(browser, ".contents nav") == []
    summary.click()
    assert shown(browser, ".contents li") == [
        "The first section",
        "It’s the second",
        "Exercise 1.1 frames",
        "Exercise 1.2 sqrt",
    ]
    browser.find_element(By.LINK_TEXT, "It’s the second").click()
    assert shown(browser, ".contents nav") == []
    assert browser.current_url.endswith("#it-s-the-second")
    summary.click()
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert shown(browser, ".contents nav") == []


@pytest.mark.parametrize(
    "kept", ["{damaged", "null", "[]", '{"done": 3, "read": "x", "last": {}}', '{"read": null}']
)
def test_damaged_progress_is_no_progress(tiny, visit, fresh, kept):
    browser = visit(tiny / "01_tiny.html")
    for page in "01_tiny.html", "index.html":
        browser.execute_script("localStorage.setItem('minids-lessons', arguments[0])", kept)
        browser.get("about:blank")  # so that the page above does not write once more
        browser.get((tiny / page).as_uri())
    browser.find_element(By.CSS_SELECTOR, ".lessons a").click()
    browser.find_element(By.CSS_SELECTOR, '[data-exercise="1.1"] input').click()
    assert browser.find_elements(By.CSS_SELECTOR, '[data-exercise="1.1"].is-done')


def test_two_tabs_share_progress(tiny, visit, fresh):
    browser = visit(tiny / "01_tiny.html")
    first = browser.current_window_handle
    browser.switch_to.new_window("tab")
    second = browser.current_window_handle
    browser.get((tiny / "01_tiny.html").as_uri())
    browser.find_element(By.CSS_SELECTOR, '[data-exercise="1.1"] input').click()
    browser.switch_to.window(first)
    assert browser.find_element(By.CSS_SELECTOR, '[data-exercise="1.1"] input').is_selected()
    browser.find_element(By.CSS_SELECTOR, '[data-exercise="1.2"] input').click()
    browser.switch_to.window(second)
    browser.close()
    browser.switch_to.window(first)
    browser.get((tiny / "index.html").as_uri())
    assert shown(browser, ".lessons .state") == ["✓ done"]


def test_the_index_says_what_a_lesson_has(tiny, visit):
    browser = visit(tiny / "index.html")
    assert shown(browser, ".lessons .facts") == [
        "about 20 min · 2 exercises · ♪ hear it",
        "about 5 min · 0 exercises",
    ]
    assert shown(browser, ".lessons .builds")[0] == "Almost nothing."
    assert browser.find_element(By.CSS_SELECTOR, ".hero minids-player .controls button").is_displayed()


@pytest.mark.parametrize("width", [1280, 768, 390])
@pytest.mark.parametrize("name", ["index", "01_tiny", "02_other", "paper", "deepspeech"])
def test_a_small_page_fits_and_is_accessible(tiny, visit, name, width):
    browser = visit(tiny / f"{name}.html", width)
    assert fits(browser)
    assert structure(browser) == []


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """All pages, built as `make lessons` does."""
    pytest.importorskip("greenlet", reason="the lessons of book two need a package: pip install greenlet")
    out = tmp_path_factory.mktemp("site")
    subprocess.run([sys.executable, "-m", "minids.lesson.site.build"], cwd=out, check=True)
    return out / site.OUT


LESSONS = [path.stem for path in folder.lessons()]
all_pages = pytest.mark.parametrize("name", ["index", "paper", "deepspeech", *LESSONS])


@pytest.mark.slow
@all_pages
def test_a_page_fits_and_is_accessible(real, visit, name):
    path = real / f"{name}.html"
    assert path.stat().st_size <= 2_000_000
    assert "merror" not in path.read_text()
    for width in 390, 768, 1280:
        browser = visit(path, width)
        assert fits(browser), f"at {width}"
        cut = browser.execute_script("""
            return [...document.querySelectorAll(".minids .scroll, pre.code, pre.out")]
                .filter((box) => box.clientWidth && box.scrollWidth > box.clientWidth + 1)
                .filter((box) => innerWidth === 1280 || box.matches(".scroll"))
                .map((box) => box.textContent.slice(0, 80));
        """)
        assert cut == [], f"at {width}"
    assert structure(browser) == []
    formulas = browser.find_elements(By.TAG_NAME, "math")
    assert all(formula.size["height"] > 0 for formula in formulas)
    print(f"\n{path.name:20} {path.stat().st_size / 1000:5.0f} kB, {len(formulas)} formulas", end="")


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
@all_pages
def test_steps_of_a_page_work_and_have_one_size(real, visit, name, width):
    browser = visit(real / f"{name}.html", width)
    for stepper in browser.find_elements(By.TAG_NAME, "minids-steps"):
        figures = stepper.find_elements(By.TAG_NAME, "figure")
        stepper.find_element(By.CSS_SELECTOR, '[aria-label="first step"]').send_keys(Keys.ENTER)
        sizes = set()
        for i in range(len(figures)):
            assert [figure.is_displayed() for figure in figures].index(True) == i
            (svg,) = (svg for svg in figures[i].find_elements(By.TAG_NAME, "svg") if svg.is_displayed())
            sizes.add(svg.get_dom_attribute("viewBox"))
            stepper.find_element(By.CSS_SELECTOR, '[aria-label="next step"]').send_keys(Keys.ENTER)
        assert len(sizes) == 1, "the steps differ in size"


@pytest.mark.slow
@all_pages
def test_everything_on_a_page_can_be_clicked_and_dragged(real, visit, name):
    """Buttons, sliders and tracks, also those in a shadow tree: `visit` finds messages and requests."""
    browser = visit(real / f"{name}.html")
    controls = browser.execute_script("""
        const found = [], look = (root) => {
            for (const element of root.querySelectorAll("*")) {
                if (element.matches("button:not(#forget), input, summary, [role=slider]"))
                    found.push(element);
                if (element.shadowRoot) look(element.shadowRoot);
            }
        };
        look(document.querySelector("main"));
        return found;
    """)
    touched = 0
    for control in controls:
        with suppress(StaleElementReferenceException):  # a component has drawn itself anew
            if not control.is_displayed() or not control.is_enabled():
                continue
            browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", control)
            drag = ActionChains(browser, duration=20).click_and_hold(control)
            drag.move_by_offset(9, 3).move_by_offset(-25, -6).release().perform()
            control.send_keys(Keys.ARROW_RIGHT)
            if control.tag_name == "summary":
                control.send_keys(Keys.ENTER)
            touched += 1
    assert touched >= len(controls) / 3
    browser.execute_script("for (const audio of document.querySelectorAll('audio')) audio.pause()")


@pytest.mark.slow
def test_the_index_links_every_lesson(real, visit):
    browser = visit(real / "index.html")
    links = browser.find_elements(By.CSS_SELECTOR, ".lessons a")
    assert [link.get_attribute("href").rsplit("/")[-1] for link in links] == [
        f"{path.stem}.html" for path in folder.lessons()
    ]
    assert all(link.find_elements(By.TAG_NAME, "svg") for link in links)
    assert all(link.find_element(By.CLASS_NAME, "builds").text for link in links)

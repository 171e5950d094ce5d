"""Pages in headless Chromium: steps, hints, progress, contents; no errors, no requests."""

import re

import pytest

pytest.importorskip("selenium", reason="selenium is not installed; it comes with the extra 'dev'")
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.lesson.site.looks import fits, shown, structure


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


def test_a_program_has_a_page_with_numbered_lines_and_its_functions(tiny, visit):
    browser = visit(tiny / "deepspeech.html")
    assert [line.text for line in browser.find_elements(By.CSS_SELECTOR, ".line")] == [
        "def f(x):",
        '    """Twice `x`."""',
        "    return x + x  # < 3",
    ]
    browser.find_element(By.LINK_TEXT, "f").click()
    assert browser.find_element(By.CSS_SELECTOR, ".line:target").text == "def f(x):"


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
        "about 20 min · 2 exercises\n♪ hear it",
        "about 5 min · 0 exercises",
    ]
    assert shown(browser, ".lessons .builds")[0] == "Almost nothing."
    assert browser.find_element(By.CSS_SELECTOR, ".hero minids-player .controls button").is_displayed()


@pytest.mark.parametrize("width", [1280, 768, 390, 320])
@pytest.mark.parametrize("name", ["index", "01_tiny", "02_other", "paper", "deepspeech"])
def test_a_small_page_fits_and_is_accessible(tiny, visit, name, width):
    browser = visit(tiny / f"{name}.html", width)
    assert fits(browser)
    assert structure(browser) == []

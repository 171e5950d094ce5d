"""All pages of the lessons in headless Chromium, at four widths: all that can be clicked and dragged."""

import subprocess
import sys
from contextlib import suppress

import pytest

from minids.lesson import folder
from minids.lesson.site import build as site

pytest.importorskip("selenium", reason="selenium is not installed; it comes with the extra 'dev'")
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.lesson.site.looks import fits, structure


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
    for width in 320, 390, 768, 1280:
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

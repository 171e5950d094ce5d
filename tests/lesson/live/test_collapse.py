"""The collapse of a path, as a reader types it or clicks through its frames."""

from pathlib import Path

import pytest
from markupsafe import Markup

import minids.lesson
from minids.lesson.display import show_html
from minids.text import Alphabet, collapse

pytest.importorskip("selenium", reason="selenium is not installed; it comes with the extra 'dev'")

from selenium.webdriver.common.keys import Keys

from tests.lesson.site.looks import fits

WIDGET = Path(minids.lesson.__file__).with_name("collapse_widget.js")
ALPHABET = Alphabet("tohre ")


def show_path(path):
    show_html(Markup('<minids-collapse path="{}"></minids-collapse>').format(path), WIDGET)


def text_of(path):
    return ALPHABET.decode(collapse([0 if c == "-" else int(ALPHABET.encode(c)[0]) for c in path]))


def state(browser):
    """The path in the input field, and what stands in the boxes and in the result."""
    path = browser.find_element("css selector", "minids-collapse input").get_attribute("value")
    rows = [row.text.split() for row in browser.find_elements("css selector", "minids-collapse .row")]
    return path, rows, browser.find_element("css selector", "minids-collapse strong").text


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_click_changes_a_frame(visit, width, scheme):
    browser = visit(lambda: show_path("too-o--"), width, scheme)
    path, rows, text = state(browser)
    assert rows == [list("too-o--"), list("to-o-"), list("too")]
    assert text == text_of(path) == "too"
    seen = []
    for _ in range(3):
        browser.find_elements("css selector", "minids-collapse button")[3].click()
        path, rows, text = state(browser)
        assert text == text_of(path)
        assert rows[0] == list(path)
        seen.append((path, text))
    assert seen == [("tooto--", "toto"), ("toooo--", "to"), ("too-o--", "too")]
    assert fits(browser)


def test_a_box_is_as_wide_as_the_frames_that_it_merges(visit):
    browser = visit(lambda: show_path("ttto"))
    frames, merged, _ = browser.find_elements("css selector", "minids-collapse .row")
    first, last = (frames.find_elements("css selector", ".box")[t].rect for t in (0, 2))
    box = merged.find_element("css selector", ".box").rect
    assert box["x"] == pytest.approx(first["x"], abs=1)
    assert box["x"] + box["width"] == pytest.approx(last["x"] + last["width"], abs=1)


def test_the_path_can_be_typed_and_the_result_is_announced(visit):
    browser = visit(lambda: show_path("t"))
    field = browser.find_element("css selector", "minids-collapse input")
    field.clear()
    field.send_keys("th-r ee-e")
    assert state(browser)[2] == text_of("th-r ee-e") == "thr ee"
    announced = browser.find_element("css selector", "minids-collapse [aria-live]").text
    assert announced == "9 frames, 6 characters: thr ee"
    field.send_keys(Keys.BACKSPACE * 9)
    assert state(browser) == ("", [[], [], []], "")

"""The live lattice computes what the reference does, and all of it works by mouse, touch and keyboard."""

import time
from functools import partial
from itertools import pairwise, product

import numpy as np
import pytest

from minids.lesson import live
from minids.ops.reference.ctc import backward_variables, ctc, forward_variables, lattice
from minids.text import collapse

pytest.importorskip("selenium", reason="selenium is not installed; it comes with the extra 'dev'")
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.lesson.live import component
from tests.lesson.live.component import find
from tests.lesson.site.looks import fits

WORDS = [
    ("hi", 4),
    ("cat", 5),
    ("too", 6),
    ("tot", 7),
    ("aaa", 5),
    ("hh", 2),
    ("", 3),
    ("a", 1),
    ("speeches", 12),
]
Y = np.array([[1, 7, 2], [6, 3, 1], [2, 2, 6], [5, 1, 4]]) / 10  # lessons 5 and 6
hi = partial(live.lattice, "hi", 4, Y)


def at(browser, t, row, kind):
    return find(browser, f'[data-at="{t} {row} {kind}"]')


def text(browser, selector):
    return find(browser, selector).text


def values(browser):
    """The numbers of the component; JSON has no -inf, so None stands for it."""
    found = component.values(browser)
    tables = {"logY", "alpha", "beta", "gamma", "gradient", "through"}
    found |= {name: np.array(found[name], float) for name in tables}
    for name in "logY", "alpha", "beta":
        found[name] = np.where(np.isnan(found[name]), -np.inf, found[name])
    return found


def label_of(word):
    return [1 + list(dict.fromkeys(word)).index(letter) for letter in word]


def assert_equals_the_reference(found):
    """The largest difference from minids.ops.reference.ctc."""
    log_y, label = found["logY"], label_of(found["word"])
    states = lattice(label)
    losses, dlogits = ctc(log_y[:, None], [len(log_y)], np.array([label], int), [len(label)])
    expected = {
        "alpha": forward_variables(log_y, states),
        "beta": backward_variables(log_y, states),
        "gradient": dlogits[:, 0],
    }
    worst = 0.0
    for name, table in expected.items():
        np.testing.assert_allclose(found[name], table, rtol=0, atol=1e-9, err_msg=f"{found['word']}: {name}")
        finite = np.isfinite(table)
        worst = max(worst, np.abs(found[name][finite] - table[finite]).max())
    if np.isinf(losses[0]):
        assert found["loss"] is None
        assert not found["gamma"].any()
        return worst
    np.testing.assert_allclose(found["gamma"].sum(axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(found["loss"], losses[0], rtol=0, atol=1e-9)
    return max(worst, abs(found["loss"] - losses[0]))


def test_all_numbers_equal_those_of_the_reference(visit):
    rng, worst = np.random.default_rng(0), 0.0
    for word, T in WORDS:
        for concentration in 1.0, 0.05:  # 0.05: nearly all probability on one character
            y = rng.dirichlet(np.full(1 + len(set(word)), concentration), T)
            browser = visit(partial(live.lattice, word, T, y))
            found = values(browser)
            np.testing.assert_allclose(np.exp(found["logY"]), y, atol=1e-12)
            worst = max(worst, assert_equals_the_reference(found))
    print(f"\nlargest difference from the reference: {worst:.1e}", end="")


def test_alignments_are_those_of_an_enumeration(visit):
    for word, T in ("hi", 4), ("too", 5), ("tt", 4):
        label, states = label_of(word), lattice(label_of(word))
        paths = [p for p in product(range(1 + len(set(word))), repeat=T) if collapse(p) == label]
        found = values(visit(partial(live.lattice, word, T)))
        assert found["alignments"] == len(paths)
        for k in set(states):  # the sum over the states of a character
            through = found["through"][:, states == k].sum(axis=1)
            np.testing.assert_array_equal(through, (np.array(paths) == k).sum(axis=0))


def test_a_node_explains_its_sums_and_its_best_path(visit):
    browser = visit(hi)
    assert "p(hi) = 0.478, loss 0.738, 15 alignments among 81 paths" in text(browser, "output")
    ActionChains(browser).move_to_element(at(browser, 2, 3, "node")).perform()
    shown = text(browser, ".panel").splitlines()
    assert shown == [
        "Frame 3, state 3 (i): 8 alignments of 15",
        "α = 0.6 · (0.24 + 0.42 + 0.07) = 0.438",
        "β = 0.4 · 1 + 0.5 · 1 = 0.9",
        "γ = αβ / p = 0.438 · 0.9 / 0.478 = 0.825",
        "The most probable path through it: h – i –, probability 0.126",
    ]
    assert len(find(browser, "polyline").get_attribute("points").split()) == 4
    ActionChains(browser).move_to_element(find(browser, "output")).perform()  # the mouse leaves
    assert "Point at a node" in text(browser, ".panel")
    at(browser, 0, 2, "node").click()  # no path begins there
    shown = text(browser, ".panel")
    assert "α = 0: a path starts in one of the first two states" in shown
    assert find(browser, "polyline").get_attribute("points") == ""


def test_the_best_path_of_every_node_is_the_best_of_all_paths_through_it(visit):
    rng = np.random.default_rng(1)
    y = rng.dirichlet(np.ones(3), 5)
    browser = visit(partial(live.lattice, "too", 5, y))
    states = lattice([1, 2, 2])
    walks = [
        walk
        for walk in product(range(7), repeat=5)
        if walk[0] < 2
        and walk[-1] > 4
        and collapse([states[s] for s in walk]) == [1, 2, 2]
        and all(0 <= b - a <= 2 for a, b in pairwise(walk))
    ]
    probabilities = {walk: np.prod([y[t, states[s]] for t, s in enumerate(walk)]) for walk in walks}
    signs, checked = "–to", 0
    for t, s in product(range(5), range(7)):
        at(browser, t, s, "node").click()
        through = [walk for walk in walks if walk[t] == s]
        last = text(browser, ".panel").splitlines()[-1]
        if through:
            best = max(through, key=probabilities.get)
            assert f": {' '.join(signs[states[s]] for s in best)}, " in last
            checked += 1
        else:
            assert "most probable" not in last
    assert checked > 10


def test_the_numbers_in_the_nodes_are_chosen_by_buttons(visit):
    browser = visit(partial(live.lattice, "hi", 4, Y, nodes="gamma"))
    for name, value in ("gamma", "0.825"), ("alpha", "0.438"), ("beta", "0.9"), ("gamma", "0.825"):
        button = find(browser, f"[data-quantity={name}]")
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
        assert at(browser, 2, 3, "node").text == value
        assert text(browser, "p.faint").startswith({"alpha": "α", "beta": "β", "gamma": "γ"}[name])


def test_a_probability_is_dragged_with_the_mouse(visit):
    browser = visit(hi)
    bar = at(browser, 2, 2, "bar")
    height = bar.find_element(By.CSS_SELECTOR, ".box").size["height"]
    before = values(browser)
    down, quarter = ActionChains(browser).move_to_element(bar).click_and_hold(), round(height / 4)
    down.move_by_offset(0, -quarter).perform()
    assert np.exp(values(browser)["logY"])[2, 2] == pytest.approx(0.75, abs=0.03)  # already while it moves
    assert_equals_the_reference(values(browser))
    ActionChains(browser).release().perform()
    again = ActionChains(browser).move_to_element(bar).click_and_hold()
    again.move_by_offset(0, -quarter).move_by_offset(3, 2 * quarter).release().perform()
    after = values(browser)
    y = np.exp(after["logY"])
    np.testing.assert_allclose(y[2], [0.375, 0.375, 0.25], atol=0.03)
    np.testing.assert_allclose(y.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_array_equal(np.delete(after["logY"], 2, 0), np.delete(before["logY"], 2, 0))
    assert after["loss"] > before["loss"]
    assert_equals_the_reference(after)
    ActionChains(browser).move_by_offset(0, 10).perform()  # released: no more changes
    assert values(browser)["loss"] == after["loss"]
    assert text(browser, ".panel").startswith("Frame 3, i: the output is y = ")
    line = at(browser, 2, 2, "bar").find_element(By.TAG_NAME, "line")
    assert line.value_of_css_property("visibility") == "hidden"
    find(browser, "[data-quantity=gamma]").click()  # which shows the desired output and the gradient
    assert line.value_of_css_property("visibility") == "visible"
    shown = text(browser, ".panel")
    assert f"gradient: y − γ = {after['gradient'][2, 2]:.3f}".replace("-", "−") in shown
    assert "so it should increase" in shown
    assert f"loss {after['loss']:.3f}" in text(browser, "output")


def test_a_probability_is_dragged_by_touch_and_a_node_tapped(visit):
    browser = visit(hi, width=390)

    def touch(kind, x, y):
        points = [] if kind == "touchEnd" else [{"x": x, "y": y}]
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def center(element):
        script = (
            "const r = arguments[0].getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]"
        )
        return browser.execute_script(script, element)

    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        x, y = center(at(browser, 0, 1, "bar").find_element(By.CSS_SELECTOR, ".box"))
        scrolled = browser.execute_script("return scrollY")
        touch("touchStart", x, y)
        touch("touchMove", x, y + 10)
        touch("touchMove", x, y + 100)  # far below the bar
        touch("touchEnd", x, y)
        assert np.exp(values(browser)["logY"])[0, 1] == pytest.approx(0.001)
        assert browser.execute_script("return scrollY") == scrolled, "the page must not scroll instead"
        assert_equals_the_reference(values(browser))
        x, y = center(at(browser, 1, 2, "node"))
        touch("touchStart", x, y)
        touch("touchEnd", x, y)
        assert "Frame 2, state 2 (–)" in text(browser, ".panel")
    finally:
        browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_everything_is_reached_with_the_keyboard_alone(visit):
    browser = visit(hi)
    seen = []
    for _ in range(14):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        seen.append(browser.execute_script(
            "const e = document.querySelector('minids-lattice').shadowRoot.activeElement;"
            "return e && (e.dataset.at || e.getAttribute('aria-label'))"
        ))  # fmt: skip
    for name in (
        "word",
        "frames",
        "one step of gradient descent",
        "learn: many steps",
        "0 1 node",
        "0 0 bar",
    ):
        assert name in seen
    node = at(browser, 0, 1, "node")
    node.send_keys(Keys.ARROW_RIGHT)
    assert "Frame 2, state 1" in text(browser, ".panel")
    at(browser, 1, 1, "node").send_keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert "Frame 2, state 3" in text(browser, ".panel")
    at(browser, 1, 3, "node").send_keys(Keys.ESCAPE)
    assert "Point at a node" in text(browser, ".panel")
    bar = at(browser, 0, 0, "bar")
    bar.send_keys(Keys.ARROW_UP)
    assert np.exp(values(browser)["logY"])[0, 0] == pytest.approx(0.15)
    bar.send_keys(Keys.SHIFT + Keys.ARROW_DOWN)
    assert np.exp(values(browser)["logY"])[0, 0] == pytest.approx(0.14)
    bar.send_keys(Keys.PAGE_DOWN)
    at(browser, 0, 1, "bar").send_keys(Keys.ARROW_RIGHT)
    assert "Frame 2, h" in text(browser, ".panel")
    assert at(browser, 1, 1, "bar").get_attribute("aria-valuetext").startswith("0.30, gradient")


def test_words_are_typed_and_impossible_ones_say_so(visit):
    browser = visit(hi)
    field = find(browser, "input[type=text]")
    field.send_keys(Keys.BACKSPACE * 2, "toot")
    found = values(browser)
    assert found["word"] == "toot"
    assert found["alpha"].shape == (4, 9)
    assert found["alignments"] == 0
    shown = text(browser, ".panel")
    assert "“toot” does not fit into 4 frames: it needs at least 5" in shown
    assert "p(toot) = 0, loss ∞, 0 alignments" in text(browser, "output")
    assert not find(browser, '[aria-label^="one step"]').is_enabled()
    frames = find(browser, "input[type=range]")
    frames.send_keys(Keys.ARROW_RIGHT)
    found = values(browser)
    assert found["alpha"].shape == (5, 9)
    assert found["alignments"] == 1
    assert_equals_the_reference(found)
    field.send_keys(Keys.BACKSPACE * 4)
    assert "p(the empty text)" in text(browser, "output")
    field.send_keys("-–a b<i>éxyz")
    assert values(browser)["word"] == "a b<i>éx"  # the blank cannot be part of a word; at most 8 characters


def test_equal_random_step_and_learn(visit):
    browser = visit(hi)

    def press(name):
        find(browser, f'button[aria-label^="{name}"]').click()
        return values(browser)

    found = press("all probabilities equal")
    np.testing.assert_allclose(found["logY"], np.log(1 / 3), atol=1e-12)
    assert found["loss"] == pytest.approx(4 * np.log(3) - np.log(15))
    first, second = press("random")["logY"], press("random")["logY"]
    assert not np.allclose(first, second)
    found = press("one step")
    assert "after 1 step" in text(browser, "output")
    moved = second - values_gradient(second, [1, 2])
    expected = moved - np.logaddexp.reduce(moved, axis=1, keepdims=True)
    np.testing.assert_allclose(found["logY"], expected, atol=1e-9)
    press("learn")
    start = time.monotonic()
    while values(browser)["loss"] > 0.1:
        assert time.monotonic() - start < 30, "it does not learn"
    assert text(browser, 'button[aria-label^="learn"]') == "❚❚ pause"
    press("learn")
    stopped = values(browser)["loss"]
    time.sleep(0.3)
    assert values(browser)["loss"] == stopped
    assert_equals_the_reference(values(browser))


def values_gradient(log_y, label):
    return ctc(log_y[:, None], [len(log_y)], np.array([label]), [len(label)])[1][:, 0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_it_fits_and_is_legible(visit, width, scheme):
    def several():
        hi()
        live.lattice("speeches", 12)

    browser = visit(several, width, scheme)
    assert fits(browser)
    wrong = browser.execute_script("""
        const wrong = [];
        for (const host of document.querySelectorAll("minids-lattice")) {
          const right = host.getBoundingClientRect().right;
          for (const element of host.shadowRoot.querySelectorAll("*")) {
            if (element.getBoundingClientRect().right > right + 3)
              wrong.push("beyond the edge: " + element.outerHTML);
            if (element.tagName === "text" && parseFloat(getComputedStyle(element).fontSize) < 10.5)
              wrong.push("small text");
          }
          for (const control of host.shadowRoot.querySelectorAll("button, input")) {
            if (control.getBoundingClientRect().height < 28) wrong.push("a small control");
            if (!control.ariaLabel) wrong.push("a nameless control");
          }
        }
        return wrong;
    """)
    assert wrong == []


def test_y_must_have_a_column_for_each_character():
    with pytest.raises(ValueError, match=r"\(4, 3\), not \(5, 3\)"):
        live.lattice("hi", 5, Y)

"""The live valley: its paths are those of the formulas, and everything in it can be pressed or dragged."""

import numpy as np
import pytest

from minids.lesson import live
from minids.ops.reference.nesterov import nesterov

pytest.importorskip("selenium", reason="selenium is not installed; it comes with the extra 'dev'")
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests.lesson.live.component import button, find, values

TURN = np.array([[np.cos(np.pi / 9), np.sin(np.pi / 9)], [-np.sin(np.pi / 9), np.cos(np.pi / 9)]])
HESSIAN = TURN.T @ np.diag([0.4, 20]) @ TURN


def clipped(gradient, limit):
    norm = np.linalg.norm(gradient)
    return gradient * min(1, limit / norm) if norm else gradient


def by_formula(start, steps, rate, momentum, limit):
    """The paths of the three methods; Nesterov's from the package, whose parameters are θ + μv."""
    paths = {}
    for method, mu in ("descent", 0), ("momentum", momentum):
        theta, v, path = np.array(start), np.zeros(2), [start]
        for _ in range(steps):
            v = mu * v - rate * clipped(HESSIAN @ theta, limit)
            theta = theta + v
            path.append(theta)
        paths[method] = np.array(path)
    p, v, path = np.array(start, float), np.zeros(2), [start]
    for _ in range(steps):
        nesterov(p, clipped(HESSIAN @ p, limit), v, rate, momentum)
        path.append(p - momentum * v)
    paths["nesterov"] = np.array(path)
    return paths


def assert_equals_the_formulas(found):
    limit = np.inf if found["limit"] is None else found["limit"]
    expected = by_formula(found["start"], found["steps"], found["rate"], found["momentum"], limit)
    # the direction of a clipped gradient amplifies rounding errors from step to step
    tolerance = 1e-9 if np.isinf(limit) else 1e-4
    for method, path in expected.items():
        losses = 0.5 * np.einsum("ti,ij,tj->t", path, HESSIAN, path)
        for got, true in (found["paths"][method], path), (found["losses"][method], losses):
            np.testing.assert_allclose(got, true, rtol=tolerance, atol=tolerance, err_msg=method)


def test_the_paths_are_those_of_the_formulas(visit):
    browser = visit(live.descent)
    assert_equals_the_formulas(values(browser))
    for name in "rate ε", "momentum μ", "gradient limit":
        slider = find(browser, f'input[aria-label="{name}"]')
        for key in Keys.HOME, Keys.END, Keys.LEFT, Keys.LEFT, Keys.LEFT:
            slider.send_keys(key)
            found = values(browser)
            assert_equals_the_formulas(found)
    assert (found["rate"], found["momentum"], found["limit"]) == (0.11, 0.95, 20)


def test_sliders_can_be_dragged(visit):
    browser = visit(live.descent)
    for name, setting in ("rate ε", "rate"), ("momentum μ", "momentum"), ("gradient limit", "limit"):
        slider = find(browser, f'input[aria-label="{name}"]')
        before = values(browser)[setting]
        width = slider.size["width"]
        at_thumb = width * (float(slider.get_attribute("value")) / float(slider.get_attribute("max")) - 0.5)
        drag = (
            ActionChains(browser).move_to_element_with_offset(slider, int(at_thumb * 0.9), 0).click_and_hold()
        )
        drag.move_to_element_with_offset(slider, int(-width * 0.3), 0).release().perform()
        assert values(browser)[setting] != before, name
        assert_equals_the_formulas(values(browser))


def test_play_step_and_restart(visit):
    browser = visit(live.descent)
    button(browser, "back").click()
    assert values(browser)["steps"] == 0
    button(browser, "one step").click()
    assert values(browser)["steps"] == 1
    button(browser, "play").click()
    WebDriverWait(browser, 20).until(lambda _: values(browser)["steps"] > 5)
    button(browser, "pause").click()
    steps = values(browser)["steps"]
    assert not values(browser)["playing"]
    assert values(browser)["steps"] == steps
    assert_equals_the_formulas(values(browser))
    browser.execute_script("document.querySelector('minids-descent').go(1000)")
    assert values(browser)["steps"] == 200
    assert not button(browser, "one step").is_enabled()


def test_the_start_can_be_moved(visit):
    browser = visit(live.descent)
    start = find(browser, ".start")
    ActionChains(browser).drag_and_drop_by_offset(start, 60, -30).perform()
    x, y = values(browser)["start"]
    assert x > -6.5
    assert y > -3.5
    start.send_keys(Keys.LEFT, Keys.DOWN, Keys.DOWN)
    assert values(browser)["start"] == pytest.approx([x - 0.5, y - 1])
    ActionChains(browser).drag_and_drop_by_offset(start, 350, 30).perform()
    assert values(browser)["start"][0] == 10
    assert_equals_the_formulas(values(browser))


def test_methods_can_be_hidden(visit):
    browser = visit(live.descent)
    chart = find(browser, 'svg[aria-label^="the losses"]')
    assert "Nesterov" in chart.text
    toggle = find(browser, 'button[title="show or hide Nesterov"]')
    toggle.click()
    assert "Nesterov" not in chart.text
    assert toggle.get_attribute("aria-pressed") == "false"
    toggle.click()
    assert "Nesterov" in chart.text


def test_divergence_is_shown_honestly(visit):
    """Gradient descent diverges above the rate 2 / 20; a limit of the gradient's norm prevents it."""
    browser = visit(live.descent)
    go = "d = document.querySelector('minids-descent'); Object.assign(d.settings, arguments[0]); d.go(200)"
    browser.execute_script(go, {"rate": 0.09, "momentum": 0})
    assert "larger" not in find(browser, ".row output").text
    browser.execute_script(go, {"rate": 0.11, "momentum": 0})
    assert find(browser, ".row output").text.endswith("larger than at the start: it diverges")
    browser.execute_script(go, {"rate": 0.3, "momentum": 0.99})
    assert find(browser, ".row:nth-child(2) output").text.endswith("it diverges")
    browser.execute_script(go, {"rate": 0.11, "momentum": 0, "limit": 5})
    assert_equals_the_formulas(values(browser))
    assert "diverges" not in find(browser, ".row output").text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_it_fits_any_width(visit, width, scheme, tmp_path):
    browser = visit(live.descent, width, scheme)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.save_screenshot(str(tmp_path / "page.png"))

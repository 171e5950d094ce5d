"""The live layer computes what the reference does, and all of it works by mouse, touch and keyboard."""

import json

import numpy as np
import pytest

from minids.lesson import live
from minids.ops.reference.affine import affine_backward, affine_forward

pytest.importorskip("selenium", reason="selenium is not installed; it comes with the extra 'dev'")
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests.lesson.live.component import button, find, values


def set_rate(browser, rate):
    """Move the slider with the keyboard until it shows the rate."""
    slider = find(browser, "input")
    slider.send_keys(Keys.HOME)
    for _ in range(20):
        if values(browser)["rate"] == rate:
            return
        slider.send_keys(Keys.RIGHT)
    raise AssertionError(f"the slider has no {rate}")


def by_reference(browser, rates):
    """The losses, W and b after steps of these rates, from the reference, with the data of the component."""
    element = browser.find_element(By.TAG_NAME, "minids-layer")
    x, y = (np.array(json.loads(element.get_attribute(name)))[:, None] for name in ("inputs", "targets"))
    W, b, losses = np.zeros((y.shape[2], x.shape[2])), np.full(y.shape[2], 5.0), []
    for rate in (*rates, 0):
        h = affine_forward(x, W, b, clip=True)
        losses.append(((h - y) ** 2).sum() / 2 / len(y))
        _, dW, db = affine_backward((h - y) / len(y), x, W, h, clip=True)
        W, b = W - rate * dW, b - rate * db
    return losses, W, b, h[:, 0], dW, db


def assert_equals_the_reference(browser, rates):
    found = values(browser)
    expected = by_reference(browser, rates)
    for name, value in zip(("losses", "W", "b", "h", "dW", "db"), expected, strict=True):
        np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-9, err_msg=name)
    assert found["step"] == len(rates)


def test_every_step_is_that_of_the_reference(visit):
    browser = visit(live.layer)
    assert_equals_the_reference(browser, [])
    for _ in range(3):
        button(browser, "one step").click()
    assert_equals_the_reference(browser, [0.05] * 3)
    set_rate(browser, 0.2)
    browser.execute_script("document.querySelector('minids-layer').train(200)")
    assert_equals_the_reference(browser, [0.05] * 3 + [0.2] * 200)
    found = values(browser)
    assert found["losses"][-1] < found["unchanged"] < found["losses"][0]
    assert find(browser, "output").text.startswith("step 203, loss ")


def test_play_pause_and_restart(visit):
    browser = visit(live.layer)
    button(browser, "play").click()
    WebDriverWait(browser, 20).until(lambda _: values(browser)["step"] > 10)
    button(browser, "pause").click()
    step = values(browser)["step"]
    assert not values(browser)["playing"]
    assert values(browser)["step"] == step
    assert_equals_the_reference(browser, [0.05] * step)
    button(browser, "start again").click()
    assert_equals_the_reference(browser, [])
    set_rate(browser, 0.1)
    button(browser, "one step").click()
    chart = find(browser, 'svg[aria-label^="the loss"]')
    assert {text for text in chart.text.splitlines() if text.startswith("ε")} == {"ε 0.05", "ε 0.1"}


def test_too_large_a_rate_is_shown_honestly(visit):
    browser = visit(live.layer)
    set_rate(browser, 5)
    browser.execute_script("document.querySelector('minids-layer').train(30)")
    assert_equals_the_reference(browser, [5] * 30)
    assert (
        "so all gradients are 0" in find(browser, "p").text
        or "larger than at the start" in find(browser, "p").text
    )


def test_every_rate_can_be_dragged_to_and_the_curves_show_the_best(visit):
    browser = visit(live.layer)
    rates, slider = [], find(browser, "input")
    slider.send_keys(Keys.HOME)
    for _ in range(int(slider.get_attribute("max"))):
        rates.append(values(browser)["rate"])
        slider.send_keys(Keys.RIGHT)
    rates.append(values(browser)["rate"])
    assert rates == sorted(set(rates))
    assert (rates[0], rates[-1]) == (0.001, 5)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_it_fits_any_width(visit, width, scheme, tmp_path):
    browser = visit(live.layer, width, scheme)
    browser.execute_script("document.querySelector('minids-layer').train(60)")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.save_screenshot(str(tmp_path / "page.png"))

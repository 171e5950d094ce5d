"""The player: its numbers are those of the sound and of the log_probs; clicks, drags and keys work."""

import io
import json
import re
from base64 import b64decode
from html import unescape

import numpy as np
import pytest
from PIL import Image

from minids.audio import load_audio
from minids.lesson import data, display, player
from minids.text import Alphabet

RATE = 16000
PATH = [0, 1, 1, 0, 2, 2, 3, 0, 0, 3]  # "ab␣…␣": 10 frames of 0.1 s
ALPHABET = Alphabet("ab ")


def log_probs(path=PATH, p=0.8):
    y = np.full((len(path), 4), (1 - p) / 3)
    y[range(len(path)), path] = p
    return np.log(y)


def tone(seconds=1.0, hertz=1000):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


def versions(count):
    return {f"{i} dB": (tone(hertz=500 * (i + 1)), log_probs(p=0.9 - i / 10)) for i in range(count)}


def html_of(sound=None, rate=RATE, letters=None, alphabet=ALPHABET, several=None):
    return str(player.player(sound, rate, letters, alphabet, several, by="noise", title="a tone"))


def runs_of(html):
    return json.loads(unescape(re.search('data-runs="([^"]*)"', html)[1]))


def test_a_run_is_the_most_probable_character_of_equal_frames():
    runs = runs_of(html_of(tone(), letters=log_probs()))
    assert [symbol for symbol, *_ in runs] == ["", "a", "", "b", "␣", "", "␣"]
    assert runs[1] == ["a", 0.1, 0.3, [80, 80]]
    assert runs[-1][2] == 1.0


def test_timed_texts_are_runs():
    texts = [("two", 0.1, 0.3), ("five", 0.5, 0.9, 0.75)]
    assert runs_of(html_of(tone(), letters=texts)) == [["two", 0.1, 0.3, [100]], ["five", 0.5, 0.9, [75]]]


def test_the_spectrogram_is_brightest_where_the_tone_is():
    url = re.search('<img src="data:image/png;base64,([^"]*)"', html_of(tone(hertz=2000)))[1]
    image = np.asarray(Image.open(io.BytesIO(b64decode(url))))  # the indices of its colors
    rows = image.astype(int).mean(axis=1)
    assert len(rows) - 1 - int(rows.argmax()) == 2000 / (RATE / 320)


def sounds(html, folder):
    """The samples and the rate of each sound in a player."""
    for i, content in enumerate(re.findall('src="data:audio/wav;base64,([^"]*)"', html)):
        (folder / f"{i}.wav").write_bytes(b64decode(content))
        yield load_audio(folder / f"{i}.wav")


def test_sounds_have_16_bits(tmp_path):
    ((samples, rate),) = sounds(html_of(tone()), tmp_path)
    assert rate == RATE
    np.testing.assert_allclose(samples, tone(), atol=2**-15)
    ((samples, rate),) = sounds(html_of(data("seven.flac"), rate=None), tmp_path)
    expected, expected_rate = load_audio(data("seven.flac"))
    assert rate == expected_rate
    np.testing.assert_allclose(samples, expected, atol=2**-15)


def test_versions_with_the_same_sound_include_it_once(tmp_path):
    several = {name: (None, [(name, 0, 1)]) for name in ("one", "two")} | {"other": tone(hertz=500)}
    assert len(list(sounds(html_of(tone(), several=several), tmp_path))) == 2


def test_a_peak_above_1_is_scaled_in_all_versions_alike(tmp_path):
    html = html_of(several={"loud": 4 * tone(), "soft": tone()})
    peaks = [abs(samples).max() for samples, _ in sounds(html, tmp_path)]
    assert peaks == pytest.approx([1, 0.25], abs=0.001)


@pytest.mark.parametrize(
    "samples", [np.zeros(RATE), np.zeros(100), tone(30.0)], ids=["silent", "short", "long"]
)
def test_any_sound_can_be_shown(samples):
    assert len(html_of(samples)) < 60_000 + 45_000 * max(1, len(samples) / RATE)


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match="need their `alphabet`"):
        html_of(tone(), letters=log_probs(), alphabet=None)
    with pytest.raises(ValueError, match="need their `rate`"):
        html_of(tone(), rate=None)
    with pytest.raises(ValueError, match="without samples"):
        html_of(np.zeros(0))
    with pytest.raises(ValueError, match="no sound"):
        html_of(several={"a": (None, [("a", 0, 1)])})


@pytest.fixture
def opened(visit, tmp_path, monkeypatch, capsys):
    """Open a page with the player that `listen` writes in a script."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(display, "_pages", {})

    def open_(*args, width=1000, **kwargs):
        display.listen(*args, **kwargs)
        path = re.search(r"sound: (\S+)#", capsys.readouterr().out)[1]
        return visit(tmp_path / path, width)

    return open_


def find(browser, selector):
    return browser.find_element("css selector", f"minids-player {selector}")


def seconds(browser):
    return float(find(browser, ".seek").get_attribute("aria-valuenow"))


def test_a_click_and_a_drag_move_the_playhead(opened):
    from selenium.webdriver.common.action_chains import ActionChains

    browser = opened(tone(), RATE, log_probs=log_probs(), alphabet="ab ")
    seek = find(browser, ".seek")
    width = seek.size["width"]
    ActionChains(browser).move_to_element_with_offset(seek, round(-0.35 * width), 0).click().perform()
    assert seconds(browser) == pytest.approx(0.15, abs=0.01)
    assert find(browser, ".readout").text == "0.15 s · “a” 80 % · a"
    assert seek.get_attribute("aria-valuetext") == "0.15 seconds · “a” 80 %"
    ActionChains(browser).click_and_hold(seek).move_by_offset(round(0.11 * width), 0).release().perform()
    assert seconds(browser) == pytest.approx(0.61, abs=0.01)
    assert find(browser, ".readout").text.startswith("0.61 s · “␣” 80 % · ab")
    ActionChains(browser).move_by_offset(-50, 0).perform()
    assert seconds(browser) == pytest.approx(0.61, abs=0.01), "the pointer is up"
    left = browser.execute_script(
        "const [a, b] = ['.playhead', '.seek'].map(s => document.querySelector(s).getBoundingClientRect());"
        "return (a.left + a.width / 2 - b.left) / b.width"
    )
    assert left == pytest.approx(0.61, abs=0.01)


def test_keys_move_the_playhead(opened):
    from selenium.webdriver.common.keys import Keys

    browser = opened(tone(), RATE)
    seek = find(browser, ".seek")
    moves = (
        (Keys.END, 1),
        (Keys.ARROW_LEFT, 0.98),
        (Keys.PAGE_DOWN, 0.48),
        (Keys.HOME, 0),
        (Keys.ARROW_LEFT, 0),
    )
    for key, expected in moves:
        seek.send_keys(key)
        assert seconds(browser) == pytest.approx(expected)


def test_it_plays_and_pauses_and_stops_at_the_end(opened):
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    browser = opened(tone(4.0), RATE)
    button, wait = find(browser, ".controls button"), WebDriverWait(browser, 10)
    assert (button.text, button.get_attribute("aria-label")) == ("▶ Play", "play")
    button.click()
    wait.until(lambda _: seconds(browser) > 0.1)
    assert button.get_attribute("aria-label") == "pause"
    find(browser, ".seek").send_keys(Keys.SPACE)
    wait.until(lambda _: button.text == "▶ Play")
    assert 0.1 < seconds(browser) < 4
    find(browser, ".seek").send_keys(Keys.END, Keys.ARROW_LEFT)
    button.click()
    wait.until(lambda _: seconds(browser) == 0 and button.text == "▶ Play")


@pytest.mark.parametrize("count", [3, 6])
def test_it_opens_on_the_last_version_of_a_training(opened, count):
    browser = opened(None, RATE, alphabet="ab ", versions=versions(count), by="training")
    figures = browser.find_elements("css selector", "minids-player figure")
    assert [figure.is_displayed() for figure in figures] == [False] * (count - 1) + [True]
    assert f"{count - 1} dB" in find(browser, "fieldset").text
    assert browser.execute_script("""
        const { type, checked, value, max } = [...document.querySelectorAll("minids-player input")].at(-1);
        return type === "radio" ? checked : value === max;
    """)


def test_names_of_versions_have_a_minus_sign():
    several = {"-6 dB": tone(), "x-1": tone()}
    assert re.findall('data-name="([^"]*)"', html_of(several=several)) == ["−6 dB", "x-1"]


def test_few_versions_are_buttons_and_many_a_slider(opened):
    from selenium.webdriver.common.keys import Keys

    browser = opened(None, RATE, alphabet="ab ", versions=versions(3), by="noise")

    def shown():
        figures = browser.find_elements("css selector", "minids-player figure")
        return [figure.get_attribute("data-name") for figure in figures if figure.is_displayed()]

    assert shown() == ["0 dB"]
    find(browser, ".seek").send_keys(Keys.ARROW_UP, Keys.ARROW_UP, Keys.ARROW_UP)
    labels = browser.find_elements("css selector", "minids-player fieldset label")
    assert [label.text for label in labels] == ["0 dB", "1 dB", "2 dB"]
    labels[1].click()
    assert shown() == ["1 dB"]
    assert find(browser, ".readout").text.startswith("0.30 s"), "another version, at the same time"
    browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    assert shown() == ["2 dB"]

    browser = opened(None, RATE, alphabet="ab ", versions=versions(6), by="SNR")
    browser.execute_script("document.querySelector('minids-player').remove()")  # the one above
    slider = find(browser, "fieldset input")
    assert slider.get_attribute("aria-label") == "SNR"
    slider.send_keys(Keys.END)
    assert shown() == ["5 dB"]
    assert slider.get_attribute("aria-valuetext") == "5 dB"
    assert find(browser, "fieldset output").text == "5 dB"
    slider.send_keys(Keys.ARROW_LEFT)
    assert shown() == ["4 dB"]


def test_one_can_seek_at_any_time(opened):
    browser = opened(None, RATE, alphabet="ab ", versions=versions(3), by="noise")
    errors = browser.execute_async_script("""
        const player = document.querySelector("minids-player"), errors = [];
        for (const { audio } of player.versions) audio.onerror = () => errors.push(audio.error.message);
        for (let i = 0; i < 30; i++) {
            player.select(i % 3);
            player.seekTo(i / 30);
        }
        setTimeout(() => arguments[0](errors), 500);
    """)
    assert errors == []


def test_a_finger_taps_and_drags_sideways_but_scrolls_up_and_down(opened):
    browser = opened(tone(), RATE)

    def touch(*path, end="pointerup"):
        """A finger at points, in fractions of the width and pixels down; returns where the playhead is."""
        browser.execute_script(
            """
            const [path, end] = arguments, seek = document.querySelector("minids-player .seek");
            const box = seek.getBoundingClientRect();
            seek.setPointerCapture = () => {};
            path.forEach(([x, y], i) => {
                const clientX = box.left + x * box.width, clientY = box.top + y;
                const place = { clientX, clientY, pointerType: "touch" };
                const send = (type) => seek.dispatchEvent(new PointerEvent(type, place));
                send(i ? "pointermove" : "pointerdown");
                if (i === path.length - 1) send(end);
            });
            """,
            path,
            end,
        )
        return seconds(browser)

    assert touch((0.3, 20)) == pytest.approx(0.3, abs=0.01)
    assert touch((0.5, 20), (0.6, 21), (0.7, 22)) == pytest.approx(0.7, abs=0.01)
    assert touch((0.2, 20), (0.2, 40), (0.21, 90), end="pointercancel") == pytest.approx(0.7, abs=0.01)


def test_a_change_of_version_goes_on_in_one_animation(opened):
    from selenium.webdriver.support.ui import WebDriverWait

    browser = opened(None, RATE, versions={f"{i}": tone(8, 300 * (i + 1)) for i in range(3)})
    find(browser, ".controls button").click()
    WebDriverWait(browser, 10).until(lambda _: seconds(browser) > 0.05)
    drawn, frames, paused = browser.execute_async_script("""
        const player = document.querySelector("minids-player"), draw = player.draw.bind(player);
        let drawn = 0, frames = 0;
        for (const i of [1, 2, 0, 1]) player.select(i);
        player.draw = () => { drawn++; draw(); };
        const count = () => { if (++frames < 30) requestAnimationFrame(count); };
        requestAnimationFrame(count);
        setTimeout(() => arguments[0]([drawn, frames, player.version.audio.paused]), 2000);
    """)
    assert not paused
    assert frames == 30
    assert drawn < 1.5 * 2000 / 16, "one animation of 60 frames in a second"
    assert seconds(browser) > 1


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_it_fits_and_its_letters_do_not_overlap(opened, width):
    letters = [0, 1] * 20
    browser = opened(tone(), RATE, log_probs=log_probs(letters), alphabet="ab ", width=width)
    overlaps, scroll = browser.execute_script("""
        const boxes = [...document.querySelectorAll("minids-player b")]
            .filter((b) => b.style.visibility === "visible").map((b) => b.getBoundingClientRect());
        return [boxes.some((a, i) => boxes.some((b, j) => i < j && a.left < b.right - 1
                   && b.left < a.right - 1 && a.top < b.bottom && b.top < a.bottom)),
                document.documentElement.scrollWidth];
    """)
    assert not overlaps
    assert scroll <= width


def test_without_script_there_are_a_player_a_picture_and_letters():
    html = html_of(tone(), letters=log_probs())
    assert re.search("<audio controls [^>]*aria-label=", html)
    assert re.search('<img [^>]*alt="spectrogram, 0 to 8 kHz"', html)
    assert re.findall("<b [^>]*>(.)</b>", html) == ["a", "b", "␣", "␣"]


def test_three_letters_at_one_place_are_visible_on_a_phone(opened):
    letters = [0] * 20 + [1, 2, 1] + [0] * 77
    browser = opened(tone(), RATE, log_probs=log_probs(letters), alphabet="ab ", width=390)
    drawn = browser.find_elements("css selector", "minids-player b")
    assert [letter.is_displayed() for letter in drawn] == [True] * 3
    assert len({letter.location["y"] for letter in drawn}) == 3

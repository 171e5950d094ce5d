"""What a test can see of a page."""

from selenium.webdriver.common.by import By


def fits(browser):
    """Whether the page needs no horizontal scrolling."""
    # Not innerWidth, which grows with the page on an emulated phone.
    return browser.execute_script(
        "const { scrollWidth, clientWidth } = document.documentElement; return scrollWidth <= clientWidth"
    )


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

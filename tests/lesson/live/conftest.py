"""A page with components, in headless Chromium."""

import json

import pytest

from minids.lesson import display


@pytest.fixture
def visit(browser, tmp_path, monkeypatch, capsys):
    """Show components with a function, as a script does, and open their page at a width, light or dark.

    Afterwards: no page logged anything, or used the network.
    """
    monkeypatch.chdir(tmp_path)

    def open_(show, width=1280, scheme="light"):
        monkeypatch.setattr(display, "_pages", {})
        capsys.readouterr()
        show()
        path = capsys.readouterr().out.splitlines()[-1].removeprefix("live: ").split("#")[0]
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        browser.get((tmp_path / path).as_uri())
        return browser

    browser.get_log("browser"), browser.get_log("performance")
    yield open_
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert urls, "the log of requests is empty"
    assert [url for url in urls if not url.startswith(("file:", "data:"))] == []

"""Fonts for the scripts of a text, and labels of symbols that are hard to see."""

import warnings

import pytest

from minids import plot


@pytest.fixture
def fonts(monkeypatch):
    """The characters of two fonts, of which matplotlib's has Latin letters."""
    coverage = {"DejaVuSans.ttf": "abc", "other.ttf": "गवत्"}
    monkeypatch.setattr(
        plot, "_characters_of", lambda path: {ord(c) for c in coverage.get(path.split("/")[-1], "")}
    )
    monkeypatch.setattr(plot, "_warned", set())
    plot._font_families.cache_clear()

    from matplotlib.font_manager import FontEntry, fontManager

    own = [font for font in fontManager.ttflist if font.name == "DejaVu Sans"]
    monkeypatch.setattr(fontManager, "ttflist", [*own, FontEntry(fname="other.ttf", name="Other")])
    yield
    plot._font_families.cache_clear()


def test_a_font_is_found_by_its_characters(fonts):
    assert plot.font_families("abc cab") == ["DejaVu Sans"]
    assert plot.font_families("a गवत्") == ["DejaVu Sans", "Other"]


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("한국", "Noto Sans .*fonts-noto-cjk"),
        ("漢", "fonts-noto-cjk"),
        ("ก", r"'ก' \(U\+0E01\).*Noto Sans \("),
    ],
)
def test_a_missing_font_is_named_once_for_each_script(fonts, text, advice):
    with pytest.warns(UserWarning, match=advice):
        plot.font_families(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot.font_families(text * 2)


def test_spaces_and_marks_have_a_visible_label():
    assert [plot.visible(symbol) for symbol in (" ", "\u094d", "é", "sch", "")] == [
        "␣",
        "◌\u094d",
        "é",
        "sch",
        "",
    ]

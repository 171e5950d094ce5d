"""What is built from lessons: pages, notebooks, cards of exercises, drawings."""

import re
from types import SimpleNamespace
from xml.etree import ElementTree

import nbformat
import pytest
from PIL import Image

from minids._utils.errors import InputError
from minids.lesson import folder
from minids.lesson.site import build as site
from minids.lesson.site import cells, drawings, markdown, thumbnails
from minids.plot.svg import DARK_COLORS


def test_a_page_has_text_code_and_outputs(tiny):
    text = (tiny / "01_tiny.html").read_text()
    assert "<h1>1. Is this a “lesson”?</h1>" in text
    assert '<a href="02_other.html">another</a>' in text
    assert "not of a file." in text
    assert ">a &lt; b\nb &lt; c\n</pre>" in text, "consecutive prints are one block"
    assert ">1024</pre>" in text
    assert "not written yet" not in text, "what check prints is not shown"
    assert 'rel="next" href="02_other.html"' in text
    assert 'rel="prev"' not in text
    assert 'rel="prev" href="01_tiny.html"' in (tiny / "02_other.html").read_text()


@pytest.mark.parametrize(
    ("code", "folded"),
    [("show(f(x))\nlisten(y, 8000)", True), ("live.lattice('hi', 4)", True), ("x = 1\nshow(x)", False)],
)
def test_code_that_only_shows_something_is_folded(code, folded):
    cell = SimpleNamespace(cell_type="code", source=code, outputs=[])
    opening = SimpleNamespace(cell_type="code", source="import math", outputs=[])
    parts = cells.body([opening, cell], folder.lessons()[0]).parts
    assert ("<details" in "".join(parts[1:])) is folded


def test_a_page_includes_each_script_once(tiny):
    text = (tiny / "01_tiny.html").read_text()
    assert text.count("</minids-player>") == 2
    defined = re.findall(r'customElements\.define\("([\w-]+)"', text)
    assert sorted(defined) == ["minids-packed", "minids-player", "minids-steps"]
    assert text.count("minids-player .wave {") == 1
    assert "minids-player" not in (tiny / "02_other.html").read_text()


def test_what_check_and_yours_print_is_left_out():
    text = (
        "1.1 frames  [ ] not written yet; the lesson continues with our answer\n"
        "our answers: frames (1.1), power_spectrum (1.2), filter_banks (1.3), normalize (1.4),\n"
        "    with_context (2.1), softmax (2.2)\n    a table (of 2)\nour answers: f (1.1)\n"
    )
    assert cells._QUIET.sub("", text) == "    a table (of 2)\n"


def test_an_exercise_is_a_card_with_its_task_stub_hints_and_answer(tiny):
    cards = re.findall(
        r'<section class="exercise".*?</section>', (tiny / "01_tiny.html").read_text(), re.DOTALL
    )
    texts = [" ".join(re.sub("<[^>]*>", "", card).split()) for card in cards]
    assert len(cards) == 2
    assert "Exercise 1.1 frames" in texts[0]
    assert "<p>Cut <em>it</em>\ninto frames.</p>" in cards[0]
    assert "raise NotImplementedError" in texts[0]
    assert "minids lessons check 1.1" in texts[0]
    assert "twice &lt;x&gt;" in texts[0]
    assert "return x + x" in texts[0]
    assert "print" not in texts[0]
    assert "Without a stub." in texts[1]
    assert "math.sqrt" in texts[1]
    assert "import math" not in texts[1]


def test_pages_load_nothing_from_the_network(tiny):
    for path in tiny.glob("*.html"):
        text = path.read_text()
        for link in re.findall(r'\b(?:src|href|srcset|action|poster)="([^"]*)"', text):
            assert link.startswith(("data:", "#")) or (tiny / link).is_file(), f"{path.name}: {link}"
        assert "@import" not in text
        assert not re.search(r"url\((?!#)", text)


def test_the_map_of_the_paper_links_code_and_lessons(tiny):
    text = (tiny / "paper.html").read_text()
    assert 'Nesterov’s <a href="../minids/x.py">x</a> no <a href="01_tiny.html">1</a>' in text


def test_the_index_counts_the_lessons_of_both_books(tiny, monkeypatch):
    monkeypatch.setattr(folder, "SECOND_BOOK", range(2, 3))
    lessons = [site._about(path) for path in sorted((tiny.parent / "lessons").glob("*.py"))]
    page = " ".join(site._index(lessons, tiny).split())
    assert "2 lessons, 2 exercises, about 0 hours" in page
    assert "Book two" in page


def test_the_capstone_takes_hours():
    (path,) = (path for path in folder.lessons() if path.name.startswith(str(site.CAPSTONE)))
    capstone = site._about(path)
    assert 4 * 60 <= capstone.minutes <= 8 * 60
    assert re.fullmatch(r"[45678] hours", capstone.duration)


def test_code_is_linked_in_the_repository_if_its_address_is_known(tiny, monkeypatch):
    urls = {"Project-URL": ["Repository, https://example.org/minids"]}
    monkeypatch.setattr(site, "metadata", lambda name: SimpleNamespace(get_all=urls.get))
    monkeypatch.setattr(folder, "root", lambda: tiny.parent / "lessons")
    link = site._code_link(tiny.parent / "docs/paper.md", "../minids/x.py", tiny)
    assert link == "https://example.org/minids/blob/HEAD/minids/x.py"


def test_links_to_the_site_have_a_preview(tiny):
    text = (tiny / "index.html").read_text()
    assert '<meta property="og:image" content="preview.png">' in text
    with Image.open(tiny / "preview.png") as image:
        assert image.size == (1200, 630)


def test_a_notebook_is_valid_and_without_outputs(tiny):
    notebook = nbformat.read(tiny / "01_tiny.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert [cell.cell_type for cell in notebook.cells] == [
        "code",
        "markdown",
        "code",
        "markdown",
        "code",
        "markdown",
        "code",
        "code",
    ]
    assert "pip install" in notebook.cells[0].source
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert len({cell.id for cell in notebook.cells}) == 8


@pytest.mark.parametrize("number", drawings.DRAWINGS)
def test_a_thumbnail_is_a_small_drawing_without_small_words(number):
    root = ElementTree.fromstring(drawings.thumbnail(number))
    assert root.get("viewBox") == "0 0 320 150"
    assert len(ElementTree.tostring(root)) < 40_000
    assert all(float(text.get("font-size")) >= 14 for text in root.iter("{http://www.w3.org/2000/svg}text"))


def test_every_lesson_has_a_thumbnail_with_the_colors_of_the_page(tmp_path):
    paths = thumbnails.write_thumbnails(tmp_path / "to")
    assert [path.stem for path in paths] == [path.name[:2] for path in folder.lessons()]
    for path in paths:
        text = path.read_text()
        assert len(list(ElementTree.fromstring(text).iter())) > 4, path.name
        variables = set(re.findall(r"var\((--\w+)", text))
        assert variables <= set(re.findall(r"(--\w+):", text)) | {f"--c{color[1:]}" for color in DARK_COLORS}
        assert "prefers-color-scheme: dark" in text


def test_an_error_in_a_lesson_names_the_lesson(tmp_path, monkeypatch):
    (tmp_path / "01_bad.py").write_text("# %% [markdown]\n# # 1. Bad?\n# %%\n1 / 0\n")
    monkeypatch.setattr(folder, "root", lambda: tmp_path)
    with pytest.raises(InputError, match=r"01_bad\.py: a cell fails: ZeroDivisionError"):
        site.build(tmp_path / "site")


def test_links_lead_to_pages_or_become_text():
    html = markdown.html(
        "[a](03_layer.py) [b](../lessons/03_layer.py) [c](../minids/x.py) [d](#here) [e](https://a.b)"
    )
    assert re.findall(r'href="([^"]*)"', html) == ["03_layer.html", "03_layer.html", "#here"]
    assert " c " in html
    assert " e<" in html
    html = markdown.html("[c](../minids/x.py)", link=lambda target: f"code/{target[3:]}")
    assert 'href="code/minids/x.py"' in html


def test_short_code_and_formulas_keep_their_punctuation():
    text = markdown.html("A (`-np.inf`), of $x$, and `a`.\n\n```\ncode\n```\n\n`" + 30 * "long" + "`.")
    assert '<span class="together">(<code>-np.inf</code>),</span> of' in text
    assert "</math></span>,</span> and" in text
    assert "and <code>a</code>.</p>" in text
    assert "<pre><code>code" in text
    assert text.count("together") == 2


def test_sections_have_ids_and_quotation_marks_are_those_of_print():
    assert '<h2 id="why-20-ms-and-x">Why "20" ms' not in markdown.html('## Why "20" ms, and `x`?')
    assert '<h2 id="why-20-ms-and-x">Why “20” ms, and <code>x</code>?</h2>' in markdown.html(
        '## Why "20" ms, and `x`?'
    )
    assert markdown.plain('It\'s *a* "b" < `c`') == "It’s a “b” < c"

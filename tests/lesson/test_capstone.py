"""The capstone: a reader's own file, the clip, the comparison with ours; lesson 16 with such a file."""

import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from minids.lesson import capstone, folder
from minids.plot import subplots

LESSON = folder.root() / "16_recognizer.py"


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """The folder of a reader, and own_file and side_by_side as called from a lesson in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINIDS_ANSWERS", raising=False)
    scope = {"__file__": str(tmp_path / "16_recognizer.py"), "capstone": capstone}

    class Reader:
        path = tmp_path
        file = tmp_path / capstone.FILE

        @staticmethod
        def own_file():
            return eval("capstone.own_file()", scope)

        @staticmethod
        def side_by_side():
            return eval("capstone.side_by_side()", scope).read_text()

    return Reader


def test_the_page_is_made_once_and_empty(reader):
    module = reader.own_file()
    assert reader.file.read_text() == capstone.EMPTY_PAGE
    with pytest.raises(NotImplementedError):
        module.features(np.zeros(3))
    reader.file.write_text("features = 7\n")
    assert reader.own_file().features == 7
    reader.file.write_text("features = 8\n")
    assert reader.own_file().features == 8, "it is read again"
    with pytest.raises(NotImplementedError):
        reader.own_file().forward()
    assert reader.file.read_text() == "features = 8\n"


def test_it_can_import_what_the_lessons_kept_as_it_is_now(reader):
    reader.file.write_text("from mine import frames\n\n\ndef features(x):\n    return frames + x\n")
    for value in 1, 2:
        (reader.path / "mine.py").write_text(f"frames = {value}\n")
        assert reader.own_file().features(10) == 10 + value


def test_endless_code_is_stopped(reader, monkeypatch):
    monkeypatch.setattr(capstone, "_SECONDS", 0.2)
    reader.file.write_text("def features(x):\n    return x\n\n\nwhile True:\n    pass\n")
    with pytest.raises(TimeoutError, match=r"no result after 0.2 seconds; line [56] was running"):
        reader.own_file()


def test_a_byte_order_mark_is_no_code(reader):
    reader.file.write_text("\ufefffrom mine import frames\n\n\ndef normalize(x):\n    return x\n")
    (reader.path / "mine.py").write_text("\ufeffdef frames():\n    return 1\n")
    assert reader.own_file().frames() == 1
    assert reader.side_by_side().count("yours: ") >= 2


def test_errors_of_the_reader_are_theirs(reader):
    reader.file.write_text("import numpy\n\nfeatures = numpy.nothing\n")
    with pytest.raises(AttributeError, match="nothing"):
        reader.own_file()


def test_with_our_answers_nothing_is_read_or_written(reader, monkeypatch):
    monkeypatch.setenv("MINIDS_ANSWERS", "1")
    with pytest.raises(NotImplementedError):
        reader.own_file().features()
    assert not reader.file.exists()


def test_lines_of_code():
    source = '''
def f(x):
    """One,

    two."""
    # three

    y = [
        x,  # four
        x,
    ]
    return """
    text
    """, y
'''
    assert capstone.count_lines(source) == 8


def test_functions_of_one_name_stand_next_to_each_other(reader):
    reader.file.write_text(
        "from mine import frames as cut\nfrom mine import normalize\n\n\n"
        "def forward(params):\n    return '<b>' + params\n\n\ndef helper():\n    pass\n"
    )
    kept = "frames", "normalize", "with_context", "lattice"
    text = "\n\n\n".join(f"def {name}():\n    return {i}" for i, name in enumerate(kept))
    (reader.path / "mine.py").write_text(text)
    html = reader.side_by_side()
    rows = re.findall(r'<section class="pair">.*?</section>', html, re.DOTALL)
    names = [re.search(r"<h2><code>(\w+)", row)[1] for row in rows]
    ours = ["frames", "normalize", "features", "with_context", "forward", "backward", "ctc", "train"]
    assert names == [*ours, "beam_search", "helper"], "what deepspeech.py alone has is below"
    forward = rows[names.index("forward")]
    assert "yours: recognizer.py, line 5: 2 lines" in forward
    assert "return &#39;&lt;b&gt;&#39; + params" in forward
    assert re.search(r"ours: deepspeech.py, line \d+: \d\d lines", forward)
    assert "yours: mine.py, line 5: 2 lines" in rows[names.index("normalize")]
    assert "yours: mine.py, line 9: 2 lines" in rows[names.index("with_context")], "it need not be imported"
    assert "yours: not written yet (exercise 16.1)" in rows[names.index("features")]
    assert "deepspeech.py" not in rows[-1]
    assert "4 functions have the same name: 8 lines of yours" in " ".join(html.split())
    assert re.search(r"<summary><code>recordings</code>, line \d+: \d lines</summary>", html)


def test_an_empty_page_is_not_compared(reader):
    reader.own_file()
    scope = {"__file__": str(reader.path / "16_recognizer.py"), "capstone": capstone}
    assert eval("capstone.side_by_side()", scope) is None
    assert not list(reader.path.rglob("*.html"))


def test_the_clip_stays_on_its_last_picture(reader):
    figures = []
    for value in 1, 2, 3:
        figure, axes = subplots(4, 2)
        axes.plot([0, value])
        figures.append(figure)
    with Image.open(capstone.clip("learning", figures)) as clip:
        assert clip.n_frames == 3
        durations = []
        for i in range(3):
            clip.seek(i)
            durations.append(clip.info["duration"])
            assert clip.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
        pixels = np.asarray(clip.convert("RGB"), int)
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20, "lines and letters have soft edges"
    assert durations == [350, 350, 3000]


@pytest.mark.slow
def test_a_reader_who_has_written_it_all_reads_recordings(tmp_path):
    """Our file, as if it were theirs: all milestones are right, and their network reads unheard voices."""
    own = tmp_path / "mine"
    own.mkdir()
    shutil.copy(LESSON, own)
    text = folder.example("deepspeech.py").read_text(encoding="utf-8")
    (own / capstone.FILE).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", f"mine/{LESSON.name}"],
        cwd=tmp_path,
        env={**os.environ, "MINIDS_ANSWERS": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^16\.\d \w+  \[✓\] right", done.stdout, re.MULTILINE)) == 6
    rates = re.search(r"word error rate: (\d+)% greedily, (\d+)% with the language model", done.stdout)
    assert int(rates[2]) < 15
    assert int(rates[2]) < int(rates[1])
    assert (tmp_path / "out/lessons/learning.gif").stat().st_size < 1_000_000
    html = (tmp_path / "out/lessons/side_by_side.html").read_text()
    assert html.count("yours: recognizer.py") == html.count("ours: deepspeech.py")
    assert "<summary>" not in html, "they have all functions of deepspeech.py"

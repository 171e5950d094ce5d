"""The page of a run: what stands in it, that it is one file, and what a user can get wrong."""

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from minids import cli
from minids._utils.errors import InputError
from minids.data.manifest import read_manifest
from minids.plot.confusions import confusions
from minids.recognizer import Recognizer
from minids.report.training_report import training_report
from minids.training.settings import read_settings
from minids.training.trainer import Trainer
from tests import tones


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("place")
    tones.corpus(folder, "train", 10)
    tones.corpus(folder, "dev", 9, seed=1)
    (folder / "train" / "4.wav").write_text("no recording")
    Trainer(read_settings(tones.settings(folder, epochs=8)), folder / "run").run()
    return folder / "run"


class Tags(HTMLParser):
    """Counts tags, and checks that all that are opened are closed."""

    def __init__(self, html):
        super().__init__()
        self.count, self.open = Counter(), []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.count[tag] += 1
        if tag not in ("meta", "link", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_asks_nothing_of_the_network(run):
    html = training_report(run)
    tags = Tags(html)
    assert 4 <= tags.count["audio"] <= 8
    assert tags.count["audio"] == tags.count["h3"]
    assert tags.count["svg"] == tags.count["audio"] + 2
    without = re.sub(r"http://www\.w3\.org/\S+", "", html)  # names of languages, not addresses
    assert "http" not in without
    assert not re.search(r"(src|href)=\"(?!data:|#)", html)


def test_the_page_tells_what_evaluation_tells(run):
    html = training_report(run)
    dev = read_manifest(run.parent / "dev.jsonl")
    rows, _ = Recognizer.load(run / "best.safetensors").recognize(dev)
    shown = [row for row in rows if f"<h3>{Path(row.name).name}</h3>" in html]
    assert len(shown) >= 4
    for row in shown:
        assert f"every character of “{row.reference}”" in html
    for speaker in ("s0", "s1"):
        assert f'<th scope="row">{speaker}</th>' in html
    assert '<th scope="row">train.learning_rate</th><td class="n">0.01</td>' in html
    assert "4.wav" in html, "what was left out in training"


def test_another_manifest_may_be_heard_and_names_are_no_markup(run, tmp_path):
    tones.corpus(tmp_path, "a<b", 3, seed=2)
    html = training_report(run, tmp_path / "a<b.jsonl")
    assert "a&lt;b.jsonl" in html
    Tags(html)


def test_what_is_no_run_is_named(run, tmp_path, capsys):
    with pytest.raises(InputError, match=r"metrics\.jsonl: .*give the folder of a training run"):
        training_report(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\n')
    with pytest.raises(InputError, match=r"metrics\.jsonl: these are no metrics of `minids train`"):
        training_report(tmp_path)
    with pytest.raises(SystemExit):
        cli.main(["report", str(tmp_path / "mistyped")])
    assert "give the folder of a training run" in capsys.readouterr().err
    dev = run.parent / "dev.jsonl"
    dev.rename(dev.with_suffix(".away"))
    with pytest.raises(InputError, match=r"its dev set .*dev\.jsonl is gone; give --manifest FILE"):
        training_report(run)
    dev.with_suffix(".away").rename(dev)


def test_the_command_writes_the_page_beside_the_run(run, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["report", str(run)])
    assert not end.value.code
    assert capsys.readouterr().out == f"{run / 'report.html'}\n"
    Tags((run / "report.html").read_text())


def test_of_many_characters_the_rarest_are_left_out():
    counts = Counter({(c, c): n for n, c in enumerate("edcba", start=1)})
    (axes,) = confusions(counts, most=4).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [*"abcd", "∅"]


def test_confusions_have_a_cell_for_each_pair():
    counts = Counter({("a", "a"): 120, ("a", "b"): 3, ("", " "): 2, ("c", ""): 1})
    figure = confusions(counts)
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["␣", "a", "b", "c", "∅"]
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    assert cells == {(1, 1): "120", (2, 1): "3", (0, 4): "2", (4, 3): "1"}

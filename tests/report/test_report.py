"""The report of a run: its content, that it is one file, and the mistakes that a user can make."""

import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from minids import cli
from minids._utils.errors import InputError
from minids.audio import load_audio, save_audio
from minids.data.manifest import Utterance, read_manifest, write_manifest
from minids.decode.tuned import TunedDecoder
from minids.metrics import Evaluation
from minids.recognizer import Recognizer
from minids.report.training_report import training_report
from minids.training.settings import read_settings
from minids.training.trainer import Trainer
from minids.weights import copy_with_notes, load_model
from tests import tones


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    tones.corpus(folder, "train", 10)
    tones.corpus(folder, "dev", 9, seed=1)
    (folder / "train" / "4.wav").write_text("not audio")
    Trainer(read_settings(tones.settings(folder, epochs=8)), folder / "run").run()
    return folder / "run"


class Tags(HTMLParser):
    """Counts tags, and checks that each open tag is closed."""

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


def test_the_report_is_one_file(run):
    html = training_report(run)
    tags = Tags(html)
    assert 4 <= tags.count["audio"] <= 8
    assert tags.count["audio"] == tags.count["h3"]
    assert tags.count["svg"] == tags.count["audio"] + 2
    assert "http" not in re.sub(r"http://www\.w3\.org/\S+", "", html)  # these are names of languages
    assert not re.search(r"(src|href)=\"(?!data:|#)", html)


def test_the_report_has_utterances_speakers_settings_and_skipped_recordings(run):
    html = training_report(run)
    dev = read_manifest(run.parent / "dev.jsonl")
    results, _ = Recognizer.load(run / "best.safetensors").recognize(dev)
    assert str(Evaluation(results).wer).split(" (")[0] in html
    shown = [result for result in results if f"<h3>{Path(result.name).name}</h3>" in html]
    assert len(shown) >= 4
    for result in shown:
        assert f"every character of “{result.reference}”" in html
    for speaker in ("s0", "s1"):
        assert f'<th scope="row">{speaker}</th>' in html
    assert '<th scope="row">train.learning_rate</th><td>0.01</td>' in html
    assert "4.wav" in html, "skipped in training"


def test_another_manifest_can_be_evaluated_and_names_are_escaped(run, tmp_path):
    tones.corpus(tmp_path, "a<b", 3, seed=2)
    html = training_report(run, tmp_path / "a<b.jsonl")
    assert "a&lt;b.jsonl" in html
    Tags(html)


def test_errors_name_the_file(run, tmp_path, capsys):
    with pytest.raises(InputError, match=r"metrics\.jsonl: .*give the folder of a training run"):
        training_report(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 1}\n')
    with pytest.raises(InputError, match=r"metrics\.jsonl: not the metrics of `minids train`"):
        training_report(tmp_path)
    with pytest.raises(SystemExit):
        cli.main(["report", str(tmp_path / "mistyped")])
    assert "give the folder of a training run" in capsys.readouterr().err
    dev = run.parent / "dev.jsonl"
    dev.rename(dev.with_suffix(".away"))
    with pytest.raises(InputError, match=r"its dev set .*dev\.jsonl does not exist; give --manifest FILE"):
        training_report(run)
    dev.with_suffix(".away").rename(dev)


def test_the_command_writes_the_report_into_the_run(run, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["report", str(run)])
    assert not end.value.code
    assert capsys.readouterr().out == f"{run / 'report.html'}\n"
    Tags((run / "report.html").read_text())


def test_a_model_without_its_language_model_can_be_reported_greedily(run, tmp_path, capsys):
    """The error of a missing language model advises --lm none, so the report has this option."""
    copy = shutil.copytree(run, tmp_path / "run")
    model = load_model(copy / "best.safetensors")
    decoder = TunedDecoder("gone.arpa", 0, 1.0, 1.0, 10)
    copy_with_notes(copy / "best.safetensors", copy / "best.safetensors", model, decoder=decoder._asdict())
    with pytest.raises(SystemExit):
        cli.main(["report", str(copy)])
    assert "or --lm none" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        cli.main(["report", str(copy), "--lm", "none"])
    assert not end.value.code
    assert "greedily" in (copy / "report.html").read_text()


def test_a_device_or_a_link_stays_what_it_is(run, tmp_path):
    (tmp_path / "target.html").write_text("old")
    (tmp_path / "link.html").symlink_to("target.html")
    for out in ("/dev/null", tmp_path / "link.html"):
        with pytest.raises(SystemExit) as end:
            cli.main(["report", str(run), "--out", str(out)])
        assert not end.value.code
    assert Path("/dev/null").is_char_device()
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "target.html").read_text().startswith("<!doctype html>")


def test_parts_of_one_recording_are_utterances_of_their_own(run, tmp_path):
    """The report also says which characters of the texts the alphabet lacks."""
    samples, rate = load_audio(run.parent / "dev" / "0.wav")
    save_audio(tmp_path / "long.wav", np.tile(samples, 2), rate)
    seconds = len(samples) / rate
    parts = [
        Utterance(tmp_path / "long.wav", text, seconds, "s0", start=start)
        for text, start in (("a", 0), ("é", seconds))
    ]
    write_manifest(tmp_path / "parts.jsonl", parts)
    html = training_report(run, tmp_path / "parts.jsonl")
    assert html.count("<audio") == 4  # the worst and the median ones
    assert f"[{seconds:g} s to" in html
    assert "characters that the alphabet lacks: &#39;é&#39; (U+00E9) in 1" in html

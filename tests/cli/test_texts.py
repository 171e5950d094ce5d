"""`train` and `evaluate` normalize the texts and report what they changed."""

import json
from dataclasses import replace

import pytest

from minids import cli
from minids.data.manifest import Utterance, read_manifest, write_manifest
from minids.lesson import data
from tests import tones


@pytest.mark.parametrize(
    ("text", "rate", "removed", "missing"),
    [
        ("two five", 0.0, {}, {}),
        ("Two, FIVE!", 0.0, {",": 1, "!": 1}, {}),
        ("two\u2014five\u200b", 0.0, {"\u2014": 1, "\u200b": 1}, {}),
        ("two 5", 0.5, {}, {"5": 1}),
        ("two <unk>", 0.5, {}, {"<unk>": 1}),
    ],
)
def test_evaluate_reports_what_it_changed_in_the_references(tmp_path, capsys, text, rate, removed, missing):
    manifest = tmp_path / "test.jsonl"
    write_manifest(manifest, [Utterance(data("two_five.flac"), text, 0.9)])
    with pytest.raises(SystemExit) as end:
        cli.main(["evaluate", str(manifest), "--model", str(data("digits.safetensors")), "--json"])
    assert not end.value.code
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result["wer"]["rate"] == rate
    assert result["texts"] == {
        "texts": 1,
        "incomplete": bool(missing),
        "missing": missing,
        "removed": removed,
    }
    assert ("removed from the texts" in err) == bool(removed)
    assert ("1 of 1 texts have characters that the alphabet lacks" in err) == bool(missing)


def test_train_reports_what_it_changed_in_the_texts(tmp_path, capsys):
    for name, count in (("train", 4), ("dev", 2)):
        tones.corpus(tmp_path, name, count)
        manifest = tmp_path / f"{name}.jsonl"
        utterances = [replace(u, text=f"{u.text.upper()}!") for u in read_manifest(manifest)]
        write_manifest(manifest, utterances)
    with pytest.raises(SystemExit) as end:
        cli.main(["train", str(tones.settings(tmp_path, epochs=1)), "--run", str(tmp_path / "run")])
    assert not end.value.code
    err = capsys.readouterr().err
    assert "train: removed from the texts: '!' (U+0021) in 4" in err
    assert "skipped" not in err

"""`evaluate` scores references as the model could write them, and reports what it changed."""

import json

import pytest

from minids import cli
from minids.data.manifest import Utterance, write_manifest
from minids.lesson import data


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

"""progress.json: states, hints and checksums of copies, also if the file is damaged."""

import json

import pytest

from minids.lesson import progress


def test_states_and_hints_are_kept_together(tmp_path):
    progress.record("7.1", "wrong", tmp_path)
    assert progress.next_hint(tmp_path, "7.1", ["a", "b"]) == (1, "a")
    progress.record_copies(tmp_path, {"07_double.py": 11, "08_powers.py": 12})
    progress.record_copies(tmp_path, {"07_double.py": 12})
    progress.record("7.1", "right", tmp_path)
    assert [progress.next_hint(tmp_path, "7.1", ["a", "b"]) for _ in range(2)] == [(2, "b"), (2, "b")]
    assert progress.next_hint(tmp_path, "7.2", ["c"]) == (1, "c")
    assert progress.load(tmp_path) == {
        "7.1": {"state": "right", "hints": 2},
        "7.2": {"state": "open", "hints": 1},
    }
    assert progress.copies(tmp_path) == {"07_double.py": 12, "08_powers.py": 12}


@pytest.mark.parametrize(
    "content",
    [
        '["no',
        "[7]",
        '{"7.1": 7}',
        '{"7.1": {}}',
        '{"7.1": {"state": "?", "hints": 0}}',
        '{"copies": {"a.py": "?"}}',
        "[" * 10**5,
    ],
)
def test_damaged_progress_is_ignored(tmp_path, content):
    (tmp_path / "progress.json").write_text(content)
    assert progress.load(tmp_path) == progress.copies(tmp_path) == {}
    progress.record("7.1", "right", tmp_path)
    assert json.loads((tmp_path / "progress.json").read_text())["7.1"]["state"] == "right"


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path):
    (tmp_path / "progress.json").mkdir()
    progress.record("7.1", "right", tmp_path)
    assert progress.next_hint(tmp_path, "7.1", ["a"]) == (1, "a")

"""--hot-words and --lexicon, and hot words per call."""

import numpy as np
import pytest

from minids import InputError, Recognizer
from minids.cli import main
from tests import tones


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tones.corpus(tmp_path, "test", 1)
    tones.model(tmp_path / "m.safetensors")
    (tmp_path / "words.txt").write_text("\ufeffcab\r\n\r\nBa cab\r\n", encoding="utf-8")
    return tmp_path


def test_hot_words_from_a_file_or_the_command_line(place, capsys):
    [recording] = sorted(place.rglob("*.wav"))[:1]

    def transcribe(*options):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            raise SystemExit(main(["transcribe", str(recording), "--model", "m.safetensors", *options]))
        return stop.value.code, capsys.readouterr()

    recognizer = Recognizer.load("m.safetensors")
    for weight in (1.0, 20.0):
        expected = recognizer.transcribe(recording, hot_words={"cab": weight, "ba": weight}).text
        for words in ("words.txt", "cab,ba", "BA , Cab,"):
            code, out = transcribe("--hot-words", words, "--hot-word-weight", str(weight))
            assert (code, out.out.strip()) == (0, expected)
    assert {*expected.split()} & {"cab", "ba"}
    for options, message in [
        (["--hot-words", "none.lst"], "cannot read none.lst"),
        (["--hot-words", "no/names"], "cannot read no/names"),
        (["--hot-words", ""], "--hot-words '' has no words"),
        (["--hot-words", "!!"], "'!!' is not a word"),
        (["--hot-word-weight", "3"], "--hot-word-weight is for --hot-words"),
    ]:
        code, out = transcribe(*options)
        assert code != 0
        assert message in out.err
    code, out = transcribe("--lexicon", "words.txt")
    assert code != 0
    assert "words.txt:3: 'Ba cab" in out.err
    (place / "words.txt").write_text("cab\nba\n")
    code, out = transcribe("--lexicon", "words.txt")
    assert code == 0
    assert {*out.out.split()} <= {"cab", "ba"}
    assert (
        out.out.strip() == Recognizer.load("m.safetensors", lexicon=["cab", "ba"]).transcribe(recording).text
    )


def test_hot_words_of_a_call_are_not_calibrated(place):
    recognizer = Recognizer.load("m.safetensors", hot_words=["cab"])
    assert recognizer.search.language.hot_words
    samples = np.zeros(8000, np.float32)
    assert not recognizer.transcribe(samples, hot_words={}).calibrated
    with pytest.raises(InputError, match="weight of the hot word 'a' is -1"):
        recognizer.transcribe(samples, hot_words={"a": -1})

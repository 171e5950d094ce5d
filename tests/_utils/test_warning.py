"""A warning shows the line of the program, whichever function of minids the program called."""

import numpy as np
import pytest

from minids import Recognizer
from minids._utils.warning import warn
from minids.audio import AudioWarning, load_audio, save_audio
from minids.data.manifest import Utterance
from minids.decode.beam_search import BeamSearch
from minids.decode.lexicon import LanguageWarning
from minids.text import Alphabet


def test_warnings_about_a_recording_show_the_callers_line(tmp_path):
    path, recognizer = tmp_path / "telephone.wav", Recognizer.load()
    save_audio(path, np.full(8000, 0.1, np.float32), 8000)
    for call in (
        lambda: load_audio(path, 16_000),
        lambda: Utterance(path, "a", 1.0).load_audio(16_000),
        lambda: recognizer.transcribe(path),
    ):
        with pytest.warns(AudioWarning, match="8000 Hz is below") as warned:
            call()
        assert [warning.filename for warning in warned] == [__file__]


def test_warnings_about_a_lexicon_show_the_callers_line():
    with pytest.warns(LanguageWarning, match="cannot be written") as warned:
        BeamSearch(Alphabet(" ab"), lexicon=["ab", "c"])
    assert [warning.filename for warning in warned] == [__file__]


def test_code_without_a_module_name_can_be_warned():
    with pytest.warns(UserWarning, match="hello") as warned:
        exec(compile("warn('hello')", "typed", "exec"), {"warn": warn})
    assert [warning.filename for warning in warned] == ["typed"]

"""The recipes: their settings are real ones; LibriSpeech's runs on a small folder of the official layout."""

import re
import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from minids.audio import save_audio
from minids.corpus.librispeech import import_librispeech
from minids.settings import Data, Features, Network, Training, read_settings
from minids.train import Trainer
from tests.tones import RATE, speak

EXAMPLES = Path(__file__).parent.parent / "examples"
SECTIONS = {"data": Data, "features": Features, "model": Network, "train": Training}


@pytest.mark.parametrize("recipe", sorted(EXAMPLES.rglob("*.toml")), ids=lambda path: path.name)
def test_every_recipe_is_accepted(recipe):
    read_settings(recipe)


def test_an4_shows_every_setting_with_its_default():
    text = (EXAMPLES / "an4.toml").read_text()
    for name, section in SECTIONS.items():
        part = text.split(f"[{name}]\n")[1].split("\n\n")[0]
        shown = dict(re.findall(r"^(\w+) = .*?\[([^]]*)\]$", part, re.MULTILINE))
        known = {f.name: f.default for f in fields(section) if f.name not in ("mean", "std")}
        assert set(re.findall(r"^(\w+) = ", part, re.MULTILINE)) == set(known)
        for key, default in shown.items():
            if key != "alphabet":  # told in words there
                assert default == str(known[key]), key


@pytest.mark.slow
def test_librispeech_recipe_on_a_small_folder(tmp_path):
    letters = {"train-clean-100": ["ab", "ba", "aab", "bb"], "dev-clean": ["abb"], "test-clean": ["bab"]}
    for part, texts in letters.items():
        chapter = tmp_path / "LibriSpeech" / part / "19" / "198"
        chapter.mkdir(parents=True)
        lines = []
        for i, text in enumerate(texts):
            save_audio(chapter / f"19-198-{i:04d}.flac", speak(text, np.random.default_rng(i)), RATE)
            lines.append(f"19-198-{i:04d} {text.upper()}\n")
        (chapter / "19-198.trans.txt").write_text("".join(lines))
    import_librispeech(tmp_path / "LibriSpeech", tmp_path / "data" / "librispeech")
    (tmp_path / "examples").mkdir()
    recipe = tmp_path / "examples" / "librispeech100.toml"
    shutil.copy(EXAMPLES / recipe.name, recipe)
    small = recipe.read_text().replace("hidden = 2048", "hidden = 16").replace("epochs = 20", "epochs = 1")
    recipe.write_text(small.replace("[features]", f"[features]\nrate = {RATE}"))

    trainer = Trainer(read_settings(recipe), tmp_path / "run")
    trainer.run()

    assert [row["utterances"] for row in trainer.progress.rows] == [4]
    assert trainer.folder.best.exists()

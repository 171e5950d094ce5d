"""`minids lm`: what the commands print, write and refuse."""

import json
import warnings
from pathlib import Path

import pytest

from minids import cli
from minids.lm.ngram import NGram
from tests import ROOT

TEXT = ROOT / "tests" / "lm" / "data" / "sentences.txt"

pytestmark = pytest.mark.filterwarnings("default::minids.lm.kneser_ney.DiscountWarning")


@pytest.fixture
def minids(capsys, tmp_path, monkeypatch):
    """Run a command in an empty folder -> exit code, stdout, stderr without the note on compilation."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main() sets its own

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.main(["lm", *map(str, arguments)])
        out, err = capsys.readouterr()
        return end.value.code or 0, out, "\n".join(e for e in err.splitlines() if "compiling" not in e)

    return run


def test_a_model_is_trained_and_its_perplexity_measured(minids):
    code, out, err = minids("train", TEXT, "--order", 3, "--prune", "0,0,1", "--out", "m.arpa")
    assert (code, err) == (0, "")
    assert out == "m.arpa: 28 words, 146 2-grams, 85 3-grams\n"
    Path("held.txt").write_text("the house sees zebras\n\nthe bird\n")
    found = json.loads(minids("perplexity", "m.arpa", "held.txt", "--json")[1])
    assert (found["words"], found["oov"], found["sentences"]) == (6, 1, 2)
    assert found["perplexity"] > found["without_oov"] > 1
    out = minids("perplexity", "m.arpa", "held.txt")[1]
    assert out.startswith(
        f"perplexity {found['perplexity']:.2f}; without OOV words {found['without_oov']:.2f}\n"
    )
    assert "6 words in 2 sentences, 1 not known to the model (OOV rate 16.67%)" in out


def test_a_model_is_pruned(minids):
    assert minids("train", TEXT, "--out", "m.arpa", "--json")[0] == 0
    code, out, _ = minids("prune", "m.arpa", "--threshold", "1e-3", "--out", "small.ngram", "--json")
    assert code == 0
    result = json.loads(out)
    small = NGram.load("small.ngram")
    assert result == {
        "path": "small.ngram",
        "order": 5,
        "ngrams": (small.starts[2:] - small.starts[1:-1]).tolist(),
    }
    assert len(small.word) < len(NGram.load("m.arpa").word) / 2


@pytest.mark.parametrize("argument", ["3", "words.txt"])
def test_a_limited_vocabulary(minids, argument):
    Path("words.txt").write_text("the house zebra")
    assert minids("train", TEXT, "--vocabulary", argument, "--out", "m.arpa")[0] == 0
    words = NGram.load("m.arpa").words
    assert len(words) == 6
    assert "the" in words
    assert ("zebra" in words) == (argument == "words.txt")


def test_a_character_model(minids):
    Path("t.txt").write_text("Ab é?\nab 1\n\nba\n", encoding="utf-8")
    arguments = ("t.txt", "--characters", "--alphabet", "abé ")
    code, out, err = minids("train", *arguments, "--order", 2, "--out", "m.arpa")
    assert code == 0
    assert out.startswith("m.arpa: 7 characters, ")
    assert "1 of 3 lines skipped" in err
    model = NGram.load("m.arpa")
    assert model.words[3:] == ["a", "b", "|", "é"]
    found = json.loads(minids("perplexity", "m.arpa", *arguments, "--json")[1])
    assert (found["words"], found["oov"], found["sentences"]) == (6, 0, 2)
    assert "6 characters in 2 sentences" in minids("perplexity", "m.arpa", *arguments)[1]


def test_a_text_is_normalized_to_an_alphabet(minids):
    Path("t.txt").write_text("The House.\nThe house\nA “house”\n2 houses\n1 or 2\n")
    code, _, err = minids("train", "t.txt", "--order", 1, "--out", "m.arpa")
    assert code == 0
    assert (
        "words such as 'The' and 'House.' are kept as written; --model or --alphabet normalizes them" in err
    )
    alphabet = ("--alphabet", " abcdefghijklmnopqrstuvwxyz")
    code, out, err = minids("train", "t.txt", "--order", 1, "--out", "m.arpa", *alphabet, "--json")
    assert code == 0
    skipped = "2 of 5 lines skipped, for characters that the alphabet lacks: '2' in 2, '1' in 1"
    assert skipped in err
    assert "as written" not in err
    result = json.loads(out)
    assert (result["lines"], result["lines_skipped"]) == (5, 2)
    assert list(NGram.load("m.arpa").words[3:]) == ["the", "house", "a"]
    code, out, err = minids("perplexity", "m.arpa", "t.txt", *alphabet, "--json")
    result = json.loads(out)
    assert (result["lines"], result["lines_skipped"], result["sentences"]) == (5, 2, 3)
    assert skipped in err


def test_a_text_that_the_alphabet_cannot_write_is_refused(minids):
    Path("t.txt").write_text("1\n2\n")
    Path("v.txt").write_text("a\n")
    assert minids("train", "v.txt", "--order", 1, "--out", "m.arpa")[0] == 0
    for command in (["train", "--out", "n.arpa"], ["perplexity", "m.arpa"]):
        code, out, err = minids(*command, "t.txt", "--alphabet", "abc")
        assert (code, out) == (1, "")
        assert "error: none of the 2 lines of t.txt can be written in 'abc': '1' in 1, '2' in 1; give" in err


@pytest.mark.parametrize("prune", ["0,0,1", "0 0 1", "0, 0, 1"])
def test_thresholds_are_one_value_and_texts_may_have_numbers_for_names(minids, prune):
    Path("2020").write_text(TEXT.read_text())
    _, expected, _ = minids("train", TEXT, "--order", 3, "--prune=0,0,1", "--out", "m.arpa")
    assert minids("train", "--out", "m.arpa", "--order", 3, "--prune", prune, "2020")[1] == expected


def test_an_input_is_never_overwritten(minids):
    Path("t.arpa").write_text(TEXT.read_text())
    Path("link.arpa").symlink_to("t.arpa")
    Path("folder").mkdir()
    argument = [
        ("train", "t.arpa", "--out", "./t.arpa"),
        ("train", TEXT, "t.arpa", "--out", "link.arpa"),
        ("train", TEXT, "--vocabulary", "t.arpa", "--out", "t.arpa"),
        ("prune", "t.arpa", "--out", "folder/../t.arpa"),
    ]
    for arguments in argument:
        code, _, err = minids(*arguments)
        assert code == 1
        assert f"cannot write {Path(arguments[-1])}: it is also an input" in err
    assert Path("t.arpa").read_text() == TEXT.read_text()


@pytest.mark.parametrize("out", ["none/m.arpa", "m.txt", "folder.arpa"])
def test_the_output_path_is_checked_first(minids, out):
    """Before the text is read, which is missing here."""
    Path("folder.arpa").mkdir()
    for command in ("train", "prune"):
        code, _, err = minids(command, "none.txt", "--out", out)
        assert code == 1
        assert f"cannot write {out}: " in err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "none.txt", "--out", "m.arpa"], 1, "cannot read none.txt: No such file or directory"),
        (["train", TEXT, "--out", "none/m.arpa"], 1, "cannot write none/m.arpa: no folder none; create it"),
        (["train", TEXT, "--out", "m.arpa", "--prune", "1"], 1, "prune 1: give at most 5 numbers"),
        (["train", TEXT, "--out", "m.arpa", "--prune=a"], 2, "--prune takes numbers such as 0,0,1, not 'a'"),
        (["train", TEXT, "--out", "m.arpa", "--prune", "0", "0", "1"], 1, "cannot read 0: No such file"),
        (["train", TEXT, "--out", "m.arpa", "--order", "0"], 1, "order 0; give 1"),
        (
            ["train", TEXT, "--out", "m.arpa", "--order", "99"],
            1,
            "order 99; give 1 (single words) to 16",
        ),
        (["train", TEXT, "--out", "m.arpa", "--vocabulary", "0"], 1, "a vocabulary of 0 words"),
        (["train", TEXT, "--out", "m.arpa", "--vocabulary=-5"], 1, "a vocabulary of -5 words"),
        (["train", TEXT, "--out", "m.arpa", "--vocabulary", "²"], 1, "cannot read ²: No such file"),
        (
            ["train", TEXT, "--out", TEXT],
            1,
            "sentences.txt: the name of a language model ends in .arpa or .arpa.gz",
        ),
        (
            ["train", TEXT, "--out", "m.arpa", "--alphabet", "aa"],
            1,
            "--alphabet: the alphabet names 'a' twice",
        ),
        (["train", TEXT, "--out", "m.arpa", "--alphabet", "a", "--model", "m"], 2, "give one of the two"),
        (["perplexity", "none.arpa", TEXT], 1, "none.arpa"),
        (["prune", TEXT, "--out", "m.arpa"], 1, "sentences.txt"),
    ],
)
def test_errors_are_one_line(minids, arguments, code, message):
    found = minids(*arguments)
    assert found[0] == code
    assert found[1] == ""
    assert message in found[2]
    assert found[2].startswith("minids: error: ")
    assert found[2].count("\n") == 0

"""`minids lm`: what the commands print, write and refuse."""

import bz2
import io
import json
import shutil
import subprocess
import sys
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
    result = json.loads(minids("perplexity", "m.arpa", "held.txt", "--json")[1])
    assert (result["words"], result["oov"], result["sentences"]) == (6, 1, 2)
    assert result["perplexity"] > result["without_oov"] > 1
    out = minids("perplexity", "m.arpa", "held.txt")[1]
    assert out.startswith(
        f"perplexity {result['perplexity']:.2f}; without OOV words {result['without_oov']:.2f}\n"
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
    result = json.loads(minids("perplexity", "m.arpa", *arguments, "--json")[1])
    assert (result["words"], result["oov"], result["sentences"]) == (6, 0, 2)
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
    skipped = "2 of 5 lines skipped, for markup or characters that the alphabet lacks: '2' in 2, '1' in 1"
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
    result = minids(*arguments)
    assert result[0] == code
    assert result[1] == ""
    assert message in result[2]
    assert result[2].startswith("minids: error: ")
    assert result[2].count("\n") == 0


def test_a_text_from_standard_input(minids, monkeypatch):
    for content in (TEXT.read_bytes(), bz2.compress(TEXT.read_bytes())):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        code, out, _ = minids("train", "-", "--order", 3, "--prune", "0,0,1", "--out", "m.arpa")
        assert (code, out) == (0, "m.arpa: 28 words, 146 2-grams, 85 3-grams\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"the house\n")))
    code, _, err = minids("train", "-", "--vocabulary", "5", "--out", "m.arpa")
    assert code == 1
    assert "the text is read twice" in err
    code, _, err = minids("train", "-", "/dev/stdin", "--out", "m.arpa")
    assert code == 2
    assert "give - once" in err


def test_markup_is_reported(minids):
    Path("t.txt").write_text("the <unk> said\nthe end\n[noise] a\n")
    code, out, err = minids(
        "train", "t.txt", "--order", 1, "--out", "m.arpa", "--alphabet", " aednhst", "--json"
    )
    assert (code, json.loads(out)["lines_skipped"]) == (0, 2)
    assert "2 of 3 lines skipped, for markup or characters that the alphabet lacks" in err
    assert "'<unk>' in 1, '[noise]' in 1" in err
    assert list(NGram.load("m.arpa").words[3:]) == ["the", "end"]
    Path("t.txt").write_text("the <laugh> end\n")
    assert "words such as '<laugh>' are kept as written" in minids("train", "t.txt", "--out", "m.arpa")[2]


def test_a_vocabulary_is_normalized_as_the_text_is(minids):
    Path("t.txt").write_text("The house. A house!\n")
    Path("v.txt").write_text("The\nHOUSE,\n")
    options = ("--alphabet", " abcdefghijklmnopqrstuvwxyz", "--vocabulary", "v.txt", "--out", "m.arpa")
    assert minids("train", "t.txt", "--order", 1, *options)[0] == 0
    assert list(NGram.load("m.arpa").words[3:]) == ["the", "house"]


def test_words_in_an_alphabet_without_a_space_are_noted(minids):
    Path("t.txt").write_text("ab ba\n")
    options = ("--order", 1, "--alphabet", "ab", "--out", "m.arpa")
    assert "the alphabet has no space" in minids("train", "t.txt", *options)[2]
    assert "the alphabet has no space" not in minids("train", "t.txt", "--characters", *options)[2]


def test_an_infinite_perplexity_is_null_in_json(minids):
    text = (TEXT.parent / "lmplz.arpa").read_text().replace("-2.0921683\t<unk>", "-900000\t<unk>")
    Path("m.arpa").write_text(text)
    Path("t.txt").write_text("qqq the\n")
    result = json.loads(minids("perplexity", "m.arpa", "t.txt", "--json")[1], parse_constant=pytest.fail)
    assert result["perplexity"] is None


@pytest.mark.parametrize("threshold", ["nan", "inf", "0", "-1", "x"])
def test_thresholds_that_are_not_positive_numbers_are_refused(minids, threshold):
    code, _, err = minids("prune", "none.arpa", "--out", "m.arpa", f"--threshold={threshold}")
    assert (code, err.count("\n")) == (2, 0)
    assert "--threshold" in err


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_a_text_from_a_pipe_of_the_shell(tmp_path):
    for source in ("/dev/stdin < t.txt", "<(cat t.txt)"):
        (tmp_path / "t.txt").write_text("the house\nthe bird\n")
        command = f"{sys.executable} -m minids lm train {source} --order 1 --out m.arpa"
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, "m.arpa: 6 words\n"), done.stderr

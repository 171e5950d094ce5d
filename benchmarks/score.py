"""Word and character errors by minids, jiwer, rapidfuzz and editdistance on the same texts, run alternately.

    python -m benchmarks.score --pairs 10000

The texts are random words, 17 per sentence, of which one in five is deleted, replaced or followed by another.
All must find the same number of errors before they are timed. minids and jiwer count substitutions, deletions
and insertions; rapidfuzz and editdistance only their sum. Packages that are not installed are skipped.
"""

import argparse
import random
from importlib.util import find_spec

from benchmarks.machine import headline, machine, milliseconds, save, set_threads, timed_in_turns

VOCABULARY_SIZE, ERROR_RATE = 5000, 0.2


def texts(pairs: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """References and hypotheses."""
    rng = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 9))) for _ in range(VOCABULARY_SIZE)]

    def recognized(word: str) -> list[str]:
        if rng.random() > ERROR_RATE:
            return [word]
        return rng.choice(([], [rng.choice(words)], [word, rng.choice(words)]))

    references = [rng.choices(words, k=rng.randint(5, 30)) for _ in range(pairs)]
    hypotheses = [[word for reference_word in r for word in recognized(reference_word)] for r in references]
    return [" ".join(r) for r in references], [" ".join(h) for h in hypotheses]


def competitors(references: list[str], hypotheses: list[str]) -> dict[str, dict]:
    """For each measure, functions that return the number of errors."""
    from minids.edit_distance import count_edits
    from minids.metrics import cer, wer, word_ids  # the kernel: words are integers already

    ref, hyp = [r.split() for r in references], [h.split() for h in hypotheses]
    numbers = [array for side in word_ids(ref, hyp) for array in side]
    words = {"minids": lambda: wer(references, hypotheses).errors}
    characters = {"minids": lambda: cer(references, hypotheses).errors}
    integers = {"minids": lambda: count_edits(*numbers)[:, :3].sum()}
    if find_spec("jiwer"):
        from jiwer import process_characters, process_words

        def errors(out):
            return out.substitutions + out.deletions + out.insertions

        words["jiwer"] = lambda: errors(process_words(references, hypotheses))
        characters["jiwer"] = lambda: errors(process_characters(references, hypotheses))
    for name, distance in distances().items():
        words[name] = lambda d=distance: sum(
            d(r.split(), h.split()) for r, h in zip(references, hypotheses, strict=True)
        )
        characters[name] = lambda d=distance: sum(map(d, references, hypotheses))
        integers[name] = lambda d=distance: sum(map(d, ref, hyp))
    return {"WER": words, "CER": characters, "WER, words split and numbered before": integers}


def distances() -> dict:
    functions = {}
    if find_spec("rapidfuzz"):
        from rapidfuzz.distance import Levenshtein

        functions["rapidfuzz"] = Levenshtein.distance
    if find_spec("editdistance"):
        from editdistance import eval as distance

        functions["editdistance"] = distance
    return functions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    set_threads(1)
    print(headline(machine()))
    results = {}
    for measure, functions in competitors(*texts(arguments.pairs)).items():
        sums = {name: int(function()) for name, function in functions.items()}
        assert len(set(sums.values())) == 1, f"{measure}: different numbers of errors: {sums}"
        times = {n: milliseconds(s) for n, s in timed_in_turns(functions, arguments.rounds).items()}
        print(f"\n{measure} of {arguments.pairs} pairs, {sums['minids']} errors")
        for name, time in times.items():
            print(f"  {name:14}{time:9.1f} ms {time / times['minids']:9.2f} of minids")
        results[measure] = {"errors": sums["minids"], "milliseconds": times}
    save(arguments.json, {"pairs": arguments.pairs, "rounds": arguments.rounds, "measures": results})


if __name__ == "__main__":
    main()

"""Run one decoder with one setting, in the interpreter that has it; `benchmarks.decoding` starts it.

    python decoders.py NAME POSTERIORS.npz LM.arpa '{"beam_width": 100, ...}'

It prints a line when it is ready. For every line on stdin it decodes all utterances once and prints
{"seconds", "memory_mb", "texts"}. The setting "utterances" limits their number; "copies" repeats each one to
make it longer. The interpreters of other decoders need none of our packages.
"""

import json
import sys
import time

import numpy as np


def minids(symbols, arpa, beam_width, pruned, alpha, beta, closed=False):
    """With its default thresholds or none. `closed`: only words of the language model, as flashlight does."""
    from math import inf

    from minids import BeamSearch, NGram

    lm = NGram.load(arpa)
    lexicon = lm.words[3:] if closed else None
    thresholds = {} if pruned else {"token_min_logp": -inf, "beam_prune_logp": -inf}
    search = BeamSearch(symbols, lm, alpha, beta, beam_width, lexicon, **thresholds)
    return lambda log_probs: search.decode(log_probs, n_best=1)[0].text


def pyctcdecode(symbols, arpa, beam_width, pruned, alpha, beta):
    """With its default thresholds (-5 and -10) or none."""
    from pyctcdecode import build_ctcdecoder

    decoder = build_ctcdecoder(["", *symbols], arpa, unigrams=words_of(arpa), alpha=alpha, beta=beta)
    thresholds = {} if pruned else {"beam_prune_logp": -1e9, "token_min_logp": -1e9}
    return lambda log_probs: decoder.decode(log_probs, beam_width=beam_width, **thresholds)


def flashlight(symbols, arpa, beam_width, pruned, alpha, beta):
    """Its lexicon decoder, with 8 symbols per frame and a threshold of 25, or without limits.

    Its words end in a space, so each utterance gets one more frame with a certain space. Its language model
    uses log10.
    """
    from flashlight.lib.text import decoder as fl
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import Dictionary

    number = {symbol: k for k, symbol in enumerate(symbols, start=1)}
    words = words_of(arpa)
    dictionary = Dictionary()
    for word in [*words, "<unk>"]:
        dictionary.add_entry(word)
    lm = KenLM(arpa, dictionary)
    trie, begin = fl.Trie(len(symbols) + 1, number[" "]), lm.start(False)
    for word in words:
        if all(letter in number for letter in word):
            _, score = lm.score(begin, dictionary.get_index(word))
            trie.insert([*map(number.get, word), number[" "]], dictionary.get_index(word), score)
    trie.smear(fl.SmearingMode.MAX)
    options = fl.LexiconDecoderOptions(
        beam_size=beam_width,
        beam_size_token=8 if pruned else len(symbols) + 1,
        beam_prune_logp=25.0 if pruned else 1e9,
        lm_weight=alpha * float(np.log(10)),
        word_score=beta,
        unk_score=float("-inf"),
        sil_score=0.0,
        log_add=False,
        criterion_type=fl.CriterionType.CTC,
    )
    transitions = []
    decoder = fl.LexiconDecoder(
        options, trie, lm, number[" "], 0, dictionary.get_index("<unk>"), transitions, False
    )

    last_frame = np.full((1, len(symbols) + 1), -30, np.float32)
    last_frame[0, number[" "]] = 0

    def decode(log_probs):
        log_probs = np.concatenate([log_probs, last_frame])
        best = decoder.decode(log_probs.ctypes.data, *log_probs.shape)[0]
        return " ".join(dictionary.get_entry(word) for word in best.words if word >= 0)

    return decode


def words_of(arpa):
    """The unigrams of an ARPA file, without <s>, </s> and <unk>."""
    words, in_unigrams = [], False
    with open(arpa, encoding="utf-8") as file:
        for line in file:
            if line.startswith("\\"):
                if in_unigrams:
                    break
                in_unigrams = line.strip() == "\\1-grams:"
            elif in_unigrams and line.strip():
                words.append(line.split()[1])
    return [word for word in words if word not in ("<s>", "</s>", "<unk>")]


def peak_memory():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024


def main():
    name, posteriors, arpa, settings = sys.argv[1:]
    with np.load(posteriors) as file:
        symbols = [str(symbol) for symbol in file["alphabet"]][1:]
        log_probs = [np.ascontiguousarray(file[key]) for key in sorted(file) if key.startswith("lp")]
    settings = json.loads(settings)
    copies = settings.pop("copies", 1)
    log_probs = [np.tile(y, (copies, 1)) for y in log_probs[: settings.pop("utterances", None)]]
    decode = globals()[name](symbols, arpa, **settings)
    decode(log_probs[0])
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        texts = [decode(y) for y in log_probs]
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "memory_mb": peak_memory(), "texts": texts}), flush=True)


if __name__ == "__main__":
    main()

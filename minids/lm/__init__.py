"""N-gram language models: how probable is a word after the words before it?

    text ─ words, count ─▶ counts ─ kneser_ney ─▶ NGram ─ query ─▶ p(word | history)
                                          ARPA file ◀─▶ ▲

The rooms, in the order of the way:

    plain.py       counting and smoothing, to be read
    words.py       a text, of any size, as word numbers;  spelling.py as a recognizer's alphabet spells it
    count.py       its n-grams counted
    kneser_ney.py  interpolated modified Kneser-Ney smoothing
    ngram.py       NGram, the model in memory: train, load, save, log_prob, perplexity
    prune.py       a smaller model of a model
    query.py       its tables and `score`, the question a decoder asks millions of times
    arpa.py        the file that all programs know, read;  parse.py its lines, in Numba;  write.py written
    quick.py       our file, which loads in no time
    table.py       a hash table, and asking memory for things early
"""

from pathlib import Path

from minids._utils.compile_cache import remove_stale

_HERE = Path(__file__).parent
remove_stale(_HERE, _HERE.glob("*.py"))

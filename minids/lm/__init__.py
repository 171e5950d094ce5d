"""N-gram language models: how probable is a word after the words before it?

    text ─ vocabulary ─▶ word ids ─ count ─▶ counts ─ kneser_ney ─▶ NGramArrays ─ scorer ─▶ p(word | history)
                                               ARPA or binary file ◀──────▶ ▲

The modules, in the order of the data; no module imports one below it. Compiled functions in modules with an
underscore trust their arguments; all others check theirs.

    reference.py     readable counting and smoothing
    text_source.py   a text of any size in blocks;  text_filter.py: in the alphabet of a recognizer
    vocabulary.py    words and their ids
    column.py        numbers on disk
    count.py         the n-grams and their counts;  _hash_table.py: the tables for them
    arrays.py        a model as arrays
    kneser_ney.py    interpolated modified Kneser-Ney smoothing
    _scorer.py       tables for millions of queries from compiled code;  _sentences.py: many words at a time
    arpa_reader.py, _arpa_parser.py, arpa_writer.py   the format that all programs know
    binary.py        the format that loads quickly;  kenlm_binary.py: KenLM's, through its package
    ngram.py         NGram, the model in memory: train, load, save, log_prob, perplexity
    prune.py         entropy pruning
"""

from minids._utils.compile_cache import cached_njit

njit = cached_njit("lm")  # a compiled function contains functions of several modules

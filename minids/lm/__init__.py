"""N-gram language models: how probable is a word after the words before it?

text ─ words, count ─▶ counts ─ kneser_ney ─▶ NGram ─ query ─▶ p(word | history)
                                      ARPA file ◀─▶ ▲
plain.py       counting and smoothing, to be read
words.py       a text, of any size, as word numbers
count.py       its n-grams counted
kneser_ney.py  interpolated modified Kneser-Ney smoothing
ngram.py       NGram, the model in memory: train, load, save, log_prob, perplexity
query.py       its tables and `score`, the question a decoder asks millions of times
arpa.py        the file that all programs know, read;  parse.py its lines, in Numba;  write.py written
quick.py       our file, which loads in no time
table.py       a hash table, and asking memory for things early
"""

"""N-gram language models: how probable is a word after the words before it?

ngram.py   NGram, the model in memory: load, save, log_prob, perplexity
query.py   its tables, and `score`, the question a decoder asks millions of times
arpa.py    the common file of such models, read and written;  parse.py  its lines, in Numba
"""

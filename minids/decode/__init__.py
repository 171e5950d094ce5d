"""From log_probs to text.

path.py             a path of labels, and the words along it with their times
greedy.py           the most probable symbol of every frame
align.py            the most probable path of a known text: when each letter was spoken
lexicon.py          which texts are allowed, and how probable their words are
reference.py        readable prefix beam search
beam_search.py      BeamSearch, the fast implementation;  search.py: its compiled inner loop
prefix.py           a prefix of the beam, and what each symbol adds to its language model score
tune.py             alpha and beta from a development set;  tuned.py the tuned search of a model file
error_analysis.py   search errors and model errors
"""

from minids._utils.compile_cache import cached_njit

njit = cached_njit("decode", "lm", "text.py")  # compiled functions contain functions of these

"""From log_probs to text.

greedy.py           the most probable symbol of every frame
reference.py        prefix beam search, to be read
beam_search.py      BeamSearch, the same search for use;  search.py its compiled frames
lexicon.py          which texts are allowed, and how likely their words are
align.py            the most probable path of a known text: when each letter was spoken
tune.py             alpha and beta from a development set;  tuned.py the tuned search of a model file
error_analysis.py   search errors and model errors
"""

from minids._utils.compile_cache import cached_njit

njit = cached_njit("decode", "lm", "text.py")  # compiled functions contain functions of these

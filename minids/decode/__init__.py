"""From log_probs to text.

greedy.py   the most probable symbol of every frame
plain.py    prefix beam search, to be read
beam.py     BeamSearch, the same to be used;  search.py its frames, entry.py, tree.py, ranked.py their parts
lexicon.py  words: what a text may be, and how likely it is
kept.py     the search that was tuned for a model;  examine.py whose fault an error is
"""

from pathlib import Path

from minids._utils.compile_cache import remove_stale

_HERE = Path(__file__).parent
remove_stale(_HERE, [*_HERE.glob("*.py"), *_HERE.parent.glob("lm/*.py"), _HERE.parent / "text.py"])

"""KenLM's binary files, read by its Python package, which the beam search then asks: slower than an NGram.

Such a file has hashes in place of n-grams, so it cannot be converted to another format.
"""

import ctypes
import mmap
import struct
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from minids._utils.errors import InputError
from minids.lm._scorer import STATE, UNIGRAM, Tables, empty_slots
from minids.lm.arrays import LN10
from minids.lm.vocabulary import SPECIAL

REMEDY = "give the ARPA file it was made from"


def read_words(path: str | Path) -> list[str]:
    """The words of a file, <unk>, <s> and </s> first. Raises InputError for a file without them."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        start = content.rfind(b"\0<unk>\0") + 1  # the words, each with a 0 after it, end the file
        words = content[start:].decode("utf-8", "replace").split("\0")[:-1] if start else []
    if not set(SPECIAL) <= set(words):
        raise InputError(f"{path} was built without its words; {REMEDY}")
    return [*SPECIAL, *(word for word in words if word not in SPECIAL)]


def callback_tables(path: str, words: Sequence[str]) -> tuple[Tables, Any]:
    """Tables without n-grams, whose `callback` asks KenLM, and the function, which must outlive them.

    Raises InputError where the package is missing, and for a file that it cannot read.
    """
    try:
        import kenlm
    except ImportError:
        raise InputError(f"{path} is in KenLM's binary format: pip install kenlm, or {REMEDY}") from None
    try:
        model = kenlm.Model(path)
    except OSError as error:
        raise InputError(f"{path}: {str(error).splitlines()[0]}; {REMEDY}") from None
    states, lock = [kenlm.State(), kenlm.State()], Lock()
    model.NullContextWrite(states[0])
    model.BeginSentenceWrite(states[1])
    numbers = {state: number for number, state in reversed([*enumerate(states)])}

    @ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
    def query(state: int, word: int) -> int:
        after = kenlm.State()
        log_prob = LN10 * model.BaseScore(states[state], words[word], after)
        with lock:
            number = numbers.setdefault(after, len(states))
            if number == len(states):
                states.append(after)
        return struct.unpack("<q", struct.pack("<fi", log_prob, number))[0]

    address = ctypes.cast(query, ctypes.c_void_p).value or 0
    arrays = empty_slots(0), np.zeros(0, UNIGRAM), np.zeros(0, STATE), np.zeros(0, np.int64)
    return Tables(*arrays, 1, address), query

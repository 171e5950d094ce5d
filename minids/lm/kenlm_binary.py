"""KenLM's binary files, read by its Python package: the beam search asks it, so this is slower than NGram.

The file has hashes in place of n-grams, so it cannot be converted to another format.
"""

import ctypes
import mmap
import struct
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import NoReturn

import numpy as np

from minids._utils.errors import InputError
from minids.lm._scorer import STATE, UNIGRAM, Tables, empty_slots
from minids.lm.arrays import LN10
from minids.lm.ngram import NGram
from minids.lm.vocabulary import SPECIAL

_REMEDY = "give the ARPA file it was made from"


class KenLM(NGram):
    """A binary file of KenLM as a language model of the beam search, for `log_prob` and for `perplexity`.

    Raises InputError where the package is missing, and for a file that it cannot read or that has no words.
    """

    def __init__(self, path: str | Path):
        self.name = str(path)
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            start = content.rfind(b"\0<unk>\0") + 1  # the words, each with a 0 after it, end the file
            words = content[start:].decode("utf-8", "replace").split("\0")[:-1] if start else []
        if not set(SPECIAL) <= set(words):
            raise InputError(f"{path} was built without its words; {_REMEDY}")
        self.words = [*SPECIAL, *(word for word in words if word not in SPECIAL)]
        self.log_probs = np.zeros(len(self.words) + 1, np.float32)  # only their order would matter
        _ = self.tables

    @cached_property
    def tables(self) -> Tables:
        """Tables without n-grams, whose `callback` asks KenLM."""
        try:
            import kenlm
        except ImportError:
            raise InputError(
                f"{self.name} is in KenLM's binary format: pip install kenlm, or {_REMEDY}"
            ) from None
        try:
            model = kenlm.Model(self.name)
        except OSError as error:
            raise InputError(f"{self.name}: {str(error).splitlines()[0]}; {_REMEDY}") from None
        words, states, lock = self.words, [kenlm.State(), kenlm.State()], Lock()
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

        self._query = query  # as long as the tables
        address = ctypes.cast(query, ctypes.c_void_p).value
        return Tables(empty_slots(0), np.zeros(0, UNIGRAM), np.zeros(0, STATE), 1, address or 0)

    @property
    def arrays(self) -> NoReturn:  # type: ignore[override]
        raise InputError(f"{self.name} is in KenLM's binary format, which cannot be converted; {_REMEDY}")

    starts = arrays  # type: ignore[assignment]

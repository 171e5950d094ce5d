"""The quick form of an n-gram model: the arrays of an NGram as they are, in a safetensors file."""

import json
import zlib
from pathlib import Path

import numpy as np

from minids._utils.errors import InputError, reason
from minids._utils.files import atomic_write, open_file
from minids.lm.arpa_parser import HUGE, LN10
from minids.lm.ngram import NGram
from minids.lm.vocabulary import SPECIAL

FORMAT = "minids-ngram-1"
# What a damaged or foreign file can make of our own lines below.
LOAD_ERRORS = (OSError, ValueError, TypeError, AttributeError, RecursionError, MemoryError)
DTYPES = {
    **{"words": np.uint8, "starts": np.int64, "context": np.int32, "word": np.int32},
    **{"log_probs": np.float32, "backoff": np.float32},
}


def is_binary(path: str | Path) -> bool:
    """Whether a file begins like safetensors: the size of its header, then the header."""
    try:
        with open_file(path) as file:
            begin = file.read(9)
    except OSError:
        return False  # whoever reads it will say what is wrong
    return begin[6:] == b"\0\0{"


def write_binary(path: str | Path, ngram: NGram) -> None:
    """Write the file whole or not at all.

    Raises InputError naming it when there is no room, no folder, no permission.
    """
    from safetensors.numpy import save

    tensors: dict[str, np.ndarray] = {
        "words": np.frombuffer("\n".join(ngram.words).encode(), np.uint8),
        "starts": ngram.starts,
        "context": ngram.context,
        "word": ngram.word,
        "log_probs": ngram.log_probs,
        "backoff": ngram.backoff[: ngram.starts[-2]],  # the highest order has none
    }
    header = {"format": FORMAT, "checksum": _checksum(tensors)}
    data = save(tensors, {"minids": json.dumps(header)})
    with atomic_write(path) as file:
        file.write(data)


def read_binary(path: str | Path) -> NGram:
    """Read what `write_binary` wrote. Raises InputError naming the file when it is damaged or foreign."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get("minids", "{}"))
            if header.get("format") != FORMAT:
                raise ValueError("it holds no n-gram model")
            tensors = {name: file.get_tensor(name) for name in DTYPES}
        if header.get("checksum") != _checksum(tensors):
            raise ValueError("it is not what was written: its checksum differs")
        words = tensors["words"].tobytes().decode().split("\n")
        _check(words, tensors)
    except (SafetensorError, *LOAD_ERRORS) as error:
        raise InputError(
            f"{path} cannot be read as a language model: {reason(error)}; copy it again or train anew"
        ) from error
    backoff = np.zeros(len(tensors["context"]), np.float32)
    backoff[: len(tensors["backoff"])] = tensors["backoff"]
    starts, context, word = tensors["starts"], tensors["context"], tensors["word"]
    return NGram(words, starts, context, word, tensors["log_probs"], backoff)


def _checksum(tensors: dict[str, np.ndarray]) -> int:
    """CRC-32: a disk or a copy that turned a bit is noticed."""
    checksum = 0
    for value in tensors.values():
        checksum = zlib.crc32(np.ascontiguousarray(value).data, checksum)
    return checksum


def _check(words: list[str], tensors: dict[str, np.ndarray]) -> None:
    """Raises ValueError for arrays that no NGram can have: Numba looks where they point, unasked."""
    for name, dtype in DTYPES.items():
        if tensors[name].dtype != dtype or tensors[name].ndim != 1:
            raise ValueError(f"{name} is {tensors[name].dtype} {tensors[name].shape}")
    starts, context, word = tensors["starts"], tensors["context"], tensors["word"]
    if len(starts) < 3 or starts[:2].tolist() != [0, 1] or starts[2] != 1 + len(words):
        raise ValueError("its orders do not begin where they must")
    if (starts[1:] < starts[:-1]).any() or not (
        starts[-1] == len(context) == len(word) == len(tensors["log_probs"])
        and starts[-2] == len(tensors["backoff"])
    ):
        raise ValueError("its arrays have other lengths than its orders")
    if tuple(words[: len(SPECIAL)]) != SPECIAL or len(set(words)) != len(words):
        raise ValueError("its words are not all different, or do not begin with <unk>, <s> and </s>")
    spaces = np.count_nonzero(tensors["words"] <= ord(" ")) - np.count_nonzero(tensors["words"] == ord("\n"))
    if spaces or not all(words):
        raise ValueError("a word is empty or has white space in it")
    for n in range(1, len(starts) - 1):
        those = slice(starts[n], starts[n + 1])
        if not (_within(context[those], starts[n - 1], starts[n]) and _within(word[those], 0, len(words))):
            raise ValueError("an n-gram has a context or a word that is not there")
    if (word[1 : starts[2]] != np.arange(len(words))).any():
        raise ValueError("its 1-grams are not its words")
    if not all((np.abs(tensors[name]) < HUGE * LN10).all() for name in ("log_probs", "backoff")):
        raise ValueError("it holds a number that is no logarithm of a probability")


def _within(values: np.ndarray, least: int, end: int) -> bool:
    return not len(values) or bool(values.min() >= least and values.max() < end)

"""The binary format of an n-gram model: its arrays in a safetensors file, which loads quickly."""

import json
from pathlib import Path

import numpy as np

from minids._utils.checksum import array_checksum
from minids._utils.errors import LOAD_ERRORS, InputError, reason
from minids._utils.files import atomic_write, open_file
from minids._utils.strict_json import to_json
from minids.lm.arrays import NGramArrays, validated

FORMAT = "minids-ngram"
VERSION = 1
DTYPES = {
    **{"words": np.uint8, "starts": np.int64, "context": np.int32, "word": np.int32},
    **{"log_probs": np.float32, "backoff": np.float32},
}


def is_binary(path: str | Path) -> bool:
    """Whether a file begins as safetensors do: the size of its header, then the header."""
    return _first_bytes(path, 9)[6:] == b"\0\0{"


def is_kenlm_binary(path: str | Path) -> bool:
    return _first_bytes(path, 6) == b"mmap l"


def _first_bytes(path: str | Path, count: int) -> bytes:
    try:
        with open_file(path) as file:
            return file.read(count)
    except OSError:
        return b""  # the reader reports the error


def write_binary(path: str | Path, arrays: NGramArrays) -> None:
    """Write the file atomically. Raises InputError for a path that cannot be written."""
    _write(path, validated(arrays))


def read_binary(path: str | Path) -> NGramArrays:
    """Read a file of `write_binary`. Raises InputError that names the file if it is damaged or foreign."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {}).get("minids", "{}"))
            if header.get("format") != FORMAT:
                raise ValueError("it is not an n-gram model")
            if header["version"] > VERSION:
                raise ValueError(f"it is of a newer minids (format {header['version']}); upgrade minids")
            tensors = {name: file.get_tensor(name) for name in DTYPES}
        if header.pop("checksum", None) != array_checksum(header, tensors):
            raise ValueError("its checksum differs, so its content has changed")
        return _arrays(tensors)
    except (SafetensorError, *LOAD_ERRORS) as error:
        raise InputError(
            f"{path} cannot be read as a language model: {reason(error)}; copy it again or train it again"
        ) from error


def _arrays(tensors: dict[str, np.ndarray]) -> NGramArrays:
    words, starts, context, word, log_probs, stored = (tensors[name] for name in DTYPES)
    if [array.dtype for array in tensors.values()] != [*DTYPES.values()]:
        raise ValueError("its arrays have other types")
    if starts.ndim != 1 or len(starts) < 2 or stored.shape != (starts[-2],):
        raise ValueError("backoff does not have one entry for each n-gram below the highest order")
    backoff = np.zeros(len(context), np.float32)
    backoff[: len(stored)] = stored
    names = words.tobytes().decode().split("\n")
    return validated(NGramArrays(names, starts, context, word, log_probs, backoff))


def _write(path: str | Path, arrays: NGramArrays) -> None:
    """Write safetensors array by array; the function of the package first makes two copies of them all."""
    tensors: dict[str, np.ndarray] = {  # of descending size of their numbers, so that all are aligned
        "starts": arrays.starts,
        "context": arrays.context,
        "word": arrays.word,
        "log_probs": arrays.log_probs,
        "backoff": arrays.backoff[: arrays.starts[-2]],  # the highest order has none
        "words": np.frombuffer("\n".join(arrays.words).encode(), np.uint8),
    }
    header: dict[str, object] = {"format": FORMAT, "version": VERSION}
    header["checksum"] = array_checksum(header, tensors)
    entries: dict[str, object] = {"__metadata__": {"minids": to_json(header)}}
    end = 0
    for name, array in tensors.items():
        start, end = end, end + array.nbytes
        kind = f"{array.dtype.kind}{8 * array.itemsize}".upper()  # such as I32
        entries[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [start, end]}
    text = to_json(entries).encode()
    text += b" " * (-len(text) % 8)
    with atomic_write(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in tensors.values():
            file.write(array.data)

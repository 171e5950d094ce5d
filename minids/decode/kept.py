"""What was tuned is kept in the model's own file: where its language model lies, alpha, beta, the beam's width.

The path to the language model is relative to the model, so that a folder with both can be moved. Its checksum tells
whether it is still the one that was tuned with: weights for another would be wrong, and nothing would show it.
"""

import os
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minids.errors import InputError, reason
from minids.files import open_file
from minids.weights import Saved, load_weights, save_weights

REMEDY = "give --lm FILE, or --lm none"


class Kept(NamedTuple):
    """The entry "decoder" of a model's notes."""

    lm: str
    checksum: int
    alpha: float
    beta: float
    beam_width: int


def keep(
    saved: Saved, model: Path, out: Path, lm: Path, values: tuple[float, float, int], checksum: int
) -> None:
    """Write the tuned model `saved`, read from the file `model`, to the file `out` with (alpha, beta, beam_width).

    Nothing else of the file changes. Raises InputError when `model` holds other weights by now (a training may have
    gone on meanwhile), and when `out` cannot be written.
    """
    now = load_weights(model)
    if not np.array_equal(now.model.flat_params, saved.model.flat_params):
        raise InputError(f"{model} has changed while it was tuned; tune again when its training has ended")
    out = out.resolve()
    now.notes["decoder"] = Kept(os.path.relpath(lm.resolve(), out.parent), checksum, *values)._asdict()
    save_weights(out, now)


def read_kept(notes: dict[str, Any], model: Path) -> Kept | None:
    """What `keep` wrote into a model's notes. Raises InputError naming the model when it cannot be read."""
    if "decoder" not in notes:
        return None
    try:
        kept = Kept(**notes["decoder"])
        return Kept(
            str(kept.lm), int(kept.checksum), float(kept.alpha), float(kept.beta), int(kept.beam_width)
        )
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{model}: what was tuned cannot be read; tune again, {REMEDY}") from None


def find(kept: Kept, model: Path) -> Path:
    """The language model that this model was tuned with. Raises InputError when it is gone, or another by now."""
    path = Path(os.path.normpath(model.resolve().parent / kept.lm))
    try:
        same = checksum(path) == kept.checksum
    except InputError as error:
        raise InputError(f"{model} was tuned with a language model that is gone: {error}") from None
    if not same:
        raise InputError(f"{model} was tuned with another {path} than is there now; tune again, {REMEDY}")
    return path


def checksum(path: Path) -> int:
    """CRC-32 of a file of any size. Raises InputError naming it."""
    found = 0
    try:
        with open_file(path) as file:
            while part := file.read(1 << 20):
                found = zlib.crc32(part, found)
    except OSError as error:
        raise InputError(f"{path}: {reason(error)}; {REMEDY}") from None
    return found

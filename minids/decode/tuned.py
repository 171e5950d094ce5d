"""What was tuned is kept in the model's own file: which language model, alpha, beta, the beam's width.

The way to the language model is told from the model's folder, so that a folder with both can be moved. A
checksum tells whether it is still the same: weights tuned for another are wrong, and nothing would show it.
"""

import math
import os
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minids._utils.errors import InputError, reason
from minids._utils.files import open_file
from minids.decode.beam_search import BeamSearch
from minids.lm.ngram import NGram
from minids.weights import Saved, load_weights, save_weights


class DecoderWeights(NamedTuple):
    """How a beam search weighs, and how many it follows. As it stands: of a language model nobody tuned."""

    alpha: float = 0.5
    beta: float = 1.0
    beam_width: int = 500


class Kept(NamedTuple):
    """The entry "decoder" of a model's notes."""

    lm: str
    checksum: int
    alpha: float
    beta: float
    beam_width: int


def keep(tuned: Saved, model: Path, out: Path, lm: Path, checksum: int, values: DecoderWeights) -> None:
    """Write the model that was read from the file `model` as `tuned` to `out`, with what was tuned.

    Raises InputError when `model` holds other weights by now (its training may have gone on), and when `out`
    cannot be written.
    """
    saved = load_weights(model)
    if not np.array_equal(saved.model.flat_params, tuned.model.flat_params):
        raise InputError(f"{model} has changed while it was tuned; tune again when its training has ended")
    out = out.resolve()
    saved.notes["decoder"] = Kept(os.path.relpath(lm.resolve(), out.parent), checksum, *values)._asdict()
    save_weights(out, saved)


def beam_search(
    saved: Saved,
    model: Path,
    lm: str | Path | NGram | None = None,
    alpha: float | None = None,
    beta: float | None = None,
    beam_width: int | None = None,
    pruning: bool = True,
) -> BeamSearch | None:
    """The search that goes with the model in the file `model`; None for greedy decoding.

    See `minids.Recognizer.load` for the arguments.
    """
    values = DecoderWeights()
    if not isinstance(lm, NGram) and lm != "none" and (kept := _read(saved.notes, model)):
        path = Path(os.path.relpath(model.resolve().parent / kept.lm))
        remedy = "give --lm FILE, or --lm none"
        if lm is None and not os.path.isfile(path):
            raise InputError(f"{model} was tuned with {path}, which is gone; put it back, {remedy}")
        same = checksum(path if lm is None else lm) == kept.checksum
        if lm is None and not same:
            raise InputError(f"{model} was tuned with {path}, which has changed; tune again, {remedy}")
        if same:
            values = DecoderWeights(kept.alpha, kept.beta, kept.beam_width)
        lm = path if lm is None else lm
    if lm is None or lm == "none":
        if alpha is not None:
            raise InputError("alpha weighs a language model, and there is none; give --lm FILE as well")
        if beta is None and beam_width is None and pruning:
            return None
        lm, values = None, values._replace(alpha=0.0, beta=0.0)
    values = DecoderWeights(
        values.alpha if alpha is None else alpha,
        values.beta if beta is None else beta,
        values.beam_width if beam_width is None else beam_width,
    )
    search = BeamSearch(
        saved.alphabet, lm if lm is None or isinstance(lm, NGram) else NGram.load(lm), *values
    )
    if not pruning:
        search.token_min_logp = search.beam_prune_logp = math.inf
    return search


def checksum(path: str | Path) -> int:
    """CRC-32 of a file of any size. Raises InputError naming it."""
    found = 0
    try:
        with open_file(path) as file:
            while part := file.read(1 << 20):
                found = zlib.crc32(part, found)
    except OSError as error:
        raise InputError(f"{path}: {reason(error)}; give the file of a language model") from error
    return found


def _read(notes: dict[str, Any], model: Path) -> Kept | None:
    if "decoder" not in notes:
        return None
    try:
        kept = Kept(**notes["decoder"])
        kinds = (str, int, float, float, int)
        return Kept(*(kind(value) for kind, value in zip(kinds, kept, strict=True)))
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{model}: what was tuned cannot be read; tune again, or give --lm none") from None

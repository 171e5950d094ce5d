"""The tuned decoder of a model: its entry in the model's file, and the beam search that it describes.

The file stores the language model's path relative to the model's folder, so that a folder with both can be
moved, and its checksum: weights tuned for another language model are wrong, and nothing else would show it.
"""

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from minids._utils.checksum import file_checksum
from minids._utils.errors import InputError, reason
from minids.decode.beam_search import (
    DEFAULT_BEAM_PRUNE_LOGP,
    DEFAULT_TOKEN_MIN_LOGP,
    MAX_BEAM_WIDTH,
    BeamSearch,
    check_weights,
)
from minids.decode.lexicon import HotWords
from minids.lm.ngram import NGram
from minids.text import Alphabet


class DecoderWeights(NamedTuple):
    """The settings of a beam search; the defaults are for a language model that was not tuned."""

    alpha: float = 0.5
    beta: float = 1.0
    beam_width: int = 500


class TunedDecoder(NamedTuple):
    """The entry "decoder" in a model's notes."""

    lm: str  # path relative to the model's folder
    checksum: int
    alpha: float
    beta: float
    beam_width: int

    @classmethod
    def from_notes(cls, notes: dict[str, Any], model: Path) -> "TunedDecoder | None":
        """The entry of the model file `model`; None if the model was not tuned."""
        if "decoder" not in notes:
            return None
        try:
            lm, checksum, alpha, beta, beam_width = cls(**notes["decoder"])
            tuned = cls(str(lm), int(checksum), float(alpha), float(beta), int(beam_width))
            check_weights(tuned.alpha, tuned.beta)
            if not 1 <= tuned.beam_width <= MAX_BEAM_WIDTH:
                raise ValueError
            return tuned
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{model}: its decoder cannot be read; tune again, or give --lm none") from None

    @classmethod
    def relative_to(cls, lm: Path, checksum: int, weights: DecoderWeights, model: Path) -> "TunedDecoder":
        """The entry to write into the model file `model`."""
        return cls(os.path.relpath(lm.resolve(), model.resolve().parent), checksum, *weights)


def make_search(
    alphabet: Alphabet,
    notes: dict[str, Any],
    model: Path,
    lm: str | Path | NGram | None = None,
    alpha: float | None = None,
    beta: float | None = None,
    beam_width: int | None = None,
    pruning: bool = True,
    lexicon: str | Path | Iterable[str] | None = None,
    hot_words: HotWords | None = None,
) -> tuple[BeamSearch | None, str | None]:
    """The beam search for the model file `model` with these notes; None for greedy decoding. And which of the
    model's calibrations it has: "greedy", "tuned" for the tuned search with its weights, None for others.

    See `minids.Recognizer.load` for the other arguments.
    """
    weights, calibration = DecoderWeights(), None
    if not isinstance(lm, NGram) and lm != "none" and (tuned := TunedDecoder.from_notes(notes, model)):
        path = Path(os.path.normpath(model.resolve().parent / tuned.lm))
        remedy = "give --lm FILE, or --lm none"
        if lm is None and not os.path.isfile(path):
            problem = f"{model} was tuned with {path.name}, which is not at {path}"
            raise InputError(f"{problem}; copy the language model together with the model, {remedy}")
        same = checksum(path if lm is None else lm) == tuned.checksum
        if lm is None and not same:
            raise InputError(f"{model} was tuned with {path}, which has changed; tune again, {remedy}")
        if same:
            weights = DecoderWeights(tuned.alpha, tuned.beta, tuned.beam_width)
            others = alpha, beta, beam_width, lexicon, hot_words
            calibration = "tuned" if pruning and others == (None,) * 5 else None
        lm = path if lm is None else lm
    if lm is None or lm == "none":
        if alpha is not None:
            raise InputError("alpha is the weight of a language model, and there is none; give --lm FILE too")
        if pruning and (beta, beam_width, lexicon, hot_words) == (None,) * 4:
            return None, "greedy"
        lm, weights = None, weights._replace(alpha=0.0, beta=0.0)
    search = BeamSearch(
        alphabet,
        lm,
        weights.alpha if alpha is None else alpha,
        weights.beta if beta is None else beta,
        weights.beam_width if beam_width is None else beam_width,
        lexicon,
        token_min_logp=DEFAULT_TOKEN_MIN_LOGP if pruning else -math.inf,
        beam_prune_logp=DEFAULT_BEAM_PRUNE_LOGP if pruning else -math.inf,
        hot_words=hot_words,
    )
    return search, calibration


def checksum(path: str | Path) -> int:
    """CRC-32 of a file of any size. Raises InputError naming the file."""
    try:
        return file_checksum(path)
    except OSError as error:
        raise InputError(f"{path}: {reason(error)}; give the file of a language model") from error

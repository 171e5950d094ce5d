"""Operations on samples: resample, mix at a signal-to-noise ratio, shift by milliseconds."""

import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import lru_cache

import numpy as np

from minids._utils.errors import InputError

MAX_RATE = 1_000_000  # Hz
MAX_RATIO = 2000  # of rates in lowest terms; larger terms are approximated, usually within 1 ppm
# The resampling filter: a sinc of 24 zero crossings a side in a Kaiser window, flat up to 0.85 of the lower
# Nyquist frequency and 80 dB down from 1.06 on.
ZERO_CROSSINGS, KAISER_BETA, CUTOFF = 24, 8.0, 0.95


def check_rate(name: str, rate: int) -> int:
    """The rate as int. Raises InputError naming it unless it is a whole number of Hz from 1 to MAX_RATE."""
    is_number = isinstance(rate, int | float | np.number) and not isinstance(rate, bool)
    if not is_number or not 0 < rate <= MAX_RATE or rate != int(rate):
        raise InputError(f"{name} = {rate!r} is not a rate; give a whole number of Hz, at most {MAX_RATE}")
    return int(rate)


def check_samples(samples: np.ndarray) -> np.ndarray:
    """The samples as float32 (N,). Raises InputError for another shape, complex numbers, NaN or infinity."""
    try:
        array = np.asarray(samples)
    except ValueError:  # a list of lists of different lengths
        raise InputError("samples are not an array; give one channel (N,) of real numbers") from None
    if array.ndim != 1 or array.dtype.kind not in "fiu":
        shape = f"shape {array.shape} and type {array.dtype}"
        raise InputError(f"samples have {shape}; give one channel (N,) of real numbers")
    with np.errstate(over="ignore"):
        array = np.asarray(array, np.float32)
    if not np.isfinite(array).all():
        raise InputError("samples are not finite (NaN, infinite or too large); check the recording")
    return array


def check_number(name: str, value: float) -> float:
    """The value as float. Raises InputError naming it unless it is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(value):
        raise InputError(f"{name} = {value!r} is not a finite number")
    return float(value)


def resample(samples: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """The same sound at another rate, ceil(N to_rate / from_rate) samples, without images and aliases.

    up / down is the ratio of the rates in lowest terms: up - 1 zeros go between the samples, a windowed sinc
    smooths them, and every down-th value is kept. The polyphase form skips the products with the zeros.
    """
    samples = check_samples(samples)
    from_rate, to_rate = check_rate("from_rate", from_rate), check_rate("to_rate", to_rate)
    return change_rate(samples, Fraction(to_rate, from_rate)) if len(samples) else samples


def change_rate(samples: np.ndarray, ratio: Fraction) -> np.ndarray:
    """`resample` by a ratio of rates."""
    from minids.audio.polyphase import filter_polyphase

    ratio = _simplified(ratio)
    if ratio == 1:
        return samples
    up, down = ratio.numerator, ratio.denominator
    return filter_polyphase(samples, up, down, _lowpass(max(up, down)))


def resample_blocks(blocks: Iterable[np.ndarray], from_rate: int, to_rate: int) -> Iterator[np.ndarray]:
    """`resample` of a long recording, block by block: the same samples in little memory."""
    ratio = _simplified(Fraction(to_rate, from_rate))
    if ratio == 1:
        yield from blocks
        return
    up, down = ratio.numerator, ratio.denominator
    # An output depends on ZERO_CROSSINGS max(up, down) / up inputs on each side.
    margin = down * (-(-ZERO_CROSSINGS * max(up, down) // (up * down)) + 1)
    pending = np.zeros(0, np.float32)
    context = 0  # samples in front of `pending` whose outputs are done
    for block in blocks:
        pending = np.concatenate([pending, block])
        ready = (len(pending) - context - margin) // down * down  # samples with enough of what follows them
        if ready >= 16 * margin:
            resampled = change_rate(pending[: context + ready + margin], ratio)
            yield resampled[context // down * up : (context + ready) // down * up]
            keep = min(margin, context + ready)
            pending, context = pending[context + ready - keep :], keep
    if len(pending) > context:
        yield change_rate(pending, ratio)[context // down * up :]


def _simplified(ratio: Fraction) -> Fraction:
    if max(ratio.numerator, ratio.denominator) <= MAX_RATIO:
        return ratio
    if ratio < 1:
        return ratio.limit_denominator(MAX_RATIO) or Fraction(1, MAX_RATIO)
    return 1 / _simplified(1 / ratio)


@lru_cache(128)
def _lowpass(steps: int) -> np.ndarray:
    """Filter (48 steps + 1,) float32 that passes frequencies below 1 / steps of its Nyquist frequency."""
    M = ZERO_CROSSINGS * steps
    taps = np.sinc(CUTOFF / steps * np.arange(-M, M + 1)) * np.kaiser(2 * M + 1, KAISER_BETA)
    return (taps / taps.sum()).astype(np.float32)


def mix(speech: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """speech + g noise, with g such that 10 log10(power(speech) / power(g noise)) = snr_db (§4.1).

    Power is the variance, so that a constant offset does not count. The noise is repeated or cut to the
    length of the speech; silent noise adds nothing.
    """
    check_number("snr_db", snr_db)
    speech, noise = check_samples(speech), check_samples(noise)
    noise = np.resize(noise, len(speech))  # (N,)
    power = float(np.var(noise)) if len(noise) else 0.0
    if power == 0:
        return np.array(speech)
    gain = math.sqrt(float(np.var(speech)) / power / 10 ** (snr_db / 10))
    return (speech + np.float32(gain) * noise).astype(np.float32)


def shift(samples: np.ndarray, rate: int, ms: float) -> np.ndarray:
    """The sound `ms` milliseconds later (earlier if negative), in whole samples, with zeros in the gap."""
    samples = check_samples(samples)
    delay = round(check_rate("rate", rate) * check_number("ms", ms) / 1000)
    delay = max(-len(samples), min(len(samples), delay))
    shifted = np.zeros_like(samples)  # (N,)
    if delay >= 0:
        shifted[delay:] = samples[: len(samples) - delay]
    else:
        shifted[:delay] = samples[-delay:]
    return shifted

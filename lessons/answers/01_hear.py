"""Our answers to lesson 1, and the usual mistakes."""

import numpy as np

from minids.features import frames, power_spectrum

__all__ = ["WRONG", "frames", "power_spectrum"]


def forgets_the_last(wave, size, step):
    """One window too few: `range` stops before its end."""
    return np.array([wave[i : i + size] for i in range(0, len(wave) - size, step)])


def has_no_overlap(wave, size, step):
    """Every window begins where the last one ended."""
    return np.array([wave[i : i + size] for i in range(0, len(wave) - size + 1, size)])


def pads_the_rest(wave, size, step):
    """The samples that fill no whole window get one of their own."""
    padded = np.pad(wave, (0, size))
    return np.array([padded[i : i + size] for i in range(0, len(wave), step)])


def swaps_size_and_step(wave, size, step):
    """Windows of `step` samples, one every `size`."""
    return np.array([wave[i : i + step] for i in range(0, len(wave) - step + 1, size)])


def lies_on_its_side(wave, size, step):
    """Time goes down the columns: (size, count)."""
    return frames(wave, size, step).T


def forgets_the_square(frame):
    """|X|, which is an amplitude."""
    return abs(np.fft.rfft(frame))


def keeps_both_halves(frame):
    """All n bins, though the upper half mirrors the lower."""
    return abs(np.fft.fft(frame)) ** 2


def hears_only_the_cosine(frame):
    """The real part alone: a tone that starts a quarter later is gone."""
    return np.fft.rfft(frame).real ** 2


def transforms_down_the_columns(frame):
    """Over the frames instead of over the samples in each."""
    return abs(np.fft.rfft(frame, axis=0)) ** 2


def takes_the_mean(frame):
    """Divided by n."""
    return abs(np.fft.rfft(frame)) ** 2 / frame.shape[-1]


WRONG = {
    "frames": [
        forgets_the_last,
        has_no_overlap,
        pads_the_rest,
        swaps_size_and_step,
        lies_on_its_side,
    ],
    "power_spectrum": [
        forgets_the_square,
        keeps_both_halves,
        hears_only_the_cosine,
        transforms_down_the_columns,
        takes_the_mean,
    ],
}

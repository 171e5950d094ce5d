"""The answers to lesson 1, and common mistakes."""

import numpy as np


def frames(wave, size, hop):
    return np.array([wave[s : s + size] for s in range(0, len(wave) - size + 1, hop)])


def power_spectrum(x):
    return abs(np.fft.rfft(x)) ** 2


def omits_the_last(wave, size, hop):
    """One frame too few: `range` excludes its end."""
    return np.array([wave[i : i + size] for i in range(0, len(wave) - size, hop)])


def has_no_overlap(wave, size, hop):
    """Every frame starts where the previous one ends."""
    return np.array([wave[i : i + size] for i in range(0, len(wave) - size + 1, size)])


def pads_the_rest(wave, size, hop):
    """The remaining samples get an incomplete frame of their own."""
    padded = np.pad(wave, (0, size))
    return np.array([padded[i : i + size] for i in range(0, len(wave), hop)])


def swaps_size_and_hop(wave, size, hop):
    """Frames of `hop` samples, one every `size`."""
    return np.array([wave[i : i + hop] for i in range(0, len(wave) - hop + 1, size)])


def is_transposed(wave, size, hop):
    """Shape (size, T0)."""
    return frames(wave, size, hop).T


def changes_the_wave(wave, size, hop):
    """Scales the samples in place: the caller's array is changed, too."""
    result = frames(wave, size, hop)
    wave -= wave.mean()
    return result


def forgets_the_square(x):
    """|X|, an amplitude."""
    return abs(np.fft.rfft(x))


def returns_complex_numbers(x):
    """X times its conjugate: the right values, with an imaginary part of 0."""
    spectrum = np.fft.rfft(x)
    return spectrum * spectrum.conj()


def keeps_both_halves(x):
    """All n bins, though the upper half mirrors the lower."""
    return abs(np.fft.fft(x)) ** 2


def uses_only_the_cosine(x):
    """The real part: a tone that starts a quarter of a period later is lost."""
    return np.fft.rfft(x).real ** 2


def transforms_over_frames(x):
    """Along the first axis instead of along the samples of each frame."""
    return abs(np.fft.rfft(x, axis=0)) ** 2


def takes_the_mean(x):
    """Divided by n."""
    return abs(np.fft.rfft(x)) ** 2 / x.shape[-1]


HINTS = {
    "frames": [
        "Frame t starts at sample t * hop. Where does the last complete frame start?",
        "range(0, len(wave) - size + 1, hop) gives all the starts; mind the + 1.",
        "np.array([wave[s : s + size] for s in range(…)]), with that range.",
    ],
    "power_spectrum": [
        "np.fft.rfft(x) transforms along the last axis, the one you need.",
        "The squared magnitude of a complex X is X.real**2 + X.imag**2, or abs(X)**2.",
        "return abs(np.fft.rfft(x)) ** 2",
    ],
}

WRONG = {
    "frames": [
        omits_the_last,
        has_no_overlap,
        pads_the_rest,
        swaps_size_and_hop,
        is_transposed,
        changes_the_wave,
    ],
    "power_spectrum": [
        forgets_the_square,
        returns_complex_numbers,
        keeps_both_halves,
        uses_only_the_cosine,
        transforms_over_frames,
        takes_the_mean,
    ],
}

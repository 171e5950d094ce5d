"""Checks of lesson 1."""

import numpy as np

from minids import Features
from minids.features import normalize_power
from minids.lesson import exercise


@exercise("1.1", lists=True)
def check_frames(frames):
    for count, size, hop in (
        (10, 4, 2),
        (10, 5, 3),
        (9, 3, 3),
        (4, 4, 2),
        (100, 7, 1),
        (9, 2, 4),
    ):
        x = np.arange(0.5, count) ** 2 - 9  # neither whole nor positive
        starts = [s for s in range(0, count, hop) if s + size <= count]
        expected = np.array([[x[s + i] for i in range(size)] for s in starts])
        yield (
            f"frames(x, {size}, {hop}) of {count} samples",
            frames(x, size, hop),
            expected,
        )


@exercise("1.2", rtol=1e-4, atol=1e-4)  # float32 is as good
def check_power_spectrum(power_spectrum):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 8))  # 3 frames of 8 samples
    angle = 2 * np.pi * np.outer(np.arange(8), np.arange(5)) / 8  # (8 samples, 5 bins)
    expected = (x @ np.cos(angle)) ** 2 + (x @ np.sin(angle)) ** 2  # (3, 5)
    yield "3 frames of 8 samples", power_spectrum(x), expected

    seconds = np.arange(320) / 16000
    for hertz, bin in (440, 9), (1000, 20), (3000, 60):
        tone = np.sin(2 * np.pi * hertz * seconds)[None]  # (1, 320)
        yield f"strongest bin of {hertz} Hz", int(power_spectrum(tone)[0].argmax()), bin

    weights = [1, 2, 2, 2, 1]  # bins 1 to 3 also stand for their mirror images, 7 to 5
    total = power_spectrum(x) @ weights / 8
    yield "Parseval's theorem: Σ power / n = Σ x²", total, (x**2).sum(axis=1)


@exercise("1.3", rtol=1e-4, atol=1e-4)
def check_filter_banks(filter_banks):
    silence = filter_banks(np.zeros((2, 9)), 3)
    yield "silence: 2 frames of 9 bins, 3 bands", silence, np.full((2, 4), np.log(1e-7))

    faint = filter_banks(np.full((1, 9), 1e-7), 3)
    yield "power 1e-7 in every bin, 3 bands", faint[:, :3], np.log([[2e-7 + 1e-7] * 3])

    one = np.eye(9)  # power 1 in one of the bins 0 … 8, of frames of 16 samples
    weights = (
        [0, 0.5, 1, 0.5, 0, 0, 0, 0, 0],
        [0, 0, 0, 0.5, 1, 0.5, 0, 0, 0],
        [0] * 5 + [0.5, 1, 0.5, 0],
    )
    energy = np.array([1] + 7 * [2] + [1]) / 16
    got = filter_banks(one, 3)
    bands = np.log(np.array(weights).T + 1e-7)  # (9, 3)
    yield "frames with power 1 in bin 0, 1, … 8; the 3 bands", got[:, :3], bands
    yield (
        "frames with power 1 in bin 0, 1, … 8; the energy",
        got[:, 3],
        np.log(energy + 1e-7),
    )

    rng = np.random.default_rng(2)
    power = rng.uniform(0, 9, (4, 12))
    rows = []
    for x in power:  # from the definitions, one number at a time
        banks = []
        for center in (j * 11 / 6 for j in range(1, 6)):
            banks.append(
                sum(max(0, 1 - abs(p - center) * 6 / 11) * x[p] for p in range(12))
            )
        banks.append((x[0] + 2 * sum(x[1:11]) + x[11]) / 22)
        rows.append(np.log(np.array(banks) + 1e-7))
    yield "4 frames of 12 bins, 5 bands", filter_banks(power, 5), np.array(rows)

    s = rng.normal(size=(3, 16))
    power = abs(np.fft.rfft(s)) ** 2
    energies = np.log((s**2).sum(axis=1) + 1e-7)
    yield "the last feature: log of Σ s²", filter_banks(power, 4)[:, -1], energies

    samples = rng.normal(size=1600)
    settings = Features(16000, bands=80, floor_db=-70)
    loud = normalize_power(samples)
    windowed = [
        loud[i : i + 320] * np.sin(np.pi * np.arange(320) / 320) ** 2
        for i in range(0, 1281, 160)
    ]
    power = abs(np.fft.rfft(windowed)) ** 2 / (3 * 320 / 8)  # Σ sin⁴ = 3n/8
    yield (
        "log powers of the package",
        filter_banks(power, 80),
        settings.log_powers(samples),
    )


@exercise("1.4", rtol=1e-4, atol=1e-4)
def check_normalize(normalize):
    x = np.array([[1.0, 10], [3, 30], [5, 20]])
    d = np.sqrt(8 / 3), np.sqrt(200 / 3)
    expected = np.array([[-2 / d[0], -10 / d[1]], [0, 10 / d[1]], [2 / d[0], 0]])
    yield "features 1 3 5 and 10 30 20", normalize(x), expected

    x = np.random.default_rng(3).normal(-4, 3, (50, 6)) * [1, 2, 3, 4, 5, 6]
    got = normalize(x)
    yield "mean of each feature", got.mean(axis=0), np.zeros(6)
    yield "standard deviation of each feature", got.std(axis=0), np.ones(6)
    yield "log powers plus a constant per feature", normalize(x + np.arange(6.0)), got

    x[:, 2] = 7
    yield "a feature that is always 7", normalize(x)[:, 2], np.zeros(50)
    quiet = np.array([[0.0], [0.02]])
    yield (
        "0 and 0.02, whose deviation is 0.01",
        normalize(quiet),
        np.array([[-0.2], [0.2]]),
    )
    x = np.random.default_rng(4).normal(size=16000)
    package = Features(16000, bands=40, normalize="utterance", floor_db=-70)
    yield (
        "features of the package",
        normalize(package.log_powers(x).astype(float)),
        package(x),
    )

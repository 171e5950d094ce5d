"""Checks of lesson 9."""

import numpy as np

from minids.lesson import exercise


@exercise("9.1", rtol=1e-4, atol=1e-6, lists=True)
def check_mix(mix):
    rng = np.random.default_rng(82)
    speech = 0.1 * rng.normal(size=4000) + 0.05
    for snr_db, N, offset in (10, 4000, 0), (0, 4000, 0), (-5, 1500, 0), (20, 9000, 3):
        noise = rng.normal(size=N) * np.linspace(0.5, 2, N)  # louder toward the end
        used = [noise[i % N] for i in range(4000)]
        noise += offset - sum(used) / 4000
        mixed = np.asarray(mix(speech, noise, snr_db))
        case = f"{N} samples of noise over 4000 at {snr_db} dB"
        yield f"{case}: the shape", mixed.shape, (4000,)
        added = mixed - speech
        yield f"{case}: the SNR", 10 * np.log10(np.var(speech) / np.var(added)), snr_db
        correlation = np.corrcoef(added, used)[0, 1]
        yield f"{case}: correlation of the noise and what was added", correlation, 1.0
        if not offset:  # otherwise it may be added or left out
            ratio = sum(noise[i % N] ** 2 for i in range(4000)) / (
                4000 * np.var(speech)
            )
            gain = (10 ** (-snr_db / 10) / ratio) ** 0.5
            expected = [x + gain * noise[i % N] for i, x in enumerate(speech)]
            yield case, mixed, np.array(expected)
        yield (
            f"{case}: all 50 times as loud",
            mix(50 * speech, 50 * noise, snr_db),
            50 * mixed,
        )
    yield "silent noise adds nothing", mix(speech, np.zeros(10), 5), speech
    got = mix(speech, np.full(10, 0.5), 5)
    yield (
        "constant noise, whose power is 0, adds nothing that is heard",
        got - np.mean(got),
        speech - speech.mean(),
    )


@exercise("9.2")
def check_rejected(rejected):
    real = np.array(
        [[0.0, 10, -4], [2, 10.5, 4], [4, 9.5, -4], [2, 10, 4]]
    )  # means 2, 10, 0
    clips = np.array(
        [[2.0, 10, 0], [2, 13, 0], [2, 7, 0], [2, 10, 11], [-1, 10, 0], [99, 99, 99]]
    )
    for limit in 1, 2, 3:
        expected = []
        for clip in clips:
            far = False
            for band in range(3):
                values = real[:, band]
                mean = sum(values) / len(values)
                deviation = (sum((v - mean) ** 2 for v in values) / len(values)) ** 0.5
                far = far or abs(clip[band] - mean) > limit * deviation
            expected.append(far)
        got = np.asarray(rejected(clips, real, limit))
        yield f"clips {clips.tolist()}, limit {limit}", got, np.array(expected)
    at_limit = np.asarray(
        rejected(np.array([[3.0], [-1], [3.5]]), np.array([[0.0], [2]]), 2)
    )
    yield (
        "clips exactly 2 deviations away, limit 2",
        at_limit,
        np.array([False, False, True]),
    )
    rng = np.random.default_rng(92)
    real = rng.normal(size=(200, 24)) * np.linspace(1, 5, 24) + np.linspace(
        -10, -40, 24
    )
    inside = real.mean(axis=0) + rng.uniform(-2.9, 2.9, (30, 24)) * real.std(axis=0)
    yield (
        "30 clips within 2.9 deviations, limit 3",
        np.asarray(rejected(inside, real, 3)),
        np.zeros(30, bool),
    )
    outside = inside.copy()
    bands, signs = rng.integers(24, size=30), rng.choice([-1, 1], 30)
    outside[np.arange(30), bands] = (
        real.mean(axis=0) + 3.1 * np.outer(signs, real.std(axis=0))
    )[np.arange(30), bands]
    case = "each with one band 3.1 deviations above or below, limit 3"
    yield case, np.asarray(rejected(outside, real, 3)), np.ones(30, bool)


@exercise("9.3", lists=True)
def check_average(average):
    rng = np.random.default_rng(93)
    for n in 1, 2, 5:
        y = rng.dirichlet(np.ones(4), (n, 3))  # (n, T, K) probabilities
        mean = sum(y) / n
        yield f"{n} outputs of 3 frames", average(list(np.log(y))), np.log(mean)
    far = np.array([[[-1000.0, -2000.0]], [[-1002.0, -2000.0]]])
    expected = np.array([[-1000 + np.log((1 + np.exp(-2)) / 2), -2000]])
    yield "probabilities of e^-1000 and e^-2000", average(list(far)), expected
    certain = np.array([[[0.0, -np.inf]], [[-np.inf, 0.0]]])
    yield (
        "two that are certain of opposites",
        average(list(certain)),
        np.full((1, 2), np.log(0.5)),
    )

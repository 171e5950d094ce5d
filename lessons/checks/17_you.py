"""Checks of lesson 17."""

import numpy as np

from minids.lesson import exercise


@exercise("17.1", lists=True)
def check_trim(trim):
    rng = np.random.default_rng(171)
    rate, n = 1000, 20  # a block has 20 samples
    spike = np.eye(1, n, 7)[0] * 0.45  # large, but its power is below 0.01
    for before, speech, pause, after, rest in (
        (40, 30, 0, 30, 0),
        (12, 8, 30, 9, 7),
        (2, 20, 10, 3, 13),
    ):
        loud = [0.12] + [1.0] * (speech - 1)  # 0.12² is above 0.01
        loudness = (
            [0.085] * before + loud + [0.02] * pause + loud[::-1] + [0.085] * after
        )  # 0.085² is below
        noise = rng.normal(size=(len(loudness), n))
        noise = (noise - noise.mean(axis=1, keepdims=True)) / noise.std(
            axis=1, keepdims=True
        )
        blocks = np.array(loudness)[:, None] * noise
        blocks[0] = blocks[-1] = spike
        x = (
            np.concatenate([blocks.ravel(), 0.03 * rng.normal(size=rest)]) + 0.5
        )  # with a constant offset
        start, end = (
            max(0, before - 5),
            min(before + 2 * speech + pause + 5, len(loudness)),
        )
        case = f"{before} quiet blocks, {2 * speech} loud ones with a pause of {pause}, {after} quiet ones"
        got = np.asarray(trim(x, rate))
        if after >= 5 or rest == 0:
            yield f"{case}: the shape", got.shape, ((end - start) * n,)
            yield case, got, x[start * n : end * n]
        else:  # the incomplete block at the end may stay or go
            yield (
                f"{case}: the first {(end - start) * n} samples",
                got[: (end - start) * n],
                x[start * n : end * n],
            )
            yield (
                f"{case}: at most {rest} samples more",
                len(got) <= (end - start) * n + rest,
                True,
            )
    x = np.concatenate([np.zeros(4000), 0.5 * rng.normal(size=1600), np.zeros(3200)])
    # Blocks 12 (from sample 3840) to 17 (to 5760) are loud.
    yield (
        "at 16 kHz, silence of zeros",
        np.asarray(trim(x, 16000)),
        x[7 * 320 : 23 * 320],
    )

    yield (
        "silence stays as it is",
        np.asarray(trim(np.zeros(4000), 16000)),
        np.zeros(4000),
    )


@exercise("17.2")
def check_new_output_layer(new_output_layer):
    rng = np.random.default_rng(172)
    for old, new in (
        ("ab", "abc"),
        ("abc", "ca"),
        (" ehno", "öneh "),
        ("ab", "xyz"),
        ("abcd", "dbca"),
    ):
        W, b = rng.normal(size=(len(old) + 1, 4)), rng.normal(size=len(old) + 1)
        expected = np.zeros((len(new) + 1, 4)), np.zeros(len(new) + 1)
        for k in range(len(new) + 1):
            character = "blank" if k == 0 else new[k - 1]
            for row in range(len(old) + 1):
                if character == ("blank" if row == 0 else old[row - 1]):
                    expected[0][k], expected[1][k] = W[row], b[row]
        got = new_output_layer(W, b, old, new)
        yield f"from '{old}' to '{new}'", got, {"W": expected[0], "b": expected[1]}

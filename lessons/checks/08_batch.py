"""Checks of lesson 8."""

from itertools import chain, permutations, product
from operator import index

import numpy as np

from minids.lesson import exercise
from minids.ops.reference.ctc import ctc
from minids.ops.reference.log_softmax import log_softmax_forward
from minids.text import collapse


@exercise("8.1", rtol=1e-6, keep=True)
def check_pad(pad):
    rng = np.random.default_rng(81)
    for T0s, F in ((2, 5, 4), 2), ((6, 1), 3), ((3,), 1), ((4, 4, 4, 2), 5):
        utterances = [rng.normal(size=(T0, F)) for T0 in T0s]  # (T0, F) each
        expected = np.zeros((max(T0s), len(T0s), F))
        for b, utterance in enumerate(utterances):
            for t, frame in enumerate(utterance):
                expected[t, b] = frame
        case = f"recordings of {T0s} frames of {F} features"
        frames, lengths = pad(utterances)
        yield (
            case,
            (frames, np.array(lengths)),
            {"frames": expected, "lengths": np.array(T0s)},
        )
        integers = np.array(lengths).dtype.kind in "iu"
        yield f"{case}: whether the lengths are integers", integers, True


TOO_FEW = [  # lengths, batch size, sizes of the batches
    ((40, 10, 30, 20, 50), 2, [2, 2, 1]),
    ((9, 1, 8, 2, 7, 3, 6, 4, 5), 4, [4, 4, 1]),
    ((7, 5), 4, [2]),
    ((9,), 1, [1]),
]


@exercise("8.2", keep=True)
def check_by_length(by_length):
    batches = by_length(np.array([5, 2, 9]), 2)
    integers = all(hasattr(i, "__index__") for batch in batches for i in batch)
    yield "whether all indices are integers", integers, True
    for lengths, batch_size in (
        ((5, 2, 9, 4, 7, 3), 2),
        ((8, 1, 6, 2, 5, 3), 3),
        ((3, 3, 1, 3), 2),
    ):
        case = f"by_length({lengths}, {batch_size})"
        batches = _batches(by_length, lengths, batch_size)
        yield (
            f"{case}: all recordings, each once",
            sorted(chain(*batches)),
            list(range(len(lengths))),
        )
        yield (
            f"{case}: sizes of the batches",
            [len(b) for b in batches],
            [batch_size] * len(batches),
        )
        yield (
            f"{case}: frames with padding",
            _work(lengths, batches),
            _least_work(lengths, batch_size),
        )
        longest = [max(lengths[i] for i in batch) for batch in batches]
        yield (
            f"{case}: the longest of each batch, shortest batch first",
            longest,
            sorted(longest),
        )
    for lengths, batch_size, sizes in TOO_FEW:
        case = f"by_length({lengths}, {batch_size})"
        batches = _batches(by_length, lengths, batch_size)
        yield (
            f"{case}: all recordings, each once",
            sorted(chain(*batches)),
            list(range(len(lengths))),
        )
        yield f"{case}: sizes of the batches", [len(b) for b in batches], sizes
        in_order = [
            lengths[i]
            for batch in batches
            for i in sorted(batch, key=lambda i: lengths[i])
        ]
        yield f"{case}: the lengths, shortest first", in_order, sorted(lengths)


def _batches(by_length, lengths, batch_size):
    """The batches as lists of indices, whatever kind of sequence each is."""
    return [
        [index(i) for i in batch] for batch in by_length(np.array(lengths), batch_size)
    ]


def _work(lengths, batches):
    """Frames that a network has to compute, padding included."""
    return sum(max(lengths[i] for i in batch) * len(batch) for batch in batches)


def _least_work(lengths, batch_size):
    """The least work of all ways to cut the recordings into batches, by enumeration."""
    N = len(lengths)
    cuts = range(0, N, batch_size)
    return min(
        _work(lengths, [p[i : i + batch_size] for i in cuts])
        for p in permutations(range(N))
    )


@exercise("8.3", keep=True)
def check_birnn_in_batch(birnn_in_batch):
    z = np.full((4, 2, 1), 1.0)
    half = np.full((1, 1), 0.5)
    expected = np.zeros((4, 2, 1))
    expected[:, 0, 0] = np.array([1, 1.5, 1.75, 1.875]) + np.array(
        [1.875, 1.75, 1.5, 1]
    )
    expected[:2, 1, 0] = np.array([1, 1.5]) + np.array([1.5, 1])
    got = birnn_in_batch(z, half, half, np.array([4, 2]))
    yield "z = 1, both W_r = ½, recordings of 4 and 2 frames", got, expected
    z[2:, 1] = np.nan
    got = birnn_in_batch(z, half, half, np.array([4, 2]))
    yield "the same, the padding of z is NaN", got, expected
    rng = np.random.default_rng(83)
    for T, lengths in (6, (6, 4, 1)), (5, (2, 5)), (4, (3, 2, 3)):
        B, H = len(lengths), 3
        z, (Wr_f, Wr_b) = (
            rng.normal(2, 10, (T, B, H)),
            rng.normal(size=(2, H, H)),
        )  # often above 20
        for padding in 1e6, np.nan:
            expected = np.zeros((T, B, H))
            for b, length in enumerate(lengths):
                z[length:, b] = padding
                expected[:length, b] = _birnn_alone(z[:length, b], Wr_f, Wr_b)
            got = birnn_in_batch(z, Wr_f, Wr_b, np.array(lengths))
            yield (
                f"{B} recordings of {lengths} frames, the padding of z is {padding:g}",
                got,
                expected,
            )


def _birnn_alone(z, Wr_f, Wr_b):
    """The definition, for one recording: z (T, H) -> h (T, H)."""
    T, H = z.shape
    hf, hb = (
        np.zeros((T + 2, H)),
        np.zeros((T + 2, H)),
    )  # the states before and after are 0
    for t in range(1, T + 1):
        hf[t] = np.clip(z[t - 1] + Wr_f @ hf[t - 1], 0, 20)
    for t in range(T, 0, -1):
        hb[t] = np.clip(z[t - 1] + Wr_b @ hb[t + 1], 0, 20)
    return (hf + hb)[1:-1]


@exercise("8.4", rtol=1e-6, atol=1e-8, keep=True)
def check_ctc_in_batch(ctc_in_batch):
    rng = np.random.default_rng(84)
    labels, lengths = [[1, 2], [1], [2, 2], []], np.array([3, 4, 4, 2])
    logits = rng.normal(size=(5, 4, 3))
    losses, dlogits = [], np.zeros((5, 4, 3))
    for b, T in enumerate(lengths):
        paths = [
            p for p in product(range(3), repeat=int(T)) if collapse(p) == labels[b]
        ]
        losses.append(_loss(logits[:T, b], paths))
        for t in range(T):
            for k in range(3):  # central differences
                step = np.zeros((T, 3))
                step[t, k] = 1e-5
                above, below = (
                    _loss(logits[:T, b] + sign * step, paths) for sign in (1, -1)
                )
                dlogits[t, b, k] = (above - below) / 2e-5
    log_y = log_softmax_forward(logits)
    for padding in 0.0, np.nan:
        for b, T in enumerate(lengths):
            log_y[T:, b] = padding
        case = f"4 recordings of {lengths.tolist()} frames, the padding of log_y is {padding:g}"
        expected = {"losses": np.array(losses), "dlogits": dlogits}
        yield case, _arrays(ctc_in_batch(log_y, lengths, labels)), expected
    labels, lengths = [[1, 1], [1, 2]], np.array([2, 2])
    losses, dlogits = _arrays(ctc_in_batch(log_y[:2, :2], lengths, labels))
    yield "a text of two equal letters in 2 frames: its loss", losses[0], np.inf
    yield (
        "a text of two equal letters in 2 frames: its gradient",
        dlogits[:, 0],
        np.zeros((2, 3)),
    )
    log_y = log_softmax_forward(rng.normal(size=(60, 3, 9)))
    labels, lengths = [[1, 2, 2, 8], [3] * 7, [5, 4, 6, 7, 1]], np.array([60, 31, 50])
    padded, sizes = np.zeros((3, 7), int), np.array([4, 7, 5])
    for b, label in enumerate(labels):
        padded[b, : sizes[b]] = label
    losses, dlogits = ctc(log_y, lengths, padded, sizes)
    case = "60 frames of 9 characters, against the package"
    yield (
        case,
        _arrays(ctc_in_batch(log_y, lengths, labels)),
        {"losses": losses, "dlogits": dlogits},
    )


def _loss(logits, paths):
    """-log of the sum over the alignments `paths`."""
    log_y = log_softmax_forward(logits)
    return -np.logaddexp.reduce(
        log_y[np.arange(len(logits)), np.array(paths)].sum(axis=1)
    )


def _arrays(results):
    losses, dlogits = results
    return np.array(losses), dlogits

"""Checks of lesson 16: the milestones of the reader's own file, against the package."""

import inspect
from itertools import product

import numpy as np

import minids
from minids import gradcheck
from minids.lesson import capstone, data, exercise
from minids.model import ModelSettings
from minids.ops import reference

PARAMS = [
    "W1",
    "b1",
    "W2",
    "b2",
    "W3",
    "b3",
    "W4",
    "b4",
    "Wr_f",
    "Wr_b",
    "W5",
    "b5",
    "W6",
    "b6",
]


def network(D, H, K, seed):
    """A network of the package without context, and its parameters: units below 0, between, and above 20."""
    settings = ModelSettings(
        inputs=D, characters=K, hidden=H, context=0, stride=1, dropout=0.0
    )
    model, rng = (
        minids.DeepSpeech(settings, seed, "reference", "float64"),
        np.random.default_rng(seed),
    )
    for name, value in model.params.items():
        value += 2 * value if name[0] == "W" else rng.normal(size=value.shape)
    return model, {name: value.copy() for name, value in model.params.items()}


def batch(rng, lengths, D):
    """x (T, B, D), zeros past the lengths (B,)."""
    x = 3 * rng.normal(size=(max(lengths), len(lengths), D))
    for b, length in enumerate(lengths):
        x[length:, b] = 0
    return x, np.array(lengths)


def padded(labels):
    """Labels as an array (B, Umax), and their lengths."""
    lengths = np.array([len(label) for label in labels])
    array = np.zeros((len(labels), max(1, *lengths)), int)
    for b, label in enumerate(labels):
        array[b, : len(label)] = label
    return array, lengths


def pair(what, result):
    """Whether a function returns two things, as an item of a check."""
    ok = isinstance(result, (tuple, list)) and len(result) == 2
    words = f"return both, not only one {type(result).__name__}"
    return f"what it returns, {what}", ok, True, words


def shapes(what, got, expected):
    """Whether two arrays have the same shape, as an item of a check."""
    same = np.shape(got) == np.shape(expected)
    return (
        f"the shape of {what}",
        same,
        True,
        f"{np.shape(got)} instead of {np.shape(expected)}",
    )


@exercise("16.1", rtol=1e-3, atol=5e-3, keep=False, seconds=30)
def check_features(features):
    package = minids.Features(16000, bands=40, normalize="utterance")
    for name in "two_five", "seven":
        samples, _ = minids.load_audio(data(f"{name}.flac"))
        expected = package(samples)
        got = np.asarray(features(samples))
        yield shapes(f"the features of “{name}”, (T0, F)", got, expected)
        yield f"the mean of each feature, “{name}”", got.mean(axis=0), np.zeros(41)
        yield f"the deviation of each feature, “{name}”", got.std(axis=0), np.ones(41)
        yield f"the features of “{name}”", got, expected
    quiet = (0.01 * samples + 0.002).astype(np.float32)
    yield "“seven”, quiet and with an offset", features(quiet), expected
    silent = np.concatenate([samples, np.zeros(8000, np.float32)])
    yield "“seven”, then digital silence", features(silent), package(silent)
    tone = np.sin(2 * np.pi * 1000 * np.arange(4000) / 16000)  # every frame is the same
    yield "a tone, whose features do not vary", features(tone), np.zeros((24, 41))


@exercise("16.2", rtol=1e-4, atol=1e-3, keep=False)
def check_forward(forward):
    rng = np.random.default_rng(162)
    for lengths in [5], [6, 6], [7, 4, 1]:
        model, params = network(D=4, H=6, K=5, seed=len(lengths))
        x, lengths = batch(rng, lengths, 4)
        expected, _ = model.forward(x, lengths)
        result = forward(params, x, lengths)
        yield pair("(log_probs, cache)", result)
        log_probs = np.asarray(result[0])
        yield shapes("log_probs, (T, B, K)", log_probs, expected)
        inside = np.arange(len(x))[:, None] < lengths  # (T, B)
        total = np.exp(log_probs[inside]).sum(axis=1)
        yield "the sums of the probabilities", total, np.ones(inside.sum())
        where = (
            f"log_probs of {len(lengths)} recordings"
            if len(lengths) > 1
            else "log_probs of one recording"
        )
        yield where, log_probs[inside], expected[inside]
    for b, length in enumerate(lengths):
        alone, _ = forward(params, x[:length, b : b + 1], lengths[b : b + 1])
        yield (
            f"recording {b} alone, and in the batch",
            log_probs[:length, b],
            np.asarray(alone)[:, 0],
        )
    model, params = network(D=4, H=6, K=5, seed=9)
    params["b6"] += 2000
    x, lengths = batch(rng, [5, 3], 4)
    inside = np.arange(5)[:, None] < lengths
    expected, _ = model.forward(x, lengths)
    got = np.asarray(forward(params, x, lengths)[0])[inside]
    yield (
        "log_probs where the numbers before the softmax are 2000",
        got,
        expected[inside],
    )


@exercise("16.3", rtol=1e-5, atol=1e-7, keep=False)
def check_ctc(ctc):
    rng = np.random.default_rng(163)
    cases = {
        "one text": ([6], [[1, 2, 3]]),
        "a repeated letter": ([5], [[1, 1]]),
        "texts of different lengths": ([6, 6, 6], [[1, 2, 1, 3], [2], [3, 3]]),
        "recordings of different lengths": ([8, 5, 3], [[1, 2], [3, 3], [2, 1]]),
        "an empty text": ([4, 4], [[], [1, 2]]),
        "a text that does not fit": ([3, 6], [[1, 1, 1], [2, 1]]),
        "a text that is longer than its recording": ([2, 6], [[1, 2, 3], [2, 1]]),
    }
    for name, (lengths, labels) in cases.items():
        log_probs = np.log(
            rng.dirichlet(np.ones(4), (max(lengths), len(lengths)))
        )  # (T, B, K)
        lengths = np.array(lengths)
        expected = minids.ctc_loss(log_probs, lengths, *padded(labels), "reference")
        result = ctc(log_probs, lengths, labels)
        yield pair("(losses, dlogits)", result)
        losses, dlogits = map(np.asarray, result)
        yield f"losses: {name}", losses, expected[0]
        yield f"dlogits: {name}", dlogits, expected[1]
    log_probs = np.log(rng.dirichlet(np.ones(3), (3, 1)))
    for label in [1, 2], [1, 1], []:
        paths = [path for path in product(range(3), repeat=3) if spells(path) == label]
        p = sum(
            np.exp(sum(log_probs[t, 0, k] for t, k in enumerate(path)))
            for path in paths
        )
        losses, _ = ctc(log_probs, np.array([3]), [label])
        yield (
            f"p({label}), a sum over all paths",
            np.exp(-np.asarray(losses)),
            np.array([p]),
        )
    long = np.log(rng.dirichlet(np.ones(3), (2000, 1)))
    expected = minids.ctc_loss(long, [2000], *padded([[1, 2, 1]]), "reference")
    losses, dlogits = map(np.asarray, ctc(long, np.array([2000]), [[1, 2, 1]]))
    yield "the loss of 2000 frames", losses, expected[0]
    yield "dlogits of 2000 frames", dlogits, expected[1]


def spells(path):
    return [k for t, k in enumerate(path) if k and (t == 0 or path[t - 1] != k)]


@exercise("16.4", rtol=1e-5, atol=1e-7, keep=False)
def check_backward(backward):
    forward = inspect.unwrap(backward).__globals__.get("forward")
    if forward is None:
        raise NotImplementedError
    rng = np.random.default_rng(164)
    for lengths in [4], [6, 3]:
        _, params = network(D=3, H=4, K=3, seed=len(lengths) + 2)
        x, lengths = batch(rng, lengths, 3)
        dlogits = rng.normal(size=(len(x), len(lengths), 3))
        for b, length in enumerate(lengths):
            dlogits[length:, b] = 0
        dlogits -= dlogits.mean(
            axis=2, keepdims=True
        )  # as CTC's: through the softmax they stay the same

        def loss(params=params, x=x, lengths=lengths, dlogits=dlogits):
            return (np.asarray(forward(params, x, lengths)[0]) * dlogits).sum()

        _, cache = forward(params, x, lengths)
        grads = backward(params, cache, dlogits)
        yield "the type of what it returns", type(grads).__name__, "dict"
        yield "the names of the gradients", sorted(grads), sorted(PARAMS)
        for name in reversed(PARAMS):
            exact = gradcheck.numerical_gradient(loss, params[name])
            yield shapes(f"d{name}", grads[name], exact)
            yield (
                f"d{name}, {len(lengths)} recording{'s' * (len(lengths) > 1)}",
                grads[name],
                exact,
            )


@exercise("16.5", rtol=1e-5, atol=1e-7, keep=False, pure=False, seconds=30)
def check_train(train):
    rng = np.random.default_rng(165)
    model, params = network(D=3, H=5, K=4, seed=11)
    lengths, labels = [9, 4, 7], [[1, 2, 1], [3, 3], [2]]
    data = [
        (3 * rng.normal(size=(T, 3)), label)
        for T, label in zip(lengths, labels, strict=True)
    ]

    def losses_of(params, data):
        model.load_params(params)
        losses = []
        for x, label in data:
            log_probs, _ = model.forward(x[:, None], np.array([len(x)]))
            losses.extend(
                minids.ctc_loss(log_probs, [len(x)], *padded([label]), "reference")[0]
            )
        return np.array(losses)

    expected = losses_of(params, data).mean()
    copy = {name: value.copy() for name, value in params.items()}
    got = np.array(list(train(copy, data, 2, 0.0, 1.0, 0.9, 1e9, 2)))
    words = "every recording counts once in an epoch"
    yield "the mean losses of two epochs, rate 0", got, np.full(2, expected), words

    long = [*data, (data[1][0], [1, 1, 1])]
    for name, (rate, limit, decay, data_) in {
        "one batch": (0.01, 1e9, 1.0, data),
        "a small limit of the norm": (0.05, 0.5, 1.0, data),
        "a rate that decays": (0.05, 0.5, 2.0, data),
        "and a text that does not fit": (0.01, 1e9, 2.0, long),
    }.items():
        mine = {name: value.copy() for name, value in params.items()}
        got = np.array(list(train(mine, data_, 3, rate, decay, 0.9, limit, 4)))
        theirs, expected = trained(model, params, data_, 3, rate, decay, 0.9, limit)
        yield f"the mean loss of each epoch, {name}", got, expected
        for parameter in "W6", "Wr_b", "W1", "b1":
            yield (
                f"{parameter} after three epochs, {name}",
                mine[parameter],
                theirs[parameter],
            )

    x = [rng.normal(size=(T, 3)) for T in (5, 30, 6, 31, 5, 29, 30, 6)]
    data = [(value, [1, 2]) for value in x]
    seen = []
    forward = inspect.unwrap(train).__globals__.get("forward")
    if forward is not None:  # which recordings go together

        def spy(params, x, lengths, *rest, **options):
            seen.append(sorted(np.asarray(lengths).tolist()))
            return forward(params, x, lengths, *rest, **options)

        scope = inspect.unwrap(train).__globals__
        scope["forward"] = spy
        try:
            list(
                train(
                    {name: value.copy() for name, value in params.items()},
                    data,
                    6,
                    0.0,
                    1.0,
                    0.9,
                    1.0,
                    4,
                )
            )
        finally:
            scope["forward"] = forward
    if seen:
        groups = {tuple(lengths) for lengths in seen}
        words = "those of similar length belong together"
        yield (
            "the lengths in each batch",
            groups,
            {(5, 5, 6, 6), (29, 30, 30, 31)},
            words,
        )
        order = [seen[i] == seen[0] for i in range(0, len(seen), 2)]
        yield "the order of the batches, whether it changes", len(set(order)), 2


def trained(model, params, data, epochs, rate, decay, momentum, limit):
    """The parameters and mean losses after training on one batch, by the package."""
    model.load_params(params)
    lengths = np.array([len(x) for x, _ in data])
    x = np.zeros((max(lengths), len(data), data[0][0].shape[1]))
    for b, (frames, _) in enumerate(data):
        x[: len(frames), b] = frames
    velocity, means = np.zeros_like(model.flat_params), []
    for epoch in range(epochs):
        losses = model.loss_and_grad(x, lengths, *padded([label for _, label in data]))
        count = np.isfinite(losses).sum()
        scale = min(1, limit / (reference.norm(model.flat_grads) / count)) / count
        reference.nesterov(
            model.flat_params,
            model.flat_grads,
            velocity,
            rate / decay**epoch,
            momentum,
            scale,
        )
        means.append(losses[np.isfinite(losses)].mean())
    return {name: value.copy() for name, value in model.params.items()}, np.array(means)


@exercise("16.6", rtol=1e-6, atol=1e-8, keep=False, seconds=30)
def check_beam_search(beam_search):
    letters = capstone.our_file().LETTERS
    lm = capstone.our_file().NGram(
        ["two to one", "on two", "one of one", "off to one", "two off of", "to to"]
    )
    rng = np.random.default_rng(166)
    for T, alpha, beta in (
        (4, 0.0, 0.0),
        (5, 1.0, 0.0),
        (6, 0.0, 2.0),
        (6, 0.7, 1.5),
        (7, 1.5, 4.0),
    ):
        log_probs = np.log(rng.dirichlet(np.ones(len(letters) + 1), T))  # (T, K)
        scores = exact_scores(log_probs, lm, alpha, beta, letters)
        best = max(scores, key=scores.__getitem__)
        result = beam_search(log_probs, lm, alpha, beta, 10**6)
        yield pair("(text, Q)", result)
        text, Q = result
        case = f"α = {alpha}, β = {beta}, {T} frames"
        yield f"the best text, {case}", text, best
        yield f"Q of “{best}”, {case}", Q, scores[best]
    for said, best in ("tw-o---oo-n-ee", "two one"), ("off", "of"), ("of-f", "off"):
        text, _ = beam_search(spoken(said, letters), lm, 1.0, 1.0, 20)
        yield f"the text of the path {said}", text, best
    y = np.exp(spoken("two", letters))
    y[1] = 0.001
    y[1, letters.index("w") + 1], y[1, letters.index("o") + 1] = 0.55, 0.45
    text, _ = beam_search(np.log(y / y.sum(axis=1, keepdims=True)), lm, 3.0, 0.0, 1)
    yield "a beam of 1, which must not judge “tw” by the language model", text, "two"
    y = np.exp(spoken("offf", letters))
    y[2, [0, letters.index("f") + 1]] = 0.3, 0.7
    text, Q = beam_search(np.log(y / y.sum(axis=1, keepdims=True)), lm, 0.0, 0.0, 20)
    yield "the text of offf, where the third may be a blank", text, "of"
    text, _ = beam_search(
        spoken(500 * "-" + "on" + 500 * "-", letters), lm, 1.0, 1.0, 4
    )
    yield "1002 frames, nearly all of them blank", text, "on"


def spoken(path, letters):
    """log_probs (T, K) of a network that is quite sure of a path; "-" is the blank."""
    y = np.full((len(path), len(letters) + 1), 1e-6)
    for t, symbol in enumerate(path):
        y[t, letters.index(symbol) + 1 if symbol != "-" else 0] = 1
    if path.startswith("tw-o"):
        y[6, letters.index(" ") + 1] = 0.2  # hardly a space
    return np.log(y / y.sum(axis=1, keepdims=True))


def exact_scores(log_probs, lm, alpha, beta, letters):
    """{text: Q} of every text of up to two words, from CTC; in seven frames no more fit."""
    scores = {}
    for n in range(3):
        for words in product(sorted(lm.words), repeat=n):
            log_p = -np.inf
            for text in {
                " ".join(words),
                (" ".join(words) + " ").lstrip(),
            }:  # with and without a space at the end
                label = [letters.index(letter) + 1 for letter in text]
                T = len(log_probs)
                loss, _ = minids.ctc_loss(
                    log_probs[:, None], [T], *padded([label]), "reference"
                )
                log_p = np.logaddexp(log_p, -loss[0])
            sentence = ("<s>", *words, "</s>")
            lm_log_p = sum(
                np.log(lm.p(sentence[i], sentence[:i])) for i in range(1, len(sentence))
            )
            if log_p > -np.inf:
                scores[" ".join(words)] = log_p + alpha * lm_log_p + beta * n
    return scores

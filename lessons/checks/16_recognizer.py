"""Checks of lesson 16: the milestones of the reader's own file, against the package."""

import inspect
from functools import cache
from itertools import permutations, product

import numpy as np

import minids
from minids import gradcheck
from minids.lesson import capstone, data, exercise
from minids.model import ModelSettings
from minids.ops import reference

LAYERS = [f"{kind}{n}" for n in range(1, 7) for kind in "Wb"]
PARAMS = [*LAYERS, "Wr_f", "Wr_b"]


def network(D, H, K, seed):
    """A network of the package without context, and its parameters: units below 0, between, and above 20."""
    sizes = {"inputs": D, "characters": K, "hidden": H, "context": 0, "stride": 1}
    settings = ModelSettings(**sizes, dropout=0.0)
    model = minids.DeepSpeech(settings, seed, "reference", "float64")
    rng = np.random.default_rng(seed)
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
    words = f"{np.shape(got)} instead of {np.shape(expected)}"
    return f"the shape of {what}", np.shape(got) == np.shape(expected), True, words


def by_definition(samples):
    """The features (T0, F) of samples, in the five steps of the lesson."""
    wave = samples - np.mean(samples)
    wave = wave / np.sqrt(np.mean(wave**2))
    starts, i, p = range(0, len(wave) - 319, 160), np.arange(320), np.arange(161)
    window = np.sin(np.pi * i / 320) ** 2
    window = window / np.sqrt(sum(window**2))
    frames = np.array([wave[start : start + 320] for start in starts]) * window
    power = (
        np.abs(frames @ np.exp(-2j * np.pi * i[:, None] * p / 320)) ** 2
    )  # (T0, 161)
    bands = [power @ np.maximum(0, 1 - abs(p * 41 / 160 - j)) for j in range(1, 41)]
    z = np.log(np.array([*bands, (frames**2).sum(axis=1)]).T + 1e-7)
    return (z - z.mean(axis=0)) / np.maximum(z.std(axis=0), 0.05)


@exercise("16.1", rtol=1e-3, atol=5e-3, keep=False, seconds=30)
def check_features(features):
    package = minids.Features(16000, bands=40, normalize="utterance", floor_db=-70)
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
    noise = np.random.default_rng(161).normal(0, 1, 8000)
    level = np.sqrt(np.mean(samples**2))  # the noise has a power near 1e-7 of it
    for scale in 1e-3, 2e-4:
        faint = np.concatenate([samples, scale * level * noise]).astype(float)
        what = f"“seven”, then noise of {scale:g} times its level"
        yield what, features(faint), by_definition(faint)
    click = np.zeros(1600)
    click[[300, 800]] = 1, -0.5  # only one of its frames has an edge of the window
    yield "two clicks", features(click), by_definition(click)
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
        what = f"log_probs of {len(lengths)} recording{'s' * (len(lengths) > 1)}"
        yield what, log_probs[inside], expected[inside]
    for b, length in enumerate(lengths):
        alone, _ = forward(params, x[:length, b : b + 1], lengths[b : b + 1])
        alone, together = np.asarray(alone)[:, 0], log_probs[:length, b]
        yield f"recording {b} alone, and in the batch", together, alone
    filled = x.copy()
    filled[~inside] = 7
    got = np.asarray(forward(params, filled, lengths)[0])[inside]
    words = "what is past the end of a recording changes what is in it"
    yield "log_probs with other padding", got, expected[inside], words
    model, params = network(D=4, H=6, K=5, seed=9)
    params["b6"] += 2000
    x, lengths = batch(rng, [5, 3], 4)
    inside = np.arange(5)[:, None] < lengths
    expected, _ = model.forward(x, lengths)
    got = np.asarray(forward(params, x, lengths)[0])[inside]
    what = "log_probs where the numbers before the softmax are 2000"
    yield what, got, expected[inside]


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
        shape = max(lengths), len(lengths)
        log_probs = np.log(rng.dirichlet(np.ones(4), shape))  # (T, B, K)
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
        p = np.exp([log_probs[range(3), 0, path].sum() for path in paths]).sum()
        losses, _ = ctc(log_probs, np.array([3]), [label])
        got = np.exp(-np.asarray(losses))
        yield f"p({label}), a sum over all paths", got, np.array([p])
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
        # as CTC's, they have the mean 0, and stay the same through the softmax
        dlogits -= dlogits.mean(axis=2, keepdims=True)

        def loss(params=params, x=x, lengths=lengths, dlogits=dlogits):
            return (np.asarray(forward(params, x, lengths)[0]) * dlogits).sum()

        _, kept = forward(params, x, lengths)
        grads = backward(params, kept, dlogits)
        yield "the type of what it returns", type(grads).__name__, "dict"
        yield "the names of the gradients", sorted(grads), sorted(PARAMS)
        for name in reversed(PARAMS):
            exact = gradcheck.numerical_gradient(loss, params[name])
            yield shapes(f"d{name}", grads[name], exact)
            what = f"d{name}, {len(lengths)} recording{'s' * (len(lengths) > 1)}"
            yield what, grads[name], exact


@exercise("16.5", rtol=1e-5, atol=1e-7, keep=False, pure=False, seconds=30)
def check_train(train):
    rng = np.random.default_rng(165)
    model, params = network(D=3, H=5, K=4, seed=11)
    x = [3 * rng.normal(size=(T, 3)) for T in (9, 4, 7)]
    data = list(zip(x, [[1, 2, 1], [3, 3], [2]], strict=True))
    copy = {name: value.copy() for name, value in params.items()}
    got = np.array(list(train(copy, data, 2, 0.0, 1.0, 0.9, 1e9, 2)))
    expected = np.full(2, np.mean([loss_of(model, *pair) for pair in data]))
    words = "every recording counts once in an epoch"
    yield "the mean losses of two epochs, rate 0", got, expected, words

    long = [*data, (data[1][0], [1, 1, 1])]
    for what, (rate, decay, momentum, limit, examples) in {
        "one batch": (0.01, 1.0, 0.9, 1e9, data),
        "momentum 0.6": (0.01, 1.0, 0.6, 1e9, data),
        "a small limit of the norm": (0.05, 1.0, 0.9, 0.5, data),
        "a rate that decays": (0.05, 2.0, 0.9, 0.5, data),
        "and a text that does not fit": (0.01, 2.0, 0.9, 1e9, long),
    }.items():
        own = {name: value.copy() for name, value in params.items()}
        arrays = dict(own)
        got = np.array(list(train(own, examples, 3, rate, decay, momentum, limit, 4)))
        settings = rate, decay, momentum, limit
        theirs, expected = trained(model, params, examples, 3, *settings)
        yield f"the mean loss of each epoch, {what}", got, expected
        for name in "W6", "Wr_b", "W1", "b1":
            yield f"{name} after three epochs, {what}", own[name], theirs[name]
        words = "params has a new array; change the old one in place, with += or [:] ="
        for name, array in arrays.items():
            yield f"{name}, as an array in place", own[name] is array, True, words

    x = [rng.normal(size=(T, 3)) for T in (5, 30, 6, 31, 5, 29, 30, 6)]
    x += [rng.normal(size=(T, 3)) for T in (50, 12, 51, 13, 50, 12, 51, 13)]
    batches = lengths_of_batches(train, params, [(value, [1, 2]) for value in x], 8)
    if batches:
        words = "those of similar length belong together"
        groups = {(5, 5, 6, 6), (12, 12, 13, 13), (29, 30, 30, 31), (50, 50, 51, 51)}
        yield "the lengths in each batch", set(batches), groups, words
        order = {tuple(batches[i : i + 4]) for i in range(0, 32, 4)}
        words = f"8 epochs had {len(order)} orders of four batches; draw them at random"
        yield "the order of the batches", min(len(order), 3), 3, words


def loss_of(model, x, label):
    """The loss of one recording, by the package."""
    log_probs, _ = model.forward(x[:, None], np.array([len(x)]))
    losses, _ = minids.ctc_loss(log_probs, [len(x)], *padded([label]), "reference")
    return losses[0]


def lengths_of_batches(train, params, data, epochs):
    """The lengths in each batch of four, as `train` passes them to the reader's `forward`, if it does."""
    scope, seen = inspect.unwrap(train).__globals__, []
    forward = scope.get("forward")

    def spy(params, x, lengths, *rest, **options):
        seen.append(tuple(sorted(np.asarray(lengths).tolist())))
        return forward(params, x, lengths, *rest, **options)

    if forward is not None:
        copy = {name: value.copy() for name, value in params.items()}
        scope["forward"] = spy
        try:
            list(train(copy, data, epochs, 0.0, 1.0, 0.9, 1.0, 4))
        finally:
            scope["forward"] = forward
    return seen


def trained(model, params, data, epochs, rate, decay, momentum, limit):
    """The parameters and mean losses after training on one batch, by the package."""
    model.load_params(params)
    lengths = np.array([len(x) for x, _ in data])
    x = np.zeros((max(lengths), len(data), data[0][0].shape[1]))
    for b, (frames, _) in enumerate(data):
        x[: len(frames), b] = frames
    theta, gradient = model.flat_params, model.flat_grads
    velocity, means = np.zeros_like(theta), []
    for epoch in range(epochs):
        losses = model.loss_and_grad(x, lengths, *padded([label for _, label in data]))
        count = np.isfinite(losses).sum()
        scale = min(1, limit / (reference.norm(gradient) / count)) / count
        step = rate / decay**epoch
        reference.nesterov(theta, gradient, velocity, step, momentum, scale)
        means.append(losses[np.isfinite(losses)].mean())
    return {name: value.copy() for name, value in model.params.items()}, np.array(means)


@exercise("16.6", rtol=1e-6, atol=1e-8, keep=False, seconds=30)
def check_beam_search(beam_search):
    lm, letters = language_model(), capstone.our_file().LETTERS
    for log_probs, alpha, beta, scores in wide_cases():
        best = max(scores, key=scores.__getitem__)
        result = beam_search(log_probs, lm, alpha, beta, 10**6)
        yield pair("(text, Q)", result)
        text, Q = result
        case = f"α = {alpha}, β = {beta}, {len(log_probs)} frames"
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
    for width, alpha, beta, log_probs, expected in narrow_cases():
        result = beam_search(log_probs, lm, alpha, beta, width)
        case = f"a beam of {width}, α = {alpha}, β = {beta}, {len(log_probs)} frames"
        yield f"(text, Q) of {case}", result, expected
    y = np.exp(spoken("offf", letters))
    y[2, [0, letters.index("f") + 1]] = 0.3, 0.7
    text, Q = beam_search(np.log(y / y.sum(axis=1, keepdims=True)), lm, 0.0, 0.0, 20)
    yield "the text of offf, where the third may be a blank", text, "of"
    long = spoken(500 * "-" + "on" + 500 * "-", letters)
    text, _ = beam_search(long, lm, 1.0, 1.0, 4)
    yield "1002 frames, nearly all of them blank", text, "on"


@cache
def language_model():
    lines = "two to one", "on two", "one of one", "off to one", "two off of", "to to"
    return capstone.our_file().NGram(lines)


@cache
def wide_cases():
    """[(log_probs (T, K), α, β, {text: Q})] of all texts."""
    lm, letters = language_model(), capstone.our_file().LETTERS
    rng, cases = np.random.default_rng(166), []
    for T, alpha, beta in (4, 0, 0), (5, 1, 0), (6, 0, 2), (6, 0.7, 1.5), (7, 1.5, 4):
        log_probs = np.log(rng.dirichlet(np.ones(len(letters) + 1), T))
        scores = exact_scores(log_probs, lm, alpha, beta, letters)
        cases.append((log_probs, alpha, beta, scores))
    return cases


@cache
def narrow_cases():
    """[(width, α, β, log_probs, {"text": text, "Q": Q})] of beams too narrow for the best text."""
    lm, letters = language_model(), capstone.our_file().LETTERS
    rng, cases = np.random.default_rng(2), []
    paths = "two on", "on  of", "off to", "of one", "to off", "two of"
    for path, other in permutations(paths, 2):
        for width, alpha, beta in (1, 0.5, 2), (2, 3, 1), (3, 0.7, 3):
            y = 0.6 * rng.dirichlet(np.full(len(letters) + 1, 0.3), len(path))
            y += 0.2 * np.exp(spoken(path, letters)) + 0.2 * np.exp(
                spoken(other, letters)
            )
            log_probs = np.log(y + 1e-6)
            args = log_probs, lm, alpha, beta, letters
            last, not_last = (pruned(*args, width, end) for end in (True, False))
            if last == not_last:  # whether the last frame is pruned, too, is not said
                expected = {"text": last[0], "Q": last[1]}
                cases.append((width, alpha, beta, log_probs, expected))
    return cases


def pruned(log_probs, lm, alpha, beta, letters, width, at_the_end):
    """(text, Q) of a beam: the paths whose text was among the best `width` at each frame, one by one."""
    starts = {word[:i] for word in lm.words for i in range(len(word) + 1)}

    def sums(paths):  # {text: log of the sum of its paths}
        texts = {}
        for text, _, log_p in paths:
            texts[text] = np.logaddexp(texts.get(text, -np.inf), log_p)
        return texts

    def language(words):
        said = ("<s>", *words)
        log_p = sum(np.log(lm.p(said[i], said[:i])) for i in range(1, len(said)))
        return alpha * log_p + beta * sum(word != "</s>" for word in words)

    paths = [("", 0, 0.0)]  # the text, the last output, log p
    for t, y in enumerate(log_probs):
        longer = []
        for text, last, log_p in paths:
            for k in range(len(y)):
                grown = text + letters[k - 1] if k not in (0, last) else text
                *words, part = grown.split(" ")
                if part in starts and lm.words.issuperset(words):
                    longer.append((grown, k, log_p + y[k]))
        texts, paths = sums(longer), longer
        if t < len(log_probs) - 1 or at_the_end:
            score = {c: p + language(c.split(" ")[:-1]) for c, p in texts.items()}
            kept = sorted(score, key=score.__getitem__)[-width:]
            paths = [path for path in longer if path[0] in kept]
    ends = [(c.rstrip(), k, p) for c, k, p in paths if lm.words.issuperset(c.split())]
    Q = {c: p + language([*c.split(), "</s>"]) for c, p in sums(ends).items()}
    return max(Q.items(), key=lambda item: item[1], default=("", -np.inf))


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
            log_p, sentence = -np.inf, ("<s>", *words, "</s>")
            text = " ".join(words)
            for text_ in {text, (text + " ").lstrip()}:  # a space at the end or not
                label = [letters.index(letter) + 1 for letter in text_]
                one = log_probs[:, None], [len(log_probs)], *padded([label])
                loss, _ = minids.ctc_loss(*one, "reference")
                log_p = np.logaddexp(log_p, -loss[0])
            p = [lm.p(sentence[i], sentence[:i]) for i in range(1, n + 2)]
            if log_p > -np.inf:
                scores[text] = log_p + alpha * np.log(p).sum() + beta * n
    return scores

"""What `python examples/deepspeech.py --check` compares with minids: every quantity, in float64."""

import math
import warnings

import numpy as np

import minids
from minids import features
from minids.decode.lexicon import Language
from minids.decode.reference import prefix_beam_search
from minids.lm.reference import ReferenceNGram
from minids.model import ModelSettings
from minids.ops.reference import log_softmax_forward

LIMIT = 1e-10


def errors(own):
    """[(quantity, error, limit), …] of the module `own`, deepspeech.py."""
    compared = [*of_features(own), *of_the_network(own), *of_the_language(own)]
    return [(f"{name}, minids", difference(a, b), LIMIT) for name, a, b in compared]


def difference(a, b):
    """The largest difference between two arrays, relative to the largest number of the second."""
    return float(np.abs(np.asarray(a) - b).max() / np.abs(b).max())


def of_features(own):
    """minids.Features computes in float32, but its functions in the type that they get.

    Only its window and its bands are float32: they are compared rounded, and used unrounded.
    """
    _, _, samples = own.recordings("test")[0]
    samples = samples.astype(np.float64)
    window, unit = own.hann(own.WINDOW), np.eye(own.WINDOW // 2 + 1)
    bands = np.exp(own.filter_banks(unit, own.BANDS)) - own.FLOOR  # the matrix
    yield "window, rounded", np.float32(window), features.hann(own.WINDOW)
    yield "bands, rounded", np.float32(bands), features.linear_bands(own.BANDS, own.WINDOW)
    windows = features.frames(features.normalize_power(samples), own.WINDOW, own.HOP) * window
    log_powers = np.log(features.power_spectrum(windows) @ bands + features.Features(floor_db=-70).floor)
    total = features.Statistics()
    total.add(log_powers)
    mean = total.sum / total.count
    deviation = np.sqrt(np.maximum(total.squares / total.count - mean**2, features.MIN_STD**2))
    yield "features", own.features(samples), (log_powers - mean) / deviation


def of_the_network(own):
    F, H, K, C = own.BANDS + 1, 20, len(own.LETTERS) + 1, own.CONTEXT
    params = own.initial_params((2 * C + 1) * F, H, K)
    settings = ModelSettings(F, K, H, context=C, stride=own.STRIDE, dropout=0.0)
    model = minids.DeepSpeech(settings, 0, "reference", "float64")
    yield "initial weights", flat(params), model.flat_params.copy()

    sounds = [(samples, text) for _, text, samples in own.recordings("test")[:3]]
    sounds[1] = sounds[1][0], 10 * sounds[1][1]  # a text that is too long: impossible
    data = [own.example(*sound, dtype=np.float64) for sound in sounds]
    x, lengths = own.pad([x for x, _ in data])
    labels = [label for _, label in data]
    frames, frame_counts = own.pad([own.features(samples) for samples, _ in sounds])
    log_probs, cache = own.forward(params, x, lengths)
    yield "log_probs", log_probs, model.forward(frames, frame_counts)[0]

    targets = np.zeros((3, max(map(len, labels))), int), np.array([len(label) for label in labels])
    for b, (_, text) in enumerate(sounds):
        targets[0][b, : len(text)] = minids.Alphabet(own.LETTERS).encode(text)
    losses, dlogits = own.ctc(log_probs, lengths, labels)
    their_losses, their_dlogits = minids.ctc_loss(log_probs, lengths, *targets, "reference")
    yield "CTC losses, 1/loss", 1 / losses, 1 / their_losses  # one is inf
    yield "CTC gradient", dlogits, their_dlogits
    model.loss_and_grad(frames, frame_counts, *targets)
    grads = own.backward(params, cache, dlogits)
    yield "gradients", flat({name: grads[name] for name in params}), model.flat_grads.copy()

    velocity = np.zeros_like(model.flat_params)
    for _ in own.train(params, data, epochs=3, rate=0.01, decay=1.0, momentum=0.9, limit=5.0):
        model.loss_and_grad(frames, frame_counts, *targets)
        scale = min(1, 5 / model.ops.norm(model.flat_grads / 2)) / 2  # the mean of two: one is impossible
        model.ops.nesterov(model.flat_params, model.flat_grads, velocity, 0.01, 0.9, scale)
    yield "weights after three steps", flat(params), model.flat_params


def of_the_language(own):
    lines = [text for _, text, _ in own.recordings("train")]
    lm, reference = own.NGram(lines), ReferenceNGram(lines, order=3)
    queries = [
        (word, ("<s>", *line.split())[:n]) for line in lines[:40] for word in lm.words for n in range(4)
    ]
    yield "n-gram probabilities", [lm.p(*q) for q in queries], [reference.probability(*q) for q in queries]

    with warnings.catch_warnings(action="ignore"):  # ten words are too few to estimate discounts
        compiled = minids.NGram.train(lines, order=3)

    class Compiled:
        """The model that the package's search uses, whose numbers are float32."""

        words = lm.words

        def p(self, word, history):
            words, end = history[1:], word == "</s>"
            whole = compiled.log_prob(words if end else (*words, word), eos=end)
            return math.exp(whole - compiled.log_prob(words, eos=False))

    # Where no text leaves the beam: the package would remember it for one frame.
    alphabet, rng = minids.Alphabet(own.LETTERS), np.random.default_rng(3)
    language = Language(alphabet, compiled, sorted(lm.words))
    for T in 6, 9, 12:
        y = log_softmax_forward(2 * rng.normal(size=(T, len(alphabet))))
        scores = prefix_beam_search(y, language, alpha=0.8, beta=1.5, beam_width=10**6)
        best = max(scores, key=scores.__getitem__)
        text, Q = own.beam_search(y, Compiled(), alpha=0.8, beta=1.5, width=10**6)
        yield f"Q of '{text}'", Q if text == alphabet.decode(best) else math.nan, scores[best].score

    said, heard = ["one two two", "nine", "four five"], ["one one two three", "", "five four"]
    yield "word error rate", own.wer(said, heard), minids.wer(said, heard).rate


def flat(params):
    return np.concatenate([value.ravel() for value in params.values()])

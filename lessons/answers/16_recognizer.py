"""The answer to lesson 16 is examples/deepspeech.py; common mistakes, and other ways that are right."""

import inspect
from math import exp, log

import numpy as np

from minids.lesson import capstone

ours = capstone.our_file()
features, forward, ctc = ours.features, ours.forward, ours.ctc
backward, train, beam_search = ours.backward, ours.train, ours.beam_search
TEXT = inspect.getsource(ours)


def changed(function, name, mistake, *replacements):
    """A function of deepspeech.py, called `name`, after changes to the text of the file, [(old, new), …]."""
    text = TEXT
    for old, new in replacements:
        if text.count(old) != 1:
            raise ValueError(f"{old!r} is {text.count(old)} times in deepspeech.py")
        text = text.replace(old, new)
    scope = {"__name__": name, "__file__": ours.__file__}
    exec(compile(text, f"{ours.__file__} ({name})", "exec"), scope)
    scope[function].__name__, scope[function].__doc__ = name, mistake
    return scope[function]


# Other ways: features


def features_in_loops(samples):
    samples = [float(s) - float(np.mean(samples)) for s in samples]
    power = sum(s * s for s in samples) / len(samples)
    window = [np.sin(np.pi * i / 320) ** 2 for i in range(320)]
    scale = (power * sum(w * w for w in window)) ** 0.5
    rows = []
    for start in range(0, len(samples) - 319, 160):
        frame = [samples[start + i] * window[i] / scale for i in range(320)]
        spectrum = np.abs(np.fft.fft(frame)[:161]) ** 2
        row = []
        for j in range(1, 41):
            weights = [max(0, 1 - abs(p * 41 / 160 - j)) for p in range(161)]
            row.append(sum(w * s for w, s in zip(weights, spectrum, strict=True)))
        row.append(sum(s * s for s in frame))  # the energy, in time
        rows.append(row)
    x = np.log(np.array(rows) + 1e-7)
    return (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 0.05)


def features_in_float32(samples):
    return ours.features(np.asarray(samples, np.float32)).astype(np.float32)


def features_with_mean_and_std(samples):
    wave = samples - np.mean(samples)
    wave = wave / np.std(samples)
    x = ours.frames(wave, 320, 160) * ours.hann(320)
    z = ours.filter_banks(ours.power_spectrum(x), 40)
    return (z - z.mean(0)) / np.where(z.std(0) > 0.05, z.std(0), 0.05)


# Other ways: forward, and a backward that belongs to it


def g(z):
    return np.maximum(0, np.minimum(z, 20))


def forward_one_by_one(params, x, lengths):
    """Each recording by itself, without padding."""
    log_probs = np.full((*x.shape[:2], len(params["b6"])), -np.log(len(params["b6"])))
    caches = []
    for b, T in enumerate(lengths):
        h = [x[:T, b]]
        for n in 1, 2, 3:
            h.append(g(h[-1] @ params[f"W{n}"].T + params[f"b{n}"]))
        z4 = h[3] @ params["W4"].T + params["b4"]
        hf, hb = np.zeros_like(z4), np.zeros_like(z4)
        for t in range(T):
            hf[t] = g(z4[t] + (params["Wr_f"] @ hf[t - 1] if t else 0))
        for t in reversed(range(T)):
            hb[t] = g(z4[t] + (params["Wr_b"] @ hb[t + 1] if t < T - 1 else 0))
        h.append(hf + hb)
        h.append(g(h[4] @ params["W5"].T + params["b5"]))
        z6 = h[5] @ params["W6"].T + params["b6"]
        z6 = z6 - z6.max(axis=1, keepdims=True)
        log_probs[:T, b] = z6 - np.log(np.exp(z6).sum(axis=1, keepdims=True))
        caches.append((h, hf, hb))
    return log_probs, caches


def forward_in_float32(params, x, lengths):
    params = {name: value.astype(np.float32) for name, value in params.items()}
    return ours.forward(params, x.astype(np.float32), lengths)


def forward_that_ends_in_nan(params, x, lengths):
    """What is past the end of a recording does not matter."""
    log_probs, cache = ours.forward(params, x, lengths)
    for b, length in enumerate(lengths):
        log_probs[length:, b] = np.nan
    return log_probs, cache


def backward_with_einsum():
    scope = {"forward": ours.forward, "np": np}
    exec(
        """
def backward(params, cache, dlogits):
    (h, hf, hb, mask), grads = cache, {}
    dz = dlogits
    for n in (6, 5, 4, 3, 2, 1):
        if n == 4:
            grads["Wr_f"] = np.zeros_like(params["Wr_f"])
            grads["Wr_b"] = np.zeros_like(params["Wr_b"])
            df, db = np.zeros_like(dz), np.zeros_like(dz)
            T = len(dz)
            for t in range(T - 1, -1, -1):
                later = df[t + 1] @ params["Wr_f"] if t < T - 1 else 0
                df[t] = (dz[t] + later) * (0 < hf[t]) * (hf[t] < 20)
                if t:
                    grads["Wr_f"] += df[t].T @ hf[t - 1]
            for t in range(T):
                earlier = db[t - 1] @ params["Wr_b"] if t else 0
                db[t] = (dz[t] + earlier) * (0 < hb[t]) * (hb[t] < 20)
                if t < T - 1:
                    grads["Wr_b"] += db[t].T @ hb[t + 1]
            dz = df + db
        elif n < 6:
            dz = dz * (h[n] > 0) * (h[n] < 20)
        grads[f"W{n}"] = np.einsum("tbh,tbd->hd", dz, h[n - 1])
        grads[f"b{n}"] = np.einsum("tbh->h", dz)
        dz = np.einsum("tbh,hd->tbd", dz, params[f"W{n}"])
    return grads
""",
        scope,
    )
    scope["backward"].__name__ = "backward_with_einsum"
    return scope["backward"]


def backward_of_lists(params, cache, dlogits):
    """Lists of numbers, in the order of the parameters."""
    grads = ours.backward(params, cache, dlogits)
    return {name: np.array(grads[name].tolist()) for name in params}


# Other ways: CTC


def ctc_one_by_one(log_probs, lengths, labels):
    """Each text by itself, with α and β as in lessons 5 and 6."""
    losses, dlogits = [], np.zeros_like(log_probs)
    for b, (T, label) in enumerate(zip(lengths, labels, strict=True)):
        states = [0]
        for k in label:
            states += [k, 0]
        S, y = len(states), log_probs[:T, b]
        alpha, beta = np.full((2, T, S), -np.inf)
        alpha[0, : min(2, S)] = y[0, states[:2]]
        for t in range(1, T):
            for s in range(S):
                ways = [alpha[t - 1, s]] + [alpha[t - 1, s - 1]] * (s > 0)
                if s > 1 and states[s] != 0 and states[s] != states[s - 2]:
                    ways.append(alpha[t - 1, s - 2])
                alpha[t, s] = np.logaddexp.reduce(ways) + y[t, states[s]]
        beta[T - 1, -2:] = 0
        for t in reversed(range(T - 1)):
            for s in range(S):
                ways = [r for r in (s, s + 1) if r < S]
                if s + 2 < S and states[s + 2] != 0 and states[s + 2] != states[s]:
                    ways.append(s + 2)
                beta[t, s] = np.logaddexp.reduce(
                    [beta[t + 1, r] + y[t + 1, states[r]] for r in ways]
                )
        log_p = np.logaddexp.reduce(alpha[-1, -2:])
        losses.append(-log_p)
        if log_p > -np.inf:
            dlogits[:T, b] = np.exp(y)
            for s, k in enumerate(states):
                dlogits[:T, b, k] -= np.exp(alpha[:, s] + beta[:, s] - log_p)
    return losses, dlogits


def ctc_of_the_package(log_probs, lengths, labels):
    lengths_of_labels = [len(label) for label in labels]
    array = np.zeros((len(labels), max(1, *lengths_of_labels)), int)
    for b, label in enumerate(labels):
        array[b, : len(label)] = label
    from minids import ctc_loss

    return ctc_loss(log_probs, lengths, array, lengths_of_labels, "reference")


# Other ways: train


def train_on_a_flat_vector(
    params, data, epochs, rate, decay, momentum, limit, batch_size
):
    """All parameters in one vector, as in the package."""
    rng, size = np.random.default_rng(7), sum(value.size for value in params.values())
    velocity, means = np.zeros(size), []
    order = sorted(range(len(data)), key=lambda i: data[i][0].shape[0])
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    for _ in range(epochs):
        rng.shuffle(batches)
        losses = []
        for batch in batches:
            x, lengths = ours.pad([data[i][0] for i in batch])
            log_probs, cache = forward(params, x, lengths)
            batch_losses, dlogits = ours.ctc(
                log_probs, lengths, [data[i][1] for i in batch]
            )
            fits = np.isfinite(batch_losses)
            losses += batch_losses[fits].tolist()
            grads = ours.backward(params, cache, dlogits)
            flat = np.concatenate([grads[name].ravel() for name in params]) / max(
                1, fits.sum()
            )
            norm = np.linalg.norm(flat)
            flat = flat * (limit / norm) if norm > limit else flat
            velocity = momentum * velocity - rate * flat
            step, start = momentum * velocity - rate * flat, 0
            for value in params.values():
                value += step[start : start + value.size].reshape(value.shape)
                start += value.size
        rate = rate / decay
        means.append(np.mean(losses))
    yield from means


# Other ways: beam_search


def beam_search_on_labels(log_probs, lm, alpha, beta, width):
    """Prefixes as tuples of labels; the language model's score is recomputed for every text."""
    spelled = [
        tuple(ours.LETTERS.index(c) + 1 for c in word) for word in sorted(lm.words)
    ]
    starts = {word[:i] for word in spelled for i in range(len(word) + 1)}

    def split(labels):
        words = [()]
        for k in labels:
            words = [*words, ()] if k == 1 else [*words[:-1], (*words[-1], k)]
        return words

    def lm_score(words, end=False):
        names = ["".join(ours.LETTERS[k - 1] for k in word) for word in words]
        names = ["<s>", *names] + ["</s>"] * end
        log_p = sum(log(lm.p(names[i], tuple(names[:i]))) for i in range(1, len(names)))
        return alpha * log_p + beta * len(words)

    beam = {(): (0.0, -np.inf)}
    for y in log_probs:
        new = {}
        for labels, (b, nb) in beam.items():
            both, part = np.logaddexp(b, nb), split(labels)[-1]
            old = new.get(labels, (-np.inf, -np.inf))
            stays = y[labels[-1]] + nb if labels else -np.inf
            new[labels] = (
                np.logaddexp(old[0], y[0] + both),
                np.logaddexp(old[1], stays),
            )
            for k in range(1, len(y)):
                if not (part in spelled if k == 1 else (*part, k) in starts):
                    continue
                old = new.get((*labels, k), (-np.inf, -np.inf))
                grows = y[k] + (b if labels[-1:] == (k,) else both)
                new[*labels, k] = (old[0], np.logaddexp(old[1], grows))
        order = sorted(
            new, key=lambda c: -(np.logaddexp(*new[c]) + lm_score(split(c)[:-1]))
        )
        beam = {labels: new[labels] for labels in order[:width]}
    final = {}
    for labels, sums in beam.items():
        words = [word for word in split(labels) if word]
        if all(word in spelled for word in words):
            key = tuple(words)
            final[key] = np.logaddexp(final.get(key, -np.inf), np.logaddexp(*sums))
    best = max(final, key=lambda words: final[words] + lm_score(words, end=True))
    text = " ".join("".join(ours.LETTERS[k - 1] for k in word) for word in best)
    return text, final[best] + lm_score(best, end=True)


def beam_search_with_rescaled_probabilities(log_probs, lm, alpha, beta, width):
    """Probabilities instead of logarithms, rescaled after every frame."""
    words = sorted(lm.words)

    def language(text, finished):
        parts = text.split(" ")
        done = [w for w in (parts if finished else parts[:-1]) if w]
        said = ("<s>", *done, "</s>") if finished else ("<s>", *done)
        q = 0.0
        for i in range(1, len(said)):
            q += alpha * log(lm.p(said[i], said[:i]))
        return q + beta * len(done)

    beam, scale = {"": [1.0, 0.0]}, 0.0
    for frame in log_probs:
        y, new = [exp(v) for v in frame], {}
        for text, (b, nb) in beam.items():
            entry = new.setdefault(text, [0.0, 0.0])
            entry[0] += y[0] * (b + nb)
            if text:
                entry[1] += y[ours.LETTERS.index(text[-1]) + 1] * nb
            part = text.split(" ")[-1]
            for k, letter in enumerate(ours.LETTERS, 1):
                fits = (
                    part in lm.words
                    if letter == " "
                    else any(w.startswith(part + letter) for w in words)
                )
                if fits:
                    entry = new.setdefault(text + letter, [0.0, 0.0])
                    entry[1] += y[k] * (b if text.endswith(letter) else b + nb)
        scores = {t: log(sum(v) or 1e-300) + language(t, False) for t, v in new.items()}
        kept = sorted(scores, key=scores.get)[-width:]
        top = max(sum(new[t]) for t in kept)
        scale += log(top)
        beam = {t: [v / top for v in new[t]] for t in kept}
    final = {}
    for text, sums in beam.items():
        if all(word in lm.words for word in text.split()):
            final[text.strip()] = final.get(text.strip(), 0.0) + sum(sums)
    scores = {t: log(p or 1e-300) + scale + language(t, True) for t, p in final.items()}
    best = max(scores, key=scores.get)
    return best, scores[best]


RIGHT = {
    "features": [features_in_loops, features_in_float32, features_with_mean_and_std],
    "forward": [forward_one_by_one, forward_in_float32, forward_that_ends_in_nan],
    "ctc": [ctc_one_by_one, ctc_of_the_package],
    "backward": [backward_with_einsum(), backward_of_lists],
    "train": [
        changed(
            "train",
            "train_that_returns_a_list",
            None,
            (
                "    for epoch in range(epochs):\n",
                "    means = []\n    for epoch in range(epochs):\n",
            ),
            (
                "        yield float(np.mean(epoch_losses))\n",
                "        means.append(float(np.mean(epoch_losses)))\n    return means\n",
            ),
        ),
        train_on_a_flat_vector,
    ],
    "beam_search": [beam_search_on_labels, beam_search_with_rescaled_probabilities],
}

HINTS = {
    "features": [
        "Lesson 1 has all five steps: frames, power_spectrum, filter_banks, normalize. They are in your mine.py.",
        "wave = samples - samples.mean(); wave = wave / np.sqrt(np.mean(wave**2)); then frames(wave, 320, 160)"
        " times the window, before the power spectrum.",
        "normalize(filter_banks(power_spectrum(frames(wave, 320, 160) * window), 40))",
    ],
    "forward": [
        "Write a helper for g(W x + b), and one for a direction of the recurrence; both are in your mine.py.",
        "inside = np.arange(T)[:, None] < lengths, (T, B): each new state is np.where(inside[t][:, None], …, 0), so that"
        " the backward direction starts at the last frame of each recording. Both directions use the same z4.",
        "hf = recur(z4, Wr_f, inside); hb = recur(z4[::-1], Wr_b, inside[::-1])[::-1]; return log_probs, (x, h1, …)",
    ],
    "ctc": [
        "Begin with a loop over the B recordings: cut log_probs to lengths[b] frames, and lessons 5 and 6 do the"
        " rest. Lesson 8 has ctc_in_batch.",
        "dlogits[:T, b] = np.exp(log_y), minus gamma[:, s] in the column of the character of each state s.",
        "If log_p is -inf, the loss is inf, and the gradient stays 0.",
    ],
    "backward": [
        "One helper for a layer: from dz, its input and its W to dx, dW, db (linear_backward of lesson 3).",
        "dz5 = dh5 * (h5 > 0) * (h5 < 20). Both directions get dh4; dz4 = dzf + dzb goes on to W4, b4 and h3.",
        "dzb, dWr_b = recur_backward(dh4[::-1], hb[::-1], Wr_b), and dzb[::-1] is in the right order again.",
    ],
    "train": [
        "order = np.argsort([len(x) for x, _ in data]); cut it into batches once, and shuffle the batches in each"
        " epoch.",
        "Divide dlogits by the number of finite losses of the batch; one norm over all gradients together.",
        "velocity *= momentum; velocity -= rate * g; params += momentum * velocity - rate * g, for each name,"
        " with velocities that start at 0 once, not in each epoch; rate / decay**epoch; yield np.mean(losses)",
    ],
    "beam_search": [
        "Start with beam_step of lesson 10, in logarithms: products become sums, sums np.logaddexp.",
        "Which letters may follow? Keep a dictionary {beginning of a word: set of next letters}; a space may follow"
        " a complete word only.",
        "Rank by log (p_b + p_nb) + α log P_lm + β words of text.split(' ')[:-1]. After the last frame drop texts"
        " that end in the middle of a word, strip the others, add equal ones, and score the last word and </s>.",
    ],
}

NEW_HF = 'hf = recur(z4, params["Wr_f"], inside)'
NEW_HB = 'hb = recur(z4[::-1], params["Wr_b"], inside[::-1])[::-1]'

WRONG = {
    "features": [
        changed(
            "features",
            "without_the_energy",
            "The energy is missing: 40 features instead of 41.",
            ("np.column_stack([triangles, energy])", "triangles"),
        ),
        changed(
            "features",
            "one_mean_for_all",
            "One mean and one deviation for all features together.",
            (
                "(x - x.mean(axis=0)) / np.maximum(x.std(axis=0), MIN_STD)",
                "(x - x.mean()) / x.std()",
            ),
        ),
        changed(
            "features",
            "normalizes_each_frame",
            "The mean and the deviation of each frame, not of each feature.",
            (
                "(x - x.mean(axis=0)) / np.maximum(x.std(axis=0), MIN_STD)",
                "(x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)",
            ),
        ),
        changed(
            "features",
            "without_a_window",
            "The frames are not faded in and out: no Hann window.",
            (
                "frames(wave, WINDOW, HOP) * hann(WINDOW)",
                "frames(wave, WINDOW, HOP) / WINDOW**0.5",
            ),
        ),
        changed(
            "features",
            "without_the_logarithm",
            "The powers themselves, without the logarithm.",
            ("return np.log(power @", "return (power @"),
        ),
        changed(
            "features",
            "at_the_original_power",
            "The sound is not scaled to power 1, so that a quiet one differs.",
            ("wave = wave / (np.sqrt(np.mean(wave**2)) or 1)", "wave = wave * 1"),
        ),
        changed(
            "features",
            "keeps_the_offset",
            "The mean of the samples is not subtracted.",
            ("wave = samples - samples.mean()", "wave = samples"),
        ),
        changed(
            "features",
            "without_a_smallest_deviation",
            "A feature that hardly varies is divided by nearly 0.",
            ("np.maximum(x.std(axis=0), MIN_STD)", "x.std(axis=0)"),
        ),
        changed(
            "features",
            "a_smallest_power",
            "The smallest power is 1e-7: np.maximum; the lesson adds 1e-7.",
            (
                "return np.log(power @ np.column_stack([triangles, energy]) + FLOOR)",
                "return np.log(np.maximum(power @ np.column_stack([triangles, energy]), FLOOR))",
            ),
        ),
        changed(
            "features",
            "a_window_of_another_power",
            "The window is not scaled to power 1, so that 1e-7 counts more in quiet frames.",
            ("return w / np.sqrt(np.sum(w**2))", "return w"),
        ),
        changed(
            "features",
            "a_symmetric_window",
            "np.hanning divides by 319, not by 320.",
            ("w = np.sin(np.pi * np.arange(n) / n) ** 2", "w = np.hanning(n)"),
        ),
        changed(
            "features",
            "scaled_to_the_peak",
            "The sound is scaled to the peak 1, not to power 1.",
            (
                "wave = wave / (np.sqrt(np.mean(wave**2)) or 1)",
                "wave = wave / abs(wave).max()",
            ),
        ),
        changed(
            "features",
            "amplitudes",
            "The amplitudes of the spectrum, not their squares.",
            ("return np.abs(np.fft.rfft(x)) ** 2", "return np.abs(np.fft.rfft(x))"),
        ),
        changed(
            "features",
            "bands_from_0",
            "The bands are numbered from 0: the first is around 0 Hz.",
            ("np.arange(1, bands + 1)))", "np.arange(bands)))"),
        ),
        changed(
            "features",
            "energy_without_the_mirror",
            "The bins of the energy count once; the inner ones stand for p and −p.",
            (
                "energy = np.where((p == 0) | (p == p[-1]), 1, 2) / (2 * p[-1])",
                "energy = np.ones(len(p)) / (2 * p[-1])",
            ),
        ),
        changed(
            "features",
            "deviation_plus_0_05",
            "0.05 is added to each deviation, not only to those that are smaller.",
            ("np.maximum(x.std(axis=0), MIN_STD)", "(x.std(axis=0) + MIN_STD)"),
        ),
        changed(
            "features",
            "energy_first",
            "The energy comes first; it is the last feature.",
            (
                "np.column_stack([triangles, energy])",
                "np.column_stack([energy, triangles])",
            ),
        ),
    ],
    "forward": [
        changed(
            "forward",
            "runs_through_the_padding",
            "The backward direction starts in the padding of a shorter recording: no mask.",
            (
                "np.where(inside[t], np.clip(z[t] + state @ Wr.T, 0, CLIP), 0)",
                "np.clip(z[t] + state @ Wr.T, 0, CLIP)",
            ),
        ),
        changed(
            "forward",
            "concatenates_the_directions",
            "The directions stand next to each other, and half of the units of each are lost.",
            (
                "h4 = hf + hb\n    h5",
                "h4 = np.concatenate([hf, hb], axis=-1)[..., ::2]\n    h5",
            ),
        ),
        changed(
            "forward",
            "averages_the_directions",
            "The mean of the two directions, not their sum.",
            ("h4 = hf + hb\n    h5", "h4 = (hf + hb) / 2\n    h5"),
        ),
        changed(
            "forward",
            "never_turns_back",
            "The states of the backward direction stay in reversed order.",
            (NEW_HB, NEW_HB.removesuffix("[::-1]")),
        ),
        changed(
            "forward",
            "one_weight_for_both",
            "Both directions use Wr_f.",
            (NEW_HB, NEW_HB.replace("Wr_b", "Wr_f")),
        ),
        changed(
            "forward",
            "without_a_ceiling",
            "ReLUs without the bound of 20.",
            ("h = np.clip(z(n, x), 0, CLIP)", "h = np.maximum(z(n, x), 0)"),
        ),
        changed(
            "forward",
            "transposes_the_recurrent_weights",
            "Wr instead of its transpose, for states that are rows.",
            ("state @ Wr.T", "state @ Wr"),
        ),
        changed(
            "forward",
            "clips_before_the_recurrence",
            "z4 goes through g before the recurrence adds to it.",
            (NEW_HF, f"z4 = np.clip(z4, 0, CLIP)\n    {NEW_HF}"),
        ),
        changed(
            "forward",
            "returns_probabilities",
            "Probabilities instead of their logarithms.",
            ("return log_probs, ((x", "return np.exp(log_probs), ((x"),
        ),
        changed(
            "forward",
            "overflows",
            "exp of large numbers overflows: subtract the maximum first.",
            (
                "np.logaddexp.reduce(z6, axis=-1, keepdims=True)",
                "np.log(np.exp(z6).sum(axis=-1, keepdims=True))",
            ),
        ),
        changed(
            "forward",
            "normalizes_over_time",
            "The softmax adds up over the frames, not over the characters.",
            (
                "np.logaddexp.reduce(z6, axis=-1, keepdims=True)",
                "np.logaddexp.reduce(z6, axis=0, keepdims=True)",
            ),
        ),
        changed(
            "forward",
            "clips_the_output",
            "The output layer goes through g, too; the softmax needs all numbers.",
            ("z6 = z(6, h5)  # (T, B, K)", "z6 = np.clip(z(6, h5), 0, CLIP)"),
        ),
        changed(
            "forward",
            "clips_the_sum",
            "h4 goes through g; each direction already has, and their sum may be above 20.",
            ("h4 = hf + hb\n    h5", "h4 = np.clip(hf + hb, 0, CLIP)\n    h5"),
        ),
        changed(
            "forward",
            "forgets_a_bias",
            "The bias of layer 4 is missing.",
            ("z4, inside = z(4, h3),", 'z4, inside = z(4, h3) - params["b4"],'),
        ),
    ],
    "ctc": [
        changed(
            "ctc",
            "skips_between_equal_letters",
            "Skips the blank between two equal letters, which would merge.",
            (
                "(states[:, 2:] != states[:, :-2]) & (states[:, 2:] > 0)",
                "states[:, 2:] > 0",
            ),
        ),
        changed(
            "ctc",
            "skips_letters",
            "Blanks are skipped to as well, so that letters can be left out.",
            (
                "(states[:, 2:] != states[:, :-2]) & (states[:, 2:] > 0)",
                "states[:, 2:] >= 0",
            ),
        ),
        changed(
            "ctc",
            "all_recordings_are_equally_long",
            "Every recording ends with the last frame of the batch.",
            (
                "beta[t, final & (t == lengths[:, None] - 1)] = 0",
                "beta[t, final & (t == T - 1)] = 0",
            ),
            ("alpha[lengths - 1, np.arange(B)]", "alpha[T - 1, np.arange(B)]"),
        ),
        changed(
            "ctc",
            "a_gradient_in_the_padding",
            "The gradient past the end of a recording is not 0.",
            (
                "counts = (np.arange(T)[:, None] < lengths) & possible",
                "counts = (np.arange(T)[:, None] < T) & possible",
            ),
        ),
        changed(
            "ctc",
            "a_gradient_of_the_impossible",
            "A text that does not fit has a gradient that is not 0.",
            ("< lengths) & possible", "< lengths) & (lengths > 0)"),
        ),
        changed(
            "ctc",
            "ends_in_the_last_blank_only",
            "An alignment must end in a blank; the last letter is an end, too.",
            ("final = (s >= S - 2) & (s < S)", "final = s == S - 1"),
        ),
        changed(
            "ctc",
            "ends_where_the_longest_text_ends",
            "All texts end in the last two states of the longest one.",
            (
                "final = (s >= S - 2) & (s < S)",
                "final = (s >= S.max() - 2) & (s < S.max() + 0 * S)",
            ),
        ),
        changed(
            "ctc",
            "starts_in_the_blank_only",
            "An alignment must start with a blank; the first letter may, too.",
            (
                "np.where(s < 2, log_y[0], -np.inf)",
                "np.where(s < 1, log_y[0], -np.inf)",
            ),
        ),
        changed(
            "ctc",
            "the_opposite_sign",
            "The gradient points the other way: desired output minus output.",
            ("(np.exp(log_probs) - by_character", "-(np.exp(log_probs) - by_character"),
        ),
        changed(
            "ctc",
            "without_the_softmax",
            "The gradient with respect to log_probs, -γ, not before the softmax.",
            ("(np.exp(log_probs) - by_character", "(0 - by_character"),
        ),
        changed(
            "ctc",
            "the_best_path_only",
            "The probability of the best alignment instead of the sum over all.",
            ("ways[:, 1:] = np.logaddexp(", "ways[:, 1:] = np.maximum("),
            ("ways[:, 2:] = np.logaddexp(", "ways[:, 2:] = np.maximum("),
        ),
        changed(
            "ctc",
            "divides_by_the_frames",
            "The losses and their gradients are divided by the number of frames.",
            (
                "return -log_p, (np.exp(log_probs) - by_character.transpose(1, 0, 2)) * counts[:, :, None]",
                "return -log_p / lengths, (np.exp(log_probs) - by_character.transpose(1, 0, 2)) * counts[:, :, None] / lengths[:, None]",
            ),
        ),
        changed(
            "ctc",
            "the_mean_of_the_batch",
            "The gradient is that of the mean loss; asked is that of each loss.",
            (
                "return -log_p, (np.exp(log_probs) - by_character.transpose(1, 0, 2)) * counts[:, :, None]",
                "return -log_p, (np.exp(log_probs) - by_character.transpose(1, 0, 2)) * counts[:, :, None] / B",
            ),
        ),
        changed(
            "ctc",
            "a_large_loss_of_the_impossible",
            "The loss of a text that does not fit is 0; it is inf.",
            ("return -log_p, (np", "return np.where(possible, -log_p, 0), (np"),
        ),
    ],
    "backward": [
        changed(
            "backward",
            "ignores_the_ceiling",
            "Units above 20 get a gradient, although g is flat there.",
            ("((h > 0) & (h < CLIP * mask))", "(h > 0)"),
        ),
        changed(
            "backward",
            "forgets_g",
            "The slope of g is missing in the layers below the recurrence.",
            (
                "dh2 = dh(3, clipped_relu_backward(dh3, h[3], mask[3]))",
                "dh2 = dh(3, dh3)",
            ),
        ),
        changed(
            "backward",
            "one_direction_only",
            "W4 and b4 get the gradient of the forward direction only.",
            ("dh3 = dh(4, dzf + dzb[::-1])", "dh3 = dh(4, dzf)"),
        ),
        changed(
            "backward",
            "never_turns_back",
            "The gradient of the backward direction stays in reversed order.",
            ("dh3 = dh(4, dzf + dzb[::-1])", "dh3 = dh(4, dzf + dzb)"),
        ),
        changed(
            "backward",
            "halves_the_gradient",
            "Half of dh4 for each direction; a sum passes all of it to both.",
            (
                "dh4 = dh(5, clipped_relu_backward(dh5, h[5], mask[5]))",
                "dh4 = dh(5, clipped_relu_backward(dh5, h[5], mask[5])) / 2",
            ),
        ),
        changed(
            "backward",
            "forgets_the_future",
            "Nothing comes back through time: dz_{t+1} is missing.",
            (
                "clipped_relu_backward(dh[t] + later @ Wr, h[t])",
                "clipped_relu_backward(dh[t], h[t])",
            ),
        ),
        changed(
            "backward",
            "transposes_the_recurrent_weights",
            "Wr instead of its transpose, back through time.",
            ("dh[t] + later @ Wr, h[t]", "dh[t] + later @ Wr.T, h[t]"),
        ),
        changed(
            "backward",
            "the_state_of_the_same_frame",
            "dWr multiplies dz_t by h_t instead of h_{t-1}.",
            (
                "np.tensordot(dz[1:], h[:-1], axes=((0, 1), (0, 1)))",
                "np.tensordot(dz, h, axes=((0, 1), (0, 1)))",
            ),
        ),
        changed(
            "backward",
            "the_mean_over_the_batch",
            "The mean over the recordings instead of the sum.",
            ("dh5 = dh(6, dlogits)", "dh5 = dh(6, dlogits / (2 * dlogits.shape[1]))"),
        ),
        changed(
            "backward",
            "dW_of_the_mean_frame",
            "The mean over the frames instead of the sum.",
            ("dh5 = dh(6, dlogits)", "dh5 = dh(6, dlogits / len(dlogits))"),
        ),
        changed(
            "backward",
            "biases_of_one_recording",
            "The bias gets the gradient of the first recording only.",
            (
                "rows.T @ x.reshape(-1, x.shape[-1]), rows.sum(axis=0)",
                "rows.T @ x.reshape(-1, x.shape[-1]), dz[:, 0].sum(axis=0)",
            ),
        ),
        changed(
            "backward",
            "clips_at_0_only_below",
            "g'(z) is taken as h > 0 in the recurrence: units above 20 get a gradient.",
            (
                "return dh * mask * ((h > 0) & (h < CLIP * mask))",
                "return dh * mask * ((h > 0) & ((h < CLIP * mask) | (h.ndim == 2)))",
            ),
        ),
        changed(
            "backward",
            "swaps_the_directions",
            "Wr_f and Wr_b are swapped.",
            (
                'dzf, grads["Wr_f"] = recur_backward(dh4, hf, params["Wr_f"])',
                'dzf, grads["Wr_b"] = recur_backward(dh4, hf, params["Wr_f"])',
            ),
            (
                'dzb, grads["Wr_b"] = recur_backward(dh4[::-1]',
                'dzb, grads["Wr_f"] = recur_backward(dh4[::-1]',
            ),
        ),
    ],
    "train": [
        changed(
            "train",
            "momentum_without_the_look_ahead",
            "Plain momentum, θ ← θ + v, or μ v with the old v (which is the same): Nesterov adds μ v − ε ∇L with the new v.",
            (
                "params[name] += momentum * velocity[name] - rate * grads[name]",
                "params[name] += velocity[name]",
            ),
        ),
        changed(
            "train",
            "the_sum_instead_of_the_mean",
            "The gradient of the sum of the losses, not of their mean.",
            ("dlogits / max(1, possible.sum())", "dlogits"),
        ),
        changed(
            "train",
            "counts_the_impossible",
            "The mean over all texts, also those that do not fit.",
            ("dlogits / max(1, possible.sum())", "dlogits / len(losses)"),
        ),
        changed(
            "train",
            "an_infinite_mean",
            "The loss of a text that does not fit enters the mean, which is then inf.",
            ("epoch_losses.extend(losses[possible])", "epoch_losses.extend(losses)"),
        ),
        changed(
            "train",
            "limits_each_array",
            "The norm of each array is limited, not that of all together.",
            (
                "norm = math.sqrt(sum(float((gradient**2).sum()) for gradient in grads.values()))\n    return {name: gradient"
                " * min(1.0, limit / (norm or 1)) for name, gradient in grads.items()}",
                "return {n: v * min(1.0, limit / (np.sqrt((v**2).sum()) or 1)) for n, v in grads.items()}",
            ),
        ),
        changed(
            "train",
            "never_anneals",
            "The learning rate stays the same in all epochs.",
            ("rate / decay**epoch", "rate"),
        ),
        changed(
            "train",
            "anneals_too_early",
            "The learning rate is already divided in the first epoch.",
            ("rate / decay**epoch", "rate / decay**(epoch + 1)"),
        ),
        changed(
            "train",
            "forgets_its_velocity",
            "The velocity starts at 0 again in each epoch.",
            (
                "        epoch_losses = []\n",
                "        epoch_losses = []\n        velocity = {name: np.zeros_like(value) for name, value in params.items()}\n",
            ),
        ),
        changed(
            "train",
            "leaves_out_the_rest",
            "The last recordings, which do not fill a batch, are never used.",
            (
                "rng.permutation(range(0, len(data), batch_size))",
                "rng.permutation(range(0, len(data) - batch_size + 1, batch_size) or [0])",
            ),
        ),
        changed(
            "train",
            "mixes_long_and_short",
            "The recordings are not sorted: most of a batch can be padding.",
            (
                'order = np.argsort([len(x) for x, _ in data], kind="stable")',
                "order = np.arange(len(data))",
            ),
        ),
        changed(
            "train",
            "always_the_same_order",
            "The batches come in the same order in every epoch.",
            (
                "rng.permutation(range(0, len(data), batch_size))",
                "range(0, len(data), batch_size)",
            ),
        ),
        changed(
            "train",
            "momentum_0_9",
            "The momentum is always 0.9, whatever is passed.",
            (
                "nesterov(params, clip_by_norm(grads, limit), velocity, rate / decay**epoch, momentum)",
                "nesterov(params, clip_by_norm(grads, limit), velocity, rate / decay**epoch, 0.9)",
            ),
        ),
        changed(
            "train",
            "to_and_fro",
            "The batches go from short to long, then from long to short, and so on: not in random order.",
            (
                "rng.permutation(range(0, len(data), batch_size))",
                "list(range(0, len(data), batch_size))[:: 1 - 2 * (epoch % 2)]",
            ),
        ),
        changed(
            "train",
            "new_arrays_in_params",
            "params[name] = params[name] + … makes new arrays; those of the caller stay as they were.",
            (
                "        params[name] += momentum * velocity[name] - rate * grads[name]",
                "        params[name] = params[name] + momentum * velocity[name] - rate * grads[name]",
            ),
        ),
        changed(
            "train",
            "limits_each_loss",
            "The limit is compared with the norm of the sum of the gradients, before it is divided by their number.",
            (
                "nesterov(params, clip_by_norm(grads, limit), velocity",
                "nesterov(params, clip_by_norm(grads, limit / max(1, possible.sum())), velocity",
            ),
        ),
        changed(
            "train",
            "anneals_each_batch",
            "The rate is divided after each step with rate·decay, not after each epoch: it is multiplied.",
            ("rate / decay**epoch, momentum)", "rate * decay**epoch, momentum)"),
        ),
        changed(
            "train",
            "yields_the_sum",
            "The sum of the losses of an epoch, not the mean.",
            ("yield float(np.mean(epoch_losses))", "yield float(np.sum(epoch_losses))"),
        ),
        changed(
            "train",
            "yields_the_last",
            "The mean loss of the last batch, not of the epoch.",
            (
                "yield float(np.mean(epoch_losses))",
                "yield float(np.mean(losses[possible]))",
            ),
        ),
        changed(
            "train",
            "one_epoch_less",
            "One epoch too few.",
            ("for epoch in range(epochs):", "for epoch in range(epochs - 1):"),
        ),
    ],
    "beam_search": [
        changed(
            "beam_search",
            "scores_unfinished_words",
            "The language model scores words that are not finished, as if they ended there.",
            ('tuple(text.split(" ")[:-1])', "tuple(text.split())"),
        ),
        changed(
            "beam_search",
            "without_the_last_word",
            "The last word, after which there is no space, is never scored.",
            (
                'language((*text.split(), "</s>"))',
                'language((*text.split()[:-1], "</s>"))',
            ),
        ),
        changed(
            "beam_search",
            "without_the_end",
            "The end of the sentence is not scored.",
            ('language((*text.split(), "</s>"))', "language(tuple(text.split()))"),
        ),
        changed(
            "beam_search",
            "counts_the_end",
            "The end of the sentence counts as a word.",
            ('beta * sum(word != "</s>" for word in words)', "beta * len(words)"),
        ),
        changed(
            "beam_search",
            "without_the_start",
            "The first word has no history; before it stands <s>.",
            ('("<s>", *words[:i])', "words[:i]"),
        ),
        changed(
            "beam_search",
            "probabilities_not_logarithms",
            "P_lm instead of its logarithm.",
            ("sum(math.log(lm.p(word,", "sum((lm.p(word,"),
        ),
        changed(
            "beam_search",
            "forgets_alpha",
            "The language model counts fully, whatever α is.",
            ("return alpha * log_p + beta", "return log_p + beta"),
        ),
        changed(
            "beam_search",
            "repeats_without_a_blank",
            "A repeated letter is always a new one, without a blank between.",
            ("(p_b if letter == last else total)", "total"),
        ),
        changed(
            "beam_search",
            "lasts_across_a_blank",
            "A letter also lasts across a blank, and is counted twice.",
            (
                "y[LETTERS.index(last) + 1] + p_nb)",
                "y[LETTERS.index(last) + 1] + total)",
            ),
        ),
        changed(
            "beam_search",
            "ends_within_a_word",
            "The text may end in the middle of a word.",
            ("if lm.words.issuperset(text.split()):", "if True:"),
        ),
        changed(
            "beam_search",
            "two_texts_for_one",
            "A text with a space at its end is another text: they are not added.",
            ("add(text.rstrip(), p_b, p_nb)", "texts[text.rstrip()] = (p_b, p_nb)"),
        ),
        changed(
            "beam_search",
            "ignores_the_width",
            "The beam keeps all texts, whatever the width.",
            ("reverse=True)[:width]}, {}", "reverse=True)}, {}"),
        ),
        changed(
            "beam_search",
            "drops_the_last_complete_word",
            'text.split()[:-1] drops the last word also when a space follows, so that it is complete: text.split(" ")[:-1].',
            ('tuple(text.split(" ")[:-1])', "tuple(text.split()[:-1])"),
        ),
        changed(
            "beam_search",
            "ranks_without_the_language_model",
            "The beam keeps the most probable texts; the language model counts only at the end.",
            (
                'return np.logaddexp(*texts[text]) + language(tuple(text.split(" ")[:-1]))',
                "return np.logaddexp(*texts[text])",
            ),
        ),
        changed(
            "beam_search",
            "ranks_by_the_best_sum",
            "Texts are ranked by the greater of p_b and p_nb, not by their sum.",
            (
                "return np.logaddexp(*texts[text]) + language",
                "return max(texts[text]) + language",
            ),
        ),
        changed(
            "beam_search",
            "keeps_one_too_many",
            "The beam has one text too many.",
            ("reverse=True)[:width]}, {}", "reverse=True)[:width + 1]}, {}"),
        ),
        changed(
            "beam_search",
            "forgets_the_history",
            "The language model gets one word of history, not all words before.",
            ('("<s>", *words[:i])', '("<s>", *words[:i])[-1:]'),
        ),
        changed(
            "beam_search",
            "keeps_the_worst",
            "The beam keeps the texts with the smallest Q.",
            ("reverse=True)[:width]}, {}", "reverse=False)[:width]}, {}"),
        ),
        changed(
            "beam_search",
            "replaces_a_text",
            "A text that is reached in two ways keeps only the last of them.",
            (
                "texts[text] = np.logaddexp(texts.get(text, (-np.inf, -np.inf)), (b, nb))",
                "texts[text] = np.array((b, nb))",
            ),
        ),
        changed(
            "beam_search",
            "returns_log_p",
            "Returns log P, not Q.",
            (
                'return max(Q.items(), key=lambda item: item[1], default=("", -math.inf))  # no word is complete',
                "best = max(Q, key=Q.get)\n    return best, np.logaddexp(*texts[best])",
            ),
        ),
        changed(
            "beam_search",
            "scores_words_twice",
            "The words are scored while the text grows, and again at the end.",
            (
                'language((*text.split(), "</s>")) for',
                'language((*text.split(), "</s>")) + language(tuple(text.split())) for',
            ),
        ),
    ],
}

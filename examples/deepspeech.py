"""Deep Speech (Hannun et al. 2014, arXiv 1412.5567): all of it, in one file of NumPy.

    pip install numpy soundfile
    python examples/deepspeech.py            learn spoken digits, then read voices that were never heard
    python examples/deepspeech.py --check    compare gradients with central differences, numbers with minids

    recording ─▶ samples (N,) ─▶ frames (T0, F) ─▶ x (T, B, D) ─▶ log_probs (T, B, K) ─▶ text

    T0  frames of 20 ms, one every 10 ms       D  inputs of the network, (2C+1) F
    F   features of a frame                    H  hidden units of a layer
    C   context frames on each side            K  characters; number 0 is the blank
    T   frames of the network, every third     U  letters of a text
    B   recordings in a batch                  S  states of CTC's lattice, 2U + 1

A comment gives the shape of each new array, § a section of the paper. The gradient of x is called dx.
"""

import math
import os
import runpy
import sys
import time
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as fast as two for such small products

import numpy as np
import soundfile

DATA = Path(__file__).with_suffix("")  # the folder of the recordings; record.py in it made them
LETTERS = " efghinorstuvwxz"  # of zero … nine; character k is LETTERS[k - 1]
RATE, WINDOW, HOP, BANDS = 16000, 320, 160, 40  # samples: a second, a window, between windows; bands (§5)
FLOOR, MIN_STD = 1e-7, 0.05  # the power of silence; the deviation of a feature that never changes
CONTEXT, STRIDE, HIDDEN, CLIP = 5, 3, 128, 20.0  # C; the stride (§3.3); H; the bound of g (§2)
EPOCHS, BATCH, DROPOUT = 80, 16, 0.2  # more dropout than 5 to 10 % (§2.1), since voices are few
SCHEDULE = {"rate": 0.004, "decay": 1.05, "momentum": 0.95, "limit": 10.0}
SEARCH = {"alpha": 1.0, "beta": 1.0, "width": 32}


# ──────────────────────────────────────────── Sound in ────────────────────────────────────────────
def recordings(split):
    """[(voice, text, samples (N,)), …] of "train" or "test"."""
    sound, _ = soundfile.read(DATA / f"{split}.ogg", dtype="float32")
    rows = [line.split("\t") for line in (DATA / f"{split}.tsv").read_text().splitlines()[1:]]
    return [(voice, text, sound[int(start) : int(end)]) for start, end, voice, text in rows]


def frames(wave, size, hop):
    """The whole windows of `size` samples, one every `hop`: (N,) -> (T0, size)."""
    return np.lib.stride_tricks.sliding_window_view(wave, size)[::hop]


def power_spectrum(x):
    """|X_p|², X_p = Σ_i x_i exp(-2πj p i/n), p = 0 … n/2: (T0, n) -> (T0, n/2 + 1)."""
    return np.abs(np.fft.rfft(x)) ** 2


def filter_banks(power, bands):
    """Log power in bands of equal width, and in all of them, the energy (§5.1): (T0, n/2 + 1) -> (T0, F).

    Band j is a triangle around j / (bands + 1) of the highest frequency, up to the centers of its neighbors.
    The energy is Σ_i x_i² = 1/n Σ_p |X_p|² (Parseval), where the inner bins count twice, for p and -p.
    """
    p = np.arange(power.shape[1])  # (n/2 + 1,)
    position = p[:, None] * (bands + 1) / p[-1]  # (n/2 + 1, 1), in centers
    triangles = np.maximum(0, 1 - np.abs(position - np.arange(1, bands + 1)))  # (n/2 + 1, bands)
    energy = np.where((p == 0) | (p == p[-1]), 1, 2) / (2 * p[-1])  # (n/2 + 1,)
    return np.log(power @ np.column_stack([triangles, energy]) + FLOOR)


def normalize(x):
    """Every feature with mean 0 and deviation 1 over the recording: (T0, F) -> (T0, F)."""
    return (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), MIN_STD)


def hann(n):
    """A window that fades in and out, of power 1: (n,)."""
    w = np.sin(np.pi * np.arange(n) / n) ** 2
    return w / np.sqrt(np.sum(w**2))


def features(samples):
    """Samples (N,) -> frames (T0, F): log filter banks of the sound at power 1, however loud it is (§5.2)."""
    wave = samples - samples.mean()  # (N,)
    wave = wave / (np.sqrt(np.mean(wave**2)) or 1)
    return normalize(filter_banks(power_spectrum(frames(wave, WINDOW, HOP) * hann(WINDOW)), BANDS))


def with_context(f, C):
    """x_t = [f_{t-C} … f_t … f_{t+C}], zeros outside (§2): (T0, F) -> (T0, D)."""
    padded = np.pad(f, ((C, C), (0, 0)))  # (T0 + 2C, F)
    return np.hstack([padded[i : i + len(f)] for i in range(2 * C + 1)])


def example(samples, text, dtype=np.float32):
    """(x (T, D), label (U,)): what goes into the network, and what should come out."""
    x = with_context(features(samples), CONTEXT)[::STRIDE]
    return x.astype(dtype), [LETTERS.index(letter) + 1 for letter in text]


def pad(utterances):
    """B arrays (T, D) -> x (T, B, D), zeros where an utterance has ended, and lengths (B,)."""
    lengths = np.array([len(x) for x in utterances])
    batch = np.zeros((lengths.max(), len(utterances), utterances[0].shape[1]), utterances[0].dtype)
    for b, x in enumerate(utterances):
        batch[: len(x), b] = x
    return batch, lengths


# ────────────────────────────────────────── The network ───────────────────────────────────────────
def initial_params(D, H, K, seed=0):
    """Normal weights of variance 1/inputs, half as wide in the recurrence, a tenth in W6; biases 0."""
    shapes = {"W1": (H, D), "b1": H, "W2": (H, H), "b2": H, "W3": (H, H), "b3": H, "W4": (H, H), "b4": H}
    shapes |= {"Wr_f": (H, H), "Wr_b": (H, H), "W5": (H, H), "b5": H, "W6": (K, H), "b6": K}
    rng, params = np.random.default_rng(seed), {}
    for name, shape in shapes.items():
        width = 0 if name[0] == "b" else {"Wr_f": 0.5, "Wr_b": 0.5, "W6": 0.1}.get(name, 1) / shape[1] ** 0.5
        params[name] = rng.normal(0, width, shape) if width else np.zeros(shape)
    return params


def linear(x, W, b):
    """z = W x + b for every frame: (T, B, D) -> (T, B, H)."""
    return (x.reshape(-1, x.shape[-1]) @ W.T + b).reshape(*x.shape[:-1], -1)


def linear_backward(dz, x, W):
    """dx = Wᵀ dz,  dW = Σ dz xᵀ,  db = Σ dz, sums over all frames."""
    rows = dz.reshape(-1, dz.shape[-1])  # (T B, H)
    return (rows @ W).reshape(x.shape), rows.T @ x.reshape(-1, x.shape[-1]), rows.sum(axis=0)


def clipped_relu_backward(dh, h, mask=1.0):
    """dz = dh m g'(z) of h = m g(z): g' is 1 between the bounds, 0 outside, and m is dropout's mask."""
    return dh * mask * ((h > 0) & (h < CLIP * mask))


def recur(z, Wr, inside):
    """h_t = g(z_t + Wr h_{t-1}) inside the utterances, 0 outside: (T, B, H); inside (T, B, 1)."""
    h, state = np.empty_like(z), np.zeros_like(z[0])
    for t in range(len(z)):
        state = h[t] = np.where(inside[t], np.clip(z[t] + state @ Wr.T, 0, CLIP), 0)  # (B, H)
    return h


def recur_backward(dh, h, Wr):
    """dz_t = (dh_t + Wrᵀ dz_{t+1}) g'(z_t),  dWr = Σ dz_t h_{t-1}ᵀ: back through time."""
    dz, later = np.empty_like(dh), np.zeros_like(dh[0])
    for t in reversed(range(len(dh))):
        later = dz[t] = clipped_relu_backward(dh[t] + later @ Wr, h[t])  # (B, H)
    return dz, np.tensordot(dz[1:], h[:-1], axes=((0, 1), (0, 1)))


def forward(params, x, lengths, dropout=0.0, rng=None):
    """x (T, B, D), lengths (B,) -> log_probs (T, B, K), and the numbers that `backward` needs (§2).

    h1 = g(W1 x + b1)        hf_t = g(W4 h3_t + b4 + Wr_f hf_{t-1})        h5 = g(W5 h4 + b5)
    h2 = g(W2 h1 + b2)       hb_t = g(W4 h3_t + b4 + Wr_b hb_{t+1})        log ŷ = log softmax(W6 h5 + b6)
    h3 = g(W3 h2 + b3)       h4 = hf + hb

    Dropout (§2.1) sets units of h1, h2, h3 and h5 to 0, and divides the others by 1 - p: m is 0 or 1/(1 - p).
    """
    mask = {}

    def z(n, x):
        return linear(x, params[f"W{n}"], params[f"b{n}"])

    def layer(n, x):
        h = np.clip(z(n, x), 0, CLIP)
        mask[n] = (rng.random(h.shape) >= dropout).astype(h.dtype) / (1 - dropout) if dropout else 1.0
        return h * mask[n]

    h1 = layer(1, x)  # (T, B, H)
    h2 = layer(2, h1)
    h3 = layer(3, h2)
    z4, inside = z(4, h3), (np.arange(len(x))[:, None] < lengths)[:, :, None]  # (T, B, H), (T, B, 1)
    hf = recur(z4, params["Wr_f"], inside)  # (T, B, H)
    hb = recur(z4[::-1], params["Wr_b"], inside[::-1])[::-1]  # (T, B, H)
    h4 = hf + hb
    h5 = layer(5, h4)
    z6 = z(6, h5)  # (T, B, K)
    log_probs = z6 - np.logaddexp.reduce(z6, axis=-1, keepdims=True)
    return log_probs, ((x, h1, h2, h3, h4, h5), hf, hb, mask)


def backward(params, cache, dlogits):
    """The gradients of all parameters, from that of W6 h5 + b6: `forward`, read upwards."""
    (h, hf, hb, mask), grads = cache, {}

    def dh(n, dz):
        dx, grads[f"W{n}"], grads[f"b{n}"] = linear_backward(dz, h[n - 1], params[f"W{n}"])
        return dx

    dh5 = dh(6, dlogits)
    dh4 = dh(5, clipped_relu_backward(dh5, h[5], mask[5]))
    dzf, grads["Wr_f"] = recur_backward(dh4, hf, params["Wr_f"])
    dzb, grads["Wr_b"] = recur_backward(dh4[::-1], hb[::-1], params["Wr_b"])
    dh3 = dh(4, dzf + dzb[::-1])
    dh2 = dh(3, clipped_relu_backward(dh3, h[3], mask[3]))
    dh1 = dh(2, clipped_relu_backward(dh2, h[2], mask[2]))
    dh(1, clipped_relu_backward(dh1, h[1], mask[1]))
    return grads


# ────────────────────────────────────────────── CTC ───────────────────────────────────────────────
def ctc(log_probs, lengths, labels):
    """loss = -log p(label|x), over all alignments (Graves 2006), and its gradient before the softmax.

    The lattice of a text l_1 … l_U has the states blank, l_1, blank, …, l_U, blank. From frame to frame an
    alignment stays, moves on, or skips the blank between different letters.

    α_t(s): all ways to s at frame t     p = α_T(S) + α_T(S-1)         γ_t(s) = α_t(s) β_t(s) / p
    β_t(s): all ways from there on       dlogits_t(k) = ŷ_t(k) - Σ γ_t(s) over the states s of character k

    log_probs (T, B, K), lengths (B,), B labels -> losses (B,), dlogits (T, B, K): inf, 0 for a text too long.
    """
    (T, B, K), S = log_probs.shape, 2 * np.array([[len(label)] for label in labels]) + 1  # S (B, 1)
    s, states = np.arange(S.max()), np.zeros((B, S.max()), int)  # (B, S), blanks after a shorter text, too
    for b, label in enumerate(labels):
        states[b, 1 : 2 * len(label) : 2] = label
    skips = np.zeros_like(states, bool)  # (B, S): from s - 2 to s
    skips[:, 2:] = (states[:, 2:] != states[:, :-2]) & (states[:, 2:] > 0)
    final = (s >= S - 2) & (s < S)  # (B, S): the last letter, and the blank after it
    log_y = log_probs[:, np.arange(B)[:, None], states]  # (T, B, S)

    alpha, beta = np.full((2, *log_y.shape), -np.inf, log_y.dtype)  # logarithms (T, B, S)
    alpha[0] = np.where(s < 2, log_y[0], -np.inf)
    for t in range(1, T):
        alpha[t] = log_y[t] + all_ways(alpha[t - 1], skips)
    for t in reversed(range(T)):
        if t < T - 1:  # from the end everything is mirrored
            onward = (log_y[t + 1] + beta[t + 1])[:, ::-1]  # (B, S)
            beta[t] = all_ways(onward, np.roll(skips, -2, axis=1)[:, ::-1])[:, ::-1]
        beta[t, final & (t == lengths[:, None] - 1)] = 0

    log_p = np.logaddexp.reduce(np.where(final, alpha[lengths - 1, np.arange(B)], -np.inf), axis=1)  # (B,)
    possible = np.isfinite(log_p)
    gamma = np.exp(alpha + beta - np.where(possible, log_p, 0)[:, None])  # (T, B, S)
    by_character = gamma.transpose(1, 0, 2) @ np.eye(K, dtype=gamma.dtype)[states]  # (B, T, K)
    counts = (np.arange(T)[:, None] < lengths) & possible  # (T, B)
    return -log_p, (np.exp(log_probs) - by_character.transpose(1, 0, 2)) * counts[:, :, None]


def all_ways(before, skips):
    """log Σ over the states s, s - 1 and, where s can be reached so, s - 2: (B, S) -> (B, S)."""
    ways = before.copy()
    ways[:, 1:] = np.logaddexp(ways[:, 1:], before[:, :-1])
    ways[:, 2:] = np.logaddexp(ways[:, 2:], np.where(skips[:, 2:], before[:, :-2], -np.inf))
    return ways


# ──────────────────────────────────────────── Training ────────────────────────────────────────────
def nesterov(params, grads, velocity, rate, momentum):
    """v ← μ v - ε ∇L,  θ ← θ + μ v - ε ∇L, in place (§5); θ is the paper's θ + μ v, where ∇L is taken."""
    for name in params:
        velocity[name] *= momentum
        velocity[name] -= rate * grads[name]
        params[name] += momentum * velocity[name] - rate * grads[name]


def clip_by_norm(grads, limit):
    """The gradients, scaled down if the norm of all of them together is above the limit."""
    norm = math.sqrt(sum(float((gradient**2).sum()) for gradient in grads.values()))
    return {name: gradient * min(1.0, limit / (norm or 1)) for name, gradient in grads.items()}


def train(params, data, epochs, rate, decay, momentum, limit, batch_size=BATCH, dropout=0.0):
    """Fit `params` to data, in place; yields the mean loss of each epoch, after which ε is annealed (§5)."""
    rng, velocity = np.random.default_rng(0), {name: np.zeros_like(value) for name, value in params.items()}
    order = np.argsort([len(x) for x, _ in data], kind="stable")  # similar lengths, little padding (§3.1)
    for epoch in range(epochs):
        epoch_losses = []
        for first in rng.permutation(range(0, len(data), batch_size)):
            xs, labels = zip(*(data[i] for i in order[first : first + batch_size]), strict=True)
            x, lengths = pad(xs)
            log_probs, cache = forward(params, x, lengths, dropout, rng)
            losses, dlogits = ctc(log_probs, lengths, labels)
            possible = np.isfinite(losses)
            grads = backward(params, cache, dlogits / max(1, possible.sum()))
            nesterov(params, clip_by_norm(grads, limit), velocity, rate / decay**epoch, momentum)
            epoch_losses.extend(losses[possible])
        yield float(np.mean(epoch_losses))


# ──────────────────────────────────────────── Text out ────────────────────────────────────────────
def greedy(log_probs):
    """The best character of each frame; repeats are merged, then blanks removed. (T, K) -> text."""
    path = log_probs.argmax(axis=1)  # (T,)
    return "".join(LETTERS[k - 1] for k in path[np.diff(path, prepend=-1) != 0] if k)


class NGram:
    """p(w|h) = (c(hw) - D(c(hw))) / Σ_v c(hv) + γ(h) p(w|h'),    γ(h) = Σ_v D(c(hv)) / Σ_v c(hv)

    Kneser and Ney's smoothing of word counts (Chen & Goodman 1998): what the discounts D take away is
    shared out as after the shorter history h', which is h without its first word. c counts the occurrences
    of the longest n-grams, and of shorter ones the different words before them.
    """

    def __init__(self, lines, order=3):
        sentences = [("<s>", *line.split(), "</s>") for line in lines]
        self.order, self.words = order, {word for sentence in sentences for word in sentence[1:-1]}
        seen, self.counts, times = Counter(), defaultdict(dict), defaultdict(Counter)
        for s in sentences:
            seen.update(s[i : i + n] for n in range(1, order + 1) for i in range(n == 1, len(s) - n + 1))
        before = Counter(gram[1:] for gram in seen)
        for gram, c in seen.items():
            c = c if len(gram) == order or gram[0] == "<s>" else before[gram]
            self.counts[gram[:-1]][gram[-1]] = c
            times[len(gram)][c] += 1
        self.D = {n: self.discounts(t) for n, t in times.items()}

    @staticmethod
    def discounts(t):
        """D(0) … D(3 and more); t[c] is the number of n-grams with the count c."""
        if t[1] and t[2] and t[3]:
            D = [k - (k + 1) * t[1] / (t[1] + 2 * t[2]) * t[k + 1] / t[k] for k in (1, 2, 3)]
            if all(0 < d <= k for k, d in enumerate(D, start=1)):
                return [0.0, *D]
        return [0.0, 0.5, 1.0, 1.5]  # too few n-grams to estimate them

    def p(self, word, history=()):
        h = tuple(history)[max(0, len(history) - self.order + 1) :]
        shorter = self.p(word, h[1:]) if h else 1 / (len(self.words) + 2)  # or </s>, or an unknown word
        if h not in self.counts:
            return shorter
        counts, D = self.counts[h], self.D[len(h) + 1]
        c, total = counts.get(word, 0), sum(counts.values())
        return (c - D[min(c, 3)] + shorter * sum(D[min(v, 3)] for v in counts.values())) / total


def beam_search(log_probs, lm, alpha, beta, width):
    """The text c of the greatest Q(c) = log P(c|x) + α log P_lm(c) + β words(c), and its Q (§2.2).

    The alignments of each text of the beam are two sums, log p_b of those that end in a blank and log p_nb of
    those that end in its last letter (Hannun et al. 2014b). Only words of the model are spelled.
    """
    letters = defaultdict(set)  # {the start of a word: the letters that can follow}
    for word in lm.words:
        for i, letter in enumerate(word + " "):
            letters[word[:i]].add(letter)

    @cache
    def language(words):
        log_p = sum(math.log(lm.p(word, ("<s>", *words[:i]))) for i, word in enumerate(words))
        return alpha * log_p + beta * sum(word != "</s>" for word in words)

    def score(text):  # of its complete words
        return np.logaddexp(*texts[text]) + language(tuple(text.split(" ")[:-1]))

    def add(text, b, nb):
        texts[text] = np.logaddexp(texts.get(text, (-np.inf, -np.inf)), (b, nb))

    texts = {"": (0.0, -np.inf)}
    for y in log_probs.tolist():
        beam, texts = {text: texts[text] for text in sorted(texts, key=score, reverse=True)[:width]}, {}
        for text, (p_b, p_nb) in beam.items():
            total, last = np.logaddexp(p_b, p_nb), text[-1:]
            add(text, y[0] + total, y[LETTERS.index(last) + 1] + p_nb)  # a blank, or the last letter lasts
            for letter in sorted(letters[text[text.rfind(" ") + 1 :]]):
                add(text + letter, -np.inf, y[LETTERS.index(letter) + 1] + (p_b if letter == last else total))

    beam, texts = texts, {}
    for text, (p_b, p_nb) in beam.items():
        if lm.words.issuperset(text.split()):
            add(text.rstrip(), p_b, p_nb)  # a space at the end does not change a text
    Q = {text: np.logaddexp(*p) + language((*text.split(), "</s>")) for text, p in texts.items()}
    return max(Q.items(), key=lambda item: item[1], default=("", -math.inf))  # no word is complete


def wer(references, hypotheses):
    """Word error rate: all substitutions, deletions and insertions over all words of the references."""
    pairs = [(r.split(), h.split()) for r, h in zip(references, hypotheses, strict=True)]
    return sum(edit_distance(r, h) for r, h in pairs) / sum(len(r) for r, _ in pairs)


def edit_distance(a, b):
    """The fewest edits that turn a into b, row by row of the table of their prefixes."""
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(diagonal + (word != other), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def main():
    """Train on the recordings of "train"; read those of "test", without and with the language model."""
    start, sounds = time.time(), recordings("train")
    data, lm = [example(samples, text) for _, text, samples in sounds], NGram([text for _, text, _ in sounds])
    params = initial_params(data[0][0].shape[1], HIDDEN, len(LETTERS) + 1)
    params = {name: value.astype(np.float32) for name, value in params.items()}
    print(f"learning from {len(data)} recordings of {len({voice for voice, *_ in sounds})} voices")
    for epoch, loss in enumerate(train(params, data, EPOCHS, **SCHEDULE, dropout=DROPOUT), start=1):
        print(f"epoch {epoch:2}: loss {loss:6.3f}, {time.time() - start:3.0f} s", flush=True)
    print(f"\n{'a new voice':11} {'says':23} {'read greedily':23} with the language model")
    results = []
    for voice, text, samples in recordings("test"):
        x, lengths = pad([example(samples, text)[0]])
        log_probs = forward(params, x, lengths)[0][:, 0]  # (T, K)
        results.append((text, greedy(log_probs), beam_search(log_probs, lm, **SEARCH)[0]))
        if len(results) % 11 == 1:
            print("{:11} {:23} {:23} {}".format(voice, *results[-1]))
    said, read, searched = zip(*results, strict=True)
    print(f"\nwrong of {len(' '.join(said).split())} words: {wer(said, read):.1%} read greedily,", end=" ")
    print(f"{wer(said, searched):.1%} with the language model ({time.time() - start:.0f} s in all)")


# ───────────────────────────────────────────── Checks ─────────────────────────────────────────────
def numerical_gradient(loss, value, h=1e-5):
    """∂L/∂θ_i ≈ (L(θ_i + h) - L(θ_i - h)) / 2h, for every entry of the array `value`."""
    gradient = np.zeros_like(value)
    for i in np.ndindex(value.shape):
        for step in h, -h:
            value[i] += step
            gradient[i] += loss() / (2 * step)
            value[i] -= step
    return gradient


def gradient_errors():
    """(name, error, limit) of the gradient of each parameter, in float64."""
    rng, params = np.random.default_rng(4), initial_params(D=6, H=5, K=4)
    for name, value in params.items():  # units on both sides of 0 and of 20
        value += 3 * value if name[0] == "W" else rng.normal(size=value.shape)
    x, lengths = pad([4 * rng.normal(size=(T, 6)) for T in (9, 7, 5)])

    def run():
        log_probs, cache = forward(params, x, lengths, 0.2, np.random.default_rng(2))  # drops the same units
        return *ctc(log_probs, lengths, ([1, 2, 2], [3, 1], [1, 1])), cache

    _, dlogits, cache = run()
    for name, gradient in backward(params, cache, dlogits).items():
        numbers = numerical_gradient(lambda: run()[0].sum(), params[name])
        yield f"d{name}, central differences", np.abs(gradient - numbers).max() / np.abs(numbers).max(), 1e-7


def check():
    """Gradients against central differences, then all numbers against those of minids (compare.py)."""
    errors = [*gradient_errors(), *runpy.run_path(str(DATA / "compare.py"))["errors"](sys.modules[__name__])]
    for name, error, limit in errors:
        print(f"{name:40} {error:8.1e}  {'ok' if error <= limit else f'above {limit:g}'}")
    sys.exit(not all(error <= limit for _, error, limit in errors))


if __name__ == "__main__":
    check() if sys.argv[1:] == ["--check"] else sys.exit(__doc__) if sys.argv[1:] else main()

"""The log powers of frames: the compiled part of minids.features.

A vector holds the same number of each of LANES frames. Its lanes never mix, so a frame does not depend on
others, and one transform in the registers of the processor is that of LANES frames.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minids._utils.compile_cache import cached_njit
from minids._utils.vectors import Vector, operations

njit = cached_njit("audio/spectrum.py", "_utils/vectors.py")

LANES = 16  # frames that are transformed together: as many float32 as a register of AVX-512 holds
MAX_RADIX = 31  # a transform by a radix of r costs r products for each number
LN2 = np.float32(np.log(2))
_SQRT_HALF = np.int32(np.float32(np.sqrt(0.5)).view(np.int32))  # its bits
# log(1 + z) = z - z²/2 + z³ P(z), √½ ≤ 1 + z < √2, to a relative error of 6e-8; the highest power first
_LOG = np.array(
    [0.0703768, -0.1151461, 0.11677, -0.1242014, 0.1424932, -0.1666806, 0.2000071, -0.2499999, 0.3333333],
    np.float32,
)


VECTOR = Vector(LANES)
splat, load, store = operations(LANES)


@intrinsic
def _gather(typing, array, first, step):
    """The vector of array[first], array[first + step], ..."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        vector, index = ir.Constant(VECTOR.llvm, ir.Undefined), arguments[1]
        for lane in range(LANES):
            number = builder.load(builder.gep(data, [index]))
            vector = builder.insert_element(vector, number, ir.IntType(32)(lane))
            index = builder.add(index, arguments[2])
        return vector

    return VECTOR(array, types.int64, types.int64), generate


@intrinsic
def _scatter(typing, array, first, step, vector):
    """array[first], array[first + step], ... ← the vector."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        index = arguments[1]
        for lane in range(LANES):
            number = builder.extract_element(arguments[3], ir.IntType(32)(lane))
            builder.store(number, builder.gep(data, [index]))
            index = builder.add(index, arguments[2])
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64, VECTOR), generate


@njit(nogil=True)
def _load(vectors, i):
    """Vector i of an array of vectors."""
    return load(vectors, LANES * i)


@njit(nogil=True)
def _store(vectors, i, vector):
    """Vector i of an array of vectors ← vector."""
    store(vectors, LANES * i, vector)


class Plan(NamedTuple):
    """What is the same for all sounds."""

    window: np.ndarray  # float32 (n,)
    hop: int
    floor: np.float32
    roots: np.ndarray  # float32 (n, 2): the real and imaginary parts of exp(-2πj i/n)
    radices: np.ndarray  # int64: their product is the size of the complex transform, n for odd n, else n/2
    bins: np.ndarray  # int64 (F,): the first bin of each filter
    ends: np.ndarray  # int64 (F,): where the weights of each filter end
    weights: np.ndarray  # float32: those of all filters


def make_plan(window: np.ndarray, hop: int, floor: float, filters: np.ndarray | None = None) -> Plan:
    """The plan for a window (n,) and the filters (n/2+1, F), which are zero but for a range of bins each.

    Without filters, every bin is a feature.
    """
    n = len(window)
    angle = -2 * np.pi * np.arange(n) / n
    size, radix, radices = n // 2 if n % 2 == 0 else n, 4, []
    while size > 1:
        if size % radix == 0:
            radices.append(radix)
            size //= radix
        else:
            radix = {4: 2, 2: 3}.get(radix, radix + 2)
    if filters is None:
        bins, weights = np.arange(n // 2 + 1), list(np.ones((n // 2 + 1, 1)))
    else:
        ranges = [np.flatnonzero(column) for column in filters.T]
        bins = np.array([r[0] for r in ranges], np.int64)
        weights = [column[r[0] : r[-1] + 1] for column, r in zip(filters.T, ranges, strict=True)]
    return Plan(
        np.ascontiguousarray(window, np.float32),
        hop,
        np.float32(floor),
        np.column_stack([np.cos(angle), np.sin(angle)]).astype(np.float32),
        np.array(radices, np.int64),
        bins,
        np.cumsum([len(w) for w in weights]),
        np.concatenate(weights).astype(np.float32),
    )


@njit(nogil=True, fastmath={"reassoc", "contract"}, error_model="numpy")
def scale_to_power_1(samples, out):
    """out ← (x - mean) / sqrt(mean power) of samples (N,); silence stays silence.

    Returns the power: NaN or infinite for samples that are not finite or too large.
    """
    total, power = 0.0, 0.0
    for i in range(len(samples)):
        total += samples[i]
    mean = samples.dtype.type(total / len(samples))  # in their type, constant samples become silence
    for i in range(len(samples)):
        power += np.float64(samples[i] - mean) ** 2
    power /= len(samples)
    scale = 1 / np.sqrt(power) if power > 0 else 1.0
    for i in range(len(samples)):
        out[i] = np.float64(samples[i] - mean) * scale
    return power


def log_powers(samples: np.ndarray, plan: Plan) -> np.ndarray:
    """log(power + floor) of the filters in every whole frame of samples (N,): (T0, F) float32.

    The samples are finite. Raises ValueError for another shape or fewer than a window.
    """
    samples = np.ascontiguousarray(samples, np.float32)
    if samples.ndim != 1 or len(samples) < len(plan.window):
        raise ValueError("samples must be a window or more (N,)")
    if max(plan.radices, default=1) > MAX_RADIX:
        return _log_powers_by_numpy(samples, plan)
    frames = 1 + (len(samples) - len(plan.window)) // plan.hop
    least = (LANES - 1) * plan.hop + len(plan.window)
    if frames < LANES:
        samples = np.pad(samples, (0, least - len(samples)))
    out = np.empty((max(frames, LANES), len(plan.bins)), np.float32)
    _log_powers(samples, plan, out)
    return out[:frames]


def _log_powers_by_numpy(samples: np.ndarray, plan: Plan) -> np.ndarray:
    """`log_powers` for windows whose size has a large prime factor, for which NumPy has another algorithm."""
    windows = np.lib.stride_tricks.sliding_window_view(samples, len(plan.window))[:: plan.hop]
    sizes = np.diff(plan.ends, prepend=0)
    starts = plan.ends - sizes
    bins = np.arange(len(plan.weights)) + np.repeat(plan.bins - starts, sizes)  # of each weight
    out = np.empty((len(windows), len(plan.bins)), np.float32)
    for t in range(0, len(out), LANES):
        power = np.abs(np.fft.rfft(windows[t : t + LANES] * plan.window)) ** 2
        out[t : t + LANES] = np.log(
            np.add.reduceat(power[:, bins] * plan.weights, starts, axis=1) + plan.floor
        )
    return out


@njit(nogil=True, error_model="numpy")
def _log_powers(samples, plan, out):
    """`log_powers` of at least LANES frames."""
    window, hop, floor, roots, radices, bins, ends, weights = plan
    n = len(window)
    size = n // 2 if n % 2 == 0 else n
    x = np.empty(2 * size * LANES, np.float32)
    y = np.empty_like(x)
    power = np.empty((n // 2 + 1) * LANES, np.float32)
    for t in range(0, len(out), LANES):
        t = min(t, len(out) - LANES)
        for i in range(n):
            sample = _gather(samples, t * hop + i, hop) * splat(window[i])
            _store(x, i if n % 2 == 0 else 2 * i, sample)
            if n % 2:
                _store(x, 2 * i + 1, splat(np.float32(0)))
        source, target = x, y
        done = 1
        for radix in radices:
            _transform(source, target, radix, size // done // radix, done, roots, n // size)
            source, target = target, source
            done *= radix
        _powers(source, power, size, n, roots)
        flat = out[t : t + LANES].reshape(-1)
        k = 0
        for f in range(len(bins)):
            total, p = splat(floor), bins[f]
            while k < ends[f]:
                total = total + splat(weights[k]) * _load(power, p)
                k, p = k + 1, p + 1
            _scatter(flat, f, len(bins), total)
        _log(flat)


@njit(nogil=True, error_model="numpy")
def _transform(x, y, radix, m, s, roots, scale):
    """One pass of Stockham's transform of N = radix m s complex numbers, s the product of the radices before.

    y[q + s (radix p + k)] ← w^(s p k) Σ_i x[q + s (p + m i)] w^(i k N/radix), w = exp(-2πj/N), p < m, q < s
    """
    N = radix * m * s
    for p in range(m):
        if radix == 4:
            w = scale * s * p
            ar, ai = splat(roots[w, 0]), splat(roots[w, 1])
            br, bi = splat(roots[2 * w, 0]), splat(roots[2 * w, 1])
            cr, ci = splat(roots[3 * w, 0]), splat(roots[3 * w, 1])
            for q in range(s):
                i, o = 2 * (q + s * p), 2 * (q + s * 4 * p)
                d = 2 * s * m
                r0, i0 = _load(x, i), _load(x, i + 1)
                r1, i1 = _load(x, i + d), _load(x, i + d + 1)
                r2, i2 = _load(x, i + 2 * d), _load(x, i + 2 * d + 1)
                r3, i3 = _load(x, i + 3 * d), _load(x, i + 3 * d + 1)
                er, ei, fr, fi = r0 + r2, i0 + i2, r0 - r2, i0 - i2
                gr, gi, hr, hi = r1 + r3, i1 + i3, i1 - i3, r3 - r1
                _store(y, o, er + gr)
                _store(y, o + 1, ei + gi)
                _store_product(y, o + 2 * s, fr + hr, fi + hi, ar, ai)
                _store_product(y, o + 4 * s, er - gr, ei - gi, br, bi)
                _store_product(y, o + 6 * s, fr - hr, fi - hi, cr, ci)
            continue
        for k in range(radix):
            for q in range(s):
                real = imaginary = splat(np.float32(0))
                w = s * p * k
                for i in range(radix):
                    a, b = splat(roots[scale * w, 0]), splat(roots[scale * w, 1])
                    w += k * m * s
                    w -= N if w >= N else 0
                    j = 2 * (q + s * (p + m * i))
                    r, im = _load(x, j), _load(x, j + 1)
                    real = real + (r * a - im * b)
                    imaginary = imaginary + (r * b + im * a)
                _store(y, 2 * (q + s * (radix * p + k)), real)
                _store(y, 2 * (q + s * (radix * p + k)) + 1, imaginary)


@njit(nogil=True, error_model="numpy")
def _store_product(y, o, r, i, a, b):
    _store(y, o, r * a - i * b)
    _store(y, o + 1, r * b + i * a)


@njit(nogil=True, error_model="numpy")
def _powers(z, power, size, n, roots):
    """power[k] ← |X[k]|², k ≤ n/2. Z is the transform of x for odd n, and of x[2m] + j x[2m + 1] for even n.

    Then X[k] = E + O and X[n/2 - k] = conj(E - O) with E = (Z[k] + conj Z[n/2 - k]) / 2 and
    O = -j exp(-2πj k/n) (Z[k] - conj Z[n/2 - k]) / 2.
    """
    if n % 2:
        for k in range(n // 2 + 1):
            r, i = _load(z, 2 * k), _load(z, 2 * k + 1)
            _store(power, k, r * r + i * i)
        return
    half = splat(np.float32(0.5))
    for k in range(size // 2 + 1):
        i = 2 * ((size - k) % size)
        a, b, c, d = _load(z, 2 * k), _load(z, 2 * k + 1), _load(z, i), _load(z, i + 1)
        er, ei, dr, di = half * (a + c), half * (b - d), half * (a - c), half * (b + d)
        wr, wi = splat(roots[k, 0]), splat(roots[k, 1])
        r, j = di * wr + dr * wi, di * wi - dr * wr
        _store(power, k, (er + r) * (er + r) + (ei + j) * (ei + j))
        _store(power, size - k, (er - r) * (er - r) + (ei - j) * (ei - j))


@njit(nogil=True, error_model="numpy", fastmath={"contract"})
def _log(x):
    """x ← log x, positive numbers."""
    bits = x.view(np.int32)
    for i in range(len(x)):
        exponent = (bits[i] - _SQRT_HALF) >> np.int32(23)
        bits[i] -= exponent << np.int32(23)
        z = x[i] - np.float32(1)
        p = _LOG[0]
        for j in range(1, len(_LOG)):
            p = p * z + _LOG[j]
        x[i] = z * z * (p * z - np.float32(0.5)) + z + np.float32(exponent) * LN2

"""The answers to lesson 1, common mistakes, and other styles that are right as well."""

import numpy as np


def frames(wave, size, hop):
    return np.array([wave[s : s + size] for s in range(0, len(wave) - size + 1, hop)])


def power_spectrum(x):
    return abs(np.fft.rfft(x)) ** 2


def filter_banks(power, bands):
    last = power.shape[1] - 1  # n/2, the number of the last bin
    position = (
        np.arange(last + 1) * (bands + 1) / last
    )  # (n/2 + 1,), in centers of bands
    distance = abs(position[:, None] - np.arange(1, bands + 1))
    weights = np.maximum(0, 1 - distance)  # (n/2 + 1, bands)
    energy = (2 * power.sum(axis=1) - power[:, 0] - power[:, -1]) / (2 * last)  # (T0,)
    return np.log(np.column_stack([power @ weights, energy]) + 1e-7)


def normalize(x):
    deviation = np.maximum(x.std(axis=0), 0.05)
    return (x - x.mean(axis=0)) / deviation


# Exercise 1.1: mistakes


def omits_the_last(wave, size, hop):
    """One frame too few: `range` excludes its end."""
    return np.array([wave[i : i + size] for i in range(0, len(wave) - size, hop)])


def has_no_overlap(wave, size, hop):
    """Every frame starts where the previous one ends."""
    return np.array([wave[i : i + size] for i in range(0, len(wave) - size + 1, size)])


def pads_the_rest(wave, size, hop):
    """The remaining samples get an incomplete frame of their own."""
    padded = np.pad(wave, (0, size))
    return np.array([padded[i : i + size] for i in range(0, len(wave), hop)])


def swaps_size_and_hop(wave, size, hop):
    """Frames of `hop` samples, one every `size`."""
    return np.array([wave[i : i + hop] for i in range(0, len(wave) - hop + 1, size)])


def is_transposed(wave, size, hop):
    """Samples are along the first axis and frames along the second, shape (size, T0)."""
    return frames(wave, size, hop).T


def changes_the_wave(wave, size, hop):
    """Shifts the samples in place: the caller's array is changed, too."""
    result = frames(wave, size, hop)
    wave -= wave.mean()
    return result


def silences_the_first_sample(wave, size, hop):
    """Writes into the caller's array, if only into one sample."""
    result = frames(wave, size, hop)
    wave[0] = 0
    return result


def numbers_instead_of_samples(wave, size, hop):
    """The positions of the samples, not the samples."""
    starts = np.arange(0, len(wave) - size + 1, hop)
    return starts[:, None] + np.arange(size)


def counts_without_the_one(wave, size, hop):
    """⌊(N - n) / h⌋ frames: the formula has + 1."""
    return np.array(
        [wave[t * hop : t * hop + size] for t in range((len(wave) - size) // hop)]
    )


def keeps_incomplete_frames(wave, size, hop):
    """The last frames are shorter than the others, so that there is no array of them."""
    return [wave[i : i + size] for i in range(0, len(wave), hop)]


def keeps_whole_numbers(wave, size, hop):
    """The array for the result has integers, so everything after the point is lost."""
    out = np.zeros((1 + (len(wave) - size) // hop, size), int)
    for t in range(len(out)):
        out[t] = wave[t * hop : t * hop + size]
    return out


def loses_the_sign(wave, size, hop):
    """Negative samples become positive."""
    return abs(frames(wave, size, hop))


def cuts_pieces_of_equal_length(wave, size, hop):
    """Reshaped: the pieces do not overlap, whatever the hop is."""
    return wave[: len(wave) // size * size].reshape(-1, size)


# other styles


def frames_as_lists(wave, size, hop):
    """A list of slices."""
    return [wave[s : s + size] for s in range(0, len(wave) - size + 1, hop)]


def frames_by_loops(wave, size, hop):
    """Two loops, nested lists of floats."""
    result = []
    for t in range((len(wave) - size) // hop + 1):
        result.append([float(wave[t * hop + i]) for i in range(size)])
    return result


def frames_by_index(wave, size, hop):
    """One index array."""
    starts = np.arange((len(wave) - size) // hop + 1) * hop
    return wave[starts[:, None] + np.arange(size)]


def frames_as_a_view(wave, size, hop):
    """A view of all frames, every hop-th kept."""
    return np.lib.stride_tricks.sliding_window_view(wave, size)[::hop]


def frames_one_by_one(wave, size, hop):
    """A preallocated array, filled by a while loop."""
    result = np.zeros(((len(wave) - size) // hop + 1, size))
    t = 0
    while t * hop + size <= len(wave):
        result[t] = wave[t * hop : t * hop + size]
        t += 1
    return result


# Exercise 1.2: mistakes


def forgets_the_square(x):
    """|X| is an amplitude; the power is its square."""
    return abs(np.fft.rfft(x))


def returns_complex_numbers(x):
    """X times its conjugate has the right values, with an imaginary part of 0."""
    spectrum = np.fft.rfft(x)
    return spectrum * spectrum.conj()


def squares_complex_numbers(x):
    """X² is not |X|²: it is complex, and its real part is a² - b²."""
    return (np.fft.rfft(x) ** 2).real


def keeps_both_halves(x):
    """All n bins, though the upper half mirrors the lower."""
    return abs(np.fft.fft(x)) ** 2


def uses_only_the_cosine(x):
    """The real part alone misses a wave that starts a quarter of a period later."""
    return np.fft.rfft(x).real ** 2


def transforms_over_frames(x):
    """Along the first axis instead of along the samples of each frame."""
    return abs(np.fft.rfft(x, axis=0)) ** 2


def takes_the_mean(x):
    """Divided by n, though the sums are sums and not means."""
    return abs(np.fft.rfft(x)) ** 2 / x.shape[-1]


def omits_the_last_bin(x):
    """n/2 bins: bin n/2, half the sampling rate, is missing."""
    return abs(np.fft.rfft(x))[:, :-1] ** 2


def adds_before_squaring(x):
    """(a + b)² has the mixed term 2ab, which is in no power."""
    spectrum = np.fft.rfft(x)
    return (spectrum.real + spectrum.imag) ** 2


def transforms_all_frames_as_one(x):
    """The two-dimensional transform: frames are mixed with each other."""
    return abs(np.fft.rfft2(x)) ** 2


# other styles


def power_in_float32(x):
    """Single precision."""
    return (abs(np.fft.rfft(x)) ** 2).astype(np.float32)


def power_by_sums(x):
    """The sums of the definition, as two matrix products."""
    n = x.shape[1]
    angle = 2 * np.pi * np.outer(np.arange(n), np.arange(n // 2 + 1)) / n
    return (x @ np.cos(angle)) ** 2 + (x @ np.sin(angle)) ** 2


def power_by_loops(x):
    """A loop over frames and one over bins."""
    T, n = x.shape
    i = np.arange(n)
    power = np.empty((T, n // 2 + 1))
    for t in range(T):
        for p in range(n // 2 + 1):
            a = (x[t] * np.cos(2 * np.pi * p * i / n)).sum()
            b = (x[t] * np.sin(2 * np.pi * p * i / n)).sum()
            power[t, p] = a * a + b * b
    return power


def power_of_both_parts(x):
    """Real part squared plus imaginary part squared, from the first half of the full transform."""
    spectrum = np.fft.fft(x)[:, : x.shape[1] // 2 + 1]
    return spectrum.real**2 + spectrum.imag**2


def power_by_conjugate(x):
    """The real part of X times its conjugate."""
    spectrum = np.fft.rfft(x)
    return (spectrum * np.conj(spectrum)).real


# Exercise 1.3: mistakes


def _banks(power, bands, weights=None, energy=None, floor=1e-7):
    """filter_banks with other weights (n/2 + 1, bands), energy (T0,) or floor."""
    last = power.shape[1] - 1
    if weights is None:
        position = np.arange(last + 1) * (bands + 1) / last
        weights = np.maximum(0, 1 - abs(position[:, None] - np.arange(1, bands + 1)))
    if energy is None:
        energy = (2 * power.sum(axis=1) - power[:, 0] - power[:, -1]) / (2 * last)
    return np.log(np.column_stack([power @ weights, energy]) + floor)


def starts_at_band_0(power, bands):
    """Centers at 0 … B - 1 instead of 1 … B: the first band is at bin 0, where there is no sound."""
    last = power.shape[1] - 1
    position = np.arange(last + 1) * (bands + 1) / last
    return _banks(
        power, bands, np.maximum(0, 1 - abs(position[:, None] - np.arange(bands)))
    )


def divides_into_too_few_parts(power, bands):
    """B instead of B + 1 parts: the last band is cut off at its center."""
    last = power.shape[1] - 1
    position = np.arange(last + 1) * bands / last
    return _banks(
        power,
        bands,
        np.maximum(0, 1 - abs(position[:, None] - np.arange(1, bands + 1))),
    )


def adds_up_disjoint_bands(power, bands):
    """Bands without overlap: a bin belongs to one band or the other, not to both in part."""
    weights = np.zeros((power.shape[1], bands))
    for j, part in enumerate(np.array_split(np.arange(power.shape[1]), bands)):
        weights[part, j] = 1
    return _banks(power, bands, weights)


def adds_logarithms(power, bands):
    """The logarithm comes before the sum: the log of a sum is not the sum of logs."""
    last = power.shape[1] - 1
    position = np.arange(last + 1) * (bands + 1) / last
    weights = np.maximum(0, 1 - abs(position[:, None] - np.arange(1, bands + 1)))
    right = _banks(power, bands)
    right[:, :-1] = np.log(power + 1e-7) @ weights
    return right


def counts_all_bins_once(power, bands):
    """The energy counts the inner bins once, though each also stands for its mirror image."""
    last = power.shape[1] - 1
    return _banks(power, bands, energy=power.sum(axis=1) / (2 * last))


def counts_all_bins_twice(power, bands):
    """The energy counts the first and the last bin twice, though they have no mirror image."""
    last = power.shape[1] - 1
    return _banks(power, bands, energy=power.sum(axis=1) / last)


def counts_the_last_bin_twice(power, bands):
    """The energy counts bin n/2 twice: like bin 0, it has no mirror image."""
    last = power.shape[1] - 1
    energy = (power[:, 0] + 2 * power[:, 1:].sum(axis=1)) / (2 * last)
    return _banks(power, bands, energy=energy)


def counts_the_first_bin_twice(power, bands):
    """The energy counts bin 0 twice: like bin n/2, it has no mirror image."""
    last = power.shape[1] - 1
    energy = (2 * power[:, :-1].sum(axis=1) + power[:, -1]) / (2 * last)
    return _banks(power, bands, energy=energy)


def divides_the_energy_by_the_bins(power, bands):
    """The energy is divided by the number of bins, n/2 + 1, instead of by n."""
    energy = (2 * power.sum(axis=1) - power[:, 0] - power[:, -1]) / power.shape[1]
    return _banks(power, bands, energy=energy)


def puts_bands_at_both_ends(power, bands):
    """The first band is at bin 0 and the last at n/2, where its triangle is cut in half."""
    bins = np.arange(power.shape[1])
    centers = np.linspace(0, power.shape[1] - 1, bands)
    distance = abs(bins[:, None] - centers) / (centers[1] - centers[0])
    return _banks(power, bands, np.maximum(0, 1 - distance))


def starts_at_band_0_of_b(power, bands):
    """Bands are numbered 0 … B - 1, and the range is divided into B parts."""
    last = power.shape[1] - 1
    position = np.arange(last + 1) * bands / last
    distance = abs(position[:, None] - np.arange(bands))
    return _banks(power, bands, np.maximum(0, 1 - distance))


def forgets_the_energy(power, bands):
    """The last column, the log energy, is missing."""
    return _banks(power, bands)[:, :-1]


def puts_the_energy_first(power, bands):
    """The energy is the first feature instead of the last."""
    return np.roll(_banks(power, bands), 1, axis=1)


def takes_the_floor_as_the_least(power, bands):
    """The maximum of power and floor; the floor is added."""
    return np.log(np.maximum(_banks(power, bands, floor=0), 1e-7))


def forgets_the_floor(power, bands):
    """Silence becomes minus infinity, without the 1e-7."""
    with np.errstate(divide="ignore"):
        return _banks(power, bands, floor=0)


def keeps_negative_weights(power, bands):
    """Without max(0, …), bins far from a band count negatively."""
    last = power.shape[1] - 1
    position = np.arange(last + 1) * (bands + 1) / last
    with np.errstate(invalid="ignore"):
        return _banks(
            power, bands, 1 - abs(position[:, None] - np.arange(1, bands + 1))
        )


def averages_each_band(power, bands):
    """The weights of a band are divided by their sum: a mean power, not a power."""
    last = power.shape[1] - 1
    position = np.arange(last + 1) * (bands + 1) / last
    weights = np.maximum(0, 1 - abs(position[:, None] - np.arange(1, bands + 1)))
    return _banks(power, bands, weights / weights.sum(axis=0))


def takes_decibels(power, bands):
    """The logarithm to base 10: here it is the natural one, and the features are 2.3 times smaller."""
    return _banks(power, bands) / np.log(10)


# other styles


def banks_by_loops(power, bands):
    """Three loops over frames, bands and bins."""
    T, last = len(power), power.shape[1] - 1
    result = np.zeros((T, bands + 1))
    for t in range(T):
        for j in range(1, bands + 1):
            for p in range(last + 1):
                result[t, j - 1] += (
                    max(0, 1 - abs(p * (bands + 1) / last - j)) * power[t, p]
                )
        result[t, bands] = (power[t, 0] + 2 * power[t, 1:-1].sum() + power[t, -1]) / (
            2 * last
        )
    return np.log(result + 1e-7)


def banks_by_interpolation(power, bands):
    """np.interp of triangles with corners at three neighboring centers."""
    last = power.shape[1] - 1
    centers = np.linspace(0, last, bands + 2)
    columns = []
    for j in range(1, bands + 1):
        triangle = np.interp(np.arange(last + 1), centers[j - 1 : j + 2], [0, 1, 0])
        columns.append((power * triangle).sum(axis=1))
    columns.append(
        (power[:, 0] + power[:, -1] + 2 * power[:, 1:-1].sum(axis=1)) / (2 * last)
    )
    return np.log(np.array(columns).T + 1e-7)


def banks_in_float32(power, bands):
    """Single precision."""
    return filter_banks(power.astype(np.float32), bands).astype(np.float32)


# Exercise 1.4: mistakes


def one_mean_for_all(x):
    """One mean and one deviation for all features: loud bands stay loud."""
    return (x - x.mean()) / x.std()


def normalizes_each_frame(x):
    """Along the features of each frame instead of along time: vowels and silence become equal."""
    return (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)


def only_subtracts_the_mean(x):
    """The deviation of each feature stays what it was."""
    return x - x.mean(axis=0)


def divides_by_the_variance(x):
    """The variance is the square of the standard deviation."""
    return (x - x.mean(axis=0)) / np.maximum(x.var(axis=0), 0.05)


def divides_by_zero(x):
    """A feature that never changes becomes 0 / 0, not a number."""
    with np.errstate(all="ignore"):
        return (x - x.mean(axis=0)) / x.std(axis=0)


def adds_to_the_deviation(x):
    """0.05 is added to every deviation instead of being their lower bound."""
    return (x - x.mean(axis=0)) / (x.std(axis=0) + 0.05)


def divides_by_n_minus_1(x):
    """ddof=1: the mean square of the result is not quite 1."""
    return (x - x.mean(axis=0)) / np.maximum(x.std(axis=0, ddof=1), 0.05)


def scales_to_0_and_1(x):
    """From the smallest to the largest value, so a single click decides the scale."""
    with np.errstate(all="ignore"):
        return (x - x.min(axis=0)) / (x.max(axis=0) - x.min(axis=0))


def bounds_the_result(x):
    """Clips the result at ±2 instead of bounding the deviation."""
    return np.clip(normalize(x), -2, 2)


def normalizes_in_place(x):
    """The caller's log powers are overwritten."""
    x -= x.mean(axis=0)
    x /= np.maximum(x.std(axis=0), 0.05)
    return x


# other styles


def normalize_by_loops(x):
    """Feature by feature."""
    result = np.empty(x.shape)
    for f in range(x.shape[1]):
        mean = sum(x[:, f]) / len(x)
        deviation = (sum((v - mean) ** 2 for v in x[:, f]) / len(x)) ** 0.5
        result[:, f] = (x[:, f] - mean) / max(deviation, 0.05)
    return result


def normalize_by_squares(x):
    """The variance as the mean of squares minus the square of the mean."""
    mean = x.mean(0)
    variance = np.clip((x**2).mean(0) - mean**2, 0.05**2, None)
    return (x - mean) / np.sqrt(variance)


def normalize_in_float32(x):
    """Single precision."""
    x = x.astype(np.float32)
    return (x - x.mean(axis=0)) / x.std(axis=0).clip(0.05)


HINTS = {
    "frames": [
        "Frame t starts at sample t * hop. Where does the last complete frame start?",
        "range(0, len(wave) - size + 1, hop) gives all the starts; mind the + 1.",
        "np.array([wave[s : s + size] for s in range(…)]), with that range.",
    ],
    "power_spectrum": [
        "np.fft.rfft(x) transforms along the last axis, the one you need.",
        "The squared magnitude of a complex X is X.real**2 + X.imag**2, or abs(X)**2.",
        "return abs(np.fft.rfft(x)) ** 2",
    ],
    "filter_banks": [
        "Make a matrix of the weights, (n/2 + 1, bands): power @ weights is the power in each band.",
        "The last bin has the number last = power.shape[1] - 1 = n/2, and n = 2 * last.",
        "weights = np.maximum(0, 1 - abs(position[:, None] - np.arange(1, bands + 1))), "
        "where position = np.arange(last + 1) * (bands + 1) / last",
        "energy = (2 * power.sum(axis=1) - power[:, 0] - power[:, -1]) / (2 * last); "
        "return np.log(np.column_stack([power @ weights, energy]) + 1e-7)",
    ],
    "normalize": [
        "A feature is a column: use .mean and .std with axis=0.",
        "np.maximum(x.std(axis=0), 0.05) is at least 0.05.",
        "return (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 0.05)",
    ],
}

WRONG = {
    "frames": [
        omits_the_last,
        has_no_overlap,
        pads_the_rest,
        swaps_size_and_hop,
        is_transposed,
        changes_the_wave,
        silences_the_first_sample,
        numbers_instead_of_samples,
        counts_without_the_one,
        keeps_incomplete_frames,
        keeps_whole_numbers,
        loses_the_sign,
        cuts_pieces_of_equal_length,
    ],
    "power_spectrum": [
        forgets_the_square,
        returns_complex_numbers,
        squares_complex_numbers,
        keeps_both_halves,
        uses_only_the_cosine,
        transforms_over_frames,
        takes_the_mean,
        omits_the_last_bin,
        adds_before_squaring,
        transforms_all_frames_as_one,
    ],
    "filter_banks": [
        starts_at_band_0,
        divides_into_too_few_parts,
        adds_up_disjoint_bands,
        adds_logarithms,
        counts_all_bins_once,
        counts_all_bins_twice,
        counts_the_last_bin_twice,
        counts_the_first_bin_twice,
        divides_the_energy_by_the_bins,
        puts_bands_at_both_ends,
        starts_at_band_0_of_b,
        forgets_the_energy,
        puts_the_energy_first,
        takes_the_floor_as_the_least,
        forgets_the_floor,
        keeps_negative_weights,
        averages_each_band,
        takes_decibels,
    ],
    "normalize": [
        one_mean_for_all,
        normalizes_each_frame,
        only_subtracts_the_mean,
        divides_by_the_variance,
        divides_by_zero,
        adds_to_the_deviation,
        divides_by_n_minus_1,
        scales_to_0_and_1,
        bounds_the_result,
        normalizes_in_place,
    ],
}

RIGHT = {
    "frames": [
        frames_as_lists,
        frames_by_loops,
        frames_by_index,
        frames_as_a_view,
        frames_one_by_one,
    ],
    "power_spectrum": [
        power_in_float32,
        power_by_sums,
        power_by_loops,
        power_of_both_parts,
        power_by_conjugate,
    ],
    "filter_banks": [banks_by_loops, banks_by_interpolation, banks_in_float32],
    "normalize": [normalize_by_loops, normalize_by_squares, normalize_in_float32],
}

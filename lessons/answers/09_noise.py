"""The answers to lesson 9, common mistakes, and other right answers."""

import numpy as np


def mix(speech, noise, snr_db):
    noise = np.resize(noise, len(speech))
    if np.var(noise) == 0:
        return speech
    return (
        speech + np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 10)) * noise
    )


def rejected(clips, real, limit):
    distance = abs(clips - real.mean(axis=0)) / real.std(axis=0)  # (M, bands)
    return (distance > limit).any(axis=1)


def average(log_probs):
    return np.logaddexp.reduce(log_probs) - np.log(len(log_probs))


def with_gain(gain):
    """`mix` with another gain; the rest of it is right."""

    def mixed(speech, noise, snr_db):
        noise = np.resize(noise, len(speech))
        return speech + gain(speech, noise, snr_db) * noise if np.var(noise) else speech

    mixed.__name__, mixed.__doc__ = gain.__name__, gain.__doc__
    return mixed


@with_gain
def takes_decibels_for_amplitudes(speech, noise, snr_db):
    """SNR / 20 together with the square root gives half the decibels."""
    return np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 20))


@with_gain
def forgets_the_root(speech, noise, snr_db):
    """The ratio of powers is taken as the gain, without a root."""
    return np.var(speech) / np.var(noise) / 10 ** (snr_db / 10)


@with_gain
def inverts_the_ratio(speech, noise, snr_db):
    """The higher the SNR, the louder the noise."""
    return np.sqrt(np.var(speech) / np.var(noise) * 10 ** (snr_db / 10))


@with_gain
def counts_the_offset_as_power(speech, noise, snr_db):
    """The mean square is taken instead of the variance: the offset counts."""
    return np.sqrt(np.mean(speech**2) / np.mean(noise**2) / 10 ** (snr_db / 10))


@with_gain
def uses_the_natural_exponential(speech, noise, snr_db):
    """Decibels are powers of ten, not of e."""
    return np.sqrt(np.var(speech) / np.var(noise) / np.exp(snr_db / 10))


@with_gain
def ignores_the_speech(speech, noise, snr_db):
    """The gain does not depend on how loud the speech is."""
    return 1 / np.sqrt(10 ** (snr_db / 10))


def centers_the_speech(speech, noise, snr_db):
    """The offset of the speech is removed: only noise may be added."""
    return mix(speech, noise, snr_db) - speech.mean()


def adds_the_peak(speech, noise, snr_db):
    """A constant is added to the mixture, too."""
    return mix(speech, noise, snr_db) + speech.max()


def asks_for_zeros(speech, noise, snr_db):
    """Only zeros are taken for silence; constant noise has no power either: 0 / 0."""
    noise = np.resize(noise, len(speech))
    if not noise.any():
        return speech
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 10))
        return speech + gain * noise


def measures_before_the_cut(speech, noise, snr_db):
    """The power of all the noise is measured, not of the part that is used."""
    if np.var(noise) == 0:
        return speech
    gain = np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 10))
    return speech + gain * np.resize(noise, len(speech))


def changes_the_speech(speech, noise, snr_db):
    """The speech is scaled instead of the noise."""
    mixed = mix(speech, noise, snr_db)
    gain = np.sqrt(np.var(speech) / max(np.var(noise), 1e-30) / 10 ** (snr_db / 10))
    return mixed / gain if np.var(noise) else speech


def needs_noise_of_the_same_length(speech, noise, snr_db):
    """The noise is neither repeated nor cut."""
    return (
        speech + np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 10)) * noise
    )


def divides_by_silence(speech, noise, snr_db):
    """Silent noise gives 0 / 0, which is NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.resize(noise, len(speech))
        return (
            speech
            + np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 10)) * noise
        )


def clips_at_one(speech, noise, snr_db):
    """Samples are limited to ±1: loud recordings are distorted."""
    return np.clip(mix(speech, noise, snr_db), -1, 1)


def normalizes_the_peak(speech, noise, snr_db):
    """The mixture is scaled to a peak of 1: the speech changes, too."""
    mixed = mix(speech, noise, snr_db)
    return mixed / abs(mixed).max()


def mix_with_tile(speech, noise, snr_db):
    """np.tile, deviations and 20 log10."""
    N = len(speech)
    noise = np.tile(noise, -(-N // len(noise)))[:N]
    if noise.std() < 1e-12:
        return speech.copy()
    return speech + noise * (speech.std() / noise.std()) * 10 ** (-snr_db / 20)


def mix_in_float32(speech, noise, snr_db):
    """Single precision."""
    return mix(speech, noise, snr_db).astype(np.float32)


def mix_centered(speech, noise, snr_db):
    """Powers as mean squares after subtracting the mean, and the noise without its offset."""
    noise = np.array([noise[i % len(noise)] for i in range(len(speech))], float)
    noise -= noise.mean()
    power = np.mean(noise**2)
    if power == 0:
        return speech
    target = np.mean((speech - speech.mean()) ** 2) / 10 ** (snr_db / 10)
    return speech + np.sqrt(target / power) * noise


def looks_at_loud_bands_only(clips, real, limit):
    """Bands with too little power are accepted: the absolute value is missing."""
    return ((clips - real.mean(axis=0)) / real.std(axis=0) > limit).any(axis=1)


def rejects_at_the_limit(clips, real, limit):
    """A clip exactly at the limit is rejected, though it is not more than `limit` away."""
    return (abs(clips - real.mean(axis=0)) >= limit * real.std(axis=0)).any(axis=1)


def asks_for_all_bands(clips, real, limit):
    """A clip is rejected only if all its bands are too far away, not any."""
    return (abs(clips - real.mean(axis=0)) / real.std(axis=0) > limit).all(axis=1)


def averages_the_bands(clips, real, limit):
    """The mean distance of all bands: a whistle in one band is lost in it."""
    return (abs(clips - real.mean(axis=0)) / real.std(axis=0)).mean(axis=1) > limit


def compares_clips_with_each_other(clips, real, limit):
    """Mean and deviation are those of the clips: bad clips widen their own limits."""
    return (abs(clips - clips.mean(axis=0)) / clips.std(axis=0) > limit).any(axis=1)


def uses_the_variance(clips, real, limit):
    """The variance is taken for the standard deviation."""
    return (abs(clips - real.mean(axis=0)) / real.var(axis=0) > limit).any(axis=1)


def mixes_all_bands(clips, real, limit):
    """One mean and one deviation for all bands together."""
    return (abs(clips - real.mean()) / real.std() > limit).any(axis=1)


def returns_the_accepted(clips, real, limit):
    """True for the clips that are accepted."""
    return ~rejected(clips, real, limit)


def returns_indices(clips, real, limit):
    """Indices of the rejected clips instead of a bool for each clip."""
    return np.flatnonzero(rejected(clips, real, limit))


def forgets_the_mean(clips, real, limit):
    """The power itself is compared with the deviations, not its distance from the mean."""
    return (abs(clips) / real.std(axis=0) > limit).any(axis=1)


def rejected_with_loops(clips, real, limit):
    """A list, by loops."""
    result = []
    for clip in clips:
        distances = [
            abs(c - r.mean()) / np.std(r) for c, r in zip(clip, real.T, strict=True)
        ]
        result.append(max(distances) > limit)
    return result


def rejected_by_limits(clips, real, limit):
    """Upper and lower limits."""
    low = real.mean(0) - limit * real.std(0)
    high = real.mean(0) + limit * real.std(0)
    return np.logical_or(clips < low, clips > high).sum(axis=1) > 0


def averages_logarithms(log_probs):
    """The mean of the logarithms is the logarithm of the geometric mean."""
    return np.mean(log_probs, axis=0)


def forgets_to_divide(log_probs):
    """The sum of the probabilities, not their mean."""
    return np.logaddexp.reduce(log_probs)


def divides_the_logarithm(log_probs):
    """The logarithm is divided by n; dividing the sum by n means subtracting log n."""
    return np.logaddexp.reduce(log_probs) / len(log_probs)


def underflows(log_probs):
    """e^-1000 is 0, and its logarithm minus infinity."""
    with np.errstate(divide="ignore"):
        return np.log(np.mean(np.exp(log_probs), axis=0))


def returns_probabilities(log_probs):
    """The mean probability itself, not its logarithm."""
    return np.exp(average(log_probs))


def takes_the_largest(log_probs):
    """The largest of the probabilities instead of their mean."""
    return np.max(log_probs, axis=0)


def averages_over_time(log_probs):
    """The mean over frames instead of the mean over outputs."""
    return (
        average(np.swapaxes(log_probs, 0, 1))
        if np.ndim(log_probs) == 3
        else average(log_probs)
    )


def averages_two(log_probs):
    """Right for two outputs only."""
    return np.logaddexp(log_probs[0], log_probs[-1]) - np.log(2)


def average_with_a_shift(log_probs):
    """The maximum is subtracted first, as in the softmax."""
    y = np.array(log_probs)
    top = y.max(axis=0)
    return top + np.log(np.exp(y - top).mean(axis=0))


def average_in_a_loop(log_probs):
    """One output after the other."""
    total = log_probs[0]
    for y in log_probs[1:]:
        total = np.logaddexp(total, y)
    return (total - np.log(len(log_probs))).tolist()


HINTS = {
    "mix": [
        "First the length: np.resize(noise, len(speech)) repeats or cuts. Then measure.",
        "gain = np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 10))",
        "If np.var(noise) == 0, return speech; else speech + gain * noise.",
    ],
    "rejected": [
        "Mean and standard deviation of each band: real.mean(axis=0), real.std(axis=0).",
        "abs(clips - mean) / deviation is (M, bands): the distance of each clip in each band.",
        "return (distance > limit).any(axis=1)",
    ],
    "average": [
        "The sum of probabilities, in logarithms, is np.logaddexp (lesson 5).",
        "np.logaddexp.reduce adds up along the first axis; dividing by n is subtracting log n.",
        "return np.logaddexp.reduce(log_probs) - np.log(len(log_probs))",
    ],
}

WRONG = {
    "mix": [
        takes_decibels_for_amplitudes,
        forgets_the_root,
        inverts_the_ratio,
        counts_the_offset_as_power,
        uses_the_natural_exponential,
        ignores_the_speech,
        centers_the_speech,
        adds_the_peak,
        asks_for_zeros,
        measures_before_the_cut,
        changes_the_speech,
        needs_noise_of_the_same_length,
        divides_by_silence,
        clips_at_one,
        normalizes_the_peak,
    ],
    "rejected": [
        looks_at_loud_bands_only,
        rejects_at_the_limit,
        asks_for_all_bands,
        averages_the_bands,
        compares_clips_with_each_other,
        uses_the_variance,
        mixes_all_bands,
        returns_the_accepted,
        returns_indices,
        forgets_the_mean,
    ],
    "average": [
        averages_logarithms,
        forgets_to_divide,
        divides_the_logarithm,
        underflows,
        returns_probabilities,
        takes_the_largest,
        averages_over_time,
        averages_two,
    ],
}

RIGHT = {
    "mix": [mix_with_tile, mix_in_float32, mix_centered],
    "rejected": [rejected_with_loops, rejected_by_limits],
    "average": [average_with_a_shift, average_in_a_loop],
}

"""The answers to lesson 8, and common mistakes."""

import numpy as np


def pad(utterances):
    lengths = np.array([len(x) for x in utterances], np.int32)
    frames = np.zeros((lengths.max(), len(utterances), utterances[0].shape[1]))
    for b, x in enumerate(utterances):
        frames[: len(x), b] = x
    return frames, lengths


def mix(speech, noise, snr_db):
    noise = np.resize(noise, len(speech))
    if np.var(noise) == 0:
        return speech
    return speech + np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 10)) * noise


def puts_the_padding_first(utterances):
    """Each recording is at the end of its column."""
    frames, lengths = pad(utterances)
    for b, x in enumerate(utterances):
        frames[:, b] = 0
        frames[len(frames) - len(x) :, b] = x
    return frames, lengths


def repeats_the_last_frame(utterances):
    """The padding is not 0 but the last frame."""
    frames, lengths = pad(utterances)
    for b, x in enumerate(utterances):
        frames[len(x) :, b] = x[-1]
    return frames, lengths


def cuts_to_the_shortest(utterances):
    """No padding: the ends are lost."""
    shortest = min(len(x) for x in utterances)
    return np.stack([x[:shortest] for x in utterances], axis=1), np.full(len(utterances), shortest)


def puts_the_batch_first(utterances):
    """(B, T0, F)."""
    frames, lengths = pad(utterances)
    return frames.swapaxes(0, 1), lengths


def returns_equal_lengths(utterances):
    """Every length is that of the batch: padding counts as sound."""
    frames, lengths = pad(utterances)
    return frames, np.full_like(lengths, len(frames))


def uses_the_first_length(utterances):
    """The batch is as long as utterance 0: longer ones are cut."""
    frames, lengths = pad(utterances)
    return frames[: lengths[0]], np.minimum(lengths, lengths[0])


def sorts(utterances):
    """Sorts by length without returning the order: texts and recordings no longer match."""
    return pad(sorted(utterances, key=len))


def assumes_three_features(utterances):
    """The number of features is fixed."""
    frames = np.zeros((max(map(len, utterances)), len(utterances), 3))
    for b, x in enumerate(utterances):
        frames[: len(x), b] = x
    return frames, np.array([len(x) for x in utterances])


def mixed(speech, noise, gain):
    return speech + gain * np.resize(noise, len(speech))


def takes_decibels_for_amplitudes(speech, noise, snr_db):
    """SNR / 20 together with the square root: half the decibels."""
    if np.var(noise) == 0:
        return speech
    return mixed(speech, noise, np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 20)))


def forgets_the_root(speech, noise, snr_db):
    """The ratio of powers as a gain."""
    if np.var(noise) == 0:
        return speech
    return mixed(speech, noise, np.var(speech) / np.var(noise) / 10 ** (snr_db / 10))


def inverts_the_ratio(speech, noise, snr_db):
    """The higher the SNR, the louder the noise."""
    if np.var(noise) == 0:
        return speech
    return mixed(speech, noise, np.sqrt(np.var(speech) / np.var(noise) * 10 ** (snr_db / 10)))


def counts_the_offset_as_power(speech, noise, snr_db):
    """The mean square instead of the variance."""
    power = np.mean(noise**2)
    if power == 0:
        return speech
    return mixed(speech, noise, np.sqrt(np.mean(speech**2) / power / 10 ** (snr_db / 10)))


def measures_before_the_cut(speech, noise, snr_db):
    """The power of all the noise, not of the part that is used."""
    if np.var(noise) == 0:
        return speech
    return mixed(speech, noise, np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 10)))


def changes_the_speech(speech, noise, snr_db):
    """Scales the speech instead of the noise."""
    if np.var(noise) == 0:
        return speech
    gain = np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 10))
    return speech / gain + np.resize(noise, len(speech))


def needs_noise_of_the_same_length(speech, noise, snr_db):
    """Neither repeats nor cuts the noise."""
    return speech + np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 10)) * noise


def divides_by_silence(speech, noise, snr_db):
    """NaN if the noise is silent."""
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.resize(noise, len(speech))
        return speech + np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 10)) * noise


def clips_at_one(speech, noise, snr_db):
    """Limits samples to ±1: loud recordings are distorted."""
    return np.clip(mix(speech, noise, snr_db), -1, 1)


HINTS = {
    "pad": [
        "Time comes first: np.zeros((longest, B, F)), and frames[:T0, b] is utterance b.",
        "lengths = np.array([len(x) for x in utterances], np.int32)",
        "for b, x in enumerate(utterances): frames[: len(x), b] = x",
    ],
    "mix": [
        "noise = np.resize(noise, len(speech)) repeats or cuts it. Do this first.",
        "gain = np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 10))",
        "If np.var(noise) == 0, return speech.",
    ],
}

WRONG = {
    "pad": [
        puts_the_padding_first,
        repeats_the_last_frame,
        cuts_to_the_shortest,
        puts_the_batch_first,
        returns_equal_lengths,
        uses_the_first_length,
        sorts,
        assumes_three_features,
    ],
    "mix": [
        takes_decibels_for_amplitudes,
        forgets_the_root,
        inverts_the_ratio,
        counts_the_offset_as_power,
        measures_before_the_cut,
        changes_the_speech,
        needs_noise_of_the_same_length,
        divides_by_silence,
        clips_at_one,
    ],
}

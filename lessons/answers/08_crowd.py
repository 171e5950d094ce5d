"""Lesson 8, answered. WRONG holds what people write first; the lesson's checks tell each from right."""

import numpy as np

from minids.audio import mix

__all__ = ["WRONG", "mix", "pad"]


def pad(utterances):
    lengths = np.array([len(x) for x in utterances], np.int32)
    frames = np.zeros((lengths.max(), len(utterances), utterances[0].shape[1]))
    for b, x in enumerate(utterances):
        frames[: len(x), b] = x
    return frames, lengths


def puts_the_padding_first(utterances):
    """Each recording at the end of its row."""
    frames, lengths = pad(utterances)
    for b, x in enumerate(utterances):
        frames[:, b] = 0
        frames[len(frames) - len(x) :, b] = x
    return frames, lengths


def holds_the_last_frame(utterances):
    """Padding is the last frame again and again."""
    frames, lengths = pad(utterances)
    for b, x in enumerate(utterances):
        frames[len(x) :, b] = x[-1]
    return frames, lengths


def cuts_to_the_shortest(utterances):
    """No padding, and no ends."""
    shortest = min(len(x) for x in utterances)
    return np.stack([x[:shortest] for x in utterances], axis=1), np.full(len(utterances), shortest)


def puts_the_batch_first(utterances):
    """(B, T0, F)."""
    frames, lengths = pad(utterances)
    return frames.swapaxes(0, 1), lengths


def forgets_who_is_short(utterances):
    """Every length is that of the rectangle: padding would count as sound."""
    frames, lengths = pad(utterances)
    return frames, np.full_like(lengths, len(frames))


def believes_that_the_first_is_longest(utterances):
    """The rectangle is as long as utterance 0, and who is longer is cut."""
    frames, lengths = pad(utterances)
    return frames[: lengths[0]], np.minimum(lengths, lengths[0])


def sorts_and_does_not_tell(utterances):
    """By length, without giving the order back: the texts belong to others now."""
    return pad(sorted(utterances, key=len))


def mixed(speech, noise, gain):
    return speech + gain * np.resize(noise, len(speech))


def takes_decibels_for_amplitudes(speech, noise, snr_db):
    """20 for 10, without the root's being gone: half the decibels asked for."""
    if np.var(noise) == 0:
        return speech
    return mixed(speech, noise, np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 20)))


def forgets_the_root(speech, noise, snr_db):
    """The ratio of powers as a factor of amplitudes."""
    if np.var(noise) == 0:
        return speech
    return mixed(speech, noise, np.var(speech) / np.var(noise) / 10 ** (snr_db / 10))


def turns_it_upside_down(speech, noise, snr_db):
    """The greater the SNR, the louder the noise."""
    if np.var(noise) == 0:
        return speech
    return mixed(speech, noise, np.sqrt(np.var(speech) / np.var(noise) * 10 ** (snr_db / 10)))


def counts_the_offset_as_power(speech, noise, snr_db):
    """The mean square, not about the mean."""
    power = np.mean(noise**2)
    if power == 0:
        return speech
    return mixed(speech, noise, np.sqrt(np.mean(speech**2) / power / 10 ** (snr_db / 10)))


def measures_before_the_cut(speech, noise, snr_db):
    """The power of all the noise, not of the part that is heard."""
    if np.var(noise) == 0:
        return speech
    return mixed(speech, noise, np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 10)))


def changes_the_speech(speech, noise, snr_db):
    """Turns the speech up instead of the noise down."""
    if np.var(noise) == 0:
        return speech
    gain = np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 10))
    return speech / gain + np.resize(noise, len(speech))


def needs_noise_of_the_same_length(speech, noise, snr_db):
    """Neither repeats nor cuts."""
    return speech + np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 10)) * noise


def divides_by_silence(speech, noise, snr_db):
    """NaN where the noise is silent."""
    with np.errstate(divide="ignore", invalid="ignore"):
        noise = np.resize(noise, len(speech))
        return speech + np.sqrt(np.var(speech) / np.var(noise) / 10 ** (snr_db / 10)) * noise


WRONG = {
    "pad": [
        puts_the_padding_first,
        holds_the_last_frame,
        cuts_to_the_shortest,
        puts_the_batch_first,
        forgets_who_is_short,
        believes_that_the_first_is_longest,
        sorts_and_does_not_tell,
    ],
    "mix": [
        takes_decibels_for_amplitudes,
        forgets_the_root,
        turns_it_upside_down,
        counts_the_offset_as_power,
        measures_before_the_cut,
        changes_the_speech,
        needs_noise_of_the_same_length,
        divides_by_silence,
    ],
}

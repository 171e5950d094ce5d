"""The answers to lesson 14, common mistakes, and other right answers."""

import numpy as np


def split_by_speaker(speakers, count):
    held_out = sorted(set(speakers))[:count]
    dev = [i for i, speaker in enumerate(speakers) if speaker in held_out]
    train = [i for i, speaker in enumerate(speakers) if speaker not in held_out]
    return train, dev


def best_epoch(error_rates):
    return int(np.nanargmin(error_rates))


def learning_rate(first, lr_decay, epoch):
    return first / lr_decay**epoch


def splits_recordings(speakers, count):
    """The first recordings are held out, so that some speakers are in both parts."""
    return list(range(count, len(speakers))), list(range(count))


def splits_a_share_of_each_speaker(speakers, count):
    """Some recordings of every speaker are held out, not all of some speakers."""
    dev = [i for i in range(len(speakers)) if speakers[i] in speakers[:i]][:count]
    return [i for i in range(len(speakers)) if i not in dev], dev


def returns_names(speakers, count):
    """The names of the speakers instead of the indices of their recordings."""
    held_out = sorted(set(speakers))[:count]
    train = [name for name in speakers if name not in held_out]
    return train, [name for name in speakers if name in held_out]


def swaps_the_parts(speakers, count):
    """The parts are swapped: the many are held out, and the few are for training."""
    train, dev = split_by_speaker(speakers, count)
    return dev, train


def keeps_one_recording_of_each(speakers, count):
    """Only the first recording of each held-out speaker is in dev, the others are lost."""
    train, dev = split_by_speaker(speakers, count)
    first = {speakers[i]: i for i in reversed(dev)}
    return train, sorted(first.values())


def takes_the_first_names(speakers, count):
    """speakers[:count] may name the same speaker twice: then too few are held out."""
    held_out = speakers[:count]
    dev = [i for i, speaker in enumerate(speakers) if speaker in held_out]
    return [i for i, speaker in enumerate(speakers) if speaker not in held_out], dev


def trains_with_all(speakers, count):
    """All recordings are in the training set, also those that are held out."""
    return list(range(len(speakers))), split_by_speaker(speakers, count)[1]


def holds_out_one_too_many(speakers, count):
    """One speaker more than asked for."""
    return split_by_speaker(speakers, count + 1)


def takes_them_from_a_set(speakers, count):
    """A set has another order in each run of Python, so sort it; and random numbers need a seed."""
    held_out = list(set(speakers))[:count]
    dev = [i for i, speaker in enumerate(speakers) if speaker in held_out]
    return [i for i, speaker in enumerate(speakers) if speaker not in held_out], dev


def split_with_numpy(speakers, count):
    """A random choice and np.isin."""
    speakers = np.array(speakers)
    held_out = np.random.default_rng(0).choice(
        np.unique(speakers), count, replace=False
    )
    inside = np.isin(speakers, held_out)
    return np.flatnonzero(~inside), np.flatnonzero(inside)


def split_from_the_end(speakers, count):
    """The speakers who appear last."""
    order = list(dict.fromkeys(speakers))
    held_out, train, dev = order[-count:], [], []
    for i, speaker in enumerate(speakers):
        (dev if speaker in held_out else train).append(i)
    return (train, dev)


def lets_nan_win(error_rates):
    """np.argmin treats NaN as the minimum."""
    return int(np.argmin(error_rates))


def prefers_the_latest(error_rates):
    """Of several equal rates the last."""
    return len(error_rates) - 1 - int(np.nanargmin(error_rates[::-1]))


def takes_the_highest(error_rates):
    """The epoch with the highest error rate."""
    return int(np.nanargmax(error_rates))


def counts_from_one(error_rates):
    """The first epoch is number 0."""
    return best_epoch(error_rates) + 1


def stops_at_the_first_rise(error_rates):
    """The last epoch before the rate rises, though it may fall again."""
    for epoch in range(1, len(error_rates)):
        if not error_rates[epoch] <= error_rates[epoch - 1]:
            return epoch - 1
    return len(error_rates) - 1


def returns_the_rate(error_rates):
    """The lowest rate instead of its epoch."""
    return float(np.nanmin(error_rates))


def ignores_the_last(error_rates):
    """The last epoch is left out of the comparison."""
    return int(np.nanargmin(error_rates[:-1] or error_rates))


def replaces_nan(error_rates):
    """NaN is replaced by 5, but rates may be higher."""
    return int(np.argmin(np.nan_to_num(error_rates, nan=5)))


def compares_with_nan(error_rates):
    """min() keeps a NaN that comes first, because no number is less than NaN."""
    return error_rates.index(min(error_rates))


def skips_a_zero(error_rates):
    """A rate of 0 is taken for a missing one."""
    return int(np.nanargmin([rate or np.inf for rate in error_rates]))


def best_epoch_in_a_loop(error_rates):
    """A comparison with NaN is false."""
    best, lowest = 0, float("inf")
    for epoch, rate in enumerate(error_rates):
        if rate < lowest:
            best, lowest = epoch, rate
    return best


def best_epoch_with_min(error_rates):
    """min() over the epochs, NaN last."""
    return min(
        range(len(error_rates)),
        key=lambda i: (np.isnan(error_rates[i]), error_rates[i]),
    )


def falls_linearly(first, lr_decay, epoch):
    """Divided once, by epoch times the factor."""
    return first / (lr_decay * epoch) if epoch else first


def starts_too_early(first, lr_decay, epoch):
    """The first epoch already has a lower rate."""
    return first / lr_decay ** (epoch + 1)


def grows(first, lr_decay, epoch):
    """Multiplies instead of dividing."""
    return first * lr_decay**epoch


def decays_hyperbolically(first, lr_decay, epoch):
    """Proportional to 1 / (1 + c epoch): the factor gets closer and closer to 1."""
    return first / (1 + (lr_decay - 1) * epoch)


def decays_once(first, lr_decay, epoch):
    """Only after the first epoch."""
    return first if epoch == 0 else first / lr_decay


def divides_once_and_multiplies(first, lr_decay, epoch):
    """first / lr_decay * epoch is first divided by the factor, then multiplied by the epoch."""
    return first / lr_decay * epoch


def subtracts(first, lr_decay, epoch):
    """The factor is subtracted instead of divided by."""
    return first - lr_decay * epoch


def learning_rate_in_a_loop(first, lr_decay, epoch):
    """One division per epoch."""
    for _ in range(epoch):
        first /= lr_decay
    return first


def learning_rate_by_exponential(first, lr_decay, epoch):
    """In logarithms."""
    return np.exp(np.log(first) - epoch * np.log(lr_decay))


HINTS = {
    "split_by_speaker": [
        "First choose `count` different names: set(speakers) has each once; sort it to get the same in each run.",
        "Then an index belongs to dev if its speaker was chosen, else to train.",
        "dev = [i for i, speaker in enumerate(speakers) if speaker in held_out]",
    ],
    "best_epoch": [
        "np.argmin finds the first of several minima, but treats NaN as the minimum.",
        "There is a variant of np.argmin that ignores NaN.",
        "return int(np.nanargmin(error_rates))",
    ],
    "learning_rate": [
        "Epoch 0 has the rate `first`; each later one has the previous rate / lr_decay.",
        "Dividing n times by a factor is dividing by the factor to the power of n.",
        "return first / lr_decay**epoch",
    ],
}

WRONG = {
    "split_by_speaker": [
        splits_recordings,
        splits_a_share_of_each_speaker,
        returns_names,
        swaps_the_parts,
        keeps_one_recording_of_each,
        takes_the_first_names,
        trains_with_all,
        holds_out_one_too_many,
        takes_them_from_a_set,
    ],
    "best_epoch": [
        lets_nan_win,
        prefers_the_latest,
        takes_the_highest,
        counts_from_one,
        stops_at_the_first_rise,
        returns_the_rate,
        ignores_the_last,
        replaces_nan,
        compares_with_nan,
        skips_a_zero,
    ],
    "learning_rate": [
        falls_linearly,
        starts_too_early,
        grows,
        decays_hyperbolically,
        decays_once,
        subtracts,
        divides_once_and_multiplies,
    ],
}

RIGHT = {
    "split_by_speaker": [split_with_numpy, split_from_the_end],
    "best_epoch": [best_epoch_in_a_loop, best_epoch_with_min],
    "learning_rate": [learning_rate_in_a_loop, learning_rate_by_exponential],
}

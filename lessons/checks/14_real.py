"""Checks of lesson 14."""

import numpy as np

from minids.lesson import exercise


class Speaker(str):
    """A name with its place in sets, which differs for strings from process to process."""

    place = 0

    def __hash__(self):
        return self.place


@exercise("14.1")
def check_split_by_speaker(split_by_speaker):
    rng = np.random.default_rng(14)
    cases = [("abacbda", 1), ("bbaacccc", 2)]
    cases = [(list(letters), count) for letters, count in cases]
    cases += [(list(rng.choice([f"speaker {i}" for i in range(20)], 200)), 4)]
    for speakers, count in cases:
        case = f"{len(speakers)} recordings, {count} speaker{'s' * (count > 1)} in dev"
        train, dev = (list(part) for part in split_by_speaker(speakers, count))
        integers = all(isinstance(i, (int, np.integer)) for i in (*train, *dev))
        yield f"{case}: whether both parts are indices, integers", integers, True
        train, dev = [int(i) for i in train], [int(i) for i in dev]
        yield (
            f"{case}: all indices, each once",
            sorted(train + dev),
            list(range(len(speakers))),
        )
        in_train, in_dev = ({speakers[i] for i in part} for part in (train, dev))
        yield f"{case}: speakers in both parts", sorted(in_train & in_dev), []
        yield f"{case}: the number of speakers in dev", len(in_dev), count
    runs = []
    for sign in 1, -1:
        names = [Speaker(f"speaker {i % 20}") for i in range(60)]
        for i, name in enumerate(names):
            name.place = 100 + sign * (i % 20)
        runs.append(sorted(int(i) for i in split_by_speaker(names, 4)[1]))
    words = "not in another run"
    yield "the same speakers are held out again", runs[0] == runs[1], True, words


@exercise("14.2")
def check_best_epoch(best_epoch):
    nan = float("nan")
    cases = {(0.9, 0.4, 0.2, 0.3): 2, (0.5, 0.2, 0.2, 0.2): 1, (0.1, 0.2): 0, (1.4,): 0}
    cases |= {
        (nan, 0.8, nan, 0.7): 3,
        (0.3, nan): 0,
        (0.6, 0.0, 0.1): 1,
        (nan, 2.0, 1.5, nan): 2,
        (nan, 70.0, 30.0): 2,
    }
    for rates, best in cases.items():
        yield f"best_epoch({list(rates)})", best_epoch(list(rates)), best


@exercise("14.3")
def check_learning_rate(learning_rate):
    for first, lr_decay in (0.1, 2.0), (0.004, 1.15), (1.0, 1.0):
        rate = first
        for epoch in range(5):
            got = learning_rate(first, lr_decay, epoch)
            yield f"learning_rate({first}, {lr_decay}, {epoch})", got, rate
            rate = rate / lr_decay

"""Queries: the back-off recursion, the states, the hash table."""

import numpy as np
import pytest

from minids.lm._scorer import SLOT, empty_slots, find, score
from minids.lm.ngram import NGram
from tests.lm.dictionary_model import DATA, DictionaryModel, random_arpa
from tests.tolerances import LM_FLOAT32, LM_SUM


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_scores_agree_with_the_recursion(tmp_path, order):
    """Random models, some pruned, and random histories, of which the state keeps only what matters."""
    rng = np.random.default_rng(order)
    for trial in range(12):
        text = random_arpa(rng, order, words=3, density=[0.15, 0.3, 0.6][trial % 3])
        (tmp_path / "random.arpa").write_text(text)
        expected, model = DictionaryModel(text), NGram.load(tmp_path / "random.arpa")
        for begin in (True, False):
            history, state = ("<s>",) if begin else (), model.tables.begin if begin else 0
            for word in rng.integers(len(model.words), size=100).tolist():
                log_prob, state = score(model.tables, state, word)
                correct = expected.score(history, model.words[word])
                assert log_prob == pytest.approx(correct, abs=LM_FLOAT32), (trial, history)
                history = (*history, model.words[word])


def test_states_are_the_longest_suffixes_that_matter(tmp_path):
    """A state has followers or a back-off weight, and no longer suffix of the history has."""
    rng = np.random.default_rng(0)
    text = random_arpa(rng, 4, words=3, density=0.3)
    (tmp_path / "random.arpa").write_text(text)
    expected, model = DictionaryModel(text), NGram.load(tmp_path / "random.arpa")
    contexts = {gram[:-1] for gram in expected.grams}
    grams = [()]  # by id
    for i in range(1, len(model.word)):
        grams.append((*grams[model.context[i]], model.words[model.word[i]]))
    history, state = (), 0
    for word in rng.integers(len(model.words), size=1000).tolist():
        history = (*history, model.words[word])
        _, state = score(model.tables, state, word)
        suffixes = (history[i:] for i in range(max(0, len(history) - 4), len(history) + 1))
        matter = (s for s in suffixes if s in contexts or expected.grams.get(s, (0, 0))[1] != 0)
        assert grams[state] == next(matter)


@pytest.mark.parametrize("name", ["lmplz.arpa", "lmplz_pruned.arpa"])
def test_probabilities_sum_to_1_after_any_history(name):
    """Over all words but <s>, which lmplz's models never predict."""
    model = NGram.load(DATA / name)
    tables, following = model.tables, [w for w in range(len(model.words)) if w != 1]
    rng = np.random.default_rng(0)
    states = {0, tables.begin}
    for _ in range(300):
        state = int(rng.choice(sorted(states)))
        words = model.word[np.flatnonzero(model.context == state)]  # half of the time a follower
        choice = words if len(words) > 1 and rng.random() < 0.5 else following
        states.add(int(score(tables, state, int(rng.choice(choice)))[1]))
    assert len(states) > 50
    for state in states:
        total = sum(np.exp(score(tables, state, w)[0]) for w in following)
        assert total == pytest.approx(1, abs=LM_SUM)


def test_the_hash_table_finds_its_keys_and_no_others():
    rng = np.random.default_rng(0)
    pairs = {(int(a), int(b)) for a, b in rng.integers([1, 0], [200, 100], (6000, 2))}
    inserted = sorted(pairs)[::2]
    slots = empty_slots(len(inserted))
    assert slots.dtype == SLOT
    assert slots.ctypes.data % 64 == 0  # four slots, one cache line
    for number, (context, word) in enumerate(inserted):
        slot = -1 - find(slots, context, word)
        assert slot >= 0
        slots[slot] = (context << 32 | word, 0.0, number)
    assert np.count_nonzero(slots["key"]) >= 0.7 * len(slots)
    assert [slots[find(slots, *pair)]["next"] for pair in inserted] == list(range(len(inserted)))
    assert all(find(slots, *pair) < 0 for pair in pairs.difference(inserted))

"""From sound to text: one recording or many, short or long, as a file or as samples."""

from dataclasses import replace

import numpy as np
import pytest

from minids import Recognizer
from minids._utils.errors import InputError
from minids.audio import load_audio, save_audio
from minids.data.manifest import read_manifest
from minids.decode.align import align
from minids.decode.beam_search import BeamSearch
from minids.decode.error_analysis import SearchReport
from minids.decode.greedy import greedy_text, words
from minids.features import Features
from minids.lm.ngram import NGram
from minids.model import DeepSpeech, ModelSettings
from minids.recognizer import LONGEST, pieces
from minids.text import Alphabet
from minids.weights import Saved
from tests import tones
from tests.tolerances import FLOAT32_NETWORK

RATE = tones.RATE


def untrained(stride=2, rate=RATE, seed=1):
    """A network of large weights: it babbles, and what it says depends on what it hears."""
    features = Features(rate=rate, bands=6, normalize="utterance")
    alphabet = Alphabet(" abc")
    model = DeepSpeech(ModelSettings(features.size, len(alphabet), hidden=16, context=2, stride=stride), seed)
    model.params["W6"] *= 30
    return Recognizer(Saved(model, features, alphabet, {}, {}))


def noise(seconds, seed=0, rate=RATE):
    return (0.1 * np.random.default_rng(seed).normal(size=round(seconds * rate))).astype(np.float32)


def saying(recognizer, letters):
    """The recognizer with another network: it says these letters, one a frame, and then nothing."""

    def log_probs(samples):
        T = -(-recognizer.features.length(len(samples)) // recognizer.model.settings.stride)
        path = np.zeros(T, int)
        said = recognizer.alphabet.encode(letters(T) if callable(letters) else letters)
        path[: len(said)] = said
        probabilities = np.full((T, len(recognizer.alphabet)), 0.01)
        probabilities[np.arange(T), path] = 0.96
        return np.log(probabilities)

    recognizer.log_probs = log_probs
    return recognizer


# One recording


def test_samples_with_their_rate_are_the_file(tmp_path):
    recognizer = untrained()
    for rate in (8000, 16000, 11025):
        save_audio(tmp_path / "a.wav", noise(1, rate=rate), rate)
        from_file = recognizer.transcribe(tmp_path / "a.wav")
        samples, stored = load_audio(tmp_path / "a.wav")
        assert stored == rate
        assert recognizer.transcribe(samples, rate) == from_file
        assert from_file.text
    assert recognizer.transcribe(noise(1), RATE) == recognizer.transcribe(noise(1)), "the model's own rate"
    assert recognizer.transcribe(noise(1), 16000) != recognizer.transcribe(noise(1))


def test_samples_of_any_type_and_loudness(tmp_path):
    recognizer = untrained()
    text = recognizer.transcribe(noise(1)).text
    assert recognizer.transcribe(noise(1).astype(np.float64)).text == text
    assert recognizer.transcribe(np.round(noise(1) * 32767).astype(np.int16)).text == text
    assert recognizer.transcribe(0.001 * noise(1)).text == text
    assert recognizer.transcribe(noise(2)[::2]).text, "a view that is not contiguous"


@pytest.mark.parametrize(
    "samples", [np.zeros(0), np.zeros((8000, 2)), np.array([0, np.nan]), np.array([np.inf, 0]), np.array(1.0)]
)
def test_samples_that_are_no_sound_are_refused(samples):
    with pytest.raises(InputError, match="one row of finite numbers"):
        untrained().transcribe(samples)


def test_silence_and_a_single_sample_are_sounds():
    for samples in (np.zeros(RATE), np.zeros(1), np.ones(1), np.ones(RATE)):
        transcript = untrained().transcribe(samples)
        assert np.isfinite(transcript.log_prob)


def test_the_transcript_is_greedy_decoding_of_the_networks_answer():
    recognizer = untrained()
    samples = noise(1)
    frames = recognizer.features(samples)[:, None]
    log_probs, lengths = recognizer.model.forward(frames, np.array([len(frames)], np.int32))
    transcript = recognizer.transcribe(samples)
    assert lengths[0] == len(log_probs)
    np.testing.assert_array_equal(recognizer.log_probs(samples), log_probs[:, 0])
    assert transcript.text == greedy_text(log_probs[:, 0], recognizer.alphabet)
    assert transcript.text == " ".join(word.text for word in transcript.words)
    assert transcript.log_prob == pytest.approx(log_probs.max(axis=2).sum(), rel=FLOAT32_NETWORK)
    assert all(0 < word.score <= 1 for word in transcript.words)


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("seconds", [0.001, 0.02, 0.1, 0.11, 0.12, 0.13, 0.5, 0.505])
def test_words_lie_within_the_recording(stride, seconds):
    """Also the last letter of the last frame."""
    recognizer, hop = saying(untrained(stride), lambda T: ("ab ca " * T)[:T]), 0.01 * stride
    assert recognizer.hop == pytest.approx(hop)
    words = recognizer.transcribe(noise(seconds)).words
    assert words[0].start == 0
    for word in words:
        assert 0 <= word.start < word.end <= seconds + 1e-9
    for n, word in enumerate(words[:-1]):
        assert word.start == pytest.approx(3 * n * hop)
        assert word.end == pytest.approx((3 * n + 2) * hop)


# With a beam search


@pytest.fixture
def searching(tmp_path):
    """The babbling recognizer, its beam search with a language model."""
    recognizer = untrained()
    lm = NGram.load(tones.language(tmp_path / "lm.arpa"))
    recognizer.search = BeamSearch(recognizer.alphabet, lm, alpha=2.0, beta=1.0, beam_width=50)
    return recognizer


def test_the_transcript_is_the_best_of_the_search(searching):
    samples = noise(1)
    log_probs = searching.log_probs(samples)
    best, second, *_ = searching.search.decode(log_probs)
    transcript = searching.transcribe(samples)
    assert transcript.text == best.text != greedy_text(log_probs, searching.alphabet)
    assert transcript.log_prob == best.log_prob
    path = align(log_probs, searching.alphabet.encode(best.text))
    expected = words(path, searching.alphabet, searching.hop)
    assert [word.text for word in transcript.words] == best.text.split()
    np.testing.assert_allclose([w[1:] for w in transcript.words], [w[1:] for w in expected])
    (piece,) = searching.alternatives(samples, 2)
    assert piece == (0, 1, [best, second])


def test_a_long_recording_is_searched_piece_by_piece(searching):
    samples = noise(40)
    cuts = pieces(samples, RATE)
    found = [searching.search.decode(searching.log_probs(samples[a:b]), 3) for a, b in cuts]
    assert [tuple(p) for p in searching.alternatives(samples, 3)] == [
        (a / RATE, b / RATE, hypotheses) for (a, b), hypotheses in zip(cuts, found, strict=True)
    ]
    transcript = searching.transcribe(samples)
    assert transcript.text == " ".join(best.text for best, *_ in found)
    assert transcript.log_prob == sum(best.log_prob for best, *_ in found)
    assert [w.start for w in transcript.words] == sorted(w.start for w in transcript.words)


def test_greedy_decoding_has_no_alternatives():
    with pytest.raises(InputError, match="greedy"):
        untrained().alternatives(noise(1), 5)


def test_load_makes_the_search(tmp_path):
    model, lm = tones.model(tmp_path / "m.safetensors"), tones.language(tmp_path / "lm.arpa")
    assert Recognizer.load(model).search is None
    assert Recognizer.load(model, lm="none").search is None
    for given in (lm, str(lm), NGram.load(lm)):
        search = Recognizer.load(model, lm=given, alpha=0.5, beta=-1.0, beam_width=7).search
        assert (search.alpha, search.beta, search.beam_width) == (0.5, -1.0, 7)
        assert "cab" in search.lm.words
    assert Recognizer.load(model, beam_width=7).search.lm is None


# Long recordings


def test_a_long_recording_is_heard_piece_by_piece():
    recognizer = saying(untrained(), "ab c")
    heard, answer = [], recognizer.log_probs
    recognizer.log_probs = lambda samples: heard.append(samples) or answer(samples)
    samples = noise(70)
    quiet = [24 * RATE, 47 * RATE]
    for at in quiet:
        samples[at - RATE // 5 : at + RATE // 5] = 0
    transcript = recognizer.transcribe(samples)
    np.testing.assert_array_equal(np.concatenate(heard), samples)
    assert max(len(piece) for piece in heard) <= LONGEST * RATE
    cuts = np.cumsum([len(piece) for piece in heard])[:-1]
    np.testing.assert_allclose(cuts, quiet, atol=0.15 * RATE)
    assert transcript.text == "ab c ab c ab c"
    starts = [word.start for word in transcript.words]
    expected = [begin / RATE + offset for begin in (0, *cuts) for offset in (0, 0.06)]
    np.testing.assert_allclose(starts, expected)


@pytest.mark.parametrize("at", [20.1, 21.03, 25.0, 28.77, 29.8])
def test_the_cut_is_in_the_quietest_quarter_of_a_second(at):
    """Wherever in the last third it lies, and a little quieter is enough."""
    samples = noise(40)
    middle = round(at * RATE)
    samples[middle - RATE // 8 : middle + RATE // 8] *= 0.8
    (first, cut), (again, last) = pieces(samples, RATE)
    assert (first, again, last) == (0, cut, len(samples))
    assert abs(cut - middle) < 0.15 * RATE


@pytest.mark.parametrize("seconds", [0.001, 1, 29.99, 30, 30.01, 60, 61, 125])
def test_pieces_are_the_whole_and_none_is_too_long(seconds):
    samples = noise(seconds)
    cut = pieces(samples, RATE)
    assert cut[0][0] == 0
    assert cut[-1][1] == len(samples)
    assert [a for a, _ in cut[1:]] == [b for _, b in cut[:-1]]
    assert all(0 < b - a <= LONGEST * RATE for a, b in cut)
    assert all(b - a >= LONGEST * RATE * 2 / 3 for a, b in cut[:-1])
    if seconds <= 30:
        assert len(cut) == 1
    assert pieces(np.zeros_like(samples), RATE)[-1][1] == len(samples), "silence is quiet everywhere"


# A manifest


@pytest.fixture
def said(tmp_path):
    tones.corpus(tmp_path, "train", 7)
    return read_manifest(tmp_path / "train.jsonl")


def test_many_recordings_are_heard_as_one_by_one(said):
    recognizer, ticks = untrained(), []
    rows, skipped = recognizer.recognize(said, tick=ticks.append)
    assert skipped == []
    assert sum(ticks) == 7
    alone = {str(u.path): (u.text, recognizer.transcribe(u.path).text) for u in said}
    assert {row.name: (row.reference, row.hypothesis) for row in rows} == alone
    assert len({row.hypothesis for row in rows}) > 1


def test_many_recordings_are_searched_as_one_by_one(said, searching, monkeypatch):
    middle = sorted(u.duration for u in said)[3]
    monkeypatch.setattr("minids.recognizer.LONGEST", middle)
    report = SearchReport(searching.search)
    rows, skipped = searching.recognize(said, report=report)
    assert skipped == []
    alone = {str(u.path): searching.transcribe(u.path).text for u in said}
    assert {row.name: row.hypothesis for row in rows} == alone
    assert {w.name: w.found.text for w in report.wrong} == {w.name: alone[w.name] for w in report.wrong}
    wrong = [row for row in rows if row.reference != row.hypothesis]
    assert len(report.wrong) + report.in_pieces == len(wrong) > 3
    assert report.oracle.counts.shape == (7, 4)


def test_long_and_short_ones_in_one_manifest(said, monkeypatch):
    recognizer = untrained()
    whole = {row.name: row for row in recognizer.recognize(said)[0]}
    middle = sorted(u.duration for u in said)[3]
    monkeypatch.setattr("minids.recognizer.LONGEST", middle)
    ticks = []
    rows, _ = recognizer.recognize(said, tick=ticks.append)
    assert {row.name: row for row in rows} == whole
    assert sum(ticks) == 7


@pytest.mark.parametrize("duration", [1.0, 99.0])
def test_what_cannot_be_heard_is_named(said, duration):
    said[2].path.write_text("no recording")
    said[2] = replace(said[2], duration=duration)
    rows, skipped = untrained().recognize(said)
    assert len(rows) == 6
    assert len(skipped) == 1
    assert str(said[2].path) in skipped[0]


def test_a_text_beyond_the_alphabet_or_the_frames_still_counts(said):
    """The score has to see what the model could not write."""
    said[0] = replace(said[0], text="Ünwritable " * 9)
    said[1] = replace(said[1], text="  AB\tc ")
    rows, skipped = untrained().recognize(said)
    assert skipped == []
    references = {row.name: row.reference for row in rows}
    assert references[str(said[0].path)] == ("Ünwritable " * 9).strip()
    assert references[str(said[1].path)] == "ab c"


def test_rows_are_grouped_by_speaker_or_by_any_field(said):
    recognizer = untrained()
    said = [replace(u, extra={"snr": n % 3}) for n, u in enumerate(said)]
    speakers = {row.name: row.group for row in recognizer.recognize(said, by="speaker")[0]}
    assert speakers == {str(u.path): u.speaker for u in said}
    noises = {row.name: row.group for row in recognizer.recognize(said, by="snr")[0]}
    assert noises == {str(u.path): str(u.extra["snr"]) for u in said}

"""From sound to text: single recordings and manifests, short and long, files and samples."""

import asyncio
import json
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest

from minids import Recognizer
from minids._utils.errors import InputError
from minids.audio import load_audio, save_audio
from minids.data.manifest import read_manifest
from minids.decode.align import forced_align
from minids.decode.beam_search import BeamSearch
from minids.decode.error_analysis import ErrorAnalysis
from minids.decode.greedy import greedy_text
from minids.decode.path import lengthened, word_times
from minids.features import Features
from minids.lm.ngram import NGram
from minids.model import DeepSpeech, ModelSettings
from minids.recognizer import MAX_SEGMENT_SECONDS, split_at_pauses
from minids.text import Alphabet
from minids.weights import SavedModel
from tests import tones
from tests.tolerances import FLOAT32_NETWORK

RATE = tones.RATE


def untrained(stride=2, rate=RATE, seed=1):
    """A random network with large output weights, so that its text depends on its input."""
    features = Features(rate=rate, bands=6, normalize="utterance")
    alphabet = Alphabet(" abc")
    model = DeepSpeech(ModelSettings(features.size, len(alphabet), hidden=16, context=2, stride=stride), seed)
    model.params["W6"] *= 30
    return Recognizer(SavedModel(model, features, alphabet, {}, {}))


def noise(seconds, seed=0, rate=RATE):
    return (0.1 * np.random.default_rng(seed).normal(size=round(seconds * rate))).astype(np.float32)


def with_output(recognizer, letters):
    """The recognizer with fixed log_probs: these letters, one per frame, then blanks."""

    def log_probs(samples):
        T = -(-recognizer.features.length(len(samples)) // recognizer.model.settings.stride)
        path = np.zeros(T, int)
        labels = recognizer.alphabet.encode(letters(T) if callable(letters) else letters)
        path[: len(labels)] = labels
        probabilities = np.full((T, len(recognizer.alphabet)), 0.01)
        probabilities[np.arange(T), path] = 0.96
        return np.log(probabilities)

    recognizer.log_probs = log_probs
    return recognizer


# One recording


def test_samples_with_their_rate_give_the_transcript_of_the_file(tmp_path):
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


def test_samples_may_have_any_type_and_volume(tmp_path):
    recognizer = untrained()
    text = recognizer.transcribe(noise(1)).text
    assert recognizer.transcribe(noise(1).astype(np.float64)).text == text
    assert recognizer.transcribe(np.round(noise(1) * 32767).astype(np.int16)).text == text
    assert recognizer.transcribe(0.001 * noise(1)).text == text
    assert recognizer.transcribe(noise(2)[::2]).text, "a view that is not contiguous"


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(0), "no samples"),
        ([], "no samples"),
        (np.zeros((8000, 2)), "give one channel"),
        (np.array(1.0), "give one channel"),
        (np.zeros(9, complex), "real numbers"),
        (["a", "b"], "real numbers"),
        ([[1.0], [1.0, 2.0]], "inhomogeneous"),
        (np.array([0, np.nan]), "not finite"),
        ([np.inf, 0.0], "not finite"),
        (np.array([1e300, 0]), "not finite"),
    ],
)
def test_invalid_samples_are_rejected(samples, message):
    with pytest.raises(InputError, match=message):
        untrained().transcribe(samples)


@pytest.mark.parametrize("rate", [0, -8000, 0.5, float("nan"), float("inf"), "8000"])
def test_invalid_rates_are_rejected(rate):
    with pytest.raises(InputError, match="rate = "):
        untrained().transcribe(noise(0.1), rate)


def test_a_recording_can_be_a_path_bytes_a_binary_file_or_samples(tmp_path):
    recognizer = untrained()
    save_audio(tmp_path / "a.wav", noise(1), RATE)
    content = (tmp_path / "a.wav").read_bytes()
    expected = recognizer.transcribe(tmp_path / "a.wav")
    samples, _ = load_audio(tmp_path / "a.wav")
    with (tmp_path / "a.wav").open("rb") as file:
        for recording in (
            str(tmp_path / "a.wav"),
            content,
            BytesIO(content),
            file,
            samples,
            samples.tolist(),
        ):
            assert recognizer.transcribe(recording) == expected


@pytest.mark.parametrize(
    "recording", [b"no sound " * 1000, BytesIO(b"no sound " * 1000), None, 3, ["x"] * 9999]
)
def test_errors_of_unusable_recordings_do_not_print_their_content(recording):
    with pytest.raises(InputError) as error:
        untrained().transcribe(recording)
    assert len(str(error.value)) < 300


def test_silence_and_a_single_sample_are_transcribed():
    for samples in (np.zeros(RATE), np.zeros(1), np.ones(1), np.ones(RATE)):
        transcript = untrained().transcribe(samples)
        assert np.isfinite(transcript.log_prob)


def test_the_transcript_is_the_greedy_decoding_of_the_log_probs():
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
    recognizer, frame_seconds = with_output(untrained(stride), lambda T: ("ab ca " * T)[:T]), 0.01 * stride
    assert recognizer.frame_seconds == pytest.approx(frame_seconds)
    words = recognizer.transcribe(noise(seconds)).words
    assert words[0].start == 0
    for word in words:
        assert 0 <= word.start <= word.characters[0][1] < word.characters[-1][2] <= word.end <= seconds + 1e-9
    for n, word in enumerate(words[:-1]):
        assert word.characters[0][1] == pytest.approx(3 * n * frame_seconds)
        assert word.characters[-1][2] == pytest.approx((3 * n + 2) * frame_seconds)


# Many callers


def stress(recognizer, recordings):
    """The transcripts and log_probs from 8 threads and from asyncio.to_thread, 5 rounds each."""

    def call(samples):
        return recognizer.transcribe(samples), recognizer.log_probs(samples)

    async def gather():
        return await asyncio.gather(*(asyncio.to_thread(call, samples) for samples in recordings * 5))

    with ThreadPoolExecutor(8) as pool:
        return [*pool.map(call, recordings * 5)], asyncio.run(gather())


@pytest.mark.parametrize("with_search", [False, True])
def test_threads_share_a_recognizer(with_search, searching):
    recognizer = searching if with_search else untrained()
    recordings = [noise(0.3 + 0.1 * n, seed=n) for n in range(8)]
    expected = [(recognizer.transcribe(samples), recognizer.log_probs(samples)) for samples in recordings]
    for results in stress(recognizer, recordings):
        for n, (transcript, log_probs) in enumerate(results):
            assert transcript == expected[n % 8][0]
            np.testing.assert_array_equal(log_probs, expected[n % 8][1])


def test_a_recognizer_travels_to_other_processes(searching):
    recordings = [noise(0.3 + 0.1 * n, seed=n) for n in range(4)]
    expected = [searching.transcribe(samples) for samples in recordings]
    assert [pickle.loads(pickle.dumps(searching)).transcribe(samples) for samples in recordings] == expected
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert [*pool.map(searching.transcribe, recordings)] == expected


def test_a_recognizer_needs_a_model():
    with pytest.raises(InputError, match="list of models is empty"):
        Recognizer.load([])
    with pytest.raises(InputError, match="at least one model"):
        Recognizer()


# With a beam search


@pytest.fixture
def searching(tmp_path):
    """The random recognizer with a beam search and a language model."""
    recognizer = untrained()
    lm = NGram.load(tones.language(tmp_path / "lm.arpa"))
    recognizer.search = BeamSearch(recognizer.alphabet, lm, alpha=2.0, beta=1.0, beam_width=50)
    return recognizer


def test_the_transcript_is_the_best_hypothesis_of_the_search(searching):
    samples = noise(1)
    log_probs = searching.log_probs(samples)
    best, second, *_ = searching.search.decode(log_probs)
    transcript = searching.transcribe(samples)
    assert transcript.text == best.text != greedy_text(log_probs, searching.alphabet)
    assert transcript.log_prob == best.log_prob
    path = forced_align(log_probs, best.labels)
    expected = lengthened(word_times(path, searching.alphabet, searching.frame_seconds), 1.0)
    assert [word.text for word in transcript.words] == best.text.split()
    np.testing.assert_allclose([w[1:4] for w in transcript.words], [w[1:4] for w in expected])
    assert transcript.duration == 1.0
    (segment,) = searching.n_best(samples, 2)
    assert segment == (0, 1, [best, second])


def test_a_long_recording_is_searched_in_pieces(searching):
    samples = noise(40)
    cuts = split_at_pauses(samples, RATE)
    found = [searching.search.decode(searching.log_probs(samples[a:b]), 3) for a, b in cuts]
    assert [tuple(p) for p in searching.n_best(samples, 3)] == [
        (a / RATE, b / RATE, hypotheses) for (a, b), hypotheses in zip(cuts, found, strict=True)
    ]
    transcript = searching.transcribe(samples)
    assert transcript.text == " ".join(best.text for best, *_ in found)
    assert transcript.log_prob == sum(best.log_prob for best, *_ in found)
    assert [w.start for w in transcript.words] == sorted(w.start for w in transcript.words)


def test_certain_spaces_that_the_text_does_not_have(searching):
    """They lose no text and cause no error."""

    def log_probs(samples):
        path = searching.alphabet.encode("  ab   c ")
        with np.errstate(divide="ignore"):
            return np.log(np.eye(5)[[k for label in path for k in (label, 0)]])

    searching.log_probs = log_probs
    transcript = searching.transcribe(noise(1))
    assert transcript.text == "ab c"
    starts = [word.characters[0][1] for word in transcript.words]
    assert [round(start / searching.frame_seconds) for start in starts] == [4, 14]
    assert transcript.log_prob == 0


def test_transcripts_as_json_have_no_more_digits_than_they_need(searching):
    transcript = searching.transcribe(noise(2))
    content = json.loads(json.dumps(transcript.to_dict(), allow_nan=False))
    assert content["text"] == transcript.text
    for word, expected in zip(content["words"], transcript.words, strict=True):
        letters = word.pop("characters")
        assert word == {"text": expected.text} | {
            "start": round(expected.start, 3),
            "end": round(expected.end, 3),
            "score": round(expected.score, 4),
        }
        assert [(c["text"], c["start"], c["end"]) for c in letters] == [
            (text, round(start, 3), round(end, 3)) for text, start, end in expected.characters
        ]
    [segment] = [segment.to_dict() for segment in searching.n_best(noise(2), 3)]
    assert (segment["start"], segment["end"], len(segment["hypotheses"])) == (0, 2, 3)


def test_greedy_decoding_has_no_alternatives():
    with pytest.raises(InputError, match="greedy"):
        untrained().n_best(noise(1), 5)


def test_load_creates_the_search(tmp_path):
    model, lm = tones.model(tmp_path / "m.safetensors"), tones.language(tmp_path / "lm.arpa")
    assert Recognizer.load(model).search is None
    assert Recognizer.load(model, lm="none").search is None
    for source in (lm, str(lm), NGram.load(lm)):
        search = Recognizer.load(model, lm=source, alpha=0.5, beta=-1.0, beam_width=7).search
        assert (search.alpha, search.beta, search.beam_width) == (0.5, -1.0, 7)
        assert "cab" in search.lm.words
    assert Recognizer.load(model, beam_width=7).search.lm is None


# Long recordings


def test_a_long_recording_is_transcribed_in_pieces():
    recognizer = with_output(untrained(), "ab c")
    inputs, log_probs = [], recognizer.log_probs
    recognizer.log_probs = lambda samples: inputs.append(samples) or log_probs(samples)
    samples = noise(70)
    quiet = [24 * RATE, 47 * RATE]
    for at in quiet:
        samples[at - RATE // 5 : at + RATE // 5] = 0
    transcript = recognizer.transcribe(samples)
    np.testing.assert_array_equal(np.concatenate(inputs), samples)
    assert max(len(segment) for segment in inputs) <= MAX_SEGMENT_SECONDS * RATE
    cuts = np.cumsum([len(segment) for segment in inputs])[:-1]
    np.testing.assert_allclose(cuts, quiet, atol=0.15 * RATE)
    assert transcript.text == "ab c ab c ab c"
    starts = [word.characters[0][1] for word in transcript.words]
    expected = [begin / RATE + offset for begin in (0, *cuts) for offset in (0, 0.06)]
    np.testing.assert_allclose(starts, expected)


@pytest.mark.parametrize("at", [20.1, 21.03, 25.0, 28.77, 29.8])
def test_the_cut_is_in_the_quietest_quarter_of_a_second(at):
    """Anywhere in the last third, even if it is only a little quieter."""
    samples = noise(40)
    middle = round(at * RATE)
    samples[middle - RATE // 8 : middle + RATE // 8] *= 0.8
    (start, cut), (next_start, end) = split_at_pauses(samples, RATE)
    assert (start, next_start, end) == (0, cut, len(samples))
    assert abs(cut - middle) < 0.15 * RATE


@pytest.mark.parametrize("seconds", [0.001, 1, 29.99, 30, 30.01, 60, 61, 125])
def test_pieces_cover_the_recording_and_none_is_too_long(seconds):
    samples = noise(seconds)
    segments = split_at_pauses(samples, RATE)
    assert segments[0][0] == 0
    assert segments[-1][1] == len(samples)
    assert [a for a, _ in segments[1:]] == [b for _, b in segments[:-1]]
    assert all(0 < b - a <= MAX_SEGMENT_SECONDS * RATE for a, b in segments)
    assert all(b - a >= MAX_SEGMENT_SECONDS * RATE * 2 / 3 for a, b in segments[:-1])
    if seconds <= 30:
        assert len(segments) == 1
    assert split_at_pauses(np.zeros_like(samples), RATE)[-1][1] == len(samples), "silence is quiet everywhere"


# A manifest


@pytest.fixture
def utterances(tmp_path):
    tones.corpus(tmp_path, "train", 7)
    return read_manifest(tmp_path / "train.jsonl")


def test_recognize_equals_transcribe_for_each_recording(utterances):
    recognizer, calls = untrained(), []
    results, skipped = recognizer.recognize(utterances, progress=calls.append)
    assert skipped == []
    assert sum(calls) == 7
    alone = {str(u.path): (u.text, recognizer.transcribe(u.path).text) for u in utterances}
    assert {r.name: (r.reference, r.hypothesis) for r in results} == alone
    assert len({r.hypothesis for r in results}) > 1


def test_recognize_with_a_search_equals_transcribe(utterances, searching, monkeypatch):
    middle = sorted(u.duration for u in utterances)[3]
    monkeypatch.setattr("minids.recognizer.MAX_SEGMENT_SECONDS", middle)
    analysis = ErrorAnalysis(searching.search)
    results, skipped = searching.recognize(utterances, analysis=analysis)
    assert skipped == []
    alone = {str(u.path): searching.transcribe(u.path).text for u in utterances}
    assert {r.name: r.hypothesis for r in results} == alone
    assert {e.name: e.hypothesis.text for e in analysis.errors} == {
        e.name: alone[e.name] for e in analysis.errors
    }
    wrong = [r for r in results if r.reference != r.hypothesis]
    assert len(analysis.errors) + analysis.segmented == len(wrong) > 3
    assert analysis.oracle.counts.shape == (7, 4)


def test_long_and_short_recordings_in_one_manifest(utterances, monkeypatch):
    recognizer = untrained()
    unsplit = {r.name: r for r in recognizer.recognize(utterances)[0]}
    middle = sorted(u.duration for u in utterances)[3]
    monkeypatch.setattr("minids.recognizer.MAX_SEGMENT_SECONDS", middle)
    calls = []
    results, _ = recognizer.recognize(utterances, progress=calls.append)
    assert {r.name: r for r in results} == unsplit
    assert sum(calls) == 7


@pytest.mark.parametrize("duration", [1.0, 99.0])
def test_unreadable_recordings_are_reported(utterances, duration):
    utterances[2].path.write_text("not a recording")
    utterances[2] = replace(utterances[2], duration=duration)
    results, skipped = untrained().recognize(utterances)
    assert len(results) == 6
    assert len(skipped) == 1
    assert str(utterances[2].path) in skipped[0]


def test_references_outside_the_alphabet_or_too_long_still_count(utterances):
    """The score includes what the model cannot write."""
    utterances[0] = replace(utterances[0], text="Ünwritable " * 9)
    utterances[1] = replace(utterances[1], text="  AB\tc ")
    results, skipped = untrained().recognize(utterances)
    assert skipped == []
    references = {r.name: r.reference for r in results}
    assert references[str(utterances[0].path)] == ("Ünwritable " * 9).strip()
    assert references[str(utterances[1].path)] == "ab c"


def test_results_are_grouped_by_speaker_or_by_any_field(utterances):
    recognizer = untrained()
    utterances = [replace(u, extra={"snr": n % 3}) for n, u in enumerate(utterances)]
    speakers = {r.name: r.group for r in recognizer.recognize(utterances, by="speaker")[0]}
    assert speakers == {str(u.path): u.speaker for u in utterances}
    noises = {r.name: r.group for r in recognizer.recognize(utterances, by="snr")[0]}
    assert noises == {str(u.path): str(u.extra["snr"]) for u in utterances}

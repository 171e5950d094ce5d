"""Features of an hour of speech in clips of 10 s: minids compared with torch.stft and a logarithm.

    python -m benchmarks.features --threads 1 2 --rates 8000 16000

Each competitor runs in its own process, in turns. torch.stft runs in four forms: power as re² + im² and as
|X|², with the threads of torch, and re² + im² with all clips of a batch in one call (`batch`) and with the
clips distributed over Python threads of one torch thread each (`pool`), as minids does. `bands` has the
product with our filter bank before the logarithm. Ours also removes the offset and the total power of every
clip. First, their frames are compared with ours. A window of 22.0625 ms at 16 kHz is a prime number of
samples.

A round is an hour, some tenths of a second. A system may wake a thread on the core of the one that wakes it,
and move it to an idle core only after some milliseconds, as long as a round of a few minutes of sound lasts.
"""

import argparse
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.machine import (
    best_milliseconds,
    headline,
    in_subprocess,
    machine,
    milliseconds,
    save,
    set_threads,
    timed_in_processes,
)
from minids.features import Features, hann, linear_bands, normalize_power

BANDS = 80
CLIP, BATCH, BATCHES = 10, 36, 10  # seconds, clips of a batch, batches of an hour
MAX_DIFFERENCE = 1e-2  # float32 transforms differ by 1e-7 of the loudest bin, 1e-3 of the quietest


def clips(rate: int) -> list[np.ndarray]:
    """The samples of a batch at power 1, so that all forms give the same frames."""
    rng = np.random.default_rng(0)
    return [normalize_power(rng.standard_normal(rate * CLIP).astype(np.float32)) for _ in range(BATCH)]


def minids_features(kind: str, threads: int, rate: int, window_ms: float):
    """A part of the clips per thread, as when batches are prefetched."""
    return distributed(Features(rate, kind, BANDS, window_ms).log_powers, clips(rate), threads)


def torch_features(form: str, threads: int, rate: int, window_ms: float):
    """torch.stft and a logarithm, clip by clip."""
    import torch

    pooled = form in ("pool", "bands")
    torch.set_num_threads(1 if pooled else threads)
    ours = Features(rate, window_ms=window_ms)
    n, hop, floor = ours.window, ours.hop, ours.floor
    window, bank = torch.from_numpy(hann(n)), torch.from_numpy(linear_bands(BANDS, n))

    def frames(samples):
        spectrum = torch.stft(samples, n, hop, n, window, center=False, return_complex=True)
        power = spectrum.abs() ** 2 if form == "|X|²" else spectrum.real**2 + spectrum.imag**2  # (n/2+1, T0)
        return torch.log((bank.T @ power if form == "bands" else power) + floor).mT

    sounds = [torch.from_numpy(x) for x in clips(rate)]
    if form == "batch":
        sounds = [torch.stack(sounds)]
    return distributed(frames, sounds, threads if pooled else 1)


def distributed(function, batch: list, threads: int):
    """A call that processes an hour and returns the last result; earlier ones are freed."""
    hour = batch * BATCHES
    parts = [hour[i::threads] for i in range(threads)]
    mapping = map if threads == 1 else ThreadPoolExecutor(threads).map

    def last_result(part):
        return deque(map(function, part), maxlen=1).pop()

    return lambda: list(mapping(last_result, parts))[-1]


FORMS = {
    "ours": (minids_features, "spectrogram"),
    "torch, re²+im²": (torch_features, "re²+im²"),
    "torch, |X|²": (torch_features, "|X|²"),
    "torch, batch": (torch_features, "batch"),
    "torch, pool": (torch_features, "pool"),
    "ours, bands": (minids_features, "filterbank"),
    "torch, bands": (torch_features, "bands"),
}


def check(rate: int, window_ms: float) -> str:
    """Compare the frames of torch with ours; exit if they differ."""
    words = []
    for form in ("re²+im²", "|X|²", "bands"):
        expected = minids_features("filterbank" if form == "bands" else "spectrogram", 1, rate, window_ms)()
        difference = float(np.abs(torch_features(form, 1, rate, window_ms)().numpy() - expected).max())
        if not difference < MAX_DIFFERENCE:
            raise SystemExit(f"the frames of torch ({form}) differ from ours by {difference:.1e}")
        words.append(f"{form} {difference:.0e}")
    return "largest difference of log powers from ours: " + "; ".join(words)


def measure(rate: int, window_ms: float, threads: int, n: int) -> dict:
    """Median milliseconds for an hour of sound."""
    competitors = {
        name: (make, (form, threads, rate, window_ms))
        for name, (make, form) in FORMS.items()
        if threads > 1 or name != "torch, pool"
    }
    seconds, memory = timed_in_processes(competitors, n)
    ms = {name: milliseconds(values) for name, values in seconds.items()}
    return {
        "rate": rate,
        "window_ms": window_ms,
        "threads": threads,
        "ms": ms,
        "memory_mb": memory,
        "seconds": seconds,
    }


def show(result: dict) -> None:
    """A line for each competitor, with the ratio to our bands or to our spectrogram."""
    ms = result["ms"]
    title = f"{result['rate']} Hz, {result['threads']} threads"
    print(f"\n{title:20}{'ms an hour':>14}{'best':>9}{'/ ours':>9}{'peak MB':>9}")
    for name, value in ms.items():
        ratio = value / ms["ours, bands" if name.endswith("bands") else "ours"]
        cells = [f"{value:.0f}", f"{best_milliseconds(result['seconds'][name]):.0f}", f"{ratio:.2f}"]
        print(f"{name:25}" + "".join(f"{cell:>9}" for cell in [*cells, f"{result['memory_mb'][name]:.0f}"]))
    best = min(value for name, value in ms.items() if name.startswith("torch") and not name.endswith("bands"))
    ratios = best / ms["ours"], best / ms["ours, bands"]
    print(
        "torch.stft + log at its best / our spectrogram {:.2f}, / our bands {:.2f}".format(*ratios),
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rates", type=int, nargs="+", default=[16_000], help="Hz")
    parser.add_argument("--window-ms", type=float, default=20.0)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", metavar="FILE", help="save the results, with machine and versions")
    options = parser.parse_args()
    print(headline(machine()), flush=True)
    results = []
    for rate in options.rates:
        set_threads(1)
        print(in_subprocess(check, rate, options.window_ms))
        for threads in options.threads:
            set_threads(threads)
            results.append(measure(rate, options.window_ms, threads, options.rounds))
            show(results[-1])
    save(options.json, {"features": results})


if __name__ == "__main__":
    main()

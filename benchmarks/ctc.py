"""The CTC loss and its gradient with respect to the logits, compared with torch.nn.functional.ctc_loss.

    python -m benchmarks.ctc

Both start from logits (T, B, K) and end at the losses (B,) and dlogits (T, B, K). First both, in float32, are
compared with PyTorch in float64. PyTorch's loss takes log-probabilities (its gradient is right for nothing
else), so its time includes log_softmax.

A turn of the smallest case is ten calls: after the pause between turns the first one also wakes threads and
fills caches, which costs both libraries about 0.4 ms.
"""

import argparse

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

SHAPES = ((200, 16, 29, 60), (500, 32, 29, 120), (1000, 64, 29, 200))  # T, B, K, U
LOSS, GRADIENT = 1e-6, 1e-3  # float32: the lattice's errors add up over a thousand frames; |dlogits| <= 1


def draw(T: int, B: int, K: int, U: int) -> tuple[np.ndarray, ...]:
    """logits (T, B, K), lengths (B,), labels (B, U), label_lengths (B,)."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(T, B, K)).astype(np.float32)
    full = np.ones(B, np.int32)
    return logits, full * T, rng.integers(1, K, (B, U), np.int32), full * U


def ours(*shape: int):
    import minids

    batch = draw(*shape)
    return lambda: minids.ctc_loss(*batch)


def theirs(*shape: int, dtype: str = "float32"):
    import torch
    from torch.nn import functional

    array, lengths, labels, label_lengths = draw(*shape)
    logits = torch.from_numpy(array.astype(dtype)).requires_grad_()
    labels = torch.from_numpy(labels)
    lengths, label_lengths = (
        tuple(lengths.tolist()),
        tuple(label_lengths.tolist()),
    )  # no conversion in the loss

    def step():
        logits.grad = None
        losses = functional.ctc_loss(logits.log_softmax(2), labels, lengths, label_lengths, reduction="none")
        losses.sum().backward()
        return losses.detach().numpy(), logits.grad.numpy()

    return step


def calls(T: int, B: int, K: int, U: int) -> int:
    """How many make a turn."""
    return max(1, 2_000_000 // (T * B * U))


def turn(make, *shape: int):
    """All calls of a turn."""
    step = make(*shape)

    def run():
        for _ in range(calls(*shape)):
            step()

    return run


def check(*shape: int) -> dict[str, tuple[float, float]]:
    """Errors of both in the losses (relative) and gradients; ends the program where ours are too large."""
    losses, dlogits = theirs(*shape, dtype="float64")()
    errors = {}
    for name, (a, b) in {"ours": ours(*shape)(), "torch": theirs(*shape)()}.items():
        errors[name] = float(np.abs(a / losses - 1).max()), float(np.abs(b - dlogits).max())
    if not (errors["ours"][0] < LOSS and errors["ours"][1] < GRADIENT):
        raise SystemExit(f"{shape}: losses and gradients are wrong by {errors['ours']}")
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", metavar="FILE", help="keep the results, with machine and versions")
    options = parser.parse_args()
    set_threads(options.threads)
    print(f"{headline(machine())}; {options.threads} threads")
    print("errors: of the losses (relative) and of the gradients, against float64\n")
    print("| T, B, K, U | ours ms (best) | torch ms (best) | torch / ours | our errors | torch's errors |")
    print("|---|---|---|---|---|---|")
    results = []
    for shape in SHAPES:
        errors = in_subprocess(check, *shape)
        seconds, memory = timed_in_processes(
            {"ours": (turn, (ours, *shape)), "torch": (turn, (theirs, *shape))}, options.rounds
        )
        seconds = {name: [value / calls(*shape) for value in values] for name, values in seconds.items()}
        ms = {name: milliseconds(values) for name, values in seconds.items()}
        cells = [f"{ms[name]:.2f} ({best_milliseconds(seconds[name]):.2f})" for name in ms]
        cells += [f"{ms['torch'] / ms['ours']:.1f}"]
        cells += [f"{loss:.0e}, {gradient:.0e}" for loss, gradient in errors.values()]
        print(f"| {', '.join(map(str, shape))} | {' | '.join(cells)} |", flush=True)
        results.append({"shape": shape, "errors": errors, "ms": ms, "memory_mb": memory, "seconds": seconds})
        save(options.json, {"threads": options.threads, "ctc": results})


if __name__ == "__main__":
    main()

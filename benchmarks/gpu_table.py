"""What gpu.py found, to be read: each operation beside its floor and PyTorch, and the bars met or missed."""

import math
from collections.abc import Callable

PROVED = "tests", "proofs", "sanitizer", "stress"


def placed(row: dict, facts: dict, rows: list[dict]) -> dict:
    """A row with its floor, as far as the GPU's peaks are known; its loss beside that of our first step."""
    peaks = {key: facts.get(peak, math.inf) for key, peak in (("bytes", "bandwidth"), ("flops", "flops"))}
    floor = 1e3 * max(row.get(key, 0) / value for key, value in peaks.items())
    losses = [each["loss"] for each in rows if "loss" in each]
    apart = {"loss_apart": abs(row["loss"] / losses[0] - 1)} if losses and "loss" in row else {}
    return row | {"floor_ms": floor or None} | apart


def bars(results: dict) -> list[tuple[str, bool | None]]:
    """What was asked for, and whether it is so; None where it could not be measured."""
    rows = {
        row["name"]: row for row in results.get("operations", []) + results.get("steps", []) if "ms" in row
    }

    def ms(name: str) -> float:
        return rows[name]["ms"]

    asked: list[tuple[str, Callable[[], bool]]] = [
        (
            "tests, proofs, sanitizer and stress",
            lambda: all(results[part]["passed"] for part in PROVED),
        ),
        (
            "a layer >= 60 % of cuBLAS's product",
            lambda: ms("product alone, cublas") >= 0.6 * ms("layer, fp32"),
        ),
        (
            "recurrence <= 12 us a direction-step",
            lambda: rows["recurrence, persistent"]["us_a_direction_step"] <= 12,
        ),
        (
            "its backward loop <= 12 us a direction-step",
            lambda: rows["recurrence backward, loop alone, persistent"]["us_a_direction_step"] <= 12,
        ),
        ("CTC <= 0.5 ms", lambda: ms("ctc") <= 0.5),
        ("step <= 2 x the fp32 floor", lambda: ms("step, fp32") <= 2 * rows["step, fp32"]["floor_ms"]),
        ("step faster than PyTorch's with our clip", lambda: ms("step, fp32") < ms("step, torch fn")),
    ]
    told: list[tuple[str, bool | None]] = []
    for name, met in asked:
        try:
            told.append((name, met()))
        except KeyError:
            told.append((name, None))
    return told


def table(results: dict) -> str:
    """Every operation and step, then the bars.

    A recurrence's row counts all that its operation does: forward the sum of both directions, backward the
    products over all frames too; "loop alone" is the recurrence itself. "layer, cublas" takes a second pass
    for bias and clip; "product alone" does not.
    """
    head = f"{'':42}{'ms':>10}{'floor ms':>10}{'/ floor':>9}{'torch ms':>10}{'torch / ours':>13}{'error':>9}"
    lines = [head]
    for row in results.get("operations", []) + results.get("steps", []):
        ours, floor, theirs = (row.get(key) for key in ("ms", "floor_ms", "torch_ms"))
        cells = [f"{ours:10.3f}" if ours else " " * 10]
        cells += [f"{floor:10.3f}" if floor else " " * 10]
        cells += [f"{ours / floor:9.1f}" if ours and floor else " " * 9]
        cells += [f"{theirs:10.3f}" if theirs else " " * 10]
        cells += [f"{theirs / ours:13.2f}" if theirs and ours else " " * 13]
        cells += [
            f"{row['error']:9.0e}" if "error" in row else " " * 9,
            "  ",
            row.get("failed", row.get("torch_failed", "")),
        ]
        lines.append(f"{row['name']:42}" + "".join(cells).rstrip())
    lines += [
        f"{r['name']}: WER {r['wer']:.1%}, {r['minutes']:.1f} min" if "wer" in r else f"{r['name']}: {r}"
        for r in results.get("recipes", [])
    ]
    words = {True: "met", False: "MISSED", None: "not measured"}
    return "\n".join(lines + [f"{name:45} {words[met]}" for name, met in bars(results)])

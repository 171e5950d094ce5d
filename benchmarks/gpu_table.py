"""The results of gpu.py as a table: each operation, its floor and PyTorch, and which goals are met."""

import math
from collections.abc import Callable

CHECKS = "tests", "check", "sanitizer", "stress"


def with_floor(row: dict, facts: dict, rows: list[dict]) -> dict:
    """A row with its floor, if the GPU's peaks are known, and how its loss differs from our first step's."""
    peaks = {key: facts.get(peak, math.inf) for key, peak in (("bytes", "bandwidth"), ("flops", "flops"))}
    floor = 1e3 * max(row.get(key, 0) / value for key, value in peaks.items())
    losses = [other["loss"] for other in rows if "loss" in other]
    difference = {"loss_difference": abs(row["loss"] / losses[0] - 1)} if losses and "loss" in row else {}
    return row | {"floor_ms": floor or None} | difference


def goals(results: dict) -> list[tuple[str, bool | None]]:
    """Each goal, and whether it is met; None if it could not be measured."""
    rows = {
        row["name"]: row for row in results.get("operations", []) + results.get("steps", []) if "ms" in row
    }

    def ms(name: str) -> float:
        return rows[name]["ms"]

    conditions: list[tuple[str, Callable[[], bool]]] = [
        (
            "tests, check, sanitizer and stress",
            lambda: all(results[part]["passed"] for part in CHECKS),
        ),
        (
            "a layer >= 60 % of cuBLAS's product",
            lambda: ms("product alone, cublas") >= 0.6 * ms("layer, fp32"),
        ),
        (
            "recurrence <= 12 us per direction-step",
            lambda: rows["recurrence, persistent"]["us_per_direction_step"] <= 12,
        ),
        (
            "backward loop <= 12 us per direction-step",
            lambda: rows["recurrence backward, loop alone, persistent"]["us_per_direction_step"] <= 12,
        ),
        ("CTC <= 0.5 ms", lambda: ms("ctc") <= 0.5),
        ("step <= 2 x the fp32 floor", lambda: ms("step, fp32") <= 2 * rows["step, fp32"]["floor_ms"]),
        ("step faster than PyTorch with our clip", lambda: ms("step, fp32") < ms("step, torch fn")),
    ]
    outcome: list[tuple[str, bool | None]] = []
    for name, met in conditions:
        try:
            outcome.append((name, met()))
        except KeyError:
            outcome.append((name, None))
    return outcome


def table(results: dict) -> str:
    """Every operation and step, then the goals.

    The rows of the recurrence include everything the operation does: forward the sum of both directions,
    backward also the products over all frames; "loop alone" is only the recurrence. "layer, cublas" includes
    a second pass for bias and clip, "product alone" does not.
    """
    head = f"{'':42}{'ms':>10}{'floor ms':>10}{'/ floor':>9}{'torch ms':>10}{'torch / ours':>13}{'error':>9}"
    lines = [head]
    for row in results.get("operations", []) + results.get("steps", []):
        ms, floor, torch_ms = (row.get(key) for key in ("ms", "floor_ms", "torch_ms"))
        cells = [f"{ms:10.3f}" if ms else " " * 10]
        cells += [f"{floor:10.3f}" if floor else " " * 10]
        cells += [f"{ms / floor:9.1f}" if ms and floor else " " * 9]
        cells += [f"{torch_ms:10.3f}" if torch_ms else " " * 10]
        cells += [f"{torch_ms / ms:13.2f}" if torch_ms and ms else " " * 13]
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
    return "\n".join(lines + [f"{name:45} {words[met]}" for name, met in goals(results)])

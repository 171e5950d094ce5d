"""The results of gpu.py as a table: each operation, its floor and PyTorch, and which goals are met."""

import math

Rows = dict[str, dict]
OTHERS = "failed", "skipped", "passed", "epochs", "minutes", "of", "dev WER", "test WER"


def floor_ms(row: dict, gpu: dict) -> float:
    """The time that memory or float32 arithmetic alone would take; NaN if it is not known."""
    peaks = (("bytes", "byte/s"), ("flops", "flop/s"))
    return 1e3 * max(row.get(amount, 0) / gpu.get(peak, math.inf) for amount, peak in peaks) or math.nan


def goals(rows: Rows) -> list[tuple[str, float, float]]:
    """Each goal: what is measured, its value, NaN if there is none, and the limit that it must not exceed."""

    def value(name: str, key: str = "ms") -> float:
        return rows.get(name, {}).get(key, math.nan)

    verified = [row for name, row in rows.items() if name.startswith(("test ", "check "))]
    floor = floor_ms(rows.get("step, fp32", {}), rows.get("gpu", {}))
    return [
        ("tests and checks that failed", sum("failed" in r for r in verified) if verified else math.nan, 0),
        *(
            (f"{name}, time / cuBLAS's", value(f"{name}, fp32") / value(f"{name}, cublas"), 1 / 0.65)
            for name in ("layer", "input gradient", "weight gradient")
        ),
        *(
            (f"{name}, us per direction-step", value(f"{name}, persistent", "us/direction-step"), 6)
            for name in ("recurrence", "recurrence backward")
        ),
        ("step, time / its float32 floor", value("step, fp32") / floor, 1.5),
        ("step, time / PyTorch's exact step", value("step, fp32") / value("torch step, fp32"), 1),
        ("AN4, WER of its test set (a CPU's interval)", value("train an4", "test WER"), 0.135),
    ]


def table(rows: Rows) -> str:
    """Every row, then the goals. The floor is that of float32, also where tensor cores compute."""
    lines = [f"{'':42}{'ms':>10}{'floor ms':>10}{'/ floor':>9}{'torch ms':>10}{'/ ours':>9}{'error':>9}"]
    for name, row in rows.items():
        floor, torch = floor_ms(row, rows.get("gpu", {})), rows.get(f"torch {name}", {}).get("ms", math.nan)
        ms, error = row.get("ms", math.nan), row.get("error", math.nan)
        cells = f"{ms:10.3f}{floor:10.3f}{ms / floor:9.1f}{torch:10.3f}{torch / ms:9.2f}{error:9.0e}"
        others = ", ".join(f"{key} {row[key]}"[:100] for key in OTHERS if key in row)
        lines.append(f"{name:42}{cells.replace('nan', '   ')}  {others}".rstrip())
    for text, value, limit in goals(rows):
        verdict = "not measured" if math.isnan(value) else "met" if value <= limit else "MISSED"
        lines.append(f"{text:46}{value:10.3f}, at most {limit:.3g}: {verdict}")
    return "\n".join(lines)

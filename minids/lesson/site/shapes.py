"""SVG elements in the colors of the page, as text: the shapes of the drawings."""

from collections.abc import Iterable

import numpy as np

from minids.plot import ACCENT, GRAY, PALETTE, SIGNAL

INK = "currentColor"
FONT = "ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace"


def _css(color: str) -> str:
    return f"var(--c{color[1:]}, {color})"


BLUE, RED, FAINT = _css(SIGNAL), _css(ACCENT), _css(GRAY)
COLORS = [_css(color) for color in PALETTE]


def rect(x, y, width, height, fill, opacity=1.0, extra="") -> str:
    return (
        f'<rect x="{x:.4g}" y="{y:.4g}" width="{width:.4g}" height="{height:.4g}" rx="2" fill="{fill}"'
        f' opacity="{opacity:.2g}" {extra}/>'
    )


def circle(x, y, radius, fill, opacity=1.0, extra="") -> str:
    return f'<circle cx="{x:.4g}" cy="{y:.4g}" r="{radius}" fill="{fill}" opacity="{opacity:.2g}" {extra}/>'


def line(points: Iterable, color, width=2.0, opacity=1.0, extra="") -> str:
    path = " ".join(f"{x:.4g},{y:.4g}" for x, y in points)
    return (
        f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width}"'
        f' opacity="{opacity:.2g}" stroke-linejoin="round" stroke-linecap="round" {extra}/>'
    )


def text(x, y, content, size=20, color=INK, anchor="middle", weight=700) -> str:
    return (
        f'<text x="{x:.4g}" y="{y:.4g}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}"'
        f' font-family="{FONT}" fill="{color}">{content}</text>'
    )


def arrow(x0, y0, x1, y1, color, width=2.0) -> str:
    dx, dy = np.array([x1 - x0, y1 - y0]) / np.hypot(x1 - x0, y1 - y0) * 6
    head = [(x1 - dx - 0.6 * dy, y1 - dy + 0.6 * dx), (x1, y1), (x1 - dx + 0.6 * dy, y1 - dy - 0.6 * dx)]
    return line([(x0, y0), (x1, y1)], color, width) + line(head, color, width)


def wave(samples, x, y, width, height, color, opacity=1.0) -> str:
    """Samples as a filled area around the height y."""
    parts = np.array_split(samples, int(width / 1.5))
    limit = abs(samples).max()
    xs = x + np.arange(len(parts)) * width / (len(parts) - 1)
    upper = [(a, y - max(0.6, height / 2 * part.max() / limit)) for a, part in zip(xs, parts, strict=True)]
    lower = [(a, y - min(-0.6, height / 2 * part.min() / limit)) for a, part in zip(xs, parts, strict=True)]
    path = " ".join(f"{a:.1f},{b:.1f}" for a, b in upper + lower[::-1])
    return f'<polygon points="{path}" fill="{color}" opacity="{opacity:.2g}"/>'

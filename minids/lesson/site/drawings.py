"""A small drawing for each lesson, made for a card: 320 units wide, of few shapes, with no small words."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from minids.audio import load_audio
from minids.lesson import folder, player
from minids.lesson.site.shapes import BLUE, COLORS, FAINT, INK, RED, arrow, circle, line, rect, text, wave

WIDTH, HEIGHT = 320, 150


def thumbnail(number: int) -> str:
    """The drawing of a lesson as <svg>; "" if there is none."""
    if number not in DRAWINGS:
        return ""
    view = f'viewBox="0 0 {WIDTH} {HEIGHT}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {view} aria-hidden="true">{DRAWINGS[number]()}</svg>'


def _sound() -> tuple[np.ndarray, int]:
    return load_audio(folder.data("two_five.flac"))


def hear() -> str:
    samples, rate = _sound()
    x = player.log_powers(samples, rate)[:, :81]
    low, high = np.percentile(x, player.COLOR_RANGE)
    url = player.png(np.clip((x - low) / (high - low), 0, 1))
    image = f'<image href="{url}" x="0" y="50" width="320" height="100" preserveAspectRatio="none"/>'
    return wave(samples, 0, 25, WIDTH, 42, BLUE) + image


def letters() -> str:
    path, word = "–ff–ii–vv–e–", "five"
    drawn = ""
    for i, symbol in enumerate(path):
        color = FAINT if symbol == "–" else COLORS[word.index(symbol)]
        drawn += rect(10 + 25 * i, 28, 22, 34, color, 0.25) + text(21 + 25 * i, 52, symbol, 20, color)
        if symbol != "–" and path[i - 1] != symbol:
            x = 115 + 30 * word.index(symbol)
            drawn += line([(21 + 25 * i, 66), (x, 96)], color, 1.5, 0.7)
            drawn += text(x, 122, symbol, 30, color)
    return drawn


def layer() -> str:
    rng = np.random.default_rng(3)
    columns = [(45, 4), (160, 5), (275, 3)]
    places = [[(x, 75 + (i - (n - 1) / 2) * 28) for i in range(n)] for x, n in columns]
    drawn = ""
    for left, right in pairwise(places):
        for a in left:
            for b in right:
                w = rng.normal()
                drawn += line([a, b], BLUE if w > 0 else RED, 0.6 + 1.4 * abs(w), 0.55)
    return drawn + "".join(
        circle(*at, 10, "var(--box)", extra=f'stroke="{INK}" stroke-width="2"')
        for column in places
        for at in column
    )


def time() -> str:
    drawn = ""
    for t in range(5):
        x = 40 + 60 * t
        drawn += arrow(x, 128, x, 112, FAINT) + arrow(x, 34, x, 16, FAINT)
        if t < 4:
            drawn += arrow(x + 13, 52, x + 46, 52, BLUE, 2.5) + arrow(x + 47, 94, x + 14, 94, RED, 2.5)
        drawn += rect(x - 11, 41, 22, 22, BLUE, 0.75) + rect(x - 11, 83, 22, 22, RED, 0.75)
    return drawn


def _lattice_places() -> list[list[tuple[float, float]]]:
    return [[(38 + 49 * t, 20 + 18.5 * s) for s in range(7)] for t in range(6)]


def _lattice_edges(bold: list[int]) -> str:
    places, drawn = _lattice_places(), ""
    for t in range(5):
        for s in range(7):
            for step in range(3 if s % 2 and s < 5 else 2):
                if s + step < 7:
                    on = bold[t] == s and bold[t + 1] == s + step
                    style = (RED, 3.0, 1.0) if on else (FAINT, 1.0, 0.7)
                    drawn += line([places[t][s], places[t + 1][s + step]], *style)
    return drawn


def align() -> str:
    bold = [0, 1, 3, 3, 5, 6]
    drawn = _lattice_edges(bold)
    for t, column in enumerate(_lattice_places()):
        for s, at in enumerate(column):
            drawn += circle(*at, 6.5, RED if bold[t] == s else BLUE if s % 2 else FAINT)
    return drawn + "".join(text(14, 26 + 18.5 * s, "cat"[s // 2], 19, BLUE) for s in (1, 3, 5))


def blame() -> str:
    push = np.array([0.9, -0.35, 0.55, -0.8, 0.2, 0.75, -0.6, -0.15, 0.4, -0.9, 0.65])
    drawn = line([(12, 75), (308, 75)], INK, 1.5)
    for i, p in enumerate(push):
        x, color = 20 + 26 * i, BLUE if p > 0 else RED
        drawn += rect(x, 75 - 58 * max(p, 0), 18, 58 * abs(p), color, 0.8)
    return drawn


def learn() -> str:
    center, drawn = np.array([205.0, 80]), ""
    for k in range(5, 0, -1):
        drawn += f'<ellipse cx="205" cy="80" rx="{24 * k}" ry="{12.5 * k}" fill="{BLUE}" opacity="0.13"/>'
    place, velocity, path = np.array([28.0, 24]), np.zeros(2), []
    for _ in range(60):
        path.append(place)
        slope = (place + 0.85 * velocity - center) * (0.02, 0.09)
        velocity = 0.85 * velocity - slope
        place = place + velocity
    return (
        drawn
        + line(path, RED, 2.5)
        + "".join(circle(x, y, 3.2, RED) for x, y in path[:14])
        + circle(center[0], center[1], 4, INK)
    )


def batch() -> str:
    drawn = ""
    for i, length in enumerate((280, 262, 225, 150, 96)):
        y = 14 + 25 * i
        drawn += rect(20, y, 280, 19, FAINT, 0.25) + rect(20, y, length, 19, BLUE, 0.85)
        drawn += "".join(
            line([(20 + x, y), (20 + x, y + 19)], "var(--box)", 1.2) for x in range(20, length, 20)
        )
    return drawn


def noise() -> str:
    samples, _ = _sound()
    static = np.random.default_rng(9).normal(size=len(samples)) * np.linspace(0, 0.6, len(samples)) ** 1.5
    return wave(static, 0, 75, WIDTH, 140, RED, 0.4) + wave(samples, 0, 75, WIDTH, 110, BLUE)


def search() -> str:
    tree = {(0, 75): [(1, 38), (1, 112)], (1, 38): [(2, 20), (2, 56)], (1, 112): [(2, 94), (2, 131)]}
    tree |= {(2, 56): [(3, 38), (3, 74)], (2, 20): [(3, 14)], (2, 94): [(3, 98), (3, 125)]}
    kept = {(0, 75), (1, 38), (1, 112), (2, 56), (2, 94), (3, 38), (3, 98)}
    best = [(0, 75), (1, 38), (2, 56), (3, 38)]
    drawn = ""
    for a, following in tree.items():
        for b in following:
            on = a in best and b in best
            color = RED if on else BLUE if b in kept else FAINT
            drawn += line([(40 + 80 * n, y) for n, y in (a, b)], color, 3.5 if on else 2)
    places = {*tree, *(b for following in tree.values() for b in following)}
    for n, y in sorted(places):
        color = RED if (n, y) in best else BLUE if (n, y) in kept else FAINT
        drawn += circle(40 + 80 * n, y, 8 if (n, y) in kept else 5, color)
    return drawn


def language() -> str:
    drawn = text(20, 84, "he", 30, anchor="start")
    for i, (word, p) in enumerate((("can", 1.0), ("ran", 0.55), ("nice", 0.12))):
        y = 24 + 40 * i
        drawn += rect(150, y, 150 * p, 26, RED if i == 0 else BLUE, 0.8)
        drawn += text(140, y + 20, word, 22, anchor="end") + line([(62, 75), (80, y + 13)], FAINT, 1.5)
    return drawn


def score() -> str:
    drawn = ""
    for i, (a, b) in enumerate(zip("sit·", "set·", strict=True)):
        a, b = ("", "s") if i == 3 else (a, b)
        color = FAINT if a == b else RED
        x = 50 + 62 * i
        for y, symbol in ((18, a), (86, b)):
            drawn += rect(x, y, 46, 46, color, 0.3) + text(x + 23, y + 33, symbol, 30, INK)
        drawn += line([(x + 23, 66), (x + 23, 84)], color, 2.5)
    return drawn


def compiled() -> str:
    bars = (("Python", 284, RED), ("NumPy", 62, BLUE), ("compiled", 14, COLORS[2]))
    return "".join(
        text(18, 28 + 46 * i, name, 15, anchor="start") + rect(18, 33 + 46 * i, width, 14, color, 0.85)
        for i, (name, width, color) in enumerate(bars)
    )


def real() -> str:
    t = np.arange(30)
    train, test = 118 * np.exp(-t / 7) + 10, 100 * np.exp(-t / 6) + 34 + 0.045 * np.maximum(t - 12, 0) ** 2
    drawn = line([(24, 12), (24, 136), (306, 136)], INK, 1.5)
    for values, color in ((train, BLUE), (test, RED)):
        drawn += line([(26 + 9.5 * a, 134 - 0.92 * v) for a, v in zip(t, values, strict=True)], color, 3)
    best = int(test.argmin())
    return drawn + circle(26 + 9.5 * best, 134 - 0.92 * test[best], 6, RED)


def before() -> str:
    drawn = "".join(
        rect(14 + 50 * i, 22, 40, 34, FAINT, 0.5)
        + (arrow(55 + 50 * i, 39, 63 + 50 * i, 39, INK, 1.5) if i < 5 else "")
        for i in range(6)
    )
    network = rect(14, 92, 290, 38, BLUE, 0.85)
    dots = "".join(circle(60 + 50 * i, 111, 6, "var(--box)") for i in range(5))
    return drawn + network + dots


def recognizer() -> str:
    samples, _ = _sound()
    lines = (70, 96, 52, 84, 40, 76, 60)
    code = rect(112, 12, 104, 126, "var(--paper)", 1, f'stroke="{INK}" stroke-width="1.5"')
    for i, length in enumerate(lines):
        indent = 8 if i in (0, 4) else 18
        code += rect(
            112 + indent, 26 + 15 * i, min(length, 86 - indent + 8), 6, COLORS[(0, 2, 4, 0, 3, 0, 2)[i]], 0.75
        )
    sound = wave(samples, 6, 75, 80, 70, BLUE) + arrow(90, 75, 106, 75, INK) + arrow(221, 75, 237, 75, INK)
    return sound + code + text(279, 70, "two", 22, RED) + text(279, 98, "five", 22, RED)


def you() -> str:
    microphone = (
        f'<rect x="142" y="18" width="36" height="66" rx="18" fill="{RED}"/>'
        f'<path d="M128 66a32 32 0 0 0 64 0M160 100v26M138 128h44" fill="none" stroke="{INK}"'
        ' stroke-width="4" stroke-linecap="round"/>'
    )
    rings = "".join(
        f'<path d="M{160 + side * (52 + 22 * k)} {40 - 8 * k}a{26 + 14 * k} {26 + 14 * k} 0 0'
        f' {int(side > 0)} 0 {24 + 16 * k}" fill="none" stroke="{BLUE}" stroke-width="3.5"'
        f' opacity="{0.9 - 0.22 * k:.2g}" stroke-linecap="round"/>'
        for k in range(4)
        for side in (-1, 1)
    )
    return microphone + rings


def threads() -> str:
    return "".join(
        rect(22 + 35 * i, 15 + 32 * j, 27, 24, BLUE if (i + j) % 8 else RED, 0.25 + 0.09 * i)
        for i in range(8)
        for j in range(4)
    )


def tiles() -> str:
    def matrix(x, y, columns, rows, marked) -> str:
        return "".join(
            rect(
                x + 15 * i, y + 15 * j, 13, 13, RED if marked(i, j) else BLUE, 0.85 if marked(i, j) else 0.35
            )
            for i in range(columns)
            for j in range(rows)
        )

    left = matrix(28, 66, 5, 5, lambda i, j: 2 <= j <= 3)
    above = matrix(124, 8, 7, 3, lambda i, j: 3 <= i <= 4)
    return (
        left
        + above
        + matrix(124, 66, 7, 5, lambda i, j: 3 <= i <= 4 and 2 <= j <= 3)
        + text(262, 108, "×", 40, INK)
    )


def wavefront() -> str:
    drawn = ""
    for i in range(13):
        for j in range(6):
            front = i - j
            color = RED if front == 5 else BLUE
            drawn += circle(
                22 + 23 * i, 18 + 23 * j, 8, color, 1 if front == 5 else 0.75 if front < 5 else 0.15
            )
    return drawn


def convolution() -> str:
    places = [(86 + 56 * np.cos(a), 75 + 56 * np.sin(a)) for a in np.arange(16) * np.pi / 8]
    ring = f'<circle cx="86" cy="75" r="56" fill="none" stroke="{FAINT}" stroke-width="1.5"/>'
    pair = line([places[2], places[14]], RED, 2)
    points = "".join(circle(x, y, 7, RED if i in (2, 14) else BLUE) for i, (x, y) in enumerate(places))
    return ring + pair + points + rect(180, 40, 120, 26, FAINT, 0.6) + rect(180, 84, 24, 26, RED, 0.85)


DRAWINGS: dict[int, Callable[[], str]] = dict(
    enumerate(
        (
            *(hear, letters, layer, time, align, blame, learn, batch, noise, search, language, score),
            *(compiled, real, before, recognizer, you, threads, tiles, wavefront, convolution),
        ),
        start=1,
    )
)

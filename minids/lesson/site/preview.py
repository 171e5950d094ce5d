"""The top of the index, a sound and the letters that a network reads in it, and the picture for links."""

import io
from typing import TYPE_CHECKING

import numpy as np

from minids.audio import load_audio
from minids.html.page import notebook_fragment, unpacked
from minids.lesson import folder, player
from minids.plot.recognition import character_color
from minids.plot.svg import DARK_COLORS
from minids.recognizer import Recognizer

if TYPE_CHECKING:
    from markupsafe import Markup

SOUND, MODEL = "three_one_four.flac", "digits.safetensors"
SIZE = 12.0, 6.3  # inches, at 100 pixels per inch: what services show for a link


def hero() -> "tuple[Markup, list[str], list[str]]":
    """A player of a recording and its letters, with its style sheets and scripts."""
    recognizer = Recognizer.load(folder.data(MODEL))
    path = folder.data(SOUND)
    samples, _ = load_audio(path, recognizer.features.rate)
    log_probs = recognizer.log_probs(samples)
    html = player.player(path, None, log_probs, recognizer.alphabet, None, "", "three one four")
    return html, *unpacked(notebook_fragment("", player.ASSETS))[1:]


def png() -> bytes:
    """The recording's spectrogram and the letters in it, 1200 by 630 pixels."""
    from matplotlib.figure import Figure
    from PIL import Image

    recognizer = Recognizer.load(folder.data(MODEL))
    samples, rate = load_audio(folder.data(SOUND), recognizer.features.rate)
    log_probs = recognizer.log_probs(samples)
    figure = Figure(figsize=SIZE, facecolor="#15171a")
    image = figure.add_axes((0, 0.27, 1, 0.45))
    x = player.log_powers(samples, rate)
    low, high = np.percentile(x, player.COLOR_RANGE)
    image.imshow(
        x.T, origin="lower", aspect="auto", cmap="magma", interpolation="bicubic", vmin=low, vmax=high
    )
    letters = figure.add_axes((0, 0.05, 1, 0.2))
    for symbol, start, end, percents, k in player.runs(log_probs, recognizer.alphabet, len(log_probs)):
        if not symbol:
            continue
        color = DARK_COLORS[character_color(k)]
        letters.bar(start + np.arange(len(percents)), percents, width=1, align="edge", color=color, alpha=0.8)
        letters.text((start + end) / 2, 108, symbol, color=color, fontsize=23, weight="bold", ha="center")
    letters.set(xlim=(0, len(log_probs)), ylim=(0, 160))
    for axes in image, letters:
        axes.axis("off")
    figure.text(0.04, 0.87, "Deep Speech, lesson by lesson", color="white", fontsize=36, weight="bold")
    figure.text(
        0.04, 0.78, "From a sound wave to “now I could write it myself”", color="#c9ccd1", fontsize=22
    )
    file, reduced = io.BytesIO(), io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    Image.open(file).convert("RGB").quantize(96).save(reduced, "PNG", optimize=True)
    return reduced.getvalue()

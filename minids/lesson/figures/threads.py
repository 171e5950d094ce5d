"""Which thread reads and writes what, as recorded by `minids.cuda_simulator.trace()`.

The threads of a block run side by side: their n-th accesses after a barrier are drawn as one moment.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from minids.lesson.figures import arrow, rectangle
from minids.plot import ACCENT, FAINT, INK, PALETTE, SIGNAL, is_narrow, subplots, two_widths

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from minids.cuda_simulator import Access

SECTOR = 32  # bytes, the unit in which a GPU accesses memory
FLOAT = 4  # bytes
_CELL = 0.36  # inches
_SHADE = 0.35  # alpha of the color behind a text


def moments(accesses: "Sequence[Access]") -> "list[list[Access]]":
    """The accesses that happen at the same time: the n-th one of every thread after a barrier."""
    seen: Counter[tuple] = Counter()
    groups: dict[tuple, list[Access]] = {}
    for access in accesses:
        who = (access.block, access.thread, access.epoch)
        groups.setdefault((access.epoch, seen[who]), []).append(access)
        seen[who] += 1
    return [groups[key] for key in sorted(groups)]


def sectors(moment: "Sequence[Access]", shape: tuple[int, ...]) -> set[int]:
    """The sectors of 32 bytes that are transferred for these accesses of one float32 array."""
    return {int(np.ravel_multi_index(access.element, shape)) * FLOAT // SECTOR for access in moment}


def caption(moment: "Sequence[Access]") -> str:
    """A description such as “after 1 barrier: 8 threads write partial”."""
    threads: dict[tuple[str, str], set] = {}
    for access in moment:
        threads.setdefault((access.kind, access.array), set()).add((access.block, access.thread))
    done = [
        f"{len(who)} threads {kind} {array}" if len(who) > 1 else f"1 thread {kind}s {array}"
        for (kind, array), who in threads.items()
    ]
    passed = moment[0].epoch - 1
    return (f"after {passed} barrier{'s' * (passed > 1)}: " if passed else "") + ", ".join(done)


@two_widths
def exchange(
    accesses: "Sequence[Access]", arrays: Mapping[str, np.ndarray], threads: int, blocks: int, upto: int
) -> "Figure":
    """The accesses of moment `upto`: threads in the middle, arrays that are only read on the left.

    `arrays`: the values of each array by its name in the kernel, NaN for shared arrays. A written element
    shows its value from that moment on, in shared memory the thread that wrote it. A cell has the color of
    the last thread that accessed it; arrows show the direction of the data. Blocks and threads have one
    dimension.
    """
    steps = moments(accesses)
    written = {access.array for access in accesses if access.kind == "write"}
    tables = {name: values.reshape(len(values), -1) for name, values in arrays.items()}
    tables = dict(sorted(tables.items(), key=lambda item: item[0] in written))
    rows = max(blocks * (threads + 1), *(len(table) for table in tables.values()))
    corners, x = {}, 0.0  # of each table: the left edge and the top
    middle = 2.5 + sum(table.shape[1] + 1 for name, table in tables.items() if name not in written)
    for name, table in tables.items():
        x = max(x, middle + 3) if name in written else x
        corners[name] = x, (rows - len(table)) / 2
        x += table.shape[1] + 1
    top = (rows - blocks * (threads + 1)) / 2 + 1
    places = {(b, i): (middle, top + b * (threads + 1) + i) for b in range(blocks) for i in range(threads)}
    figure, axes = subplots(min(8, _CELL * (x + 1)), _CELL * (rows + 2))
    past = [access for step in steps[: upto + 1] for access in step]
    for name, table in tables.items():
        left, above = corners[name]
        accesses_here = [access for access in past if access.array == name]
        ground = {_cell(access): (_color(access, threads), _SHADE) for access in accesses_here}
        texts = _texts(table, accesses_here) if name in written else table
        _cells(axes, texts, left, above, ground)
        axes.text(left + table.shape[1] / 2, above - 0.25, name, ha="center", color=INK)
    for access in steps[upto]:
        row, column = _cell(access)
        left, above = corners[access.array]
        px, py = places[_who(access)]
        right = left > px
        cell = left + column + (not right), above + row + 0.5
        thread = px + (0.5 if right else -0.5), py
        ends = (cell, thread) if access.kind == "read" else (thread, cell)
        arrow(axes, *ends, _color(access, threads), 1.5)
    active = {_who(access): _color(access, threads) for access in steps[upto]}
    for (block, i), (px, py) in places.items():
        axes.plot(px, py, "o", markersize=17, color=active.get((block, i), FAINT), alpha=0.4)
        axes.text(px, py, f"t{i}", ha="center", va="center", fontsize=9, color=INK)
        if i == 0:
            axes.text(px, py - 0.65, f"block {block}", ha="center", va="bottom", fontsize=9, color=INK)
    axes.set(xlim=(-0.5, x - 0.5), ylim=(rows + 0.5, -1.2), aspect="equal")
    axes.axis("off")
    return figure


@two_widths
def memory(accesses: "Sequence[Access]", array: str, shape: tuple[int, ...], title: str) -> "Figure":
    """The first access of an array by a block: its elements in memory, and the sectors that are transferred.

    shape (…, F) of float32, F a multiple of 8. An element that is read shows the number of its thread, except
    on a phone; frames mark the sectors of 32 bytes.
    """
    reads = [access for access in accesses if access.array == array and access.kind == "read"]
    moment = [access for access in moments(reads)[0] if access.block == reads[0].block]
    rows, F = int(np.prod(shape[:-1])), shape[-1]
    figure, axes = subplots(8, 0.6 + 0.3 * rows, narrow_height=0.9 + 0.2 * rows)
    texts, ground = np.full((rows, F), "", object), {}
    for access in moment:
        cell = divmod(int(np.ravel_multi_index(access.element, shape)), F)
        ground[cell] = SIGNAL, _SHADE
        if not is_narrow():
            texts[cell] = f"{access.thread[0]}"
    _cells(axes, texts, 0, 0, ground)
    transferred = sectors(moment, shape)
    for sector in transferred:
        row, column = divmod(sector * SECTOR // FLOAT, F)
        rectangle(axes, (column, row), SECTOR // FLOAT, 1, fill=False, edgecolor=ACCENT, linewidth=2)
    separator = "\n" if is_narrow() else ": "
    title += f"{separator}{FLOAT * len(moment)} bytes used, {SECTOR * len(transferred)} bytes transferred"
    axes.set(xlim=(-0.2, F + 0.2), ylim=(rows + 0.2, -0.2), title=title)
    axes.axis("off")
    return figure


def _texts(table: np.ndarray, accesses: "Sequence[Access]") -> np.ndarray:
    """The cells of a written array: the values so far, or the writing thread if they are not known."""
    texts = np.full(table.shape, "", object)
    for access in accesses:
        if access.kind == "write":
            number = table[_cell(access)]
            texts[_cell(access)] = f"t{access.thread[0]}" if np.isnan(number) else f"{number:g}"
    return texts


def _cells(axes: "Axes", texts: np.ndarray, left: float, above: float, ground: Mapping) -> None:
    """Draw a table with its upper left corner at (left, above); `ground` is {cell: (color, alpha)}."""
    for (row, column), text in np.ndenumerate(texts):
        x, y = left + column, above + row
        shade = ground.get((row, column), "none")
        rectangle(axes, (x, y), 1, 1, facecolor=shade, edgecolor=FAINT, linewidth=0.8)
        shown = text if isinstance(text, str) else f"{text:g}"
        axes.text(x + 0.5, y + 0.5, shown, ha="center", va="center", fontsize=9, color=INK)


def _who(access: "Access") -> tuple[int, int]:
    return access.block[0], access.thread[0]


def _cell(access: "Access") -> tuple[int, int]:
    """The row and column of an element in the drawing."""
    element = access.element
    return element if len(element) == 2 else (element[0], 0)  # type: ignore[return-value]


def _color(access: "Access", threads: int) -> str:
    return PALETTE[(access.block[0] * threads + access.thread[0]) % len(PALETTE)]

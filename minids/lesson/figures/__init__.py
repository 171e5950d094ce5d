"""The figures of the lessons, and the shapes that they share."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[float, float]


def rectangle(
    axes: "Axes", corner: Point, width: float, height: float, radius: float = 0.0, **style: Any
) -> None:
    """Draw a rectangle, without its edge unless `style` has an edgecolor, with corners of a radius."""
    from matplotlib.patches import FancyBboxPatch, Rectangle

    style = style if "edgecolor" in style else style | {"linewidth": 0}
    if radius:
        shape = f"round,pad=0,rounding_size={radius}"
        axes.add_patch(FancyBboxPatch(corner, width, height, shape, **style))
    else:
        axes.add_patch(Rectangle(corner, width, height, **style))


def arrow(axes: "Axes", start: Point, end: Point, color: str, width: float = 1.4, **style: Any) -> None:
    """Draw an arrow from point to point."""
    shape = {"arrowstyle": "->", "color": color, "linewidth": width, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=shape | style)

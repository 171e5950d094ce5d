"""What a reader sees in a figure: the texts of its SVG."""

from xml.etree import ElementTree

from minids.plot.svg import svg


def texts(figure):
    """The texts of a figure, in the order in which they are drawn."""
    root = ElementTree.fromstring(svg(figure, "", "x"))
    return [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]

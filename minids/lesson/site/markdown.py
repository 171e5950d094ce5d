"""Markdown with formulas as HTML: $…$ and $$…$$ become MathML, links between lessons lead to their pages."""

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt


def html(text: str) -> str:
    """The HTML of a text. A link to a lesson becomes one to its page; others that leave the site, plain text.

    Raises latex2mathml's errors for a formula that it does not know.
    """
    made = _parser().render(text)
    made = re.sub(r'href="(?:[./\w-]*/)?(\d\d_\w+)\.py"', r'href="\1.html"', made)
    made = re.sub(r'<a href="(?!\w+\.html|#)[^"]*">(.*?)</a>', r"\1", made, flags=re.DOTALL)
    return made.replace("<table>", '<div class="scroll" tabindex="0"><table>').replace(
        "</table>", "</table></div>"
    )


@cache
def _parser() -> "MarkdownIt":
    from latex2mathml.converter import convert
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    def formula(latex: str, how: dict) -> str:
        return convert(latex, display="block" if how["display_mode"] else "inline")

    return (
        MarkdownIt("commonmark").enable("table").use(dollarmath_plugin, renderer=formula, double_inline=True)
    )

"""Markdown with formulas as HTML: $…$ and $$…$$ become MathML, links between lessons lead to their pages."""

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markupsafe import Markup


def html(text: str) -> "Markup":
    """The HTML of a text. Links to lessons lead to their pages; other links out of the site become text.

    Raises the error of latex2mathml for a formula that it does not know.
    """
    from markupsafe import Markup

    rendered = _parser().render(text)
    rendered = re.sub(r'href="(?:[./\w-]*/)?(\d\d_\w+)\.py"', r'href="\1.html"', rendered)
    rendered = re.sub(r'<a href="(?!\w+\.html|#)[^"]*">(.*?)</a>', r"\1", rendered, flags=re.DOTALL)
    rendered = rendered.replace("<table>", '<div class="scroll" tabindex="0"><table>')
    return Markup(rendered.replace("</table>", "</table></div>"))


@cache
def _parser() -> "MarkdownIt":
    from latex2mathml.converter import convert
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    def formula(latex: str, options: dict) -> str:
        return convert(latex, display="block" if options["display_mode"] else "inline")

    parser = MarkdownIt("commonmark").enable("table")
    return parser.use(dollarmath_plugin, renderer=formula, double_inline=True)

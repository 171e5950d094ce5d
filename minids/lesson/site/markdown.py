"""Markdown with formulas as HTML: $…$ and $$…$$ become MathML, links between lessons lead to their pages."""

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

# A formula, or short code that is not one word, with the punctuation around it: no line ends inside.
_UNBROKEN = re.compile(
    r'[(“‘]*(?:<span class="math inline">(?:(?!</span>).)*</span>'
    r"|(?<!<pre>)<code>(?=\w*[^\w<])[^<]{1,24}</code>)[.,;:!?)”’]*",
    re.DOTALL,
)


def html(text: str, link: Callable[[str], str | None] = lambda target: None) -> Markup:
    """The HTML of a text. Links to lessons lead to their pages; sections have ids, as contents need them.

    `link` gives the URL of any other link out of the site, or None, which makes it text. Raises the error of
    latex2mathml for a formula that it does not know.
    """

    def resolve(match: re.Match) -> str:
        lesson = re.fullmatch(r"(?:[./\w-]*/)?(\d\d_\w+)\.py", match[1])
        target = f"{lesson[1]}.html" if lesson else match[1] if match[1].startswith("#") else link(match[1])
        return f'<a href="{target}">{match[2]}</a>' if target else match[2]

    rendered = _parser().render(text)
    rendered = re.sub(r'<a href="([^"]*)">(.*?)</a>', resolve, rendered, flags=re.DOTALL)
    rendered = re.sub(r"<h2>(.*?)</h2>", lambda m: f'<h2 id="{slug(m[1])}">{m[1]}</h2>', rendered)
    rendered = _UNBROKEN.sub(r'<span class="together">\g<0></span>', rendered)
    rendered = rendered.replace("<table>", '<div class="scroll" tabindex="0"><table>')
    return Markup(rendered.replace("</table>", "</table></div>"))


def inline(text: str) -> Markup:
    """The HTML of a line, without a paragraph around it."""
    return Markup(_parser().renderInline(text))


def plain(text: str) -> str:
    """The text of a line, with the quotation marks and apostrophes of print."""
    return Markup(re.sub(r"<[^>]*>", "", inline(text))).unescape()


def slug(heading: str) -> str:
    """The id of a section: "Why 20 milliseconds?" is at #why-20-milliseconds."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"<[^>]*>|&\w+;", "", heading).lower())
    return "-".join(words) or "section"


@cache
def _parser() -> "MarkdownIt":
    from latex2mathml.converter import convert
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    def formula(latex: str, options: dict) -> str:
        return convert(latex, display="block" if options["display_mode"] else "inline")

    parser = MarkdownIt("commonmark", {"typographer": True}).enable(["table", "smartquotes"])
    return parser.use(dollarmath_plugin, renderer=formula, double_inline=True)

"""A report's Markdown as one HTML page that needs nothing beside it: its figures are put inside.

What is written in the Markdown is shown and never interpreted: no raw HTML, no link that runs
something, no image but the figures that lie beside the report.
"""

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.token import Token
from markupsafe import Markup

from gdlib.core.errors import GdlibError
from gdlib.core.products import INSET
from gdlib.core.templates import templates

SCROLLED = '<div class="scroll{}" tabindex="0">{}</div>'
"""A wide table is scrolled by itself, also with the keyboard; on paper its letters are small."""
WIDE = 6  # columns beyond which a table is wide
FOLDED = "<details><summary>Show all {} rows</summary>{}</details>"
ROWS = 15  # beyond which a table is folded
LONG = 24  # characters of a cell beyond which its column is given room


def render_folder(folder: Path) -> Path:
    """Write the HTML pages of a report that has its Markdown (a published one, say).

    Returns:
        The path of ``report.html``.

    Raises:
        GdlibError: the folder holds no report.
    """
    if not (folder / "report.md").is_file():
        raise GdlibError(f'no report in "{folder}"; expected a folder with a report.md')
    for source in (folder / "timings.md", folder / "report.md"):
        if source.is_file():
            page = source.with_suffix(".html")
            inset = folder / INSET
            inside = inset.read_text("utf-8") if source.stem == "report" and inset.is_file() else ""
            page.write_text(render(source.read_text("utf-8"), folder, inside), "utf-8")
    return page


def render(text: str, folder: Path, inset: str = "") -> str:
    """Markdown as an HTML page.

    Args:
        text: the Markdown, starting with a heading, which becomes the title.
        folder: where the Markdown lies: its figures are in ``figures/`` there.
        inset: HTML of our own, which stands before the first section.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("image", image)
    context: dict[str, Any] = {"folder": folder}
    tokens = parser.parse(text, context)
    sections = _mark(tokens)
    body = parser.renderer.render(tokens, parser.options, context)
    body = re.sub("<table>.*?</table>", _table, body, flags=re.DOTALL)
    opening, heading, rest = body.partition("<h2")
    template = templates(autoescape=True).get_template("page.html.j2")
    return template.render(
        title=_plain_text(tokens[1]),
        sections=sections,
        opening=Markup(opening),
        inset=Markup(inset),
        body=Markup(heading + rest),
    )


def _table(match: re.Match[str]) -> str:
    """A table in its box, folded if it is long; its headers say that they are of columns."""
    table = re.sub(r"<th\b(?!ead)", '<th scope="col"', match[0])
    wide, rows = " wide" * (table.count("<th ") > WIDE), table.count("<tr>") - 1
    scrolled = SCROLLED.format(wide, table)
    return FOLDED.format(rows, scrolled) if rows > ROWS else scrolled


def _mark(tokens: Sequence[Token]) -> list[tuple[str, str, str]]:
    """Give the tokens what the page's style and links need.

    Sections get anchors; captions and long cells a class; a link to another Markdown file goes to
    its page.

    Returns:
        Tag, anchor and heading of every section and of the parts of sections.
    """
    sections = []
    for token, content in zip(tokens, tokens[1:]):
        if token.type == "heading_open" and token.tag in ("h2", "h3"):
            anchor = f"section-{len(sections) + 1}"
            token.attrSet("id", anchor)
            sections.append((token.tag, anchor, _plain_text(content)))
        elif token.type == "td_open" and len(content.content) > LONG:
            token.attrSet("class", "long")
        elif token.type == "paragraph_open" and _is_caption(content.children):
            token.attrSet("class", "caption")
        for child in content.children or ():
            target = str(child.attrGet("href") or "")
            if child.type == "link_open" and target.endswith(".md") and "/" not in target:
                child.attrSet("href", target.removesuffix(".md") + ".html")
    return sections


def _is_caption(children: Sequence[Token] | None) -> bool:
    return bool(children) and children[0].type == "em_open"


def _plain_text(inline: Token) -> str:
    return "".join(child.content for child in inline.children or ())


def image(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """A figure of the report's own as a data URL; of any other image only what it says."""
    token = tokens[index]
    words = escapeHtml(renderer.renderInlineAsText(token.children, options, env))
    place = Path(unquote(str(token.attrGet("src"))))
    file = env["folder"] / "figures" / place.name
    if place.parts[:-1] != ("figures",) or place.suffix != ".svg" or not file.is_file():
        return words
    encoded = base64.b64encode(file.read_bytes()).decode("ascii")
    return f'<img alt="{words}" src="data:image/svg+xml;base64,{encoded}">'

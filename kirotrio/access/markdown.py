"""Markdown of people as HTML that is safe to put into a page. Pure.

Twice safe: the renderer lets no HTML and no image through, and what it made is cut down to a short list of elements,
of which a link alone has an attribute.
"""

from __future__ import annotations

from typing import Final

_ELEMENTS: Final = frozenset(
    {"p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a"}
    | {"table", "thead", "tbody", "tr", "th", "td", "h3", "h4", "h5", "h6"}
)
_ADDRESSES: Final = ("http://", "https://", "mailto:")
_BENEATH: Final = 2
"""Levels of headings that are the page's own."""


def rendered(text: str) -> str:
    """CommonMark with tables and strike-through. Links lead to `http`, `https` and `mailto` alone, by their whole
    address; headings begin at the third level."""
    import nh3
    from markdown_it import MarkdownIt

    markdown = MarkdownIt("commonmark", {"html": False, "linkify": False})
    markdown.enable(["table", "strikethrough"]).disable("image")
    tokens = markdown.parse(text)
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1:]) + _BENEATH)}"
    return nh3.clean(
        markdown.renderer.render(tokens, markdown.options, {}),
        tags=set(_ELEMENTS),
        attributes={"a": {"href"}, "*": set()},
        attribute_filter=_known_address,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener nofollow",
    )


def _known_address(_element: str, attribute: str, value: str) -> str | None:
    return value if attribute != "href" or value.lower().startswith(_ADDRESSES) else None

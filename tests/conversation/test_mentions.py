"""Which addresses came up in a conversation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.conversation.mentions import mentioned
from kirotrio.conversation.request import (
    Conversation,
    Document,
    Part,
    RemoteFile,
    Role,
    ServerToolResult,
    ServerToolUse,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Turn,
)

URL = "https://pages.example/a/b"


def saying(*parts: Part, role: Role = "user", system: tuple[str, ...] = ()) -> Conversation:
    return Conversation("m", (Turn(role, parts),), system=system)


def stands_in(url: str, text: str) -> bool:
    return mentioned(url, saying(Text(text)))


@pytest.mark.parametrize(
    "text",
    [
        URL,
        f"read {URL} now",
        f"read {URL}.",
        f"({URL})",
        f"[a page]({URL}), or so",
        f'<a href="{URL}">',
        f"`{URL}`",
        f"**{URL}**",
        "HTTPS://PAGES.EXAMPLE/a/b",
        "http://pages.example/a/b",
        "pages.example/a/b",
        URL + "/",
        URL + "#part",
        f"{URL}\nnext",
        f"见{URL}。",
        f"见{URL}谢谢",
        f"https://pages.example/a/bc and {URL}",
        f"İ {URL}",
    ],
)
def test_an_address_that_was_named_may_be_fetched(text: str) -> None:
    assert stands_in(URL, text)


@pytest.mark.parametrize("url", ["http://pages.example/a/b", URL + "/", URL + "#x", "https://PAGES.example/a/b"])
def test_variants_of_a_named_address_are_the_same(url: str) -> None:
    assert stands_in(url, f"read {URL}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pages.example",
        "https://pages.example/a",
        "https://pages.example/a/bc",
        "https://pages.example/a/b/c",
        "https://pages.example/a/b?q=1",
        "https://pages.example/a/b.html",
        "https://more.pages.example/a/b",
        "https://notpages.example/a/b",
        "https://user@pages.example/a/b",
        "https://pages.example/A/b",
        "https://elsewhere.example/pages.example/a/b",
    ],
)
def test_a_part_of_another_address_is_no_mention(text: str) -> None:
    assert not stands_in(URL, text)


@pytest.mark.parametrize("url", ["", "https://", "ftp://pages.example/a/b", "javascript://pages.example/a/b"])
def test_what_is_no_address_of_the_web_was_never_named(url: str) -> None:
    assert not stands_in(url, f"{URL} {url}")


@pytest.mark.parametrize(
    "conversation",
    [
        saying(ToolResult("id", (Text(URL),))),
        saying(ToolResult("id", (Document("text/plain", URL),))),
        saying(Document("text/plain", f"see {URL}")),
        saying(RemoteFile(URL, "document")),
        saying(ServerToolResult("id", "web_search_tool_result", [{"url": URL}]), role="assistant"),
        saying(Text(URL), role="system"),
        saying(system=(f"The manual: {URL}",)),
    ],
)
def test_everything_that_was_given_to_the_model_counts(conversation: Conversation) -> None:
    assert mentioned(URL, conversation)


@pytest.mark.parametrize(
    "part",
    [Text(URL), Thinking(URL), ToolUse("id", "f", {"url": URL}), ServerToolUse("id", "web_fetch", {"url": URL})],
)
def test_what_the_model_wrote_itself_does_not_count(part: Part) -> None:
    assert not mentioned(URL, saying(part, role="assistant"))


labels = st.text("abcxyz019", min_size=1, max_size=4)
urls = st.builds(
    lambda host, path, query: f"https://{'.'.join(host)}/{'/'.join(path)}{query}",
    st.lists(labels, min_size=2, max_size=3),
    st.lists(labels, min_size=1, max_size=3),
    st.sampled_from(["", "?q=1", "?q=a%20b&c=d"]),
)


@given(url=urls, before=st.text(" \n\"'(<", max_size=3), after=st.sampled_from(["", " ", ".", ")", ">", '"', ", so"]))
def test_a_whole_mention_counts_and_a_longer_address_does_not(url: str, before: str, after: str) -> None:
    assert stands_in(url, before + url + after)
    for more in ("x", "/x", "-x", "%20", "=x"):
        assert not stands_in(url, before + url + more + after)
    assert not stands_in(url, url[:-1])


@given(url=st.text(max_size=20), text=st.text(max_size=20), scheme=st.booleans())
def test_no_text_breaks_it(url: str, text: str, scheme: bool) -> None:
    stands_in(f"https://{url}" if scheme else url, text)

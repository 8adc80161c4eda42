"""Which addresses domain lists let through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.conversation.domains import admits

labels = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=6)
hosts = st.lists(labels, min_size=2, max_size=3).map(".".join)
paths = st.lists(labels, max_size=3).map(lambda parts: "".join(f"/{part}" for part in parts))


@pytest.mark.parametrize(
    ("url", "entry"),
    [
        ("https://example.com", "example.com"),
        ("http://example.com/a/b?c#d", "example.com"),
        ("https://docs.example.com/a", "example.com"),
        ("https://EXAMPLE.com./a", "Example.COM"),
        ("https://example.com:8443/a", "example.com"),
        ("https://example.com:8443/a", "example.com:8443/a"),
        ("https://example.com/blog", "example.com/blog"),
        ("https://example.com/blog/", "example.com/blog"),
        ("https://example.com/blog/post-1", "example.com/blog"),
        ("https://example.com/blog/post-1", "example.com/blog/"),
        ("https://www.example.com/blog/post-1", "example.com/blog"),
        ("https://example.com/2026/articles/x", "example.com/*/articles"),
        ("https://example.com/anything", "example.com/*"),
        ("https://example.com/", "example.com/"),
        ("https://example.com/a", "https://example.com"),
        ("https://example.com/a", " example.com "),
        ("https://docs.example.com", "*.example.com"),
        ("https://bücher.example/a", "xn--bcher-kva.example"),
        ("https://xn--bcher-kva.example/a", "BÜCHER.example"),
        ("https://example.com/gr%C3%B6%C3%9Fe/x", "example.com/größe"),
    ],
)
def test_what_an_entry_covers(url: str, entry: str) -> None:
    assert admits(url, [entry], []), f"{entry} covers {url}"
    assert not admits(url, [], [entry])


@pytest.mark.parametrize(
    ("url", "entry"),
    [
        ("https://example.org", "example.com"),
        ("https://notexample.com", "example.com"),
        ("https://example.com.evil.test", "example.com"),
        ("https://example.com", "docs.example.com"),
        ("https://example.com@evil.test/", "example.com"),
        ("https://evil.test/example.com", "example.com"),
        ("https://example.com/blogger", "example.com/blog"),
        ("https://example.com/Blog", "example.com/blog"),
        ("https://example.com/blog/../admin", "example.com/blog"),
        ("https://example.com/blog/%2e%2e/admin", "example.com/blog"),
        ("https://example.com/articles", "example.com/*/articles"),
        ("https://aXb.com", "a.b.com"),
        ("https://example.com", "ex*.com"),
        ("https://example.com", ""),
        ("https://example.com", "/blog"),
    ],
)
def test_what_an_entry_does_not_cover(url: str, entry: str) -> None:
    assert not admits(url, [entry], []), f"{entry} does not cover {url}"
    assert admits(url, [], [entry])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "ftp://example.com/a",
        "file:///etc/passwd",
        "https://",
        "https://evil.test\\@example.com/",
        "https://example.com/a\nb",
        "https://exa mple.com",
        "https://[::1",
    ],
)
def test_what_is_no_address_of_the_web_is_never_admitted(url: str) -> None:
    assert not admits(url, [], [])
    assert not admits(url, ["example.com"], [])


def test_a_block_beats_a_leave() -> None:
    assert not admits("https://docs.example.com/a", ["example.com"], ["docs.example.com"])


@given(host=hosts, path=paths, sub=labels, below=labels)
def test_subdomains_and_what_lies_below_are_covered_and_siblings_are_not(
    host: str, path: str, sub: str, below: str
) -> None:
    entry = host + path
    assert admits(f"https://{sub}.{host}{path}/{below}", [entry], [])
    assert not admits(f"https://{sub}{host}{path}", [entry], [])
    if path:
        assert not admits(f"https://{host}{path}{below}", [entry], [])


@given(url=st.text(max_size=30), allowed=st.lists(st.text(max_size=12), max_size=2), scheme=st.booleans())
def test_no_text_breaks_it(url: str, allowed: list[str], scheme: bool) -> None:
    assert admits(f"https://{url}" if scheme else url, allowed, allowed) is False or not allowed

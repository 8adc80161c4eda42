"""Browsers by the names that people know them by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.web.console.agents import browser_of

WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0"


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox 140, Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36", "Chrome 140, Windows"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36 Edg/140.0.1.2", "Edge 140, Windows"),
        (f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Version/18.5 Safari/605.1.15", "Safari 18, macOS"),
        (
            f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {WEBKIT} Version/18.5 Mobile/15E148 Safari/604.1",
            "Safari 18, iPhone",
        ),
        (f"Mozilla/5.0 (Linux; Android 10; K) {CHROME} Mobile Safari/537.36", "Chrome 140, Android"),
        (
            f"Mozilla/5.0 (Linux; Android 14; K) {CHROME} SamsungBrowser/29.0 Mobile Safari/537.36",
            "Samsung Internet 29, Android",
        ),
        (f"Mozilla/5.0 (Unknown) {CHROME} Safari/537.36", "Chrome 140"),
    ],
)
def test_a_browser_is_known_by_its_name_and_system(agent: str, name: str) -> None:
    assert browser_of(agent) == name


@pytest.mark.parametrize("agent", ["", "curl/8.14.1", "Mozilla/5.0 (X11; Linux)", "<script>'Firefox/1'</script>"])
def test_what_names_no_browser_stays_as_it_came(agent: str) -> None:
    assert browser_of(agent) == agent


@given(st.text())
def test_whatever_is_said_something_is_shown_that_is_no_longer(rest: str) -> None:
    agent = f"Mozilla/5.0 ({rest}"
    assert 0 < len(browser_of(agent)) <= len(agent)

"""Whether a form is from our own pages, and what it says."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.errors import BodyInvalid, PermissionDenied
from kirotrio.web.console import cookies
from kirotrio.web.console.forms import Form
from kirotrio.web.console.origin import check_origin, check_token, token_of
from kirotrio.web.console.pages import HOME, local
from kirotrio.web.console.visit import _notice

HOST = "gateway.example:8000"
HERE = f"http://{HOST}"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": HOST, "origin": HERE},
        {"host": HOST.upper(), "origin": HERE},
        {"host": HOST, "origin": f"https://{HOST}"},  # TLS ends at a proxy
        {"host": "127.0.0.1:8000", "origin": "https://gateway.example", "sec-fetch-site": "same-origin"},
        {"host": HOST, "sec-fetch-site": "same-origin"},
    ],
)
def test_a_form_of_our_own_pages_is_taken(headers: dict[str, str]) -> None:
    check_origin(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": HOST},
        {"host": HOST, "origin": "https://evil.example"},
        {"host": HOST, "origin": "null"},
        {"host": HOST, "origin": ""},
        {"origin": ""},
        {"host": "", "origin": "http://"},
        {"host": HOST, "origin": "http://gateway.example:8001"},
        {"host": HOST, "origin": f"http://{HOST}.evil.example"},
        {"host": HOST, "origin": f"http://{HOST}@evil.example"},
        {"host": HOST, "origin": HERE, "sec-fetch-site": "cross-site"},
        {"host": HOST, "origin": HERE, "sec-fetch-site": "same-site"},
        {"host": HOST, "origin": HERE, "sec-fetch-site": "none"},
        {"host": HOST, "origin": "null", "sec-fetch-site": "same-origin"},
        {"host": HOST, "origin": "https://evil.example", "x-forwarded-host": "evil.example"},
    ],
)
def test_a_form_of_any_other_page_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(PermissionDenied):
        check_origin(headers)


def test_a_form_without_the_token_of_its_session_is_refused() -> None:
    check_token("abc", "abc")
    for given_, expected in (("", "abc"), ("abd", "abc"), ("", ""), ("ä", "abc")):
        with pytest.raises(PermissionDenied):
            check_token(given_, expected)


@given(st.text(), st.text())
def test_a_visitors_token_is_not_anothers(one: str, other: str) -> None:
    assert (token_of(one) == token_of(other)) == (one == other)
    assert (token_of(one) == "") == (one == "")


@given(st.text())
def test_nobody_is_sent_to_another_site(address: str) -> None:
    found = local(address)
    assert found in (HOME, address)
    assert found.startswith("/console")


@pytest.mark.parametrize(
    "address",
    [
        "//evil.example/console",
        "https://evil.example/console",
        "/console/../v1",
        "/\\evil.example",
        "/consolex",
        "javascript:alert(1)",
        "/console\r\nset-cookie: a=b",
        "/console/ä",
    ],
)
def test_a_next_page_that_is_not_ours_is_the_first_one(address: str) -> None:
    assert local(address) == HOME


def test_a_next_page_of_ours_is_kept() -> None:
    assert local("/console/keys?search=a%20b&page=2") == "/console/keys?search=a%20b&page=2"


@given(st.dictionaries(st.sampled_from("abcdef"), st.text(max_size=50)), st.booleans())
def test_a_cookie_that_was_kept_is_read_again(value: dict[str, str], secure: bool) -> None:
    kept = cookies.keep(cookies.NOTICE, cookies.packed(value), secure=secure)
    sent = ["other=1; " + kept.partition(";")[0]]
    assert cookies.unpacked(cookies.read(sent, cookies.NOTICE, secure=secure)) == value
    assert cookies.read(sent, cookies.NOTICE, secure=not secure) == ""


@given(st.text())
def test_whatever_a_cookie_holds_it_is_read_or_nothing(value: str) -> None:
    cookies.unpacked(value)
    read = cookies.read([f"{cookies.SESSION}={value}"], cookies.SESSION, secure=False)
    assert read == value or read == "" or value.partition(";")[0].strip() == read


def test_a_cookie_behind_tls_belongs_to_this_host_alone() -> None:
    kept = cookies.keep(cookies.SESSION, "abc", secure=True, seconds=60)
    assert kept == "__Host-kirotrio-session=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
    assert "Secure" not in cookies.keep(cookies.SESSION, "abc", secure=False)


def test_numbers_of_forms_are_numbers_or_said_to_be_none() -> None:
    form = Form({"a": ["12"], "b": ["1.5"], "c": ["-1"], "d": ["x"], "e": [""], "f": ["nan"]})
    assert form.number("a") == 12
    assert form.number("b", whole=False) == 1.5
    assert form.number("e") is None
    assert form.number("missing") is None
    for name in "bcdf":
        with pytest.raises(BodyInvalid, match=name):
            form.number(name)


def test_a_form_never_shows_what_it_holds() -> None:
    assert "hunter2" not in repr(Form({"password": ["hunter2"]}))
    assert "hunter2" in urlencode({"password": "hunter2"})


@pytest.mark.parametrize(
    "kept",
    [
        ["done", "Your account is closed, write to evil@example.com", {}],
        ["done", "{name} is a user now.", {}],
        ["done", "{name.__class__}", {"name": "x"}],
        ["done", "{", {}],
        ["shout", "The mode was changed.", {}],
        "The mode was changed.",
        None,
    ],
)
def test_a_notice_that_the_console_never_says_is_not_shown(kept: object) -> None:
    assert _notice(kept) is None


def test_a_notice_is_shown_with_its_parts() -> None:
    assert _notice(["done", "{name} is a user now.", {"name": "anna"}]) is not None

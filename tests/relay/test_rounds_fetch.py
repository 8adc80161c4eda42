"""One page that the model asks for: which may be fetched, and what comes of it."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from relay.conftest import hello
from relay.searching import PAGE, Searches, call, fetching, found, hear, told
from support.scripted import answering, tail, text

from kirotrio.conversation.events import Citation, FetchFinished, ServerToolCall
from kirotrio.conversation.request import Text, Turn, WebFetch, WebSearch
from kirotrio.errors import DeadlineExceeded
from kirotrio.relay import documents
from kirotrio.relay.documents import DocumentUnreadable, Extracted
from kirotrio.relay.fetching import Fetched, FetchRefused
from kirotrio.relay.rounds import fetch as room

URL = "https://pages.example/a"
ANSWER = answering(text(f"It says so on {URL} ."), tail())
ASKING = (Turn("user", (Text(f"What does {URL} say?"),)),)


def looking(url: Any = URL) -> Any:
    return answering(call("web_fetch", url=url), tail())


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The web: a page or an exception for each address that is asked for."""
    web: dict[str, Any] = {URL: Fetched(URL, "text/plain", "utf-8", b"The page's text.")}

    async def fetch(url: str, *, accepts: Any, admits: Any, **_: Any) -> Fetched:
        page = web[url]
        if isinstance(page, Exception):
            raise page
        if not admits(page.url):
            raise FetchRefused("url_not_allowed", "redirected to a site that is not admitted")
        if not accepts(page.media_type):
            raise FetchRefused("unsupported_content_type", "no such type")
        return page

    monkeypatch.setattr(room, "fetch", fetch)
    return web


async def finished(scene, **wanted: Any) -> FetchFinished:
    heard = await hear(scene, fetching(turns=ASKING, **wanted))
    (event,) = heard.of(FetchFinished)
    assert heard.text.startswith("It says so"), "a failed fetch never ends the answer"
    return event


async def test_a_page_is_fetched_for_client_and_model(stage, autojump_clock, pages):
    scene = stage(looking(), ANSWER)
    heard = await hear(scene, fetching(turns=ASKING))
    (asked,), (event,) = heard.of(ServerToolCall), heard.of(FetchFinished)
    assert (asked.tool, asked.input) == ("web_fetch", {"url": URL})
    assert (event.id, event.url, event.text, event.error) == (asked.id, URL, "The page's text.", "")
    assert event.retrieved_at.endswith("Z")
    (text_,) = told(scene.transport.bodies[1])
    assert URL in text_
    assert "The page's text." in text_
    assert heard.finish.usage.web_fetches == 1
    assert not heard.of(Citation), "citations of fetched pages are the client's choice"


async def test_a_fetched_page_is_cited_where_that_is_asked_for(stage, autojump_clock, pages):
    heard = await hear(stage(looking(), ANSWER), fetching(turns=ASKING, citations=True))
    (citation,) = heard.of(Citation)
    assert (citation.url, citation.cited_text) == (URL, "The page's text.")


async def test_a_page_that_was_not_fetched_is_no_source(stage, autojump_clock, pages):
    pages[URL] = FetchRefused("url_not_accessible", "it answered 404")
    heard = await hear(stage(looking(), ANSWER), fetching(turns=ASKING, citations=True))
    assert not heard.of(Citation)


async def test_an_address_that_came_up_nowhere_is_not_fetched(stage, autojump_clock, pages):
    pages["https://pages.example/a?secret=1"] = pages[URL]
    event = await finished(stage(looking("https://pages.example/a?secret=1"), ANSWER))
    assert event.error == "url_not_allowed"


async def test_what_a_search_found_may_be_fetched(stage, autojump_clock, pages):
    scene = stage(answering(call("web_search", query="cats"), tail()), looking(PAGE["url"]), ANSWER)
    conversation = hello(web_search=WebSearch(), web_fetch=WebFetch())
    heard = await hear(scene, conversation, searches=Searches([found(PAGE)]))
    assert [event.error for event in heard.of(FetchFinished)] == [""]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        (7, "invalid_tool_input"),
        (" ", "invalid_tool_input"),
        (URL + "/" + "x" * 250, "url_too_long"),
        (URL + "x" * (251 - len(URL)), "url_too_long"),
        (URL + "x" * (250 - len(URL)), "url_not_allowed"),
        ("ftp://pages.example/a", "url_not_allowed"),
    ],
)
async def test_an_address_that_cannot_be_fetched_is_not_tried(stage, autojump_clock, pages, url, code):
    heard = await hear(stage(looking(url), ANSWER), fetching(turns=ASKING))
    assert [event.error for event in heard.of(FetchFinished)] == [code]
    assert heard.finish.usage.web_fetches == 0


@pytest.mark.parametrize(
    "lists", [{"allowed_domains": ("elsewhere.example",)}, {"blocked_domains": ("pages.example",)}], ids=str
)
async def test_the_clients_lists_hold_for_fetches(stage, autojump_clock, pages, lists):
    heard = await hear(stage(looking(), ANSWER), fetching(turns=ASKING, **lists))
    assert [event.error for event in heard.of(FetchFinished)] == ["url_not_allowed"]
    assert heard.finish.usage.web_fetches == 0, "nothing was fetched"


async def test_the_clients_lists_hold_after_a_redirect(stage, autojump_clock, pages):
    pages[URL] = Fetched("https://elsewhere.example/a", "text/plain", "utf-8", b"elsewhere")
    wanted = {"allowed_domains": ("pages.example",)}
    assert (await finished(stage(looking(), ANSWER), **wanted)).error == "url_not_allowed"
    assert (await finished(stage(looking(), ANSWER))).url == "https://elsewhere.example/a"


@pytest.mark.parametrize(
    ("page", "code"),
    [
        (FetchRefused("url_not_accessible", "it answered 404"), "url_not_accessible"),
        (FetchRefused("too_large", "it is too large"), "url_not_accessible"),
        (DocumentUnreadable("it is encrypted"), "unsupported_content_type"),
        (DeadlineExceeded("too slow"), "unavailable"),
        (Fetched(URL, "image/png", "", b"\x89PNG"), "unsupported_content_type"),
    ],
)
async def test_a_failure_is_told(stage, autojump_clock, pages, page, code):
    pages[URL] = page
    scene = stage(looking(), ANSWER)
    event = await finished(scene)
    assert (event.error, event.text, event.url) == (code, "", URL)
    assert f"The fetch failed ({code})" in told(scene.transport.bodies[1])[0]
    (line,) = scene.logged("web fetch failed")
    assert (line["host"], line["code"]) == ("pages.example", code)


@pytest.mark.parametrize(("asked", "setting"), [(1, 8), (9, 1), (None, 1)])
async def test_fetches_have_their_own_uses(stage, autojump_clock, pages, asked, setting):
    twice = answering(call("web_fetch", "a", url=URL), call("web_fetch", "b", url=URL), tail())
    scene = stage(twice, ANSWER, fetch={"max_uses": setting})
    heard = await hear(scene, fetching(turns=ASKING, max_uses=asked))
    assert [event.error for event in heard.of(FetchFinished)] == ["", "max_uses_exceeded"]
    assert heard.finish.usage.web_fetches == 1


async def test_a_page_without_a_type_is_read_by_its_name(stage, autojump_clock, pages):
    url = "https://pages.example/notes.txt"
    pages[URL] = Fetched(URL, "application/octet-stream", "", b"\x00")
    scene = stage(looking(), ANSWER)
    assert (await finished(scene)).error == "unsupported_content_type"
    assert "cannot be read" in told(scene.transport.bodies[1])[0], "its first bytes were looked at"
    pages[url] = Fetched(url, "application/octet-stream", "", b"Plain words.")
    scene = stage(looking(url), ANSWER)
    heard = await hear(scene, fetching(turns=(Turn("user", (Text(url),)),)))
    assert [event.text for event in heard.of(FetchFinished)] == ["Plain words."]


@pytest.mark.parametrize("ends_at", ["https://pages.example/notes.txt", "https://pages.example/"])
async def test_a_page_without_a_type_is_read_by_the_name_after_a_redirect(stage, autojump_clock, pages, ends_at):
    url = "https://pages.example/download.pdf" if ends_at.endswith(".txt") else "https://pages.example/notes.txt"
    pages[url] = Fetched(ends_at, "application/octet-stream", "", b"Plain words.")
    heard = await hear(stage(looking(url), ANSWER), fetching(turns=(Turn("user", (Text(url),)),)))
    assert [event.text for event in heard.of(FetchFinished)] == ["Plain words."], heard.of(FetchFinished)


async def test_two_documents_are_read_at_one_time_at_most(stage, autojump_clock, pages, monkeypatch):
    running: list[int] = []
    now = 0

    async def read(*_: Any) -> Extracted:
        nonlocal now
        now += 1
        running.append(now)
        await trio.sleep(1)
        now -= 1
        return Extracted("read")

    monkeypatch.setattr(documents, "_in_process", read)
    pages[URL] = Fetched(URL, "text/html", "", b"<p>read</p>")
    calls = [call("web_fetch", f"call-{at}", url=URL) for at in range(5)]
    heard = await hear(stage(answering(*calls, tail()), ANSWER), fetching(turns=ASKING))
    assert [event.text for event in heard.of(FetchFinished)] == ["read"] * 5
    assert max(running) == 2, "each takes a process of its own"


async def test_the_charset_of_the_page_is_kept(stage, autojump_clock, pages):
    pages[URL] = Fetched(URL, "text/plain", "iso-8859-1", "Größe".encode("latin-1"))
    assert (await finished(stage(looking(), ANSWER))).text == "Größe"


async def test_a_long_text_is_cut_at_the_tokens_asked_for(stage, autojump_clock, pages):
    pages[URL] = Fetched(URL, "text/plain", "", b"word " * 1000)
    scene = stage(looking(), ANSWER)
    event = await finished(scene, max_tokens=50)
    assert event.text == "word " * 40, "four characters are about a token"
    assert "was cut here" in told(scene.transport.bodies[1])[0]


async def test_the_model_is_told_where_a_document_was_cut_ahead_of_that(stage, autojump_clock, pages):
    pages[URL] = Fetched(URL, "text/plain", "", b"word " * 1000)
    scene = stage(looking(), ANSWER, documents={"max_text": 200})
    assert (await finished(scene)).text.startswith("word " * 40 + "\n\n[cut here")
    assert told(scene.transport.bodies[1])[0].endswith("it was cut here.]")
    whole = stage(looking(), ANSWER)
    await finished(whole)
    assert "was cut here" not in told(whole.transport.bodies[1])[0]


async def test_a_text_takes_a_quarter_of_the_models_window_at_most(stage, autojump_clock, pages):
    pages[URL] = Fetched(URL, "text/plain", "", b"word " * 100_000)
    assert len((await finished(stage(looking(), ANSWER))).text) == 200_000

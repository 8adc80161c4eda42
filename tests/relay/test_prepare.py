"""From what a client named to what the upstream can be given, as the relay does it before it generates."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from relay.conftest import Stage, hello
from support.files import IMAGES, PNG, encrypted_pdf, pdf
from support.sites import Site, answer, redirect

from kirotrio.config.settings import Settings
from kirotrio.conversation.request import Conversation, Document, Image, Part, RemoteFile, Text, ToolResult, Turn
from kirotrio.errors import BodyInvalid, DeadlineExceeded
from kirotrio.relay import fetching, preparing
from kirotrio.relay.prepare import prepare
from kirotrio.relay.request import Relay
from kirotrio.telemetry.log import SilentLog

PATH = "messages.0.content.0.source"
LOOPBACK = {"allow_networks": "127.0.0.0/8"}


@pytest.fixture
async def site(nursery) -> Site:
    site = await Site().start(nursery)
    site.pages |= {"/a.png": [answer(PNG, content_type="image/png")]}
    return site


@pytest.fixture
def relay(stage: Callable[..., Stage]) -> Callable[..., Relay]:
    def build(**sections: dict[str, Any]) -> Relay:
        return stage(**{**sections, "fetch": {**LOOPBACK, **sections.get("fetch", {})}}).relay

    return build


def asking(*parts: Part) -> Conversation:
    return hello(turns=(Turn("user", parts, "messages.0"),))


def in_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def image(url: str, path: str = PATH) -> RemoteFile:
    return RemoteFile(url, "image", path=path)


def document(url: str, path: str = PATH, **names: str) -> RemoteFile:
    return RemoteFile(url, "document", path=path, **names)


async def only_part(conversation: Conversation, relay: Relay) -> Part:
    (turn,) = (await prepare(conversation, relay)).turns
    (part,) = turn.parts
    return part


async def refused(conversation: Conversation, relay: Relay) -> BodyInvalid:
    with pytest.raises(BodyInvalid) as caught:
        await prepare(conversation, relay)
    return caught.value


async def test_a_conversation_that_names_no_file_is_given_back_as_it_is(relay):
    texts = (
        Text("x"),
        Document("text/plain", "y"),
        Document("application/json", in_base64(b"{}")),
        Image("image/png", "z"),
    )
    conversation = asking(*texts, ToolResult("t", texts))
    assert await prepare(conversation, relay()) is conversation


@pytest.mark.parametrize("media_type", sorted(IMAGES))
@pytest.mark.parametrize("told", ["image/png", "application/octet-stream", ""])
async def test_an_image_is_what_its_first_bytes_say(site, relay, media_type, told):
    site.pages["/i"] = [answer(IMAGES[media_type], content_type=told)]
    part = await only_part(asking(image(f"{site.url}/i")), relay())
    assert part == Image(media_type, in_base64(IMAGES[media_type]))


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (answer(b"<html>", content_type="text/html"), "sends text/html"),
        (answer(b"<svg/>", content_type="image/svg+xml"), "sends image/svg+xml"),
        (answer(b"<html>", content_type="image/png"), "not a PNG, JPEG, GIF or WebP"),
        (answer(b"", content_type="image/png"), "not a PNG, JPEG, GIF or WebP"),
        (answer(b"BM rest", content_type="image/bmp"), "not a PNG, JPEG, GIF or WebP"),
        (answer(b"RIFF\x24\0\0\0WAVEfmt ", content_type="image/webp"), "not a PNG, JPEG, GIF or WebP"),
        (answer(status="403 Forbidden"), "answered 403 Forbidden"),
        (answer(PNG + bytes(1000), content_type="image/png"), "more than 1000 bytes"),
        (redirect("http://10.0.0.1/"), "10.0.0.1 is not an address of the public internet"),
    ],
    ids=["page", "svg", "disguised", "empty", "bmp", "sound", "forbidden", "large", "inward"],
)
async def test_an_image_that_cannot_be_had_is_refused_with_its_path_and_its_host(site, relay, page, said):
    site.pages["/i"] = [page]
    error = await refused(asking(image(f"{site.url}/i?key=s3cret")), relay(fetch={"max_image": 1000}))
    assert error.path == PATH
    assert said in error.message
    assert "127.0.0.1" in error.message or "10.0.0.1" in error.message
    assert "s3cret" not in error.message


async def test_nothing_of_the_own_network_is_fetched_unless_it_is_allowed(site, relay):
    error = await refused(asking(image(f"{site.url}/a.png")), relay(fetch={"allow_networks": ""}))
    assert error.path == PATH
    assert not site.heads


async def test_a_site_that_does_not_answer_is_the_requests_fault(site, relay):
    site.pages["/i"] = [math.inf]
    error = await refused(asking(image(f"{site.url}/i")), relay(deadlines={"fetch": 0.2}))
    assert (error.path, "within 0.2 seconds" in error.message) == (PATH, True)


async def test_all_of_it_together_has_a_deadline(site, relay):
    site.pages["/i"] = [math.inf]
    with pytest.raises(DeadlineExceeded, match=r"deadlines\.prepare"):
        await prepare(asking(image(f"{site.url}/i")), relay(deadlines={"prepare": 0.2}))


async def test_files_keep_their_places_also_within_tool_results(site, relay):
    site.pages |= {
        "/slow.txt": [0.05, answer(b"slow", content_type="text/plain")],
        "/fast.txt": [answer(b"fast", content_type="text/plain")],
    }
    before = asking(
        Text("a"),
        document(f"{site.url}/slow.txt", "p.1", title="T", context="C"),
        Text("b"),
        ToolResult("t1", (Text("c"), image(f"{site.url}/a.png"), document(f"{site.url}/fast.txt")), is_error=True),
        image(f"{site.url}/a.png"),
    )
    after = await prepare(before, relay())
    picture = Image("image/png", in_base64(PNG))
    assert after.turns[0].parts == (
        Text("a"),
        Document("text/plain", "slow", "T", "C"),
        Text("b"),
        ToolResult("t1", (Text("c"), picture, Document("text/plain", "fast")), is_error=True),
        picture,
    )
    assert attrs.evolve(after, turns=before.turns) == before, "something else of the request has changed"


async def test_an_address_that_is_named_twice_is_fetched_once(site, relay):
    site.pages["/t"] = [answer(b"words", content_type="text/plain")]
    parts = [document(f"{site.url}/t", title=title) for title in ("one", "two")]
    after = await prepare(asking(*parts), relay())
    assert after.turns[0].parts == tuple(Document("text/plain", "words", title) for title in ("one", "two"))
    assert len(site.heads) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda site, path: image(f"{site.url}/missing.png", path),
        lambda site, path: document(f"{site.url}/missing.txt", path),
        lambda site, path: Document("application/pdf", in_base64(pdf("")), path=path),
    ],
    ids=["image", "document", "in the request"],
)
async def test_of_files_that_are_the_same_the_first_is_named(site, relay, make):
    one, two, three = (make(site, f"messages.0.content.{number}.source") for number in range(3))
    error = await refused(asking(ToolResult("t", (one,)), two, three), relay())
    assert error.path == "messages.0.content.0.source"


async def test_the_next_turn_finds_what_was_fetched_and_read_for_the_one_before(site, relay, monkeypatch):
    conversation = asking(image(f"{site.url}/a.png"), Document("application/pdf", in_base64(pdf("once")), path=PATH))
    the_relay = relay()
    first = await prepare(conversation, the_relay)
    # From here on neither the site nor the reader is there.
    site.pages.clear()
    monkeypatch.setattr(preparing, "extract_text", None)
    assert await prepare(conversation, the_relay) == first
    assert len(site.heads) == 1


async def test_at_most_four_are_fetched_at_one_time(site, relay):
    site.pages |= {f"/{number}.png": [math.inf] for number in range(9)}
    conversation = asking(*(image(f"{site.url}/{number}.png") for number in range(9)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(prepare, conversation, relay())
        with trio.fail_after(10):
            while len(site.heads) < 4:  # noqa: ASYNC110 - the other side of a socket has no event
                await trio.sleep(0.005)
        await trio.sleep(0.1)
        assert len(site.heads) == 4
        nursery.cancel_scope.cancel()


async def test_one_failure_ends_the_other_fetches(site, relay):
    site.pages["/hangs.png"] = [math.inf]
    parts = image(f"{site.url}/hangs.png"), image(f"{site.url}/missing.png", "messages.0.content.1.source")
    with trio.fail_after(10):
        error = await refused(asking(*parts), relay(deadlines={"fetch": 60.0, "prepare": 60.0}))
    assert error.path == "messages.0.content.1.source"
    with trio.fail_after(10):
        while site.gone < len(site.heads):  # noqa: ASYNC110 - the other side of a socket has no event
            await trio.sleep(0.005)


async def test_of_several_bad_files_the_first_is_named(relay):
    bad = [Document("application/pdf", "no base64!", path=f"messages.0.content.{place}") for place in range(3)]
    bad = [attrs.evolve(document, data=f"{document.data}{place}") for place, document in enumerate(bad)]
    for _ in range(8):  # the order in which tasks run is not the same each time
        assert (await refused(asking(*bad), relay())).path == "messages.0.content.0"


async def test_what_the_files_come_to_together_is_limited(site, relay):
    site.pages |= {f"/{n}.png": [answer(PNG + bytes(1000), content_type="image/png")] for n in range(4)}
    conversation = asking(*(image(f"{site.url}/{n}.png") for n in range(4)))
    await prepare(conversation, relay(server={"max_body": 10_000}))
    error = await refused(conversation, relay(server={"max_body": 3_000}))
    assert "server.max_body" in error.message


async def test_what_was_fetched_for_earlier_turns_counts_too(site, relay):
    the_relay = relay(server={"max_body": 3_000})
    site.pages |= {f"/{n}.png": [answer(PNG + bytes(1000), content_type="image/png")] for n in range(4)}
    parts = [image(f"{site.url}/{n}.png") for n in range(4)]
    for part in parts:
        await prepare(asking(part), the_relay)
    assert "server.max_body" in (await refused(asking(*parts), the_relay)).message
    assert len(site.heads) == 4


@pytest.mark.parametrize(
    ("name", "told", "content", "text"),
    [
        ("report.pdf", "application/pdf", pdf("words"), "words"),
        ("report", "application/octet-stream", pdf("words"), "words"),
        ("notes.md", "", b"# words", "# words"),
        ("page", "text/html; charset=latin-1", "<p>grün".encode("latin-1"), "grün"),
        ("page", "text/plain; charset=latin-1", "grün".encode("latin-1"), "grün"),
    ],
)
async def test_a_remote_document_becomes_its_text(site, relay, name, told, content, text):
    site.pages[f"/{name}"] = [answer(content, content_type=told)]
    assert await only_part(asking(document(f"{site.url}/{name}")), relay()) == Document("text/plain", text)


async def test_a_document_in_the_request_becomes_its_text_and_keeps_its_names(relay):
    content = in_base64(pdf("words", title="Its own"))
    named = Document("application/pdf", content, "Given", "About tea", PATH)
    assert await only_part(asking(named), relay()) == Document("text/plain", "words", "Given", "About tea")
    unnamed = Document("application/pdf", content, path=PATH)
    assert await only_part(asking(unnamed), relay()) == Document("text/plain", "words", "Its own")


@pytest.mark.parametrize("remote", [False, True])
async def test_documents_of_all_requests_wait_for_the_same_places(site, relay, remote):
    site.pages["/a.pdf"] = [answer(pdf("words"), content_type="application/pdf")]
    part = document(f"{site.url}/a.pdf") if remote else Document("application/pdf", in_base64(pdf("words")))
    the_relay = relay()
    places = [object() for _ in range(int(the_relay.extraction.total_tokens))]
    for place in places:
        the_relay.extraction.acquire_on_behalf_of_nowait(place)
    after: list[Part] = []

    async def ask() -> None:
        after.append(await only_part(asking(part), the_relay))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        with trio.fail_after(10):
            while not (the_relay.extraction.statistics().tasks_waiting or after):  # noqa: ASYNC110 - a limiter has none
                await trio.sleep(0.005)
        assert not after, "it was read although as many are being read as may be"
        for place in places:
            the_relay.extraction.release_on_behalf_of(place)
    assert after == [Document("text/plain", "words")]


HTML_PAGE = "<html><head><title>Greens</title></head><body><script>x()</script><h1>Grün</h1>"


@pytest.mark.parametrize("media_type", ["text/html", "text/html; charset=latin-1"])
async def test_html_in_the_request_becomes_what_html_by_address_becomes(relay, media_type):
    given = Document(media_type, HTML_PAGE, path=PATH)
    assert await only_part(asking(given), relay()) == Document("text/plain", "# Grün", "Greens")
    within = (await prepare(asking(ToolResult("t", (given,))), relay())).turns[0].parts
    assert within == (ToolResult("t", (Document("text/plain", "# Grün", "Greens"),)),)


async def test_html_with_half_a_character_is_read(relay):
    assert await only_part(asking(Document("text/html", "<p>a\ud800b")), relay()) == Document("text/plain", "a\ufffdb")


async def test_a_large_document_is_decoded_too(relay):
    content = in_base64(pdf("words") + b"\n% padding" * 50_000)
    assert await only_part(asking(Document("application/pdf", content)), relay()) == Document("text/plain", "words")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Document("application/pdf", in_base64(encrypted_pdf("x")), path=PATH), "protected by a password"),
        (Document("application/pdf", in_base64(pdf("")), path=PATH), "no text layer"),
        (Document("application/zip", in_base64(b"PK"), path=PATH), "type application/zip cannot be read; PDF"),
        (Document("application/pdf", "a", path=PATH), "valid base64"),
    ],
    ids=["encrypted", "scanned", "unknown", "no base64"],
)
async def test_a_document_that_cannot_be_read_is_refused_with_its_path(relay, part, said):
    error = await refused(asking(Text("x"), ToolResult("t", (part,))), relay())
    assert error.path == PATH
    assert said in error.message


async def test_a_remote_document_over_the_limit_is_refused(site, relay):
    site.pages["/t"] = [answer(b"x" * 1001, content_type="text/plain")]
    error = await refused(asking(document(f"{site.url}/t")), relay(fetch={"max_document": 1000}))
    assert "more than 1000 bytes" in error.message


async def test_each_fetch_is_logged_without_its_query(site, stage):
    scene = stage(fetch=LOOPBACK)
    await prepare(asking(image(f"{site.url}/a.png?key=s3cret")), scene.relay)
    (line,) = scene.logged("fetched")
    assert line.pop("seconds") >= 0
    assert line == {"host": "127.0.0.1", "bytes": len(PNG)}
    assert "s3cret" not in str(scene.log.lines)


PLAIN = st.one_of(
    st.builds(Text, st.text()),
    st.builds(Document, st.sampled_from(["text/plain", "text/markdown"]), st.text()),
    st.builds(Image, st.just("image/png"), st.text()),
)
FILES = st.sampled_from(["1", "2", "3"]).map(lambda name: document(f"http://files.test/{name}"))


@given(
    st.lists(st.lists(st.one_of(PLAIN, FILES, st.builds(ToolResult, st.text(), st.lists(PLAIN | FILES).map(tuple)))))
)
async def test_whatever_stands_around_a_file_stays_where_it_is(turns):
    def told(part: Any) -> Any:
        if isinstance(part, ToolResult):
            return attrs.evolve(part, content=tuple(map(told, part.content)))
        return Document("text/plain", part.url) if isinstance(part, RemoteFile) else part

    async def fetched(url: str, **_: Any) -> Any:
        return fetching.Fetched(url, "text/plain", "", url.encode())

    conversation = hello(turns=tuple(Turn("user", tuple(parts)) for parts in turns))
    relay = Relay(Settings(), *[None] * 4, SilentLog())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparing, "fetch", fetched)
        after = await prepare(conversation, relay)
    assert [turn.parts for turn in after.turns] == [tuple(map(told, parts)) for parts in turns]

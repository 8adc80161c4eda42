"""What was fetched and read for one turn is there for the next, within its limits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kirotrio.conversation.request import Document, Image, RemoteFile
from kirotrio.relay.documents import Extracted
from kirotrio.relay.prepared_files import FileKey, PreparedFiles


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def key(name: str) -> FileKey:
    return FileKey.of(RemoteFile(f"https://example.com/{name}", "image"))


def test_a_file_is_known_by_its_address_or_by_what_it_holds() -> None:
    assert FileKey.of(RemoteFile("https://a/x", "image")) != FileKey.of(RemoteFile("https://a/x", "document"))
    one, same = Document("application/pdf", "QUJD", "a.pdf"), Document("application/pdf", "QUJD", "b.pdf", path="p")
    assert FileKey.of(one) == FileKey.of(same), "title and place do not change what a file says"
    assert FileKey.of(one) != FileKey.of(Document("application/pdf", "QUJE"))
    assert FileKey.of(one) != FileKey.of(Document("text/html", "QUJD"))


def test_a_file_is_kept_until_it_is_too_old() -> None:
    clock = Clock()
    files = PreparedFiles(100, 60.0, clock)
    files.put(key("a"), Extracted("text"))
    clock.now = 59.9
    assert files.get(key("a")) == Extracted("text")
    clock.now = 60.0
    assert files.get(key("a")) is None, "what lies behind an address may have changed"
    assert files.size == 0


def test_what_was_used_last_stays() -> None:
    files = PreparedFiles(30, 60.0, Clock())
    for name in "abc":
        files.put(key(name), Image("image/png", name * 10))
    assert files.get(key("a")) is not None
    files.put(key("d"), Image("image/png", "d" * 10))
    assert files.get(key("b")) is None, "the least recently used goes first"
    assert [files.get(key(name)) is not None for name in "acd"] == [True, True, True]


def test_nothing_is_kept_where_there_is_no_room_or_no_time() -> None:
    for files in (PreparedFiles(0, 60.0, Clock()), PreparedFiles(100, 0.0, Clock()), PreparedFiles(3, 60.0, Clock())):
        files.put(key("a"), Extracted("text"))
        assert files.get(key("a")) is None
        assert files.size == 0


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 50), st.floats(0, 30))))
def test_the_ceiling_holds_and_the_size_is_true(puts: list[tuple[str, int, float]]) -> None:
    clock = Clock()
    files = PreparedFiles(64, 60.0, clock)
    for name, length, pause in puts:
        clock.now += pause
        files.put(key(name), Extracted("x" * length))
        held = [found for one in "abcdef" if isinstance(found := files.get(key(one)), Extracted)]
        assert files.size == sum(len(found.text) for found in held) <= 64
        assert files.get(key(name)) == Extracted("x" * length)

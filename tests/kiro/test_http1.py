"""HTTP/1.1 without sockets: what h11 reads, however the bytes are cut, and nothing that it would refuse."""

from __future__ import annotations

import contextlib
import itertools

import h11
import pytest
from attrs import frozen
from hypothesis import example, given
from hypothesis import strategies as st

from kirotrio.kiro.http1 import LARGEST_HEAD, ProtocolError, ResponseParser, UnfitRequest, request_head


@frozen
class Read:
    """What a reader made of some bytes, after which the peer closed."""

    status: int = 0
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    whole: bool = False
    keeps: bool = False


def cut(data: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(bounds) if begin < end]


def read(method: str, pieces: list[bytes], closes: bool = True) -> Read:
    parser, body = ResponseParser(method), b""
    keeps = False
    with contextlib.suppress(ProtocolError):
        for piece in pieces:
            body += parser.feed(piece)
            if parser.failure is not None:
                raise parser.failure
        keeps = parser.done and parser.keeps
        if closes:
            parser.close()
    told = []
    for name, value in parser.fields:
        # h11 tells these two as it understood them.
        if name == "content-length":
            value = value.partition(",")[0]
        elif name == "transfer-encoding":
            value = value.lower()
        told.append((name, value))
    return Read(parser.status, tuple(told), body, parser.done, keeps)


def read_by_h11(method: str, data: bytes) -> Read:
    oracle = h11.Connection(h11.CLIENT, max_incomplete_event_size=LARGEST_HEAD)
    oracle.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    oracle.send(h11.EndOfMessage())
    status, fields, body, whole, keeps = 0, (), b"", False, False
    with contextlib.suppress(h11.RemoteProtocolError):
        closed = False
        oracle.receive_data(data)
        while True:
            event = oracle.next_event()
            if event is h11.NEED_DATA:
                if closed:
                    break
                closed = True
                oracle.receive_data(b"")
            elif isinstance(event, h11.Response):
                status = event.status_code
                fields = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers)
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                whole = True
                keeps = oracle.their_state is h11.DONE and not oracle.trailing_data[0] and not closed
                break
            elif not isinstance(event, h11.InformationalResponse):
                break
    return Read(status, fields, body, whole, keeps)


tokens = st.text("abcXYZ-_.!9", min_size=1, max_size=12)
words = st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_categories=["Cc", "Z"]), max_size=20)
fields = st.lists(st.tuples(tokens.map("x-".__add__), words), max_size=6)
sizes = st.sampled_from(["{:x}", "{:X}", "{:08x}", "{:x};a=b", '{:x};a="b;c" ; d', "{:x};", "{:x}  "])
chunks = st.lists(st.tuples(st.binary(min_size=1, max_size=40), sizes), max_size=12)


@st.composite
def responses(draw: st.DrawFn) -> tuple[str, bytes]:
    """A proper response with whatever may stand around it, and the method that was asked with."""
    method = draw(st.sampled_from(["GET", "POST", "HEAD"]))
    interim = st.sampled_from([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 x\r\na: b\r\n\r\n"])
    data = b"".join(draw(st.lists(interim, max_size=3)))
    version = draw(st.sampled_from(["1.1", "1.1", "1.0"]))
    status = draw(st.sampled_from(["200 OK", "200", "200 ", "404 Nöt Found", "204 None", "304 Same", "500 x y"]))
    gap = draw(st.sampled_from(["", " ", " \t"]))
    lines = [f"HTTP/{version} {status}", *[f"{name}:{gap}{value} " for name, value in draw(fields)]]
    body = b""
    framing = draw(st.sampled_from(["length", "chunks", "until close", "nothing"]))
    if framing == "length":
        body = draw(st.binary(max_size=60))
        lines.append(f"Content-Length: {len(body)}" + draw(st.sampled_from(["", f", {len(body)}"])))
    elif framing == "chunks":
        lines.append(draw(st.sampled_from(["Transfer-Encoding: chunked", "transfer-encoding: Chunked"])))
        parts = [spelled.format(len(part)).encode() + b"\r\n" + part + b"\r\n" for part, spelled in draw(chunks)]
        trailer = "".join(f"{name}: {value}\r\n" for name, value in draw(fields)).encode("latin-1")
        body = b"".join(parts) + draw(st.sampled_from([b"0", b"000", b"0;x"])) + b"\r\n" + trailer + b"\r\n"
    elif framing == "until close":
        body = draw(st.binary(max_size=60))
    lines.append(draw(st.sampled_from(["Connection: close", "connection: Keep-Alive", "connection: a, CLOSE", "a: b"])))
    return method, data + "\r\n".join([*lines, "", ""]).encode("latin-1") + body


cuts = st.lists(st.integers(0, 2**16), max_size=8)


@given(responses(), cuts)
@example(("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"), list(range(80)))
def test_a_proper_response_is_read_as_h11_reads_it(sent: tuple[str, bytes], places: list[int]) -> None:
    method, data = sent
    assert read(method, cut(data, places)) == read_by_h11(method, data)


@given(responses(), st.lists(st.tuples(st.integers(0, 2**16), st.binary(max_size=3)), max_size=3), cuts)
def test_what_is_damaged_is_never_taken_for_more_than_h11_takes_it(
    sent: tuple[str, bytes], damages: list[tuple[int, bytes]], places: list[int]
) -> None:
    method, data = sent
    for place, with_what in damages:
        place %= len(data) + 1
        data = data[:place] + with_what + data[place + len(with_what) :]
    ours, oracle = read(method, cut(data, places)), read_by_h11(method, data)
    if ours.whole:
        assert (ours.status, ours.body, oracle.whole) == (oracle.status, oracle.body, True)
        assert oracle.keeps or not ours.keeps, "another response would be read from bytes that are none"
    assert oracle.body.startswith(ours.body)


@given(responses(), cuts, st.integers(1, 2**16))
def test_a_response_that_is_cut_off_is_not_whole(sent: tuple[str, bytes], places: list[int], kept: int) -> None:
    method, data = sent
    data = data[: kept % len(data)]
    ours = read(method, cut(data, places))
    assert ours == read_by_h11(method, data)


@given(responses(), cuts, st.binary(min_size=1, max_size=9))
def test_nothing_is_read_behind_the_end_and_the_connection_carries_no_more(
    sent: tuple[str, bytes], places: list[int], more: bytes
) -> None:
    method, data = sent
    alone = read(method, [data], closes=False)
    if alone.whole:
        assert read(method, cut(data + more, places), closes=False) == Read(
            alone.status, alone.fields, alone.body, True, keeps=False
        )


def test_all_chunks_of_one_read_are_one_piece() -> None:
    parser = ResponseParser("POST")
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert parser.feed(head + b"1\r\na\r\n2\r\nbc\r\n5\r\nde") == b"abcde"
    assert parser.feed(b"fgh") == b"fgh"
    assert parser.feed(b"\r\n1\r\ni\r\n0\r\n\r\n") == b"i"
    assert (parser.done, parser.keeps) == (True, True)


def test_the_intact_chunks_before_a_damaged_one_are_given() -> None:
    parser = ResponseParser("POST")
    parser.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert parser.feed(b"1\r\na\r\nzz\r\n") == b"a"
    assert isinstance(parser.failure, ProtocolError)
    assert not parser.done


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH",
        b"\x00",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: b\nc: d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: \x00\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1, 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1_0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
        *[CHUNKED + line + b"\r\n" for line in (b"", b"0x1", b"-1", b"+1", b"1_0", b" 1", b"g", b"1 1", b"f" * 17)],
        CHUNKED + b"1\r\nabc\r\n",
        CHUNKED + b"0\r\nno trailer\r\n\r\n",
        CHUNKED + b"1" * 5000,
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * LARGEST_HEAD,
        b"HTTP/1.1 100 Continue\r\n\r\n" * LARGEST_HEAD,
    ],
)
def test_garbage_is_refused_as_soon_as_it_is_there(data: bytes) -> None:
    parser = ResponseParser("GET")
    try:
        parser.feed(data)
    except ProtocolError as error:
        parser.failure = error
    assert parser.failure is not None, "taken for HTTP"


def test_a_length_beside_chunks_ends_the_connection_with_the_response() -> None:
    both = CHUNKED[:-2] + b"content-length: 5\r\n\r\n0\r\n\r\n"
    assert read("GET", [both], closes=False) == Read(
        200, (("transfer-encoding", "chunked"), ("content-length", "5")), b"", True, keeps=False
    )


def test_the_work_is_linear_however_small_the_reads_are() -> None:
    """Ten times the head, a byte a read: held bytes are not copied at every read."""
    parser = ResponseParser("GET")
    for byte in b"HTTP/1.1 200 OK\r\na: " + b"b" * 90_000 + b"\r\ncontent-length: 0\r\n\r\n":
        parser.feed(bytes([byte]))
    assert parser.done


@given(
    st.sampled_from(["GET", "POST"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
    st.lists(st.tuples(tokens, st.text(st.characters(min_codepoint=32, max_codepoint=126)).map(str.strip)), max_size=8),
)
def test_what_h11_reads_of_a_request_is_what_was_meant(
    method: str, target: str, given_fields: list[tuple[str, str]]
) -> None:
    everything = [("Host", "x"), *[(f"x-{name}", value) for name, value in given_fields]]
    server = h11.Connection(h11.SERVER)
    server.receive_data(request_head(method, target, everything))
    request = server.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method.decode(), request.target.decode()) == (method, target)
    assert [(name.decode(), value.decode()) for name, value in request.headers.raw_items()] == everything


@given(st.text(max_size=20), st.sampled_from(["\r\nx: y", "\n", "\r", "\x00", "é", "\x7f"]), st.text(max_size=20))
@pytest.mark.parametrize("where", ["name", "value", "target", "method"])
def test_what_would_make_another_request_of_it_is_refused(where: str, before: str, bad: str, after: str) -> None:
    word = before + bad + after
    with pytest.raises(UnfitRequest) as raised:
        request_head(
            word if where == "method" else "GET",
            word if where == "target" else "/",
            [("host", "x"), (word if where == "name" else "a", word if where == "value" else "b")],
        )
    assert not str(raised.value), "it may hold the token"


@pytest.mark.parametrize("cut", [1, 7, 100])
def test_a_head_with_bare_line_ends_is_refused_and_not_waited_for(cut):
    head = b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok"
    parser = ResponseParser("POST")

    def feed() -> None:
        for at in range(0, len(head), cut):
            parser.feed(head[at : at + cut])

    with pytest.raises(ProtocolError):
        feed()

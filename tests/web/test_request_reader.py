"""Reading requests, held against h11: what is accepted here, it accepts with the same meaning."""

from __future__ import annotations

import itertools

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kirotrio.web.http1 import MOST_HEAD, Malformed, OtherProtocol, RequestHead, RequestReader, response_head

Read = tuple[str, str, str, list[tuple[str, str]], bytes, bool]
"""Method, target, version, fields, body, whether its end was seen."""


def read_here(pieces: list[bytes]) -> tuple[list[Read], int | None]:
    """All requests, and the status of the refusal that ended them."""
    reader, read = RequestReader(), []
    head: RequestHead | None = None
    body, complete = b"", True

    def entry() -> Read:
        assert head is not None
        return (head.method, head.target, head.version, head.fields, body, complete)

    try:
        for piece in pieces:
            reader.feed(piece)
            while True:
                if complete:
                    before = reader.held
                    if (following := reader.head()) is None:
                        break
                    assert len(reader.held) < len(before)
                    head, body, complete = following, b"", not following.has_body
                if not complete:
                    more, complete = reader.body()
                    body += more
                if not complete:
                    break
                read.append(entry())
    except Malformed as malformed:
        return ([*read, entry()] if not complete else read), malformed.status
    return ([*read, entry()] if not complete else read), None


def read_by_h11(data: bytes) -> tuple[list[Read], int | None]:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD)
    connection.receive_data(data)
    read: list[Read] = []
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers]
                start = (event.method.decode(), event.target.decode(), event.http_version.decode(), fields)
                read.append((*start, b"", False))
            elif isinstance(event, h11.Data):
                read[-1] = (*read[-1][:4], read[-1][4] + bytes(event.data), False)
            elif isinstance(event, h11.EndOfMessage):
                read[-1] = (*read[-1][:5], True)
            elif event is h11.PAUSED:
                connection.send(h11.Response(status_code=204, headers=[]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is h11.MUST_CLOSE:
                    return read, None
                connection.start_next_cycle()
            else:
                return read, None
    except h11.RemoteProtocolError as error:
        return read, error.error_status_hint


def bare(read: list[Read]) -> list[Read]:
    """Without what the two write differently: the coding's capitals."""
    return [(*entry[:3], [(name, value.lower()) for name, value in entry[3]], *entry[4:]) for entry in read]


tokens = st.text("aZ0!-_~", min_size=1, max_size=6)
values = st.one_of(st.text('azZ09 ,;:="\t\x01\x7f\xe9', max_size=12), st.just("")).map(str.strip)
names = st.one_of(tokens, st.sampled_from(["X-Api-Key", "content-type", "CONNECTION", "Expect"]))


@st.composite
def bodies(draw: st.DrawFn) -> tuple[list[tuple[str, str]], bytes]:
    """Fields that tell a body's length, and the body as it is sent."""
    content = draw(st.binary(max_size=60))
    kind = draw(st.sampled_from(["none", "length", "chunked"]))
    if kind == "none":
        return [], b""
    if kind == "length":
        return [("Content-Length", str(len(content)))], content
    sent = b""
    while content:
        size = draw(st.integers(1, len(content)))
        piece, content = content[:size], content[size:]
        extension = draw(st.sampled_from([b"", b";a", b';a="b c"', b" ", b";x \t"]))
        sent += (b"%x" if draw(st.booleans()) else b"%04X") % size + extension + b"\r\n" + piece + b"\r\n"
    trailers = draw(st.sampled_from([b"", b"a: b\r\n", b"a:b\r\nc: \r\n"]))
    return [("transfer-encoding", draw(st.sampled_from(["chunked", "Chunked"])))], sent + b"0\r\n" + trailers + b"\r\n"


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    fields, body = draw(bodies())
    fields += draw(st.lists(st.tuples(names, values), max_size=4))
    fields.insert(draw(st.integers(0, len(fields))), ("Host", "here"))
    lines = [f"{name}:{draw(st.sampled_from(['', ' ', chr(9)]))}{value}" for name, value in fields]
    line = f"{draw(tokens)} {draw(st.sampled_from(['/', '/a?b=c%20d', '*', 'http://x/y']))} HTTP/1.1"
    return "\r\n".join([line, *lines, "", ""]).encode("latin-1") + body


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[begin:end] for begin, end in itertools.pairwise(edges) if begin != end]


@given(st.lists(requests(), min_size=1, max_size=3), st.lists(st.integers(0, 10_000), max_size=8))
def test_requests_are_read_as_h11_reads_them_however_they_are_cut(sent, places):
    data = b"".join(sent)
    here, refused = read_here(cut(data, places))
    theirs, _ = read_by_h11(data)
    assert refused is None
    # h11 goes no further than a request after which the connection closes.
    assert bare(here)[: len(theirs)] == bare(theirs)
    assert len(here) == len(sent)


@given(
    requests(),
    st.lists(
        st.tuples(st.integers(0, 10_000), st.sampled_from([b"", b"\r", b"\n", b"\0", b" ", b":", b"a", b"9", b"\r\n"]))
    ),
    st.booleans(),
)
@example(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n", [], True)
@example(b"GET / HTTP/1.1\r\nhost: x\r\na: b\nc: d\r\n\r\n", [], True)
def test_what_is_damaged_is_refused_or_means_what_it_means_to_h11(data, damages, replaces):
    for place, damage in damages:
        at = place % len(data)
        data = data[:at] + damage + data[at + len(damage) * replaces :]
    try:
        here, refused = read_here([data])
    except OtherProtocol:
        return
    theirs, _ = read_by_h11(data)
    whole = [entry for entry in here if entry[5]]
    assert bare(whole)[: len(theirs)] == [entry for entry in bare(theirs) if entry[5]][: len(whole)]
    if len(whole) < len(here) and refused is None:
        assert bare(here)[-1] == bare(theirs)[len(here) - 1]


@given(requests(), st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from([b"\r", b"\n", b"\0", b" ", b"x"]))))
def test_the_cutting_changes_nothing_of_a_refusal(data, damages):
    for place, damage in damages:
        at = place % len(data)
        data = data[:at] + damage + data[at + 1 :]
    try:
        whole, byte_by_byte = read_here([data]), read_here([data[at : at + 1] for at in range(len(data))])
    except OtherProtocol:
        return
    assert [entry for entry in whole[0] if entry[5]] == [entry for entry in byte_by_byte[0] if entry[5]]


HOST = "host: x\r\n"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET / HTTP/1.1\r\n", 400),
        ("GET / HTTP/2.0\r\n", 505),
        ("GET / HTTP/0.9\r\n", 505),
        ("GET  / HTTP/1.1\r\n" + HOST, 400),
        ("\r\nGET / HTTP/1.1\r\n" + HOST, 400),
        ("GET / HTTP/1.1\r\n" + HOST + HOST, 400),
        ("GET / HTTP/1.1\r\n" + HOST + "a: b\r\n folded\r\n", 400),
        ("GET / HTTP/1.1\r\n" + HOST + "a : b\r\n", 400),
        ("GET / HTTP/1.1\r\n" + HOST + "a\r\n", 400),
        ("GET / HTTP/1.1\r\n" + HOST + "a: b\nc: d\r\n", 400),
        ("GET / HTTP/1.1\r\n" + HOST + "a: b\rc: d\r\n", 400),
        ("GET / HTTP/1.1\r\n" + HOST + "a: \0\r\n", 400),
        ("POST / HTTP/1.1\r\n" + HOST + "content-length: 5\r\ncontent-length: 6\r\n", 400),
        ("POST / HTTP/1.1\r\n" + HOST + "content-length: 5\r\ncontent-length: 5\r\n", 400),
        ("POST / HTTP/1.1\r\n" + HOST + "content-length: 5, 5\r\n", 400),
        ("POST / HTTP/1.1\r\n" + HOST + "content-length: +5\r\n", 400),
        ("POST / HTTP/1.1\r\n" + HOST + "content-length: \xb2\r\n", 400),
        ("POST / HTTP/1.1\r\n" + HOST + "content-length: 0x5\r\n", 400),
        ("POST / HTTP/1.1\r\n" + HOST + "content-length: 5\r\ntransfer-encoding: chunked\r\n", 400),
        ("POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n", 400),
        ("POST / HTTP/1.1\r\n" + HOST + "transfer-encoding: gzip, chunked\r\n", 501),
        ("POST / HTTP/1.1\r\n" + HOST + "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", 501),
        ("POST / HTTP/1.1\r\n" + HOST + "transfer-encoding: \x0bchunked\r\n", 400),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(head, status):
    assert read_here([head.encode("latin-1") + b"\r\n"]) == ([], status)


ILLEGAL_HOSTS = [
    "",
    "two words",
    "a\tb",
    "a@b",
    "user:word@host:80",
    "a/b",
    "a:b",
    "[::1",
    "::1",
    "a,b:80:80",
    "\xe4",
    "a?b",
]


@pytest.mark.parametrize("host", ILLEGAL_HOSTS)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_host_that_is_none_is_refused(host, version):
    head = f"GET / HTTP/{version}\r\nhost: {host}\r\n\r\n"
    assert read_here([head.encode("latin-1")]) == ([], 400)


@pytest.mark.parametrize(
    ("target", "host"),
    [("/", one) for one in ("x", "x:80", "x:", "a_b.example", "[::1]:8000", "[fe80::1%eth0]", "127.0.0.1:1", "xn--a")]
    + [("*", ""), ("http://x/", "")],
)
def test_a_host_that_is_one_is_taken(target, host):
    requests, refused = read_here([f"OPTIONS {target} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode()])
    assert (len(requests), refused) == (1, None)


@pytest.mark.parametrize(
    "body",
    [
        b"-5\r\n",
        b"0x5\r\n",
        b"5;\0\r\n",
        b"5\n",
        b"g\r\n",
        b"\r\n",
        b" 5\r\n",
        b"11111111111111111\r\n",
        b"1\r\nabc\r\n",
    ],
)
def test_chunks_without_a_proper_length_are_refused(body):
    head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    assert read_here([head + body])[1] == 400


@pytest.mark.parametrize("begun", [b"GET /" + b"a" * MOST_HEAD, b"GET / HTTP/1.1\r\na: " + b"a" * MOST_HEAD])
def test_a_head_without_an_end_is_refused(begun):
    assert read_here([begun]) == ([], 431)
    assert read_here([begun + b"\r\n\r\n"]) == ([], 431)


@pytest.mark.parametrize("begun", [b"\x16\x03\x01", b" GET", b"GET / HTTP/1.1\n\n"])
def test_what_is_no_request_is_refused_before_its_end(begun):
    assert read_here([begun]) == ([], 400)


@pytest.mark.parametrize(
    "head",
    [
        b"PRI * HTTP/2.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    ],
)
def test_other_protocols_are_left_as_they_came(head):
    reader = RequestReader()
    reader.feed(head + b"more")
    with pytest.raises(OtherProtocol):
        reader.head()
    assert reader.held == head + b"more"


@pytest.mark.parametrize(
    "fields",
    [
        b"connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 1\r\n",
        b"connection: upgrade\r\nupgrade: websocket\r\ntransfer-encoding: chunked\r\n",
        b"upgrade: websocket\r\n",
        b"upgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n",
        b"connection: upgrade\r\nupgrade: h2c\r\n",
    ],
)
def test_half_a_wish_for_another_protocol_is_passed_over(fields):
    reader = RequestReader()
    reader.feed(b"GET / HTTP/1.1\r\nhost: x\r\n" + fields + b"\r\n")
    assert reader.head() is not None


def test_an_upgrade_of_a_request_with_a_body_is_passed_over():
    head = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 1\r\n\r\nx"
    ((method, *_, body, complete),), _ = read_here([head])
    assert (method, body, complete) == ("POST", b"x", True)


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\rb"])
def test_a_field_of_an_answer_stays_one(value):
    with pytest.raises(ValueError, match="line break"):
        response_head(200, [("x", value)], "")


@given(st.integers(200, 599), st.lists(st.tuples(tokens, values)))
def test_heads_of_answers_are_read_by_h11(status, fields):
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(response_head(status, fields, "content-length: 0\r\n"))
    answer = client.next_event()
    assert isinstance(answer, h11.Response)
    assert answer.status_code == status
    expected = [(name.lower().encode(), value.encode("latin-1")) for name, value in fields]
    assert list(answer.headers)[:-1] == expected

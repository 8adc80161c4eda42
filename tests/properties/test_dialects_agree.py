"""The same upstream bytes say the same in every dialect, streamed or not, live or buffered."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from support.asgi import gateway_on, post
from support.dialects import ALL, Said, Spoken
from support.scripted import ScriptedTransport, answering, event, tail

from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.web.app import RelayApp, create_app
from kirotrio.web.gateway import Gateway

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
TEXT = st.one_of(WORDS, st.sampled_from(["\n", "€ 漢字 😀", '"\\', "<", "</thinking>", "data: x\n\n", "[DONE]"]))
INPUTS = st.dictionaries(WORDS, st.one_of(WORDS, st.integers(-5, 5), st.lists(st.booleans(), max_size=2)), max_size=3)


@st.composite
def tool_calls(draw: st.DrawFn) -> list[bytes]:
    """One call, its arguments in pieces; sometimes they are no JSON."""
    call = {"toolUseId": draw(st.sampled_from(["tooluse_a", "tooluse_b"])), "name": "write_file"}
    arguments = orjson.dumps(draw(INPUTS)).decode()
    if draw(st.integers(0, 9)) == 0:
        arguments = arguments[:-1]
    cut = draw(st.integers(0, len(arguments)))
    pieces = [event("toolUseEvent", **call, input=piece) for piece in (arguments[:cut], arguments[cut:]) if piece]
    return [event("toolUseEvent", **call), *pieces, event("toolUseEvent", **call, stop=True)]


THINKING = st.one_of(
    st.lists(TEXT, min_size=1, max_size=3).map(
        lambda pieces: [event("reasoningContentEvent", text=piece) for piece in pieces]
    ),
    st.just([event("reasoningContentEvent", text="deep"), event("reasoningContentEvent", signature="c2lnbmVk")]),
    st.just([event("assistantResponseEvent", content="<thinking>hm</thinking>\n\n")]),
)
ANSWERS = st.lists(
    st.one_of(
        st.lists(TEXT, min_size=1, max_size=4).map(
            lambda pieces: [event("assistantResponseEvent", content=piece) for piece in pieces]
        ),
        THINKING,
        tool_calls(),
    ),
    min_size=1,
    max_size=5,
).map(lambda runs: [frame for run in runs for frame in run])
STOPS = st.sampled_from(["END_TURN", "TOOL_USE", "MAX_TOKENS", "STOP_SEQUENCE", "CONTENT_FILTERED"])


@st.composite
def upstream(draw: st.DrawFn) -> list[bytes]:
    """One whole answer; a frame may come in two reads."""
    frames = [*draw(ANSWERS), *tail(draw(st.sampled_from([0.5, 3.4, 77.0])), draw(STOPS))]
    raw = b"".join(frames)
    cuts = sorted(draw(st.lists(st.integers(0, len(raw)), max_size=4)))
    return [piece for begin, end in zip([0, *cuts], [*cuts, len(raw)], strict=True) if (piece := raw[begin:end])]


_TOO_STRICT = "tool calls but finish_reason 'content_filter'"
"""The validator allows in a stream what it has against in a body."""


def facts(said: Said) -> dict[str, Any]:
    """What has to be the same. Ids of calls are the dialect's own affair, which result meets which call is not."""
    return {
        "text": said.text,
        "thinking": said.thinking,
        "calls": [(name, arguments) for _, name, arguments in said.calls],
        "stop": said.stop,
        "usage": said.usage,
    }


async def answers(spoken: Spoken, gateway: Gateway, app: RelayApp) -> dict[str, Any]:
    """What the dialect says of one answer, in every way that it can be asked."""
    told: dict[str, Any] = {}
    for way, path, stream in (
        ("live", spoken.path, True),
        ("buffered", spoken.buffered, True),
        ("whole", spoken.path, False),
    ):
        asked = {**spoken.question(stream=stream, tools=True, model="claude-opus-4.8"), **spoken.thinking()}
        status, body = await post(gateway, path, asked, app=app)
        if status != 200:
            told[f"{spoken.kind} {way}"] = {"refused": True}
            continue
        if stream:
            assert spoken.problems(body) == [], f"{spoken.kind} {way} is no legal stream"
            said = spoken.read(body)
        else:
            assert [p for p in spoken.body_problems(orjson.loads(body)) if p != _TOO_STRICT] == []
            said = spoken.read_body(orjson.loads(body))
        told[f"{spoken.kind} {way}"] = {"refused": True} if said.error else facts(said)
    return told


@given(upstream())
@settings(max_examples=30)
async def test_the_three_dialects_agree(estimator: TokenEstimator, pieces: list[bytes]) -> None:
    gateway = gateway_on(ScriptedTransport(answering(pieces)), estimator)  # says the same again and again
    app = create_app(gateway)
    told: dict[str, Any] = {}
    for spoken in ALL:
        told |= await answers(spoken, gateway, app)
    expected = told["anthropic live"]
    for way, said in told.items():
        assert said == expected, f"{way} differs from Anthropic's live stream"

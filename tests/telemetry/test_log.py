"""What a log line has, what never gets into one, and what a line below the level costs."""

from __future__ import annotations

import io
import json
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirotrio.config.options import options, with_values
from kirotrio.config.secrets import secret_values
from kirotrio.config.settings import LogSettings, Settings
from kirotrio.telemetry.log import RecordingLog, SilentLog, open_log
from kirotrio.telemetry.redact import Redactor


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def one_line(secrets: Any = (), **fields: Any) -> dict[str, Any]:
    """The JSON line of one event."""
    stream = io.StringIO()
    open_log(LogSettings(), stream, secrets=secrets).info("something happened", **fields)
    line: dict[str, Any] = json.loads(stream.getvalue())
    return line


def test_json_line_has_the_standard_fields_first() -> None:
    line = one_line(model="m", attempts=2, measured=True, seconds=0.5, none=None)
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert line["level"] == "info"
    assert line["event"] == "something happened"
    assert line["timestamp"].endswith("Z")
    assert {name: line[name] for name in ("model", "attempts", "measured", "seconds", "none")} == {
        "model": "m",
        "attempts": 2,
        "measured": True,
        "seconds": 0.5,
        "none": None,
    }


@pytest.mark.parametrize(("level", "expected"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_levels_below_the_setting_write_nothing(level: str, expected: int) -> None:
    stream = io.StringIO()
    log = open_log(LogSettings(level=level), stream)
    for write in (log.debug, log.info, log.warning, log.error):
        write("e")
    assert len(stream.getvalue().splitlines()) == expected


def test_a_line_below_the_level_looks_at_no_field() -> None:
    class Expensive:
        def __str__(self) -> str:
            raise AssertionError("a line that is not written must not be rendered")

    open_log(LogSettings(level="warning"), io.StringIO()).debug("e", value=Expensive())


def test_format_follows_the_stream_unless_it_is_set() -> None:
    for stream, setting, is_json in [
        (io.StringIO(), "auto", True),
        (Terminal(), "auto", False),
        (Terminal(), "json", True),
        (io.StringIO(), "console", False),
    ]:
        open_log(LogSettings(format=setting), stream, colour=False).info("hello", a=1)
        text = stream.getvalue()
        assert text.startswith("{") is is_json, (setting, text)
        assert "\x1b" not in text, "colour was not asked for"
        assert text.count("\n") == 1


def test_colour_only_where_it_is_wanted() -> None:
    plain, coloured = Terminal(), Terminal()
    open_log(LogSettings(), plain, colour=False).info("hello")
    open_log(LogSettings(), coloured).info("hello")
    assert "\x1b" not in plain.getvalue()
    assert "\x1b" in coloured.getvalue()


def test_two_logs_do_not_know_of_each_other() -> None:
    loud, quiet = io.StringIO(), io.StringIO()
    first = open_log(LogSettings(level="debug"), loud)
    second = open_log(LogSettings(level="error"), quiet)
    first.debug("e")
    second.warning("e")
    assert loud.getvalue()
    assert not quiet.getvalue()


def test_outside_text_cannot_steer_the_terminal_or_forge_a_line() -> None:
    stream = Terminal()
    open_log(LogSettings(), stream, colour=False).info("e", model="\x1b]0;owned\x07\r\n2026 [info] forged\x9b1m")
    assert stream.getvalue().count("\n") == 1
    assert not any(control in stream.getvalue() for control in "\x1b\x07\r\x9b")


def test_a_traceback_is_told_without_its_secrets() -> None:
    stream = io.StringIO()
    log = open_log(LogSettings(), stream, secrets=["swordfish-swordfish"])
    try:
        raise ValueError("refused: swordfish-swordfish, Bearer abc.def")
    except ValueError as error:
        log.error("e", exc_info=error)
    line = json.loads(stream.getvalue())
    assert "ValueError: refused: ***, Bearer ***" in line["exception"]


@pytest.mark.parametrize("broken", [OSError("disk full"), ValueError("I/O operation on closed file")])
def test_a_stream_that_cannot_be_written_ends_nothing(broken: Exception) -> None:
    class Broken(io.StringIO):
        def write(self, _: str) -> int:
            raise broken

    open_log(LogSettings(), Broken()).error("e")


@pytest.mark.parametrize("value", [2**80, "\ud800", b"\xff", {1: object}, {"a": {1, 2}}, 1j, float("nan")])
def test_no_value_is_too_odd_for_a_line(value: Any) -> None:
    assert one_line(value=value)["event"] == "something happened"
    stream = Terminal()
    open_log(LogSettings(), stream).info("e", value=value)
    assert stream.getvalue()


class TestSecrets:
    @pytest.mark.parametrize(
        "name",
        ["token", "access_token", "refresh_token", "Authorization", "x-api-key", "api_key", "apikey", "client_secret",
         "password", "cookie"],
    )  # fmt: skip
    def test_a_name_that_only_secrets_have(self, name: str) -> None:
        assert one_line(**{name: "plain"})[name] == "***"
        assert one_line(headers={name: "plain"})["headers"][name] == "***"

    @pytest.mark.parametrize("name", ["input_tokens", "tokens", "key_id", "token_type", "output_tokens", "max_tokens"])
    def test_a_name_that_counts_or_identifies(self, name: str) -> None:
        assert one_line(counts={name: 12})["counts"][name] == 12

    @pytest.mark.parametrize(
        "secret",
        [
            "ksk_AbC-123_x",
            "sk-kt-q8Zt6mFq0m1L",
            "sk-ant-api03-xyzxyzxyz",
            "aoaAAAAAGk1234567890abcdef:MGUCMQ",
            "aorAAAAAGk1234567890abcdef:MGUCMQ",
            "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        ],
    )
    def test_the_shape_of_a_token_anywhere_in_a_text(self, secret: str) -> None:
        line = json.dumps(
            one_line(error=f"upstream said '{secret}', sorry", deep=[{"a": (secret,)}], raw=secret.encode())
        )
        assert secret not in line
        assert "sorry" in line

    def test_authorization_values_and_passwords_in_addresses(self) -> None:
        line = one_line(a="sent bEaReR abc-def to it", b="socks5://me:hunter2@box:1/x")
        assert line["a"] == "sent bEaReR *** to it"
        assert line["b"] == "socks5://me:***@box:1/x"

    @pytest.mark.parametrize(
        "prose",
        [
            "The bearer token included in the request is invalid.",
            "Send it as bearer token: see the manual",
            "Use Bearer authentication.",
            "no such scheme (bearer auth)",
        ],
    )
    def test_prose_about_bearer_tokens_is_left_alone(self, prose: str) -> None:
        assert Redactor().text(prose) == prose

    @given(st.from_regex(r"[A-Za-z0-9._~+/=-]{8,60}", fullmatch=True), st.sampled_from([" ", "  ", "\t", "\n"]))
    def test_any_other_word_after_bearer_is_a_secret(self, token: str, blank: str) -> None:
        if token.lower().rstrip(".") not in ("authentication", "authorization", "credential", "credentials"):
            assert Redactor().text(f"sent Bearer{blank}{token} to it") == f"sent Bearer{blank}*** to it"

    def test_prose_is_left_alone(self) -> None:
        prose = "asked for sk- and ksk; aoa is a fruit? 12 tokens: http://box:80/a@b"
        assert Redactor().text(prose) == prose

    def test_the_longer_of_two_secrets_is_wholly_gone(self) -> None:
        assert one_line(["abcdef", "abcdefgh"], a="x abcdefgh y")["a"] == "x *** y"

    @given(
        st.data(),
        st.text(min_size=8, max_size=40).filter(lambda text: text == text.strip()),
        st.sampled_from(["console", "json"]),
    )
    @settings(max_examples=100)
    def test_no_secret_of_the_settings_ever_appears(self, data: st.DataObject, secret: str, format: str) -> None:
        name = data.draw(st.sampled_from([option.name for option in options().values() if option.secret]))
        held = secret_values(with_values(Settings(), {name: secret}))
        stream = io.StringIO()
        log = open_log(LogSettings(format=format), stream, secrets=held)
        log.warning(
            f"event with {secret}",
            text=f"before{secret}after",
            quoted=ValueError(secret),
            shown=f"{secret!r}",
            **{"nested": {"list": [secret, {secret: secret}]}, "raw": secret.encode("utf-8", "replace"), secret: 1},
        )
        written = stream.getvalue()
        assert "before***after" in written
        assert secret not in written
        assert json.dumps(secret)[1:-1] not in written
        assert repr(secret)[1:-1] not in written

    @given(
        st.dictionaries(
            st.sampled_from(["a", "token", "model", "level", "x-api-key", "attempts", "sk-kt-q8Zt6mFq0m1L"]),
            st.one_of(
                st.lists(
                    st.sampled_from(
                        ["bearer ", "token", "abc-def", "ksk_", "\n", "aor", "A" * 20, "sk-", "://", "u:p@h", '"', " ",
                         "\u212a", "\u017f", "eyJhbGciOi.eyJ", "swordfish", ",", "}"]
                    ),
                    max_size=5,
                ).map("".join),
                st.none(),
                st.integers(-(2**70), 2**70),
                st.floats(),
                st.booleans(),
                st.lists(st.sampled_from(["ok", "sk-kt-q8Zt6mFq0m1L", "two words"]), max_size=2),
            ),
            max_size=4,
        )
    )  # fmt: skip
    def test_a_line_that_is_written_in_one_go_is_the_one_that_each_value_was_looked_at_for(
        self, fields: dict[str, Any]
    ) -> None:
        at_once = one_line(["swordfish"], **fields)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Redactor, "is_harmless", lambda *_: False)
            one_by_one = one_line(["swordfish"], **fields)
        assert list(at_once) == list(one_by_one)
        assert {**at_once, "timestamp": ""} == {**one_by_one, "timestamp": ""}

    def test_the_proxys_password_counts_in_both_spellings(self) -> None:
        held = secret_values(with_values(Settings(), {"upstream.proxy_url": "http://me:p%40ss-word@box:1"}))
        line = one_line(held, a="p%40ss-word", b="p@ss-word", c="http://me:p%40ss-word@box:1")
        assert [line[name] for name in "abc"] == ["***"] * 3

    def test_settings_may_be_logged_as_they_are(self) -> None:
        secret = "swordfish-swordfish"
        line = one_line([secret], all=attrs.evolve(Settings(), server=attrs.evolve(Settings().server, api_key=secret)))
        assert secret not in json.dumps(line)


def test_recording_log_keeps_calls() -> None:
    log = RecordingLog()
    log.info("a", x=1)
    log.debug("b")
    log.warning("c")
    log.error("d")
    assert log.lines[0] == ("info", "a", {"x": 1})
    assert log.events() == ["a", "b", "c", "d"]
    assert log.events("warning") == ["c"]


def test_silent_log_takes_everything() -> None:
    log = SilentLog()
    for write in (log.debug, log.info, log.warning, log.error):
        write("e", a=1)

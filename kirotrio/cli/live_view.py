"""The live view as a page: running answers, accounts, and how much was done lately. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from kirotrio.accounts.lending.states import moment
from kirotrio.cli.terminal import printable

_STATES: Final = {
    "queued": "yellow",
    "preparing": "yellow",
    "asked": "cyan",
    "accepted": "cyan",
    "answering": "green",
    "finishing": "green",
    "ending": "red",
}
_WORDS: Final = {
    "rate": "asked too often",
    "burn_rate": "used too fast",
    "short_quota": "used up for now",
    "quota": "used up",
    "suspicious": "under suspicion",
    "suspended": "suspended",
    "model": "model not offered",
    "access": "not admitted",
    "sign_in": "signed out",
}


def page(told: Mapping[str, Any], *, rows: int | None = None) -> RenderableType:
    """What `GET /live` tells. `rows`: so many answers at most; the rest is counted."""
    answers: Sequence[Mapping[str, Any]] = told["answers"]
    shown = answers if rows is None else answers[: max(rows, 1)]
    parts: list[RenderableType] = [_heading(told), Text(), _answers(shown)]
    if more := len(answers) - len(shown) + told.get("untold", 0):
        parts.append(Text(f"and {more} more", style="dim"))
    return Group(*parts, Text(), _accounts(told["accounts"], told["at"]))


def _heading(told: Mapping[str, Any]) -> Text:
    lately = told["lately"]
    running = len(told["answers"]) + told.get("untold", 0)
    put_out = lately["output_tokens"] / 60
    line = (
        f"kirotrio {told['version']}: {running} running; in the last minute {lately['answers']} answers "
        f"({lately['failed']} failed, {lately['unfinished'] - lately['failed']} broken off), "
        f"{lately['refused']} refused, {put_out:.1f} tokens/s out, {lately['credits']:.2f} credits"
    )
    if told.get("processes", 1) > 1:
        line += f"; {told['processes']} processes"
    if told.get("gateway"):
        line += f"; of the gateway {told['gateway']} alone, as the database does not answer"
    if told.get("gateways"):
        names = [one["name"] + (f" (seen {span(one['told'])} ago)" if one["told"] else "") for one in told["gateways"]]
        line += f"; of the gateways {', '.join(names)}"
    return Text(printable(line + ("; stopping" if told.get("draining") else "")), style="bold")


def _answers(answers: Sequence[Mapping[str, Any]]) -> Table:
    several = any(one.get("gateway") for one in answers)
    where = ("gateway",) if several else ()
    table = _table("age", "state", "tokens", "model", "account", "key", "surface", *where, "request")
    for one in answers:
        state = str(one["state"])
        table.add_row(
            _text(span(one["age"])),
            Text(printable(state), style=_STATES.get(state, "")),
            _text(str(one["output_tokens"])),
            *(_text(text or "-") for text in (one["model"], one["account"], one.get("key_name") or one["key_id"])),
            _text(f"{one['surface']} {one['mode']}"),
            *([_text(one.get("gateway", ""))] if several else []),
            _text(one["id"]),
        )
    return table


def _accounts(accounts: Sequence[Mapping[str, Any]], now: float) -> Table:
    table = _table("account", "state", "busy", "waiting", "credits left", "reset")
    for one in accounts:
        table.add_row(
            _text(one["name"]),
            _state(one, now),
            _text(f"{one['busy']}/{one['most']}" if one["most"] else str(one["busy"])),
            _text(str(one["waiting"])),
            _text(_credits(one)),
            _text(moment(one["resets_at"]) if one["resets_at"] else "-"),
        )
    return table


def _state(account: Mapping[str, Any], now: float) -> Text:
    state = str(account["state"])
    if state == "ready":
        return Text(state, style="green")
    word = _WORDS.get(state, state)
    if account["until"] is not None:
        word += f" until {moment(account['until'], now)}"
    return Text(printable(word), style="dim" if state == "disabled" else "red")


def _credits(account: Mapping[str, Any]) -> str:
    left, limit = account["credits_left"], account["credits_limit"]
    if left is None:
        return "-"
    return f"{left:.1f}" + (f" of {limit:.0f}" if limit is not None else "")


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, highlight=False)
    for heading in headings:
        right = heading in ("age", "tokens", "busy", "waiting", "credits left")
        table.add_column(heading, no_wrap=True, overflow="ellipsis", justify="right" if right else "left")
    return table


def _text(text: str) -> Text:
    return Text(printable(text))


def span(seconds: float) -> str:
    """`4.2s`, `1:05`, `1:02:05`."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

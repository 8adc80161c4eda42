"""How the worth of accounts and their models look: tables with bars for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.text import Text

from kirotrio.classes import frozen
from kirotrio.cli.accounts.states import State, span
from kirotrio.cli.tables import print_table
from kirotrio.errors import AccountSuspended, KirotrioError
from kirotrio.kiro.merging import merged
from kirotrio.kiro.model_table import PROVEN, ModelProfile, Origin
from kirotrio.kiro.models import Catalogue
from kirotrio.kiro.usage import AccountUsage, Allowance
from kirotrio.store.account_record import AccountRecord

_BAR = 10
"""Characters of a bar."""
_MARKS: dict[Origin, str] = {"account": "", "table": "*", "assumed": "?"}
LEGEND = "no mark: the account's own list   *: kirotrio's table   ?: assumed, nobody has said"
_HEADINGS = ("account", "plan", "credits", "trial", "bonus", "overage", "resets", "e-mail", "state", "as of")
_FIRST = ("credits", "state", "plan", "resets")
"""What stands in the table where there is no room for all, the most needed first."""
_MODEL_HEADINGS = ("model", "window", "output", "thinking", "efforts", "rate", "images")
_FIRST_OF_MODELS = ("window", "output", "rate", "thinking", "images")


@frozen
class Worth:
    """One account: `standing` is what the gateway thinks of it, `usage` is None where nothing is known, `problem` is
    why it could not be asked."""

    record: AccountRecord
    standing: State
    usage: AccountUsage | None
    problem: KirotrioError | None = None


@frozen
class ModelsOf:
    """One account's models; `fetched_at` (epoch seconds) is None where they are the built-in table's."""

    record: AccountRecord
    catalogue: Catalogue
    fetched_at: float | None
    problem: KirotrioError | None = None


# -- usage -----------------------------------------------------------------------------------------------------------


def print_worth(console: Console, worth: Sequence[Worth], now: float) -> None:
    """One row for each account. Bars are ASCII where no terminal shows colours."""
    fancy = is_fancy(console)
    rows = [[Text(cell) for cell in _cells(one, now, fancy=fancy)] for one in worth]
    for row in rows:
        state = row[_HEADINGS.index("state")]
        state.stylize({"active": "", "disabled": "dim"}.get(state.plain, "red"))
    print_table(console, _HEADINGS, rows, first=_FIRST, box=_box(fancy=fancy))


def _cells(one: Worth, now: float, *, fancy: bool) -> list[str]:
    usage = one.usage
    if usage is None:
        return [one.record.name, *["-"] * 6, one.record.email or "-", state_of(one), "-"]
    return [
        one.record.name,
        usage.plan or "-",
        _filled(usage.used, usage.limit, fancy=fancy),
        _extras(usage.of_kind("trial"), now),
        _extras(usage.of_kind("bonus"), now),
        _overage(usage),
        _reset(usage.resets_at, now),
        usage.email or one.record.email or "-",
        state_of(one),
        f"{span(now - usage.fetched_at)} ago",
    ]


def state_of(one: Worth) -> str:
    """The account's state in a word or two: what keeps the gateway from using it, else the upstream's word."""
    if not one.standing.serves:
        return str(one.standing)
    if isinstance(one.problem, AccountSuspended):
        return "suspended"
    if one.usage is None:
        return "not known"
    return "used up" if one.usage.used_up else one.usage.state


def worth_as_json(one: Worth, now: float) -> dict[str, Any]:
    """All figures; times are epoch seconds, `age` is seconds."""
    return {
        "account": one.record.name,
        "kind": one.record.kind,
        "enabled": one.record.enabled,
        "state": state_of(one),
        "usage": _rounded(one.usage.as_json()) if one.usage is not None else None,
        "age": round(now - one.usage.fetched_at, 3) if one.usage is not None else None,
        "problem": one.problem.message if one.problem is not None else None,
    }


def _rounded(value: Any) -> Any:
    """Without what reckoning with binary fractions leaves behind far after the point."""
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return round(value, 6) if isinstance(value, float) else value


def bar(part: float, *, fancy: bool) -> str:
    """How much of a whole is used, `part` from 0 to 1. Something is never drawn as nothing, nor a rest as no rest."""
    part = min(max(part, 0.0), 1.0)
    filled = round(part * _BAR)
    if 0 < part < 1:
        filled = min(max(filled, 1), _BAR - 1)
    full, empty = ("█", "░") if fancy else ("#", ".")
    return full * filled + empty * (_BAR - filled)


def _filled(used: float, limit: float | None, *, fancy: bool) -> str:
    if limit is None:
        return "-"
    part = used / limit if limit > 0 else 1.0
    return f"{bar(part, fancy=fancy)} {_number(used)}/{_number(limit)}"


def _extras(parts: Sequence[Allowance], now: float) -> str:
    running = [part for part in parts if part.active]
    if not running:
        return "over" if parts else "-"
    used, limit = sum(part.used for part in running), sum(part.limit for part in running)
    ends = min((part.expires_at for part in running if part.expires_at is not None), default=None)
    return f"{_number(used)}/{_number(limit)}" + (f" until {_date(ends)}" if ends is not None and ends > now else "")


def _overage(usage: AccountUsage) -> str:
    overage = usage.overage
    if not overage.enabled:
        return "off"
    said = _number(overage.used) + (f"/{_number(overage.cap)}" if overage.cap is not None else "")
    return said + (f" ({overage.charges:.2f} {overage.currency})".rstrip() if overage.charges else "")


def _reset(at: float | None, now: float) -> str:
    if at is None:
        return "-"
    return f"{_date(at)} (in {span(at - now)})" if at > now else f"{_date(at)} (passed)"


# -- models ----------------------------------------------------------------------------------------------------------


def print_models(console: Console, lists: Sequence[ModelsOf], now: float) -> None:
    """The models of one account, or of several together, with a mark at each value that is not the account's own."""
    catalogue = _together(lists)
    rows = [[Text(cell) for cell in _model_cells(model)] for model in catalogue.models if model.listed]
    print_table(console, _MODEL_HEADINGS, rows, first=_FIRST_OF_MODELS, box=_box(fancy=is_fancy(console)))
    console.print(Text(LEGEND))
    for one in lists:
        told = "not asked yet" if one.fetched_at is None else f"asked {span(now - one.fetched_at)} ago"
        console.print(Text(f"{one.record.name}: {told}"))


def models_as_json(lists: Sequence[ModelsOf], now: float) -> dict[str, Any]:
    """The models together, each value with where it is from, and how old each account's list is (seconds)."""
    return {
        "accounts": [
            {
                "account": one.record.name,
                "age": round(now - one.fetched_at, 3) if one.fetched_at is not None else None,
                "problem": one.problem.message if one.problem is not None else None,
            }
            for one in lists
        ],
        "models": [
            {"id": model.id, "name": model.name, **{name: _proven(model, name) for name in PROVEN}}
            for model in _together(lists).models
            if model.listed
        ],
    }


def _together(lists: Iterable[ModelsOf]) -> Catalogue:
    return merged(one.catalogue for one in lists)


def _proven(model: ModelProfile, name: str) -> dict[str, Any]:
    value = getattr(model, name)
    if name == "efforts":
        value = [effort.value for effort in value]
    return {"value": value, "from": model.provenance[name]}


def _model_cells(model: ModelProfile) -> list[str]:
    efforts = " ".join(effort.value for effort in model.efforts)
    values = {
        "window": _number(model.window),
        "max_output": _number(model.max_output) if model.max_output is not None else "-",
        "thinking": model.thinking,
        "efforts": efforts or "-",
        "rate": f"{model.rate:g}" if model.rate is not None else "-",
        "takes_images": "yes" if model.takes_images else "no",
    }
    marked = {name: said + ("" if said == "-" else _MARKS[model.provenance[name]]) for name, said in values.items()}
    names = ("window", "max_output", "thinking", "efforts", "rate", "takes_images")
    return [model.id, *(marked[name] for name in names)]


# -- both ------------------------------------------------------------------------------------------------------------


def is_fancy(console: Console) -> bool:
    """Whether there is a terminal that shows more than plain ASCII."""
    colours = not console.no_color and console.color_system is not None
    return console.is_terminal and not console.is_dumb_terminal and colours and console.encoding.startswith("utf")


def _box(*, fancy: bool) -> box.Box | None:
    return box.SIMPLE_HEAD if fancy else None


def _number(value: float) -> str:
    """Without decimals that say nothing: 50, 11.21, 1417.43."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")

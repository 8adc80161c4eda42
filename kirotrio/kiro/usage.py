"""What a subscription has and what of it is used, read from the upstream's own answer (KIRO_PROTOCOL 6.3, 6.4).

The answer is old or new, from the service or from the portal: all of that becomes one `AccountUsage`. Nothing here
raises for a part that is missing or odd: such a part is not known, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias

from attrs import field

from kirotrio.classes import frozen
from kirotrio.conversation.request import Json
from kirotrio.kiro.times import known_moment

UsageSource: TypeAlias = Literal["limits", "portal"]
AllowanceKind: TypeAlias = Literal["base", "trial", "bonus"]

_RESOURCES = ("CREDIT", "AGENTIC_REQUEST")
"""Which item of the list counts, the best first; else the first one (older plans list VIBE and SPEC)."""
_LARGEST = 1e12
_LONGEST = 200
"""Characters of a name that are kept."""


@frozen
class Allowance:
    """One part of what may be used, in credits. `expires_at`: epoch seconds, None for never or not known.

    `active`: it counts at present; an expired or exhausted one is told all the same.
    """

    kind: AllowanceKind
    name: str
    used: float
    limit: float
    expires_at: float | None = None
    active: bool = True

    @property
    def left(self) -> float:
        """Never below 0; 0 where it does not count."""
        return max(0.0, self.limit - self.used) if self.active else 0.0


@frozen
class Overage:
    """Use beyond the plan, which is charged. `used` and `cap` are credits, `cap` None if there is none or it is not
    known; `charges` are money in `currency`, `rate` is the price of one credit."""

    enabled: bool = False
    used: float = 0.0
    cap: float | None = None
    charges: float = 0.0
    rate: float | None = None
    currency: str = ""

    @property
    def left(self) -> float:
        """Credits that may still be used and charged; 0 where it is off or has no known end."""
        return max(0.0, (self.cap or 0.0) - self.used) if self.enabled else 0.0


@frozen
class AccountUsage:
    """One account's worth at `fetched_at` (epoch seconds, like `resets_at`).

    `plan` is its title, `plan_type` the upstream's own word for it. `state` is `active`, or what the portal says
    instead, in lower case. `source` is where the figures are from. Text that is not known is "".
    """

    plan: str = ""
    plan_type: str = ""
    state: str = "active"
    allowances: tuple[Allowance, ...] = ()
    overage: Overage = Overage()
    resets_at: float | None = None
    email: str = ""
    user_id: str = field(default="", repr=False)
    source: UsageSource = "limits"
    fetched_at: float = 0.0

    @property
    def counted(self) -> tuple[Allowance, ...]:
        """The parts that count at present: base, a running trial, running bonuses (KIRO_PROTOCOL 6.3)."""
        return tuple(part for part in self.allowances if part.active)

    @property
    def used(self) -> float:
        """Credits used of the parts that count."""
        return _sum(part.used for part in self.counted)

    @property
    def limit(self) -> float | None:
        """Credits of the parts that count, without overage; None where the answer named no part at all."""
        return _sum(part.limit for part in self.counted) if self.allowances else None

    @property
    def left(self) -> float | None:
        """Credits that are still paid for. One part that is overdrawn takes nothing away from another."""
        return _sum(part.left for part in self.counted) if self.allowances else None

    @property
    def total(self) -> float | None:
        """`limit`, and the overage's cap where it is enabled (KIRO_PROTOCOL 6.3)."""
        if self.limit is None:
            return None
        return _sum([self.limit, (self.overage.cap or 0.0) if self.overage.enabled else 0.0])

    @property
    def used_up(self) -> bool:
        """Whether nothing can be used any more, not even for money. False where that is not known."""
        if self.left is None or self.left > 0:
            return False
        return not self.overage.enabled or (self.overage.cap is not None and self.overage.left <= 0)

    def of_kind(self, kind: AllowanceKind) -> tuple[Allowance, ...]:
        return tuple(part for part in self.allowances if part.kind == kind)

    def as_json(self) -> dict[str, Json]:
        """Every figure, times as epoch seconds, for a person's own programs."""
        return {
            "plan": self.plan,
            "plan_type": self.plan_type,
            "state": self.state,
            "used": self.used,
            "limit": self.limit,
            "left": self.left,
            "total": self.total,
            "used_up": self.used_up,
            "allowances": [
                {
                    "kind": part.kind,
                    "name": part.name,
                    "used": part.used,
                    "limit": part.limit,
                    "left": part.left,
                    "expires_at": part.expires_at,
                    "active": part.active,
                }
                for part in self.allowances
            ],
            "overage": {
                "enabled": self.overage.enabled,
                "used": self.overage.used,
                "cap": self.overage.cap,
                "left": self.overage.left,
                "charges": self.overage.charges,
                "rate": self.overage.rate,
                "currency": self.overage.currency,
            },
            "resets_at": self.resets_at,
            "email": self.email,
            "user_id": self.user_id,
            "source": self.source,
            "fetched_at": self.fetched_at,
        }


def parse_usage(
    answer: Json, *, fetched_at: float, source: UsageSource = "limits", user: Json = None
) -> AccountUsage | None:
    """The worth that a GetUsageLimits answer tells, or a portal's; `user` is a GetUserInfo answer, if there is one.

    None where the answer is nothing of that kind at all.
    """
    root = _object(answer)
    if not any(isinstance(root.get(name), dict | list) for name in _SECTIONS):
        return None
    item = _chosen(root)
    subscription = _object(root.get("subscriptionInfo"))
    person, told = _object(root.get("userInfo")), _object(user)
    resets_at = known_moment(root.get("nextDateReset"))
    return AccountUsage(
        plan=_text(subscription.get("subscriptionTitle")),
        plan_type=_text(subscription.get("type")),
        state=(_text(told.get("status")) or "active").lower(),
        allowances=tuple(_allowances(item, fetched_at)),
        overage=_overage(root, item),
        resets_at=known_moment(item.get("nextDateReset")) if resets_at is None else resets_at,
        email=_text(person.get("email")) or _text(told.get("email")),
        user_id=_text(person.get("userId")) or _text(told.get("userId")),
        source=source,
        fetched_at=fetched_at,
    )


_SECTIONS = ("usageBreakdownList", "usageBreakdown", "limits", "subscriptionInfo")


def _chosen(root: Mapping[str, Json]) -> Mapping[str, Json]:
    """The one item that counts, in the form of a breakdown; empty where there is none."""
    items = [item for item in _list(root.get("usageBreakdownList")) if isinstance(item, dict)]
    items = items or [item for item in [root.get("usageBreakdown")] if isinstance(item, dict)]
    # The oldest form: totals alone.
    items = items or [
        {"resourceType": entry.get("type"), "usageLimit": entry.get("totalUsageLimit"), **entry}
        for entry in _list(root.get("limits"))
        if isinstance(entry, dict)
    ]
    for wanted in _RESOURCES:
        for item in items:
            if _word(item.get("resourceType")) == wanted:
                return item
    return items[0] if items else {}


def _allowances(item: Mapping[str, Json], now: float) -> Iterable[Allowance]:
    limit = _figure(item, "usageLimit")
    if limit is not None:
        yield Allowance("base", _text(item.get("displayName")), _figure(item, "currentUsage") or 0.0, limit)
    trial = item.get("freeTrialInfo")
    if isinstance(trial, dict):
        yield _part("trial", "free trial", trial, trial.get("freeTrialStatus"), trial.get("freeTrialExpiry"), now)
    for bonus in _list(item.get("bonuses")):
        if isinstance(bonus, dict):
            name = _text(bonus.get("displayName")) or _text(bonus.get("bonusCode")) or "bonus"
            yield _part("bonus", name, bonus, bonus.get("status"), bonus.get("expiresAt"), now)


def _part(
    kind: AllowanceKind, name: str, entry: Mapping[str, Json], status: Json, expiry: Json, now: float
) -> Allowance:
    expires_at = known_moment(expiry)
    word = _word(status)
    # The upstream's own word counts; where it says none, the date does.
    active = word == "ACTIVE" if word else expires_at is None or expires_at > now
    used = _figure(entry, "currentUsage") or 0.0
    return Allowance(kind, name, used, _figure(entry, "usageLimit") or 0.0, expires_at, active)


def _overage(root: Mapping[str, Json], item: Mapping[str, Json]) -> Overage:
    configured, total = _object(root.get("overageConfiguration")), _object(root.get("totalUsage"))
    cap = _figure(item, "overageCap")
    charges = _number(item.get("overageCharges"))
    return Overage(
        enabled=_word(configured.get("overageStatus")) in ("ENABLED", "OVERAGE_ENABLED"),
        used=_figure(item, "currentOverages") or 0.0,
        cap=_number(configured.get("overageLimit")) if cap is None else cap,
        charges=(_number(total.get("totalOverageCharges")) if charges is None else charges) or 0.0,
        rate=_number(item.get("overageRate")),
        currency=_text(item.get("currency")),
    )


def _figure(entry: Mapping[str, Json], name: str) -> float | None:
    """A number, preferably the one that was not rounded."""
    precise = _number(entry.get(f"{name}WithPrecision"))
    return _number(entry.get(name)) if precise is None else precise


def _number(value: Json) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return float(value) if 0 <= value <= _LARGEST else None


def _sum(numbers: Iterable[float]) -> float:
    """Of credits, which have at most a few decimals: what addition leaves behind them is rounded away."""
    return round(math.fsum(numbers), 6)


def _text(value: Json) -> str:
    return value.strip()[:_LONGEST] if isinstance(value, str) else ""


def _word(value: Json) -> str:
    return value.strip().upper() if isinstance(value, str) else ""


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []

"""What a simulated account may use: plan, trial, bonuses and overage, until the reset date passes (KIRO_PROTOCOL 6.3).

Credits are taken from the trial first, then from the bonuses, the plan, and the overage if that is allowed. Times are
epoch seconds of the simulator's wall clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from attrs import Factory

from kirotrio.classes import define

MONTH = 30 * 86_400.0


@define
class Extra:
    """A free trial or a bonus: so many credits, until it expires."""

    limit: float
    expires_at: float
    used: float = 0.0
    name: str = "Welcome"

    def status(self, now: float) -> str:
        if now >= self.expires_at:
            return "EXPIRED"
        return "EXHAUSTED" if self.used >= self.limit else "ACTIVE"

    def left(self, now: float) -> float:
        return max(0.0, self.limit - self.used) if now < self.expires_at else 0.0


@define
class Subscription:
    """One plan. `resets_at` None: the plan begins its month with the first look at it."""

    title: str = "KIRO PRO"
    type: str = "Q_DEVELOPER_STANDALONE_PRO"
    limit: float = 1000.0
    used: float = 0.0
    resets_at: float | None = None
    period: float = MONTH
    trial: Extra | None = None
    bonuses: list[Extra] = Factory(list)
    overage_enabled: bool = False
    overage_cap: float = 10_000.0
    overage_used: float = 0.0
    overage_rate: float = 0.04

    def roll(self, now: float) -> float:
        """Let every reset that has come happen; the next one."""
        if self.resets_at is None:
            self.resets_at = now + self.period
        while self.resets_at <= now:
            self.resets_at += self.period
            self.used = self.overage_used = 0.0
        return self.resets_at

    def charge(self, credits_used: float, now: float) -> None:
        """Take the credits where there are any. The last generation may overdraw: its cost is known at its end."""
        self.roll(now)
        for extra in self._extras():
            part = min(credits_used, extra.left(now))
            extra.used += part
            credits_used -= part
        part = credits_used if not self.overage_enabled else min(credits_used, max(0.0, self.limit - self.used))
        self.used += part
        self.overage_used += credits_used - part

    def refusal(self, now: float) -> str:
        """The name of the refusal that a generation meets now; "" while there are credits."""
        self.roll(now)
        if self.used < self.limit or any(extra.left(now) > 0 for extra in self._extras()):
            return ""
        if not self.overage_enabled:
            return "402:MONTHLY_REQUEST_COUNT"
        return "" if self.overage_used < self.overage_cap else "402:OVERAGE_REQUEST_LIMIT_EXCEEDED"

    def document(self, now: float) -> dict[str, Any]:
        """The answer of GetUsageLimits, without whose it is."""
        resets_at = self.roll(now)
        item: dict[str, Any] = {
            "resourceType": "CREDIT",
            "displayName": "Credit",
            "displayNamePlural": "Credits",
            "unit": "INVOCATIONS",
            "currency": "USD",
            **_figures("currentUsage", self.used),
            **_figures("usageLimit", self.limit),
            **_figures("currentOverages", self.overage_used),
            **_figures("overageCap", self.overage_cap),
            "overageCharges": round(self.overage_used * self.overage_rate, 4),
            "overageRate": self.overage_rate,
            "nextDateReset": resets_at,
            "freeTrialInfo": None,
            "bonuses": [
                {
                    "bonusCode": f"BONUS{number}",
                    "displayName": bonus.name,
                    "status": bonus.status(now),
                    "expiresAt": bonus.expires_at,
                    **_figures("currentUsage", bonus.used),
                    **_figures("usageLimit", bonus.limit),
                }
                for number, bonus in enumerate(self.bonuses, start=1)
            ],
        }
        if self.trial is not None:
            item["freeTrialInfo"] = {
                "freeTrialStatus": "ACTIVE" if now < self.trial.expires_at else "EXPIRED",
                "freeTrialExpiry": self.trial.expires_at,
                **_figures("currentUsage", self.trial.used),
                **_figures("usageLimit", self.trial.limit),
            }
        capable = "OVERAGE_CAPABLE" if self.overage_enabled else "OVERAGE_INCAPABLE"
        return {
            "daysUntilReset": int((resets_at - now) // 86_400),
            "nextDateReset": resets_at,
            "limits": [],
            "overageConfiguration": {"overageStatus": "ENABLED" if self.overage_enabled else "DISABLED"},
            "subscriptionInfo": {"subscriptionTitle": self.title, "type": self.type, "overageCapability": capable},
            "usageBreakdownList": [item],
        }

    def _extras(self) -> Iterator[Extra]:
        if self.trial is not None:
            yield self.trial
        yield from self.bonuses


def portal_dates(value: Any, name: str = "") -> Any:
    """The same answer with its times as the portal writes them: the plan's reset as text, all others as CBOR times."""
    if isinstance(value, dict):
        return {member: portal_dates(entry, member) for member, entry in value.items()}
    if isinstance(value, list):
        return [portal_dates(entry, name) for entry in value]
    if name in ("nextDateReset", "freeTrialExpiry", "expiresAt") and isinstance(value, int | float):
        moment = datetime.fromtimestamp(value, UTC)
        if name != "nextDateReset":
            return moment
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


def _figures(name: str, value: float) -> dict[str, float]:
    """Both forms of one figure: whole, and as it is."""
    return {name: int(value), f"{name}WithPrecision": round(value, 6)}

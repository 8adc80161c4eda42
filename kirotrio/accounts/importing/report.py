"""What became of each account that was to be imported. Never a secret."""

from __future__ import annotations

import enum
from collections import Counter
from typing import Any

from kirotrio.classes import frozen


class Outcome(enum.Enum):
    """With a dry run: what would become of it."""

    IMPORTED = "imported"
    RENEWED = "renewed"
    """An account that is there has taken these tokens, which are newer."""
    ALREADY_THERE = "already there"
    REFUSED = "refused"
    UNDONE = "not done"
    """The import was interrupted before."""


@frozen
class EntryReport:
    """`source` and `path`: where it was. `account`: its name here; of one that is not kept what its document calls it,
    "" where that does not. `detail`: a sentence, which says why where it was refused. `checked`: whether Kiro has
    accepted it now."""

    source: str
    path: str
    outcome: Outcome
    account: str = ""
    kind: str = ""
    detail: str = ""
    checked: bool = False

    @property
    def where(self) -> str:
        return f"{self.source}: {self.path}" if self.path else self.source


@frozen
class ImportReport:
    """One line for each account, in the order of the documents."""

    entries: tuple[EntryReport, ...]
    dry_run: bool = False

    @property
    def clean(self) -> bool:
        """Whether nothing was refused or left undone."""
        return all(entry.outcome not in (Outcome.REFUSED, Outcome.UNDONE) for entry in self.entries)

    def count(self, outcome: Outcome) -> int:
        return Counter(entry.outcome for entry in self.entries)[outcome]

    @property
    def summary(self) -> str:
        """`2 imported, 1 refused`."""
        counts = Counter(entry.outcome for entry in self.entries)
        told = ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome if counts[outcome])
        return f"{told or 'nothing to import'}{' (a dry run: nothing was changed)' if self.dry_run else ''}"

    def to_json(self) -> dict[str, Any]:
        return {
            "dry_run": self.dry_run,
            "counts": {outcome.value.replace(" ", "_"): self.count(outcome) for outcome in Outcome},
            "entries": [
                {
                    "source": entry.source,
                    "path": entry.path,
                    "outcome": entry.outcome.value.replace(" ", "_"),
                    "account": entry.account,
                    "kind": entry.kind,
                    "checked": entry.checked,
                    "detail": entry.detail,
                }
                for entry in self.entries
            ],
        }

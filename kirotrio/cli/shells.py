"""Lines that a shell reads: bash (any POSIX shell), fish and PowerShell. Each value comes out as it went in."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from kirotrio.classes import frozen


@frozen
class Shell:
    """How one shell writes things. `whole_quotes`: whether a double quote within an argument reaches the program."""

    quote: Callable[[str], str]
    assign: str
    clear: str
    content: str
    call: str = "{}"
    whole_quotes: bool = True

    def lines(self, variables: Mapping[str, str | Path], cleared: Sequence[str], command: Sequence[str]) -> list[str]:
        """Set and clear variables, then run the command. Where a value is a path, it is what that file holds."""
        return [
            *(self.assign.format(name, self._value(value)) for name, value in variables.items()),
            *(self.clear.format(name) for name in cleared),
            self.call.format(" ".join(map(self.quote, command))),
        ]

    def _value(self, value: str | Path) -> str:
        return self.content.format(self.quote(str(value))) if isinstance(value, Path) else self.quote(value)


def _fish(text: str) -> str:
    """Within fish's single quotes a backslash protects a quote and itself."""
    if _PLAIN.fullmatch(text):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _powershell(text: str) -> str:
    """PowerShell takes the typographic single quotes for the plain one, and two of them for one."""
    return "'" + re.sub("['\u2018\u2019\u201a\u201b]", r"\g<0>\g<0>", text) + "'"


_PLAIN = re.compile(r"[A-Za-z0-9_./:@,+=-]+")

SHELLS: Final[Mapping[str, Shell]] = {
    "bash": Shell(
        quote=shlex.quote,
        assign="export {}={}",
        clear="unset {}",
        content='"$(cat -- {})"',
    ),
    "fish": Shell(
        quote=_fish,
        assign="set -gx {} {}",
        clear="set -e {}",
        content="(cat -- {})",
    ),
    # Windows PowerShell loses double quotes on the way to a program, PowerShell 7 keeps them: none are written.
    "powershell": Shell(
        quote=_powershell,
        assign="$env:{} = {}",
        clear="Remove-Item Env:{} -ErrorAction SilentlyContinue",
        content="(Get-Content -Raw -LiteralPath {}).Trim()",
        call="& {}",
        whole_quotes=False,
    ),
}

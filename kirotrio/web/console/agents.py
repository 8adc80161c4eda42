"""What a browser calls itself, in the two words that a person knows it by. Pure.

Only for reading: nothing is decided by it, since anybody can say anything.
"""

from __future__ import annotations

import re
from typing import Final

# The first that is found counts: most browsers also name those whose pages they want to be given.
_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Vivaldi", "Vivaldi"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("HeadlessChrome", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
_VERSION: Final = r"(?:iOS|A)?/(\d{1,4})"


def browser_of(agent: str) -> str:
    """Like "Firefox 140, Linux"; what names no browser that is known here stays as it came."""
    if not agent.startswith("Mozilla/5.0 ("):
        return agent
    name = next((f"{name} {found[1]}" for mark, name in _BROWSERS if (found := re.search(mark + _VERSION, agent))), "")
    if name.startswith("Safari"):  # which says WebKit's version there, and its own elsewhere
        found = re.search(r"Version/(\d{1,4})", agent)
        name = f"Safari {found[1]}" if found else "Safari"
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    return ", ".join(filter(None, (name, system))) if name else agent

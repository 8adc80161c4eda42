"""Who calls a command, for the audit log."""

from __future__ import annotations

import getpass
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kirotrio.access.audit import Actor


def whoever_calls() -> Actor:
    """The user of this machine, by their name there, and the machine by its own; the name is left out where the system
    has none, as for a container's user."""
    from kirotrio.access.audit import COMMAND_LINE, Actor

    try:
        name = f"{COMMAND_LINE.name} ({getpass.getuser()})"
    except (KeyError, OSError):
        name = COMMAND_LINE.name
    return Actor("", name, socket.gethostname())

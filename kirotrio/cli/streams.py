"""Standard streams that are closed, full, or read by nobody any more. None of that may end a server."""

from __future__ import annotations

import contextlib
import io
import os
import sys

import click


def open_missing_streams() -> None:
    """Give a process that was started without one or another of them (`>&-`, some supervisors) one that leads nowhere.

    The interpreter has None in their place, which nothing that writes or asks for a terminal expects; and the next
    file or socket to be opened would get their number.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open as long as the process


def say(text: str) -> None:
    """Write to stdout at once, whoever reads it, and whether anybody does."""
    try:
        click.echo(text)
        sys.stdout.flush()
    except OSError:
        give_up_lost_output()


def give_up_lost_output() -> None:
    """Lead stdout nowhere if it cannot be written, or the interpreter would complain of what is left at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        # Not a file of the system's (a test's, say): then nothing is left to flush at the end either.
        with contextlib.suppress(io.UnsupportedOperation):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)

"""A command of several verbs, each of which is loaded when it is called."""

from __future__ import annotations

from typing import ClassVar

import click

_GROUP_OPTIONS = ("--help", "-h")


class Verbs(click.Group):
    """`verbs`: their names, in the order of the help text. `bare`: the one that a call without any is, "" for none.

    A subclass loads them in its `get_command`, by plain import statements: the program that makes the executable
    reads those.
    """

    verbs: ClassVar[tuple[str, ...]]
    bare: ClassVar[str] = ""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.verbs)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Where `bare` is `list`, `kirotrio accounts --json` is `kirotrio accounts list --json`."""
        if self.bare and (not args or (args[0].startswith("-") and args[0] not in _GROUP_OPTIONS)):
            args = [self.bare, *args]
        return super().parse_args(ctx, args)

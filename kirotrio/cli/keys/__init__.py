"""`kirotrio keys`: who may ask. Each verb's file is loaded when it is called."""

from __future__ import annotations

import click

from kirotrio.cli.verbs import Verbs


class KeyVerbs(Verbs):
    verbs = ("create", "list", "show", "set", "rotate", "revoke")

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        match cmd_name:
            case "create":
                from kirotrio.cli.keys.making import create

                return create
            case "list":
                from kirotrio.cli.keys.listing import list_

                return list_
            case "show":
                from kirotrio.cli.keys.showing import show

                return show
            case "set":
                from kirotrio.cli.keys.making import set_

                return set_
            case "rotate":
                from kirotrio.cli.keys.making import rotate

                return rotate
            case "revoke":
                from kirotrio.cli.keys.making import revoke

                return revoke
        return None


@click.group(cls=KeyVerbs, short_help="Make, list, change and revoke the keys that clients send.")
def keys() -> None:
    """The keys that clients send to the gateway: its own, and those that are given out, each with what it may do."""

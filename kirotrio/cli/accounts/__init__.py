"""`kirotrio accounts`: the subscriptions that answer. Each verb's file is loaded when it is called."""

from __future__ import annotations

import click

from kirotrio.cli.verbs import Verbs


class AccountVerbs(Verbs):
    verbs = ("list", "add", "import", "test", "usage", "models", "set", "rename", "enable", "disable", "remove")
    bare = "list"

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        match cmd_name:
            case "list":
                from kirotrio.cli.accounts.listing import list_

                return list_
            case "add":
                from kirotrio.cli.accounts.adding import add

                return add
            case "import":
                from kirotrio.cli.accounts.importing import import_

                return import_
            case "test":
                from kirotrio.cli.accounts.testing import test

                return test
            case "usage":
                from kirotrio.cli.accounts.usage import usage

                return usage
            case "models":
                from kirotrio.cli.accounts.usage import models

                return models
            case "set":
                from kirotrio.cli.accounts.changing import set_

                return set_
            case "rename":
                from kirotrio.cli.accounts.changing import rename

                return rename
            case "enable":
                from kirotrio.cli.accounts.changing import enable

                return enable
            case "disable":
                from kirotrio.cli.accounts.changing import disable

                return disable
            case "remove":
                from kirotrio.cli.accounts.changing import remove

                return remove
        return None


@click.group(
    cls=AccountVerbs,
    short_help="List, add, change and try the accounts that answer.",
    epilog="Without a command, the accounts are listed.",
)
def accounts() -> None:
    """The Kiro accounts that answer: list them, add and change them, see what they are worth."""

"""`kirotrio users`: who may use the console. Each verb's file is loaded when it is called."""

from __future__ import annotations

import click

_VERBS = (
    "list",
    "create",
    "invite",
    "approve",
    "disable",
    "enable",
    "set-password",
    "set-role",
    "reset-second-factor",
    "remove",
    "sessions",
    "sign-out",
)
"""In the order of the help text."""
_GROUP_OPTIONS = ("--help", "-h")


class UserVerbs(click.Group):
    """A group whose bare call is `list`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        # Plain import statements, because the program that makes the executable reads them.
        match cmd_name:
            case "list":
                from kirotrio.cli.users.listing import list_

                return list_
            case "create":
                from kirotrio.cli.users.adding import create

                return create
            case "invite":
                from kirotrio.cli.users.adding import invite

                return invite
            case "approve":
                from kirotrio.cli.users.changing import approve

                return approve
            case "disable":
                from kirotrio.cli.users.changing import disable

                return disable
            case "enable":
                from kirotrio.cli.users.changing import enable

                return enable
            case "set-password":
                from kirotrio.cli.users.adding import set_password

                return set_password
            case "set-role":
                from kirotrio.cli.users.changing import set_role

                return set_role
            case "reset-second-factor":
                from kirotrio.cli.users.changing import reset_second_factor

                return reset_second_factor
            case "remove":
                from kirotrio.cli.users.changing import remove

                return remove
            case "sessions":
                from kirotrio.cli.users.listing import sessions

                return sessions
            case "sign-out":
                from kirotrio.cli.users.changing import sign_out

                return sign_out
        return None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`kirotrio users --json` is `kirotrio users list --json`."""
        if not args or (args[0].startswith("-") and args[0] not in _GROUP_OPTIONS):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=UserVerbs,
    short_help="List, add and change who may use the console.",
    epilog="Without a command, the users are listed.",
)
def users() -> None:
    """Who may use the console: operators, members and viewers. A gateway may run meanwhile."""

"""`kirotrio users`: who may use the console. Each verb's file is loaded when it is called."""

from __future__ import annotations

import click

from kirotrio.cli.verbs import Verbs


class UserVerbs(Verbs):
    verbs = (
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
    bare = "list"

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
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


@click.group(
    cls=UserVerbs,
    short_help="List, add and change who may use the console.",
    epilog="Without a command, the users are listed.",
)
def users() -> None:
    """Who may use the console: operators, members and viewers. A gateway may run meanwhile."""

"""`kirotrio launch`: start a client so that this gateway answers it, for that one process, changing no file."""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click
from attrs import field

from kirotrio.classes import frozen
from kirotrio.cli.clients import CLIENTS, Client, Target
from kirotrio.cli.first_run import DEFAULT_MODEL, KEY_FILE, best_model, check_key, is_loopback, kept_key, reachable
from kirotrio.cli.options import DATA, with_settings
from kirotrio.cli.programs import child_environment, find_program, run_in_place
from kirotrio.cli.shells import SHELLS, Shell
from kirotrio.config import LoadedSettings
from kirotrio.config.process import whole_environment
from kirotrio.errors import KirotrioError, SettingsError

if TYPE_CHECKING:
    from kirotrio.cli.clients import ListedModel

_OWN_SHELL = "powershell" if sys.platform == "win32" else "bash"


@frozen
class Key:
    """The gateway's key, and the file that it was read from, if it was one."""

    value: str = field(repr=False)
    origin: str
    file: Path | None = None


def _client(_: click.Context, __: click.Parameter, name: str | None) -> Client | None:
    if name is None or name in CLIENTS:
        return CLIENTS[name] if name else None
    raise click.UsageError(f"there is no client {name!r}; there are {', '.join(CLIENTS)}")


class Launch(click.Command):
    """A verb that says where a client's own options go."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            option = error.option_name
            before = list(itertools.takewhile(lambda word: not word.startswith(option), given))
            client = next((word for word in before if word in CLIENTS), None)
            if client is None:
                raise
            raise click.UsageError(
                f"launch has no option {option}; what is the client's own goes behind --, as in "
                f"`kirotrio launch {client} -- {option}`",
                ctx,
            ) from None


@click.command(cls=Launch, short_help="Start a client with this gateway's address and key.")
@click.option("--url", metavar="URL", help="Address of the gateway. Default: what server.host and server.port say.")
@click.option(
    "--model", metavar="NAME", default="", help=f"Model. Default: {DEFAULT_MODEL}, or the best that is there."
)
@click.option("--buffered", is_flag=True, help="Use the buffered mode (/cc). Default: no.")
@click.option("--print", "printed", is_flag=True, help="Print lines for a shell instead of starting it. Default: no.")
@click.option(
    "--shell",
    type=click.Choice(list(SHELLS)),
    default=_OWN_SHELL,
    help=f"For which shell the lines are. Default: {_OWN_SHELL}.",
)
@click.argument("client", callback=_client, required=False, metavar="[NAME]")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGS...]")
@with_settings("api_key", *DATA)
def launch(
    loaded: LoadedSettings,
    url: str | None,
    model: str,
    buffered: bool,
    printed: bool,
    shell: str,
    client: Client | None,
    arguments: tuple[str, ...],
) -> int:
    """Start a client with what it needs to use this gateway, for that one process. No file is changed.

    NAME is claude, codex, opencode, aider, qwen or copilot; without one, the clients are listed with what is installed.
    ARGS, behind --, go to the client as they are: `kirotrio launch claude -- -p hi`. The exit code is the client's own.

    --print prints the lines instead, for `eval` or to paste; where the key lies in the data folder, they read it from
    there when they are run, and otherwise they hold it.
    """
    if client is None:
        return _list()
    root, prefix = gateway_address(loaded, url, buffered=buffered)
    key = gateway_key(loaded, root)
    models = _models(loaded, root, key, model, needed=not printed)
    target = Target(root + prefix, key.value, model or best_model(tuple(listed.id for listed in models)), models)
    if printed:
        for line in _lines(client, target, key, SHELLS[shell], arguments):
            click.echo(line)
        return 0
    environment = child_environment(whole_environment())
    program = find_program(client.program, environment.get("PATH", ""))
    if program is None:
        raise KirotrioError(f"{client.title} is not installed (no {client.program} on the PATH); {_how(client)}")
    for name in client.cleared:
        environment.pop(name, None)
    environment |= {**client.variables(target), **_past_proxies(root), client.key: client.written_key(key.value)}
    words = _words(client, target, arguments, whole_quotes=sys.platform != "win32")
    return run_in_place(program, words, environment)


def _list() -> int:
    """Which clients there are, and where."""
    path = whole_environment().get("PATH", "")
    wide = max(map(len, CLIENTS))
    for client in CLIENTS.values():
        program = find_program(client.program, path)
        click.echo(
            f"{client.name:{wide}}  {client.title} ({client.api}): {program or f'not installed; {_how(client)}'}"
        )
    return 0


def _how(client: Client) -> str:
    return f"install it with `{client.install}`"


def gateway_address(loaded: LoadedSettings, url: str | None, *, buffered: bool) -> tuple[str, str]:
    """The gateway's address without a path of ours, and the prefix of the mode. Raises click.UsageError."""
    if url is None:
        server = loaded.settings.server
        if server.port == 0:
            raise click.UsageError(
                "server.port is 0, which is a free port chosen at the start; give its address with --url"
            )
        host = f"[{server.host}]" if ":" in server.host and not server.host.startswith("[") else server.host
        return reachable(f"http://{host}:{server.port}"), "/cc" if buffered else ""
    root = url.rstrip("/").removesuffix("/v1")
    buffered = buffered or root.endswith("/cc")
    root = root.removesuffix("/cc")
    try:
        parts = urlsplit(root)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine or parts.query or parts.fragment or parts.username is not None or not root.isprintable() or " " in root:
        raise click.BadParameter("it must be an address like http://127.0.0.1:8000", param_hint="'--url'")
    return reachable(root), "/cc" if buffered else ""


def gateway_key(loaded: LoadedSettings, root: str) -> Key:
    """The configured key, else the one made on first run, which is this machine's gateway's and is sent to no other.
    Raises SettingsError."""
    if configured := loaded.settings.server.api_key:
        origin = loaded.origins["server.api_key"]
        check_key(configured, origin, allow_short=True)  # how long it has to be is for the gateway to say
        return Key(configured, origin)
    if not is_loopback(urlsplit(root).hostname or ""):
        raise SettingsError(f"no key is configured for {root}; give it in KIROTRIO_API_KEY or with --api-key")
    folder = loaded.settings.data.dir
    kept = kept_key(folder) if folder is not None else ""
    if folder is None or not kept:
        raise SettingsError(f"there is no key in {folder} yet; `kirotrio serve` makes one on its first run")
    return Key(kept, str(folder / KEY_FILE), folder / KEY_FILE)


def _models(loaded: LoadedSettings, root: str, key: Key, wanted: str, *, needed: bool) -> tuple[ListedModel, ...]:
    """What the gateway lists. Where it is not `needed` and no gateway runs: nothing, and a word about that."""
    import trio

    from kirotrio.cli.gateways import GatewayAbsent, look

    settings = loaded.settings
    there = look(root, key.value, key.origin, settings.deadlines, settings.upstream)
    try:
        return trio.run(functools.partial(there.models, wanted))
    except GatewayAbsent as error:
        if needed:
            raise
        click.echo(f"kirotrio: {error.message}; the lines are for when it runs", err=True)
        return ()


def _words(client: Client, target: Target, arguments: Sequence[str], *, whole_quotes: bool) -> list[str]:
    firm = client.firm(target) if whole_quotes else ()
    return [client.program, *firm, *client.arguments(target), *arguments]


def _lines(client: Client, target: Target, key: Key, shell: Shell, arguments: Sequence[str]) -> list[str]:
    variables: dict[str, str | Path] = {**client.variables(target), **_past_proxies(target.root)}
    written = client.written_key(key.value)
    variables[client.key] = key.file.absolute() if key.file and written == key.value else written
    return shell.lines(variables, client.cleared, _words(client, target, arguments, whole_quotes=shell.whole_quotes))


_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY")


def _past_proxies(root: str) -> dict[str, str]:
    """Where a proxy is set: variables that keep a gateway on this machine out of it."""
    host = urlsplit(root).hostname or ""
    environment = {name.upper(): value for name, value in whole_environment().items() if value}
    if not is_loopback(host) or not any(name in environment for name in _PROXIES):
        return {}
    names = [name.strip() for name in environment.get("NO_PROXY", "").split(",") if name.strip()]
    if host in names or "*" in names:
        return {}
    joined = ",".join([*names, host])
    return {"NO_PROXY": joined} if sys.platform == "win32" else {"NO_PROXY": joined, "no_proxy": joined}

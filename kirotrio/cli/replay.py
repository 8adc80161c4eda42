"""`kirotrio replay`: a recorded request once more, offline, or asked of the running gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kirotrio import __version__
from kirotrio.cli.options import DATA, SERVING, with_settings
from kirotrio.cli.recordings import find, recorder_folder
from kirotrio.config import LoadedSettings
from kirotrio.errors import KirotrioError
from kirotrio.store.recordings import read

if TYPE_CHECKING:
    from pathlib import Path


@click.command(short_help="Play a recorded request again and compare.")
@click.option("--send", is_flag=True, help="Ask the running gateway the same again, which is paid for. Default: no.")
@click.option("--url", metavar="URL", help="Address of that gateway. Default: what server.host and server.port say.")
@click.option("--show", is_flag=True, help="Print the whole answer of today, too. Default: no.")
@click.argument("id", required=False, metavar="[ID]")
@with_settings(*SERVING, *DATA)
def replay(loaded: LoadedSettings, id: str | None, send: bool, url: str | None, show: bool) -> int:
    """Play a recorded request again and show where the answer differs from what the client got then.

    Offline: the upstream's recorded bytes go through today's code, and nobody is asked. With --send the running gateway
    is asked the same again. ID may be the beginning of one; without it, the recordings are listed. The exit code is 1
    where something differs.
    """
    folder = recorder_folder(loaded)
    if id is None:
        return _list(folder)
    recording = read(find(folder, id))
    then = recording["answer"]
    if then["kept"] < then["size"]:
        raise KirotrioError(
            "of what the client got only the beginning was kept (recorder.max_part): nothing to compare"
        )
    status, body = _sent(loaded, recording, url) if send else _offline(recording)
    if show:
        click.echo(body)
    return _compare(recording, status, body)


def _list(folder: Path) -> int:
    from kirotrio.store.ring import entries

    kept = entries(folder)
    for entry in kept:
        told = read(entry)
        record = told["record"] or {}
        click.echo(
            f"{entry.id}  {told['at']}  {record.get('surface', '-')} {record.get('model', '-')}  "
            f"{record.get('outcome', '-')}  {entry.size} bytes"
        )
    if not kept:
        click.echo(f"nothing is recorded in {folder}; --set recorder.requests=100 makes `kirotrio serve` record")
    return 0


def _offline(recording: dict[str, Any]) -> tuple[int, str]:
    import functools

    from kirotrio.cli.terminal import run_to_end
    from kirotrio.telemetry.log import SilentLog
    from kirotrio.web.replaying import replay

    today = run_to_end(functools.partial(replay, recording, SilentLog()))
    return today.status, today.body.decode("utf-8", "replace")


def _sent(loaded: LoadedSettings, recording: dict[str, Any], url: str | None) -> tuple[int, str]:
    import orjson
    import trio

    from kirotrio.cli.launch import gateway_address, gateway_key
    from kirotrio.cli.terminal import run_to_end
    from kirotrio.kiro.client import Transport

    client = recording["client"]
    if client["body"] is None:
        raise KirotrioError(f"its body was {client['why']}")
    if recording["texts"] == "mask":
        click.echo("kirotrio: its texts are masked, so the model is asked something else than then", err=True)
    root, _ = gateway_address(loaded, url, buffered=False)
    key = gateway_key(loaded, root)
    raw = client["body"].encode() if isinstance(client["body"], str) else orjson.dumps(client["body"])
    headers = {"content-type": "application/json", "authorization": f"Bearer {key.value}"}
    headers |= {
        name: value
        for name, value in client["headers"].items()
        if name.lower() in ("anthropic-version", "anthropic-beta", "x-endpoint")
    }
    settings = loaded.settings

    async def ask() -> tuple[int, str]:
        async with Transport(settings.upstream, settings.deadlines) as http:
            with trio.fail_after(settings.deadlines.total):
                query = f"?{client['query']}" if client["query"] else ""
                where = root + client["path"] + query
                async with http.stream("POST", where, headers=headers, body=raw, proxy_url="") as answer:
                    return answer.status, (await answer.read(256 * 1024 * 1024)).decode("utf-8", "replace")

    return run_to_end(ask)


def _compare(recording: dict[str, Any], status: int, body: str) -> int:
    from kirotrio.store.request_endings import CLIENT_GONE
    from kirotrio.web.comparing import difference

    then = recording["answer"]
    masked = recording["texts"] == "mask"
    left = (recording["record"] or {}).get("outcome") == CLIENT_GONE
    lines = difference(then["body"], body, masked=masked, left=left)
    if status != then["status"] and not (left and not then["status"]):  # whoever left before the head has none
        lines = [f"-status {then['status']}", f"+status {status}", *lines]
    for line in lines:
        click.echo(line)
    if lines:
        version = recording["kirotrio"]
        click.echo("\nit differs" + (f": kirotrio was {version} then" if version != __version__ else ""))
        return 1
    told = ", as far as masked texts tell (counts of tokens are left out)" if masked else ""
    click.echo("the same" + told + (", as far as the client stayed" if left else ""))
    return 0

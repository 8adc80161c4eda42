"""`kirotrio report`: what somebody needs who is to find a fault, in a folder that a person can read before sending."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Final

import click

from kirotrio import __version__
from kirotrio.cli.options import ACCOUNT, DATA, SERVING, with_settings
from kirotrio.cli.recordings import find, recorder_folder
from kirotrio.config import LoadedSettings
from kirotrio.config.secrets import secret_values
from kirotrio.errors import KirotrioError
from kirotrio.telemetry.redact import Redactor

_PACKAGES: Final = (
    "trio",
    "hypercorn",
    "quart",
    "quart-trio",
    "attrs",
    "cattrs",
    "orjson",
    "SQLAlchemy",
    "cryptography",
)
_LINES: Final = 500
_WHY: Final = {
    "README.txt": "what is in here, and why",
    "versions.json": "of kirotrio, Python, the system and what kirotrio is built on",
    "settings.json": "every setting, its value and where it came from; of secrets only whether they are set",
    "doctor.txt": "what `kirotrio doctor` says here",
    "log.txt": f"the last {_LINES} lines of the log that was named, without secrets, e-mail addresses and ARNs",
}


@click.command(short_help="Make a bug report that you can read before you send it.")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FOLDER", help="Where to. Default: kirotrio-report-<time>."
)
@click.option("--zip", "as_zip", is_flag=True, help="Make one .zip of it. Default: no, a folder.")
@click.option(
    "--log", "log_file", type=click.Path(path_type=Path), metavar="FILE", help="A log file to quote the end of."
)
@click.option("--offline", is_flag=True, help="Leave doctor out, which asks the network. Default: no.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@with_settings(*SERVING, *DATA, *ACCOUNT)
def report(
    loaded: LoadedSettings,
    out: Path | None,
    as_zip: bool,
    log_file: Path | None,
    offline: bool,
    ids: tuple[str, ...],
) -> int:
    """Collect versions, settings, doctor's findings and the named recordings in a folder of plain text and JSON.

    No secret is in any of it: read it, take out what is nobody's business, and send it yourself; nothing is sent by
    this. ID is a recording's, as `kirotrio replay` lists them, or its beginning.
    """
    redactor = _redactor(loaded)
    name = f"kirotrio-report-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    target = out or Path(f"{name}.zip" if as_zip else name)
    if target.exists():
        raise KirotrioError(f"{target} is there already, and nothing is written over; give another name with --out")
    files = {"versions.json": _versions(), "settings.json": _settings(loaded)}
    if not offline:
        files["doctor.txt"] = _doctor(loaded)
    if log_file is not None:
        files["log.txt"] = _tail(log_file)
    for wanted in ids:
        entry = find(recorder_folder(loaded), wanted)
        files[f"recordings/{entry.id}.json"] = entry.path.read_text("utf-8")
    # Once more over everything, whatever it was meant to be.
    files = {name: _redacted(redactor, name, text) for name, text in files.items()}
    files = {"README.txt": _readme(files), **files}
    _write(target, files, as_zip=as_zip)
    for name, text in files.items():
        click.echo(f"{len(text.encode()):>10}  {name}")
    click.echo(f"\n{target}: read it before you send it; nothing was sent")
    return 0


def _redactor(loaded: LoadedSettings) -> Redactor:
    from kirotrio.cli.first_run import kept_key

    secrets = set(secret_values(loaded.settings))
    folder = loaded.settings.data.dir
    if folder is not None and (key := kept_key(folder)):
        secrets.add(key)
    return Redactor(secrets, personal=True)


def _redacted(redactor: Redactor, name: str, text: str) -> str:
    """JSON value by value, or what a pattern takes could be a quotation mark."""
    import json

    if name.endswith(".json"):
        return json.dumps(redactor.value(json.loads(text)), indent=2, ensure_ascii=False)
    return redactor.text(text)


def _versions() -> str:
    import json

    packages = {}
    for name in _PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # the executable carries no metadata
            packages[name] = "not told"
    told = {
        "kirotrio": __version__,
        "python": sys.version,
        "system": platform.platform(),
        "machine": platform.machine(),
        "packages": packages,
    }
    return json.dumps(told, indent=2)


def _settings(loaded: LoadedSettings) -> str:
    import json

    from kirotrio.config.options import options, shown, value_of

    told = {
        option.name: {
            "value": shown(option, value_of(loaded.settings, option.name)),
            "from": loaded.origins[option.name],
        }
        for option in options().values()
    }
    return json.dumps(told, indent=2, ensure_ascii=False)


def _doctor(loaded: LoadedSettings) -> str:
    from kirotrio.cli.doctor import examine

    return "\n".join(f"{finding.state:5}  {finding.subject}: {finding.sentence}" for finding in examine(loaded))


def _tail(path: Path) -> str:
    """The last lines. Raises KirotrioError."""
    from collections import deque

    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return "".join(deque(file, _LINES))
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise KirotrioError(f"{path}: {reason}; give a log file with --log, or leave it out") from None


def _readme(files: Iterable[str]) -> str:
    lines = [
        f"A report about kirotrio {__version__}, made by `kirotrio report`.",
        "",
        "Everything here is plain text or JSON: read it before you send it, and take out what you do not want to tell.",
        "Keys, tokens, passwords, cookies, e-mail addresses and account numbers were taken out. A recording made with",
        "recorder.texts = keep holds what was said; one made with mask (as it comes) holds only its length and shape.",
        "Nothing of this was sent anywhere.",
        "",
        *(f"{name}: {_WHY[name]}" for name in ("README.txt", *files) if name in _WHY),
    ]
    recordings = [name for name in files if name.startswith("recordings/")]
    if recordings:
        lines.append(
            "recordings/: what a client asked, what the upstream was sent and answered, and what the client got:"
        )
        lines += [f"  {name}" for name in recordings]
    return "\n".join([*lines, ""])


def _write(target: Path, files: dict[str, str], *, as_zip: bool) -> None:
    """Private to its owner. Raises OSError."""
    import os

    if as_zip:
        import zipfile

        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return
    target.mkdir(mode=0o700, parents=True)
    for name, text in files.items():
        path = target / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as page:
            page.write(text.encode())

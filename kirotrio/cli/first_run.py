"""A gateway key without asking anybody: made on first run, kept in the data folder, shown once it is of use.

What CONTRACT (Keys) asks, and how it is read here: the generated key is a key. So a gateway never stands open, not
even on loopback, and listening beyond loopback needs no further key; `beyond_loopback` tells the person of it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import secrets
import shlex
import stat
import sys
from pathlib import Path
from urllib.parse import urlsplit

from kirotrio.access.keys import PREFIX
from kirotrio.cli.programs import for_shell, own_command
from kirotrio.config import LoadedSettings
from kirotrio.errors import SettingsError
from kirotrio.web.first_lines import anthropic_lines, openai_lines, variables

KEY_FILE = "client-key"
SHORTEST_KEY = 16
DEFAULT_MODEL = "claude-sonnet-4.5"
"""Every plan has it (KIRO_PROTOCOL 7); used where the account's own list is not at hand."""


def with_client_key(loaded: LoadedSettings) -> LoadedSettings:
    """The settings with a key in `server.api_key`: the configured one, else that of `DATA/client-key`, else a new one.

    Raises SettingsError for a key that cannot be used, and where the data folder cannot be written.
    """
    server = loaded.settings.server
    if server.api_key:
        check_key(server.api_key, loaded.origins["server.api_key"], allow_short=server.allow_short_key)
        return loaded
    folder = open_data_folder(loaded)
    key = kept_key(folder) or _keep_new_key(folder)
    return loaded.replaced({"server.api_key": key}, str(folder / KEY_FILE))


def key_file(loaded: LoadedSettings) -> Path | None:
    """The file of the key that `with_client_key` took; None where a key is configured."""
    folder = loaded.settings.data.dir
    if folder is None or loaded.origins["server.api_key"] != str(folder / KEY_FILE):
        return None
    return folder / KEY_FILE


def check_key(key: str, origin: str, *, allow_short: bool) -> None:
    """Raise SettingsError for a key that no client could send, or that is too easily guessed."""
    if not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError(
            f"server.api_key ({origin}): this key cannot travel in a header; use ASCII letters, digits and signs "
            "without blanks"
        )
    if len(key) < SHORTEST_KEY and not allow_short:
        raise SettingsError(
            f"server.api_key ({origin}): this key has fewer than {SHORTEST_KEY} characters; use a longer one, leave "
            "it out to have one made, or allow it with --allow-short-key"
        )


def beyond_loopback(loaded: LoadedSettings) -> str:
    """A sentence for a person whose gateway other machines can reach with a key that nobody chose; "" otherwise."""
    host, file = loaded.settings.server.host, key_file(loaded)
    if file is None or is_loopback(host):
        return ""
    return f"{host} can be reached from other machines; whoever has the generated key ({file}) can use this gateway"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`. A name other than localhost counts as reachable."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return False


def open_data_folder(loaded: LoadedSettings) -> Path:
    """The data folder, made (0700) if need be and proved writable. Raises SettingsError, which names the setting."""
    folder = loaded.settings.data.dir
    ways_out = "choose another with --data-dir or KIROTRIO_DATA_DIR"
    if folder is None:
        raise SettingsError(f"data.dir: this system names no folder for the data of programs; {ways_out}")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError as error:
        origin = loaded.origins["data.dir"]
        reason = (error.strerror or type(error).__name__).lower()
        raise SettingsError(f"data.dir ({origin}): {folder} cannot be written ({reason}); {ways_out}") from None
    return folder


def kept_key(folder: Path) -> str:
    """The key of an earlier run, "" where there is none. Others' right to read it is taken away.

    Raises SettingsError for a file that cannot be read or holds no usable key.
    """
    path = folder / KEY_FILE
    try:
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o600)
        key = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        key = ""
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SettingsError(
            f"{path}: the key kept here cannot be read ({reason}); run as the user that it belongs to, or choose "
            "another data folder with --data-dir or KIROTRIO_DATA_DIR"
        ) from None
    if len(key) < SHORTEST_KEY or not key.isprintable() or " " in key:
        raise SettingsError(f"{path}: holds no usable key; delete the file and the next start makes a new one")
    return key


def _keep_new_key(folder: Path) -> str:
    """Make a key and keep it. Of two gateways that start at the same time both end with the same one."""
    key = PREFIX + secrets.token_urlsafe(24)
    path, draft = folder / KEY_FILE, folder / f".{KEY_FILE}-{os.getpid()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)  # unlike a rename, this fails where another process was first
    except FileExistsError:
        key = kept_key(folder)
    except OSError:  # a file system without links
        draft.replace(path)
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    return key


def welcome(
    base_url: str,
    key: str,
    key_file: Path | None,
    *,
    terminal: bool,
    model: str = DEFAULT_MODEL,
    data_dir: Path | None = None,
) -> str:
    """Lines to paste, for Claude Code and for the Python SDKs.

    On a terminal they hold the key itself. Anywhere else (a service's journal, a container's log) they read it from
    `key_file` when they are run, or name it where there is no file. `data_dir`: a data folder that `launch` would not
    find by itself.
    """
    if terminal:
        shell_key, python_key = key, f'"{key}"'
    elif key_file is not None:
        shell_key = f'"$(cat {shlex.quote(str(key_file))})"'
        python_key = f"Path({str(key_file)!r}).read_text().strip()"
    else:
        shell_key, python_key = "YOUR_KEY", '"YOUR_KEY"'
    reach = reachable(base_url)
    imports = ["  from pathlib import Path"] if python_key.startswith("Path(") else []
    lines = [
        *("", "Claude Code:", *_shell_lines(reach, shell_key, model)),
        *("", "Anthropic's Python SDK:", *imports),
        *(f"  {line}" for line in anthropic_lines(reach, python_key, model)),
        *("", "OpenAI's Python SDK (Chat Completions, Responses):", *imports),
        *(f"  {line}" for line in openai_lines(reach, python_key)),
        "",
    ]
    lines += ["Accounts, keys and what goes on, in a browser:", f"  {reach}/console", ""]
    if is_loopback(urlsplit(reach).hostname or ""):  # `launch` takes the kept key nowhere else
        folder = [] if data_dir is None else ["--data-dir", str(data_dir.absolute())]
        command = f"{own_command()} {for_shell(['launch', 'claude', '--url', reach, *folder])}"
        lines += ["A client without any of this (`launch` alone lists them):", f"  {command}", ""]
    return "\n".join(lines)


def _shell_lines(reach: str, key: str, model: str) -> list[str]:
    word = "set" if sys.platform == "win32" else "export"
    return [f"  {word} {name}={value}" for name, value in variables(reach, key, model).items()] + ["  claude"]


def reachable(base_url: str) -> str:
    """The address under which a client on this machine finds a gateway that listens everywhere."""
    return base_url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def best_model(models: tuple[str, ...]) -> str:
    """The default model if the account has it, else its newest Sonnet, else any Claude, else whatever it has."""
    if DEFAULT_MODEL in models or not models:
        return DEFAULT_MODEL
    for wanted in ("claude-sonnet", "claude", ""):
        fitting = sorted(model for model in models if model.startswith(wanted))
        if fitting:
            return fitting[-1]
    return DEFAULT_MODEL

"""Where the keys to the secrets lie: the system's keyring, one entry per key, or a private file, one line per key.

A key goes by its id, which is made from the key itself: so a damaged key is noticed, and the id says nothing of it.
The database names the key that seals now; it is looked for in the file first, which costs nothing, then in the keyring.
A new key is made only where the database names none, or by `rotate-key`, and then where the old one lies.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import secrets
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from attrs import field

from kirotrio.classes import frozen
from kirotrio.errors import SettingsError
from kirotrio.store.files import private_folder, write_atomic
from kirotrio.store.folder_lock import folder_locked
from kirotrio.store.sealer import KeyMissing, KeyPlaceUnusable

KEY_SIZE = 32
ID_SIZE = 8
SERVICE = "kirotrio"
"""Under which the system's keyring lists our entries."""
_HEAD = b"# Keys to the secrets in kirotrio's database, newest first. Without them its accounts are lost.\n"
_LONGEST_CHANGE = 10.0
_T = TypeVar("_T")


@frozen
class SecretKey:
    """A key of AES-256."""

    material: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """16 hexadecimal digits."""
        return hashlib.sha256(b"kirotrio store key\0" + self.material).digest()[:ID_SIZE].hex()

    def to_text(self) -> str:
        return base64.urlsafe_b64encode(self.material).decode("ascii")

    @classmethod
    def from_text(cls, text: str) -> SecretKey:
        """Raises ValueError for what is no key; it never quotes it."""
        try:
            material = base64.b64decode(text.strip().encode("ascii"), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            material = b""
        if len(material) != KEY_SIZE:
            raise ValueError("no key")
        return cls(material)

    @classmethod
    def new(cls) -> SecretKey:
        return cls(secrets.token_bytes(KEY_SIZE))


class KeyPlace(Protocol):
    """One place of keys. Every method blocks, and raises SettingsError where the place cannot be used."""

    @property
    def where(self) -> str:
        """For messages: what follows "in"."""

    def find(self, key_id: str) -> SecretKey | None: ...

    def add(self, key: SecretKey) -> None:
        """Keep it; what is there stays. When it returns the key lasts."""

    def drop(self, key_id: str) -> None:
        """Nothing if it is not there."""


class KeyFile:
    """A file of keys, newest first, which its owner alone may read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def where(self) -> str:
        return str(self.path)

    def find(self, key_id: str) -> SecretKey | None:
        return next((key for key in self.read() if key.id == key_id), None)

    def add(self, key: SecretKey) -> None:
        with self._changing():
            if key not in (keys := self.read()):
                self._write([key, *keys])

    def newest(self) -> SecretKey:
        """The first key in it, made if there is none. Of several processes that ask at one time all get the same."""
        with self._changing():
            keys = self.read() or [SecretKey.new()]
            if not self.path.exists():
                self._write(keys)
            return keys[0]

    def drop(self, key_id: str) -> None:
        with self._changing():
            keys = self.read()
            if any(key.id == key_id for key in keys):
                self._write([key for key in keys if key.id != key_id])

    def read(self) -> list[SecretKey]:
        """All of them, newest first; none where there is no file. Raises SettingsError."""
        try:
            with self.path.open("rb") as file:
                if os.name == "posix" and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                    raise KeyPlaceUnusable(
                        f"{self.path}: other users of this machine can read the key to your sign-ins; take that away "
                        f"with `chmod 600 {self.path}`"
                    )
                lines = file.read().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unusable("read", error) from None
        try:
            return [
                SecretKey.from_text(line.decode("ascii"))
                for line in lines
                if line.strip() and not line.startswith(b"#")
            ]
        except ValueError:
            raise KeyPlaceUnusable(
                f"{self.path}: holds a line that is no key; put back the file as it was made, from a copy"
            ) from None

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Alone, so that no key which another process adds is written over. What OSError comes is explained."""
        try:
            with folder_locked(private_folder(self.path.parent), _LONGEST_CHANGE):
                yield
        except OSError as error:
            raise self._unusable("written", error) from None

    def _write(self, keys: list[SecretKey]) -> None:
        write_atomic(self.path, _HEAD + b"".join(key.to_text().encode("ascii") + b"\n" for key in keys))

    def _unusable(self, what: str, error: OSError) -> SettingsError:
        reason = (error.strerror or type(error).__name__).lower()
        return KeyPlaceUnusable(
            f"{self.path}: the key file cannot be {what} ({reason}); make it usable by this user, or name another with "
            "store.key_file"
        )


class KeyringEntries:
    """The entries of the system's keyring. `deadline`: seconds for each call, which may ask the person."""

    def __init__(self, backend: Any, deadline: float) -> None:
        self._backend = backend
        self._deadline = deadline

    @property
    def where(self) -> str:
        return f"the system's keyring ({self._backend.name})"

    def find(self, key_id: str) -> SecretKey | None:
        text = self._ask(lambda: self._backend.get_password(SERVICE, _entry(key_id)))
        if text is None:
            return None
        try:
            key = SecretKey.from_text(text)
        except ValueError:
            key = None
        if key is None or key.id != key_id:
            raise KeyPlaceUnusable(f"the entry {_entry(key_id)} of {self.where} is damaged; put it back from a copy")
        return key

    def add(self, key: SecretKey) -> None:
        self._ask(lambda: self._backend.set_password(SERVICE, _entry(key.id), key.to_text()))
        if self.find(key.id) is None:
            raise KeyPlaceUnusable(f"{self.where} does not keep what it is given; {_ELSEWHERE}")

    def drop(self, key_id: str) -> None:
        if self.find(key_id) is not None:
            self._ask(lambda: self._backend.delete_password(SERVICE, _entry(key_id)))

    def _ask(self, work: Callable[[], _T]) -> _T:
        """`work`, in a thread that is given up after the deadline: a keyring that asks a person can take for ever."""
        return _within(self._deadline, work, self.where)


_ELSEWHERE = "or keep the key in a file with store.key_source = file"


def usable_keyring(deadline: float) -> KeyringEntries | None:
    """The system's keyring, None where there is none that keeps secrets. Raises SettingsError where it hangs."""

    def choose() -> Any:
        import keyring

        backend = keyring.get_keyring()
        # One that stands for several: its first would get what is written.
        candidates = getattr(backend, "backends", None) or [backend]
        # Below 1 are those that keep nothing, keep plain text, or ask for a password of their own.
        return next((candidate for candidate in candidates if candidate.priority >= 1), None)

    backend = _within(deadline, choose, "the system's keyring")
    return KeyringEntries(backend, deadline) if backend is not None else None


class SecretKeys:
    """All places of one installation. Every method blocks. `open_keyring` is called when it is needed first."""

    def __init__(
        self,
        file: KeyFile,
        open_keyring: Callable[[], KeyringEntries | None],
        source: Literal["auto", "keyring", "file"] | str = "auto",
    ) -> None:
        self._file = file
        self._open_keyring = open_keyring
        self._source = source

    def find(self, key_id: str) -> SecretKey:
        """Raises KeyMissing, which says where it was looked for, and SettingsError."""
        return self.place_of(key_id)[1]

    def place_of(self, key_id: str) -> tuple[KeyPlace, SecretKey]:
        """The key and the place that it lies in. Raises as `find`."""
        looked: list[str] = []
        trouble = ""
        if self._source != "keyring":
            if key := self._file.find(key_id):
                return self._file, key
            looked.append(self._file.where)
        if self._source != "file":
            try:
                place = self._keyring()
                if key := place.find(key_id):
                    return place, key
                looked.append(place.where)
            except SettingsError as error:
                trouble = f" ({error.message.partition(';')[0]})"  # what would help a new key does not find an old one
                looked.append("the system's keyring")
        raise KeyMissing(key_id, f"{' nor in '.join(looked)}{trouble}")

    def make(self) -> SecretKey:
        """The key to begin with. One that lies in the file already is taken. Raises SettingsError."""
        place = self._place_for_new()
        if isinstance(place, KeyFile):
            return place.newest()
        key = SecretKey.new()
        place.add(key)
        return key

    def install(self, key: SecretKey) -> KeyPlace:
        """Keep a key that came from elsewhere. Returns the place. Raises SettingsError."""
        place = self._place_for_new()
        place.add(key)
        return place

    def _place_for_new(self) -> KeyPlace:
        if self._source == "keyring":
            return self._keyring()
        if self._source == "auto" and not self._file.read():
            # One that is locked, hangs or refuses is of no use to a program that starts unattended.
            with contextlib.suppress(SettingsError):
                place = self._keyring()
                _try_out(place)
                return place
        return self._file

    def _keyring(self) -> KeyringEntries:
        place = self._open_keyring()
        if place is None:
            raise KeyPlaceUnusable(f"this system has no keyring that keeps secrets; install one, {_ELSEWHERE}")
        return place


def _try_out(place: KeyringEntries) -> None:
    """Whether it keeps what it is given. Raises SettingsError."""
    probe = SecretKey.new()
    place.add(probe)
    place.drop(probe.id)


def _entry(key_id: str) -> str:
    return f"store key {key_id}"


def _within(deadline: float, work: Callable[[], _T], where: str) -> _T:
    """`work` in a thread of its own. Raises SettingsError for whatever it raises, and after `deadline` seconds."""
    results: list[_T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            failures.append(error)

    # A daemon, so that one that hangs does not keep the program from ending.
    thread = threading.Thread(target=run, name="keyring", daemon=True)
    thread.start()
    thread.join(deadline)
    if results:
        return results[0]
    if not failures:
        raise KeyPlaceUnusable(
            f"{where} did not answer within {deadline:g} seconds; unlock it and try again, {_ELSEWHERE}"
        )
    error = failures[0]
    if isinstance(error, SettingsError):
        raise error
    # Not its words: they may hold what was to be kept.
    raise KeyPlaceUnusable(
        f"{where} cannot be used ({type(error).__name__}); unlock it and try again, {_ELSEWHERE}"
    ) from None

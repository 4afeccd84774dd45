"""Where things lie outside a store: spools, and the key of the fingerprints.

Directories follow the XDG Base Directory Specification, on macOS ``~/Library/Application Support``,
on Windows ``%LOCALAPPDATA%``.
"""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from recorder.clock import Clock
from recorder.errors import ConfigurationError

DEFAULT_STORE: Final = "sqlite:///recorder.db"
_KEY_VARIABLE: Final = "RECORDER_FINGERPRINT_KEY"


def default_store() -> str:
    """Return the store's URL that the environment names: ``RECORDER_STORE``, else ``sqlite:///recorder.db``."""
    return os.environ.get("RECORDER_STORE") or DEFAULT_STORE


def as_url(source: str | os.PathLike[str]) -> str:
    """Return a store's URL as it was given, or that of a SQLite file whose path was given.

    :raises ConfigurationError: it is neither.
    """
    if isinstance(source, str):
        return source
    given: object = source
    path = os.fspath(given) if isinstance(given, os.PathLike) else None
    if not isinstance(path, str):
        raise ConfigurationError(f"a store is named by a URL or by the path of a SQLite file, not by {source!r}")
    return f"sqlite:///{path.replace('%', '%25').replace('?', '%3F')}"


def sqlite_path(store_url: str) -> Path | None:
    """Return the file of a SQLite store as an absolute path; None for another engine.

    :raises ConfigurationError: the URL names no file: a store in memory would vanish with the process.
    """
    scheme, _, rest = store_url.partition("://")
    if not scheme.startswith("sqlite"):
        return None
    name = unquote(rest.removeprefix("/").partition("?")[0])
    if not name or name == ":memory:":
        raise ConfigurationError("the store has no file: name one, as in sqlite:///recorder.db")
    return Path(name).absolute()


def absolute_url(store_url: str) -> str:
    """Return a store's URL with the file of a SQLite store as an absolute path: programs change their directory.

    :raises ConfigurationError: the URL names no file.
    """
    if sqlite_path(store_url) is None:
        return store_url
    scheme, _, rest = store_url.partition("://")
    name, question, query = rest.removeprefix("/").partition("?")
    return f"{scheme}:///{Path(name).absolute()}{question}{query}"


def spool_directory(store_url: str) -> Path:
    """Return the directory of a store's spools, the same for every process of this user and machine.

    Beside a SQLite store; for a server, in the user's state directory under a digest of host, port
    and database, so that another role or password finds the same spools.
    """
    path = sqlite_path(store_url)
    if path is not None:
        return path.with_name(path.name + "-spool")
    parts = urlsplit(store_url)
    try:
        port = parts.port or 5432
    except ValueError:
        raise ConfigurationError("the store's URL has no valid port: use postgresql+psycopg://HOST:PORT/NAME") from None
    place = f"{(parts.hostname or 'localhost').lower()}:{port}{parts.path}?{parts.query if not parts.hostname else ''}"
    return _state_home() / "recorder" / "spool" / hashlib.sha256(place.encode()).hexdigest()[:24]


def make_state_home(store_url: str) -> None:
    """Make the directory that a server's spools lie in; a SQLite store's lie beside it, in a folder that must be there.

    :raises ConfigurationError: it cannot be made.
    """
    if sqlite_path(store_url) is None:
        home = spool_directory(store_url).parent
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"the state directory {home} cannot be made ({error.strerror}): set XDG_STATE_HOME to another place"
            ) from error


def fingerprint_key(clock: Clock) -> bytes:
    """Return the key of the redaction fingerprints, made on first use and never exported.

    ``RECORDER_FINGERPRINT_KEY`` goes before the file in the user's data directory.

    :raises ConfigurationError: the file can be neither read nor made.
    """
    named = os.environ.get(_KEY_VARIABLE)
    if named:
        return named.encode()
    path = _data_home() / "recorder" / "fingerprint.key"
    try:
        return _read_or_make(path, clock)
    except OSError as error:
        raise ConfigurationError(
            f"the fingerprint key {path} cannot be used ({error.strerror}): set {_KEY_VARIABLE} or XDG_DATA_HOME"
        ) from error


def _read_or_make(path: Path, clock: Clock) -> bytes:
    with suppress(FileNotFoundError):
        return path.read_bytes()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{os.getpid()}.{clock.secret(4).hex()}")
    made.touch(mode=0o600)
    try:
        made.write_bytes(clock.secret(32))
        os.link(made, path)  # the first of several processes wins, and nobody sees half a key
    except FileExistsError:
        pass
    finally:
        made.unlink()
    return path.read_bytes()


def _data_home() -> Path:
    return _home("XDG_DATA_HOME", ".local/share")


def _state_home() -> Path:
    return _home("XDG_STATE_HOME", ".local/state")


def _home(variable: str, below_home: str) -> Path:
    if named := os.environ.get(variable):
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    return Path.home() / below_home

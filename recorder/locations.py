"""Where things lie outside a store: spools, the keys, and what was signed of a ledger.

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
from urllib.parse import parse_qs, unquote, urlsplit

from recorder.clock import Clock
from recorder.errors import ConfigurationError

DEFAULT_STORE: Final = "sqlite:///recorder.db"
CASSETTE_SUFFIX: Final = ".jsonl"
_CASSETTE: Final = "cassette://"
_KEY_VARIABLE: Final = "RECORDER_FINGERPRINT_KEY"
PAYLOAD_KEYS_VARIABLE: Final = "RECORDER_PAYLOAD_KEYS"
SIGNING_KEY_VARIABLE: Final = "RECORDER_SIGNING_KEY"


def default_store() -> str:
    """Return the store's URL that the environment names: ``RECORDER_STORE``, else ``sqlite:///recorder.db``."""
    return os.environ.get("RECORDER_STORE") or DEFAULT_STORE


def is_cassette(name: str) -> bool:
    """Whether the text that names a store is the path of a cassette, or its URL."""
    return name.startswith(_CASSETTE) or ("://" not in name and name.endswith(CASSETTE_SUFFIX))


def as_url(source: str | os.PathLike[str] | None) -> str:
    """Return a store's URL as it was given, or that of a file whose path was given; the default for None.

    A path that ends in ``.jsonl`` is that of a cassette, any other that of a SQLite store.

    :raises ConfigurationError: it is neither.
    """
    if source is None:
        source = default_store()
    if isinstance(source, str):
        return f"{_CASSETTE}/{source}" if is_cassette(source) and not source.startswith(_CASSETTE) else source
    given: object = source
    path = os.fspath(given) if isinstance(given, os.PathLike) else None
    if not isinstance(path, str):
        raise ConfigurationError(f"a store is named by a URL or by the path of a SQLite file, not by {source!r}")
    if is_cassette(path):
        return f"{_CASSETTE}/{path}"
    return f"sqlite:///{path.replace('%', '%25').replace('?', '%3F')}"


def url_of_path(path: Path) -> str:
    """Return the URL of a file: as :func:`as_url`, with an absolute path."""
    return absolute_url(as_url(path))


def cassette_path(store_url: str) -> Path | None:
    """Return the file of a cassette as an absolute path; None where the URL is that of a store.

    What stands in the URL is the path as it is: nothing in it is escaped.

    :raises ConfigurationError: the URL names no file, or it does not end in ``.jsonl``.
    """
    if not store_url.startswith(_CASSETTE):
        return None
    name = store_url.removeprefix(_CASSETTE).removeprefix("/")
    if not name.endswith(CASSETTE_SUFFIX) or "\0" in name:
        raise ConfigurationError(f"a cassette is a file whose name ends in {CASSETTE_SUFFIX}, not {name!r}")
    return _real(name)


def _real(name: str) -> Path:
    try:
        return Path(os.path.realpath(name))
    except FileNotFoundError:  # of a relative name
        raise ConfigurationError("the working directory was removed: go to another one, or name a whole path") from None


def sqlite_path(store_url: str) -> Path | None:
    """Return the file of a SQLite store as an absolute path; None for another engine.

    Symbolic links are followed: by whatever name it is opened, a store has one lock, one log and one spool.

    :raises ConfigurationError: the URL names no file: a store in memory would vanish with the process.
    """
    scheme, separator, rest = store_url.partition("://")
    if not separator or not scheme.startswith("sqlite"):
        return None
    name = unquote(rest.removeprefix("/").partition("?")[0])
    if not name or name == ":memory:":
        raise ConfigurationError("the store has no file: name one, as in sqlite:///recorder.db")
    if "\0" in name:
        raise ConfigurationError("the store's URL holds a NUL, which no file name can: write sqlite:///FILE")
    return _real(name)


def absolute_url(store_url: str) -> str:
    """Return a store's URL with the file of a SQLite store as an absolute path: programs change their directory.

    :raises ConfigurationError: the URL names no file.
    """
    cassette = cassette_path(store_url)
    if cassette is not None:
        return f"{_CASSETTE}/{cassette}"
    path = sqlite_path(store_url)
    if path is None:
        return store_url
    scheme, _, rest = store_url.partition("://")
    name = str(path).replace("%", "%25").replace("?", "%3F")  # what the URL would not take as it is
    return f"{scheme}:///{name}{''.join(rest.partition('?')[1:])}"


def spool_directory(store_url: str) -> Path:
    """Return the directory of a store's spools, the same for every process of this user and machine.

    Beside a SQLite store; for a server, in the user's state directory under a digest of host, port
    and database, so that another role or password finds the same spools.
    """
    path = cassette_path(store_url) or sqlite_path(store_url)
    if path is not None:
        return path.with_name(path.name + "-spool")
    return _state_home() / "recorder" / "spool" / hashlib.sha256(_place(store_url).encode()).hexdigest()[:24]


def _place(store_url: str) -> str:
    """Return host, port and database of a server, wherever the URL has them: in its parts or in its query.

    What it does not say is libpq's to fill in, from its environment variables and its defaults
    (https://www.postgresql.org/docs/current/libpq-envars.html).
    """
    parts = urlsplit(store_url)
    query = parse_qs(parts.query)
    try:
        written = parts.port
    except ValueError:
        raise ConfigurationError("the store's URL has no valid port: use postgresql+psycopg://HOST:PORT/NAME") from None

    def told(name: str, part: str | None, default: str) -> str:
        return ",".join(query.get(name, ())) or part or os.environ.get(f"PG{name.upper()}") or default

    host = told("host", parts.hostname, "localhost")
    port = told("port", str(written or ""), "5432")
    if "port" not in query and not host.startswith("/") and host.partition(":")[2].isdigit():
        host, _, port = host.partition(":")
    user = told("user", unquote(parts.username or ""), "")
    named = query.get("dbname", [unquote(parts.path.removeprefix("/"))])[-1]
    database = named or os.environ.get("PGDATABASE") or user
    return f"{host if host.startswith('/') else host.lower()}:{port}/{database}?"


def prepared_spool_directory(store_url: str) -> Path:
    """Return the spool directory of a store after making the one that a server's spools lie in.

    A SQLite store's lie beside it, in a folder that must be there.

    :raises ConfigurationError: it cannot be made.
    """
    directory = spool_directory(store_url)
    cassette = cassette_path(store_url)
    if cassette is not None:
        with suppress(OSError):  # what stands in the way is told by whoever writes there
            cassette.parent.mkdir(parents=True, exist_ok=True)
    elif sqlite_path(store_url) is None:
        home = directory.parent
        try:
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"the state directory {home} cannot be made ({error.strerror}): set XDG_STATE_HOME to another place"
            ) from error
    return directory


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


def signing_key_file() -> Path | None:
    """Return the file of the signing key that ``RECORDER_SIGNING_KEY`` names; None where it names none."""
    named = os.environ.get(SIGNING_KEY_VARIABLE)
    return Path(named).absolute() if named else None


def signing_keys() -> Path:
    """Return the directory of the signing keys, in the user's data directory: apart from every store."""
    return _data_home() / "recorder" / "keys"


def payload_keys_file() -> Path:
    """Return the table of the keys that payloads are sealed under: of ``RECORDER_PAYLOAD_KEYS``, or the user's own.

    :raises ConfigurationError: the variable names something else than a file.
    """
    named = os.environ.get(PAYLOAD_KEYS_VARIABLE, "").strip()
    if not named:
        return _data_home() / "recorder" / "payload-keys.db"
    path = sqlite_path(named) if "://" in named else Path(named)
    if path is None:
        raise ConfigurationError(f"{PAYLOAD_KEYS_VARIABLE} names no file: give the path of the table of keys")
    return path.absolute()


def signed_checkpoints(log_id: bytes) -> Path:
    """Return the file of a log's signed checkpoints outside the store, in the user's state directory.

    :param log_id: 32 bytes (:func:`recorder.core.heads.log_id`).
    """
    return _state_home() / "recorder" / "ledgers" / f"{log_id.hex()}.checkpoints"


def known_fingerprint_key() -> bytes | None:
    """Return the key of the redaction fingerprints; None where this machine has none that can be read."""
    named = os.environ.get(_KEY_VARIABLE)
    if named:
        return named.encode()
    try:
        return (_data_home() / "recorder" / "fingerprint.key").read_bytes()
    except OSError:
        return None


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

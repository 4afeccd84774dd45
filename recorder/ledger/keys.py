"""The keys that sign a ledger's checkpoints, kept apart from the store.

A log goes by its origin. Its private key is a file that only its user may read, in the user's data directory or
where ``RECORDER_SIGNING_KEY`` says, in the text form of golang.org/x/mod/sumdb/note::

    PRIVATE+KEY+ORIGIN+KEY ID+base64(0x01 | seed)

Beside it lie the public keys that the log has had, oldest first, a line each: what was signed before a rotation
verifies afterwards. They vouch for nothing by themselves: whoever audits has a key's fingerprint from somewhere else.

Signing needs ``cryptography``, the extra ``proof``; verifying takes it where it is there, since it is faster.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from recorder.clock import Clock
from recorder.core import ed25519
from recorder.core.heads import log_id
from recorder.core.notes import NoteKey, Verify, is_name, parse_key, sign_note
from recorder.durable import make_directory, sync_directory, write_private
from recorder.errors import ConfigurationError
from recorder.locations import SIGNING_KEY_VARIABLE, signing_key_file, signing_keys
from recorder.locks import LockFile

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

#: What :func:`stamp` returns: of the private file and of the public one, None where there is none.
Stamp = tuple[tuple[int, int] | None, ...]

#: Is told the key of before, and the one that follows it.
Announce = Callable[["SigningKey", "SigningKey"], None]

_PRIVATE: Final = re.compile(r"PRIVATE\+KEY\+([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})\n?")
_ORIGIN_SIZE: Final = 200  # characters


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A log's private key.

    :ivar public: what its signatures are verified with.
    :ivar sign: signs a message with it.
    """

    public: NoteKey
    sign: Callable[[bytes], bytes]

    def signed(self, text: str) -> str:
        """Return *text* as a note that this key signed."""
        return sign_note(text, self.public, self.sign)


def default_origin(clock: Clock) -> str:
    """Return a name that no other log has: ``recorder/`` and 16 hexadecimal digits."""
    return f"recorder/{clock.secret(8).hex()}"


def check_origin(origin: str) -> str:
    """Return a name that was given for a log, where a log can have it.

    :raises ConfigurationError: it cannot.
    """
    if not is_name(origin) or not origin.isprintable() or len(origin) > _ORIGIN_SIZE:
        raise ConfigurationError(
            f"{origin[:80]!r} cannot be the name of a log: give one without blanks, control characters and +, "
            "as example.com/trading-bot"
        )
    return origin


def fingerprint(key: NoteKey) -> str:
    """Return what people compare a key by: SHA-256 of its vkey text, in 16 groups of 4 hexadecimal digits."""
    digits = hashlib.sha256(key.text.encode()).hexdigest()
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def create(origin: str, clock: Clock) -> SigningKey:
    """Make a log's first key.

    :raises ConfigurationError: it has one, it cannot be written, or ``cryptography`` is not installed.
    """
    check_origin(origin)
    path = private_file(origin)
    with _locked():
        if path.exists():
            raise ConfigurationError(f"there is a signing key already, {path}: `recorder keys rotate` makes a new one")
        return _made(origin, path, clock)


def rotate(origin: str, clock: Clock, announce: Announce = lambda before, after: None) -> tuple[NoteKey, SigningKey]:
    """Put a new key in the place of a log's private key, which is gone then; its public key is kept.

    The new one lies beside the old one until then: whoever dies in between leaves what the next attempt takes up, so
    that never two keys follow on one.

    :param announce: is told both keys while the old private key is still there: what it has signed says that
        its holder wanted the new one. Where it fails, the old key stays.
    :returns: the public key of before, and the new key.
    :raises ConfigurationError: the log has no key here, or the new one cannot be written.
    """
    path = private_file(origin)
    with _locked():
        before = load(origin)
        if before is None:
            raise ConfigurationError(
                f"the signing key of {origin} is not here ({path}): there is nothing to rotate, "
                "bring it back; where it is lost for good, go on with a new ledger: `recorder db copy "
                "--without-ledger`, then `recorder keys init --after` (docs/howto-auditor.md)"
            )
        waiting = _pending_file(path)
        after = _read(waiting, origin) or _made(origin, waiting, clock)
        announce(before, after)
        waiting.replace(path)
        sync_directory(path.parent)
        return before.public, after


def pending(origin: str) -> NoteKey | None:
    """Return the key that is about to take the place of the private one here; None: none is."""
    key = _read(_pending_file(private_file(origin)), origin)
    return None if key is None else key.public


def _pending_file(path: Path) -> Path:
    return path.with_name(path.name + ".next")


def private_file(origin: str) -> Path:
    """Return where the private key of a log lies, or would lie."""
    return signing_key_file() or signing_keys() / f"{log_id(origin).hex()}.key"


def load(origin: str) -> SigningKey | None:
    """Return the private key of a log; None where it is not here.

    :raises ConfigurationError: it cannot be read, is damaged, is that of another log, or may be read by others; or
        ``cryptography`` is not installed.
    """
    return _read(private_file(origin), origin)


def _read(path: Path, origin: str) -> SigningKey | None:
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(1000)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(f"the signing key {path} cannot be read ({reason}): {_ELSEWHERE}") from error
    if os.name == "posix" and mode & 0o077 and signing_key_file() is None:
        raise ConfigurationError(f"the signing key {path} can be read by others: chmod 600 it, or rotate it")
    match = _PRIVATE.fullmatch(text)
    if match is None:
        raise ConfigurationError(f"the signing key {path} is damaged: restore it from a backup")
    seed = base64.b64decode(match[3])
    key = _key(match[1], seed[1:])
    if seed[0] != 1 or key.public.key_id.hex() != match[2]:
        raise ConfigurationError(f"the signing key {path} is damaged: restore it from a backup")
    if key.public.name != origin:
        raise ConfigurationError(
            f"the signing key {path} is of {key.public.name}, the store's log is {origin}: {_ELSEWHERE}"
        )
    return key


def known(origin: str) -> tuple[NoteKey, ...]:
    """Return the public keys that a log has had, as far as they are known here, oldest first.

    Needs no ``cryptography``.

    :raises ConfigurationError: their file cannot be read or is damaged.
    """
    path = _public_file(origin)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the public keys {path} cannot be read: check the file") from error
    keys = tuple(map(parse_key, lines))
    if any(key.name != origin for key in keys):
        raise ConfigurationError(f"the public keys {path} are not all of {origin}: restore them from a backup")
    return keys


def public_here(origin: str) -> tuple[NoteKey, ...]:
    """Return the public keys of a log that are here: those that are known, and that of the private key.

    :raises ConfigurationError: a key's file cannot be read or is damaged.
    """
    own = load(origin)
    return tuple(dict.fromkeys((*known(origin), *(() if own is None else (own.public,)))))


def key_files(origin: str) -> tuple[str, str]:
    """Return where the private key of a log lies, or would lie, and where its public keys do."""
    return str(private_file(origin)), str(_public_file(origin))


def stamp(files: Sequence[str]) -> Stamp:
    """Return what changes whenever the key files of a log are written; cheap enough to be asked before each sealing.

    :param files: of :func:`key_files`.
    """
    return tuple(map(_written, files))


def _written(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - before each sealing: a Path takes as long as the kernel
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def verifier() -> Verify:
    """Return the fastest strict verification of signatures that there is here.

    OpenSSL has the same equation and the same bound of S; keys that it would take and
    :mod:`recorder.core.ed25519` does not never become a :class:`~recorder.core.notes.NoteKey` by ``parse_key``.
    """
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except Exception:  # noqa: BLE001 - missing, or broken: what an extension module raises then is up to it
        return ed25519.verify

    def verify(public: bytes, message: bytes, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True

    return verify


_ELSEWHERE: Final = f"name the right file in {SIGNING_KEY_VARIABLE}, or unset it"


def _public_file(origin: str) -> Path:
    return signing_keys() / f"{log_id(origin).hex()}.vkeys"


@contextmanager
def _locked() -> Iterator[None]:
    """Hold the directory of the keys, made where it is missing, against other processes.

    :raises ConfigurationError: it, or a key in it, cannot be written.
    """
    directory = signing_keys()
    try:
        make_directory(directory)
        lock = LockFile(directory / "lock")
        try:
            with lock:
                yield
        finally:
            lock.close()
    except OSError as error:
        raise ConfigurationError(
            f"the signing key cannot be written to {error.filename or directory} ({error.strerror}): "
            f"set {SIGNING_KEY_VARIABLE} or XDG_DATA_HOME to another place"
        ) from error


def _made(origin: str, path: Path, clock: Clock) -> SigningKey:
    """Write a new key; its public half first, so that nothing is ever signed that could not be verified here."""
    seed = clock.secret(32)
    key = _key(origin, seed)
    public = _public_file(origin)
    lines = "".join(f"{each.text}\n" for each in (*known(origin), key.public))
    made = f".{os.getpid()}.{clock.secret(4).hex()}"
    write_private(public, lines.encode(), made=public.with_name(public.name + made), replace=True)
    secret = base64.b64encode(b"\1" + seed).decode()
    text = f"PRIVATE+KEY+{origin}+{key.public.key_id.hex()}+{secret}\n"
    write_private(path, text.encode(), made=path.with_name(path.name + made), replace=False)
    return key


def _key(name: str, seed: bytes) -> SigningKey:
    private = _private_key()(seed)
    return SigningKey(NoteKey(name, private.public_key().public_bytes_raw()), private.sign)


def _private_key() -> Callable[[bytes], Ed25519PrivateKey]:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        raise ConfigurationError(
            "signing needs cryptography: install it with `pip install 'conversation-recorder[proof]'`"
        ) from None
    except Exception as error:  # noqa: BLE001 - as in verifier(): recording goes on, whatever it raises
        raise ConfigurationError(f"cryptography, which signs, is broken here ({error}): install it anew") from None
    return Ed25519PrivateKey.from_private_bytes

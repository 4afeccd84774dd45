r"""Payloads under a key: what stands in an event's place of a body where the payloads of its stream are sealed.

A stream of format 2 has, where others have a secret, the id of a key and a random salt. The key lies apart from the
store; who destroys it shreds every copy of what was sealed with it, however old. From key and salt come both the secret
that the salts of the commitments are made with, and the key of the payloads (HKDF, RFC 5869)::

    secret 32 | payload key 32 = HKDF-SHA256(key, salt = salt 16, info = "recorder/sealed/v2\0" | stream, 64 bytes)
    sealed = u64 size | commitment 32 | nonce 12 | AES-256-GCM(payload key, nonce, part(meta) | part(body))
    associated data = "recorder/sealed/v2\0" | stream 16 | u64 version | u64 size | commitment 32

Size and commitment are those that the event's hash is made with (:mod:`recorder.core.chain`): the chain commits to the
payload itself, so that it can be checked without the key, and the hash stays what it is when the key is gone. GCM does
not commit to its key; the commitment does. A nonce is random (NIST SP 800-38D, 8.2.2: 2^32 events of a stream): a
version is no nonce, since what could not be written gives its version to another event.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from recorder.core.chain import ABSENT, SEALED_HEAD, SEALED_LEAST, U64, commitment, event_hash
from recorder.core.codec import encode_event
from recorder.core.events import SEALED_FORMAT, Event, StreamOpened
from recorder.core.sealing import Sealer
from recorder.errors import CorruptRecording

TAG: Final = b"recorder/sealed/v2\0"
KEY_SIZE: Final = 32
ID_SIZE: Final = 16  # of a key, and of the salt behind it
NONCE_SIZE: Final = 12


class Cipher(Protocol):
    """AES-256-GCM under one key, as ``cryptography`` has it."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Return the data encrypted, with its check."""
        ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Return what was encrypted; raises where it is not what was."""
        ...


class StreamKeys(NamedTuple):
    """What a stream's payloads are sealed with.

    :ivar public: 32 bytes, the id of the key and the salt: what its opening tells.
    :ivar secret: 32 bytes that the salts of its commitments are made of.
    """

    public: bytes
    secret: bytes
    cipher: Cipher


def stream_keys(key: bytes, public: bytes, stream: bytes, cipher: Callable[[bytes], Cipher]) -> StreamKeys:
    """Return what the payloads of a stream are sealed with.

    :param key: 32 bytes.
    :param public: 32 bytes, of the stream's opening.
    :param cipher: makes one of a key.
    """
    chosen = hmac.digest(public[ID_SIZE:], key, "sha256")
    first = hmac.digest(chosen, TAG + stream + b"\x01", "sha256")
    second = hmac.digest(chosen, first + TAG + stream + b"\x02", "sha256")
    return StreamKeys(public, first, cipher(second))


def is_sealed(opened: StreamOpened) -> bool:
    """Whether the payloads of a stream are sealed, and its key is not at hand."""
    return opened.format == SEALED_FORMAT


def unsealed_opening(opened: StreamOpened, keys: StreamKeys) -> StreamOpened:
    """Return the opening as that of a stream whose payloads are not sealed: its chain is the same."""
    return StreamOpened(opened.stream, opened.instance, keys.secret, sealed=opened.secret)


def seal_payload(
    keys: StreamKeys, stream: bytes, version: int, nonce: bytes, meta: bytes | None, body: bytes | None
) -> bytes:
    """Return what stands in the place of a payload.

    :param nonce: 12 random bytes.
    """
    head = SEALED_HEAD.pack(len(meta or b"") + len(body or b""), commitment(keys.secret, version, meta, body))
    said = TAG + stream + U64.pack(version) + head
    return head + nonce + keys.cipher.encrypt(nonce, _part(meta) + _part(body), said)


def _part(value: bytes | None) -> bytes:
    return U64.pack(ABSENT) if value is None else U64.pack(len(value)) + value


def sealed_event(keys: StreamKeys, event: Event, nonce: bytes) -> Event:
    """Return an event as it is stored; its hash is that of the payload itself."""
    meta = None if event.meta is None else event.meta.encode()
    return event._replace(meta=None, body=seal_payload(keys, event.stream, event.version, nonce, meta, event.body))


def unsealed_event(keys: StreamKeys, event: Event) -> Event:
    """Return an event with its payload; one that was erased stays without.

    :raises CorruptRecording: what is stored is not what was sealed there.
    """
    stored = event.body
    if stored is None and event.meta is None:
        return event
    try:
        if event.meta is not None or not isinstance(stored, bytes) or len(stored) < SEALED_LEAST:
            raise ValueError("too short")
        head, nonce = stored[: SEALED_HEAD.size], stored[SEALED_HEAD.size : SEALED_HEAD.size + NONCE_SIZE]
        said = TAG + event.stream + U64.pack(event.version) + head
        data = keys.cipher.decrypt(nonce, stored[SEALED_HEAD.size + NONCE_SIZE :], said)
        meta, rest = _taken(data)
        body, rest = _taken(rest)
        if rest:
            raise ValueError("too long")
        return event._replace(meta=None if meta is None else meta.decode("ascii"), body=body)
    except Exception as error:  # the cipher is given: what it raises is its own
        raise CorruptRecording(
            f"the sealed payload of version {event.version} is not what was written: see `recorder verify`",
            position=event.position,
        ) from error


def _taken(data: bytes) -> tuple[bytes | None, bytes]:
    (size,) = U64.unpack_from(data)
    if size == ABSENT:
        return None, data[U64.size :]
    end = U64.size + size
    if end > len(data):
        raise ValueError("too short")
    return data[U64.size : end], data[end:]


def payload_sealer(opened: StreamOpened, keys: StreamKeys, nonces: Callable[[int], bytes]) -> Sealer:
    """Return what hashes, seals and encodes the events of one stream.

    :param opened: its opening.
    :param nonces: returns so many random bytes.
    """
    stream, instance = opened.stream, opened.instance

    def seal(
        previous: bytes,
        version: int,
        type_name: bytes,
        wall_ns: int,
        mono_ns: int,
        flags: int,
        meta: bytes | None,
        body: bytes | None,
    ) -> tuple[bytes, bytes]:
        sealed = seal_payload(keys, stream, version, nonces(NONCE_SIZE), meta, body)
        size, committed = SEALED_HEAD.unpack_from(sealed)
        place = (stream, version, type_name, wall_ns, mono_ns, instance, flags)
        digest = event_hash(previous, *place, size, committed)
        return digest, encode_event(*place, None, sealed, digest, SEALED_FORMAT)

    return seal

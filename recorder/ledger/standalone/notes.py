"""What is signed in a bundle: checkpoints (C2SP tlog-checkpoint in a signed note) and the manifest (DSSE).

A signature proves who signed only to somebody who knows the key from elsewhere. The keys that lie in a bundle say
which signature is by whom, and no more; which of them are trusted is asked of whoever verifies.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from recorder.core.ed25519 import verify

_VKEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})")
_SIGNED = re.compile("— ([^ ]+) ([A-Za-z0-9+/=]+)")
_SIZE = re.compile("0|[1-9][0-9]{0,18}")
_MOST_SIGNATURES = 16
_PROOF_BEGINS = "c2sp.org/tlog-proof@v1"
STATEMENT_TYPE = "application/vnd.in-toto+json"


class Key(NamedTuple):
    """A public key of a ledger, with the line of text (vkey) that it was written as."""

    name: str
    id: bytes
    public: bytes
    text: str

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the line, in hexadecimal: what people compare."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class Checkpoint(NamedTuple):
    """What a ledger says of itself, and the keys whose signature under it was verified.

    :ivar digest: SHA-256 of the whole note, which anchors outside name.
    """

    origin: str
    size: int
    root: bytes
    signers: tuple[Key, ...]
    note: str
    digest: bytes


class Proof(NamedTuple):
    """That a leaf is in the tree of a checkpoint (C2SP tlog-proof).

    :ivar entry: the leaf, where it is not among those of the range; else empty.
    """

    number: int
    path: tuple[bytes, ...]
    note: str
    entry: bytes


def unbase64(text: str) -> bytes:
    """Return what *text* stands for.

    :raises ValueError: it is not exactly the base64 of something.
    """
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("not base64") from None
    if base64.b64encode(found).decode() != text:
        raise ValueError("not base64 in its only form")
    return found


def parse_vkey(text: str) -> Key:
    """Return the key that a line stands for.

    :raises ValueError: it is not NAME+ID+BASE64, or its id is another one.
    """
    match = _VKEY.fullmatch(text)
    encoded = unbase64(match[3]) if match else b""
    if match is None or len(encoded) != 33 or encoded[0] != 1:
        raise ValueError("not the public key of a ledger: NAME+8 HEXADECIMAL DIGITS+BASE64")
    key_id = hashlib.sha256(match[1].encode() + b"\n" + encoded).digest()[:4]
    if key_id.hex() != match[2]:
        raise ValueError(f"the public key of {match[1]} is miscopied: its id is {key_id.hex()}")
    return Key(match[1], key_id, encoded[1:], text)


def parse_checkpoint(data: bytes, keys: Sequence[Key]) -> Checkpoint:
    """Return what a note says, and which of *keys* signed it.

    :raises ValueError: it is no checkpoint, or a signature that says to be of one of *keys* does not verify.
    """
    note = data.decode("utf-8")
    text, blank, under = note.partition("\n\n")
    lines = text.split("\n")
    if not blank or len(lines) != 3 or not _SIZE.fullmatch(lines[1]) or not under.endswith("\n"):
        raise ValueError("not a checkpoint: a name, a size, a root, an empty line, signatures")
    root = unbase64(lines[2])
    if len(root) != 32 or int(lines[1]) >= 1 << 63:
        raise ValueError("the size or the root of a checkpoint cannot be")
    signers = []
    lines_under = under[:-1].split("\n")
    if len(lines_under) > _MOST_SIGNATURES:
        raise ValueError("there are more signatures under a checkpoint than a bundle has")
    for line in lines_under:
        match = _SIGNED.fullmatch(line)
        signed = unbase64(match[2]) if match else b""
        if match is None or len(signed) < 5:
            raise ValueError("a line under a checkpoint is no signature")
        own = [key for key in keys if key.name == match[1] and key.id == signed[:4]]
        made = [key for key in own if verify(key.public, (text + "\n").encode(), signed[4:])]
        if own and not made:
            raise ValueError(f"the signature of {match[1]} does not verify")
        signers += made
    return Checkpoint(lines[0], int(lines[1]), root, tuple(signers), note, hashlib.sha256(data).digest())


def signed_by(kind: str, facts: Mapping[str, Any], keys: Sequence[Key]) -> Key | None:
    """Return which of *keys* signed the facts of a journal's event; None: none of them did.

    :param kind: type of the event.
    """
    try:
        made = unbase64(str(facts.get("signature", "")))
    except ValueError:
        return None
    told = {name: value for name, value in facts.items() if name not in ("signature", "accepted")}
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    for key in keys:
        log = hashlib.sha256(b"recorder/origin/v1\0" + key.name.encode()).digest()
        message = b"recorder/facts/v1\0" + log + kind.encode() + b"\0" + text.encode()
        if key.id == made[:4] and verify(key.public, message, made[4:]):
            return key
    return None


def parse_proof(data: bytes) -> Proof:
    """Return what a ``*.tlog-proof`` says.

    :raises ValueError: it is none.
    """
    head, blank, note = data.decode("utf-8").partition("\n\n")
    lines = head.split("\n")
    entry = unbase64(lines.pop(1)[6:]) if lines[1:] and lines[1].startswith("extra ") else b""
    place = lines[1].partition(" ") if len(lines) > 1 else ("", "", "")
    if not blank or lines[0] != _PROOF_BEGINS or place[0] != "index" or not _SIZE.fullmatch(place[2]):
        raise ValueError("not a proof: its first lines, an index and hashes")
    path = tuple(unbase64(line) for line in lines[2:])
    if len(path) > 63 or any(len(hashed) != 32 for hashed in path):
        raise ValueError("the path of a proof cannot be")
    return Proof(int(place[2]), path, note, entry)


def parse_json(data: bytes) -> Any:
    """Return the value of a JSON text that has the only form in which bundles write it.

    :raises ValueError: it has another one, or is no JSON.
    """
    try:
        value = json.loads(data.decode("ascii"))
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    if canonical_json(value) != data:
        raise ValueError("JSON that is not in its only form: sorted, ASCII, without spaces")
    return value


def canonical_json(value: Any) -> bytes:
    """Return the only form in which a bundle has a value as JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def signed_bytes(payload: bytes) -> bytes:
    """Return what a signature of the manifest is of: the pre-authentication encoding of DSSE v1."""
    return b"DSSEv1 %d %s %d %s" % (len(STATEMENT_TYPE), STATEMENT_TYPE.encode(), len(payload), payload)


def parse_envelope(data: bytes, keys: Sequence[Key]) -> tuple[Any, tuple[Key, ...]]:
    """Return the statement in an envelope (DSSE), and which of *keys* signed it.

    :raises ValueError: it is no envelope, or a signature in it is not by one of *keys*.
    """
    envelope = parse_json(data)
    if not isinstance(envelope, dict) or set(envelope) != {"payload", "payloadType", "signatures"}:
        raise ValueError("not a signed statement")
    signatures = envelope["signatures"]
    if (
        envelope["payloadType"] != STATEMENT_TYPE
        or not isinstance(signatures, list)
        or len(signatures) > _MOST_SIGNATURES
    ):
        raise ValueError("not a signed in-toto statement")
    payload = unbase64(str(envelope["payload"]))
    signers = []
    for one in signatures:
        if not isinstance(one, dict) or set(one) != {"keyid", "sig"}:
            raise ValueError("a signature that is none")
        signature = unbase64(str(one["sig"]))
        made = [key for key in keys if key.fingerprint == one["keyid"]]
        made = [key for key in made if verify(key.public, signed_bytes(payload), signature)]
        if not made:
            raise ValueError("a signature does not verify")
        signers += made
    return parse_json(payload), tuple(signers)

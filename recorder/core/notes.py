r"""Signed notes, and what the ledger writes in their form: checkpoints and proofs.

A signed note (https://c2sp.org/signed-note) is text and under it signature lines; a checkpoint
(https://c2sp.org/tlog-checkpoint) is a note whose text says a log's name, size and root; a proof
(https://c2sp.org/tlog-proof) is a leaf's way to the root with the checkpoint that has it::

    origin\n size\n base64(root)\n \n — name base64(key id 4 | signature)\n …

A text is nobody's word until a signature under it was verified with a key that came from somewhere else.
:func:`open_checkpoint` is the way to a size and a root. A key's id is a hint which key to try, and no more.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from recorder.core import ed25519
from recorder.core.merkle import MAX_SIZE
from recorder.errors import ConfigurationError, CorruptRecording

#: Signature type of the C2SP specification: Ed25519 over the note's text.
_ED25519: Final = 1
_MAX_SIGNATURES: Final = 100
_MAX_SIZE: Final = 1_000_000  # characters of a note
_LINE: Final = re.compile("— ([^ ]+) ([A-Za-z0-9+/=]+)")
_KEY: Final = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")
_DECIMAL: Final = re.compile("0|[1-9][0-9]{0,18}")
_NO_TEXT: Final = re.compile("[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_PROOF: Final = "c2sp.org/tlog-proof@v1"
_EXTRA: Final = "extra "
_INDEX: Final = "index "
_LONGEST_PATH: Final = MAX_SIZE.bit_length()

#: Takes public key, message and signature; returns whether it is the signature of that.
Verify = Callable[[bytes, bytes, bytes], bool]
#: Takes a message, returns its signature.
Sign = Callable[[bytes], bytes]


class NoteKey(NamedTuple):
    """A public key with the name that its signatures go by.

    :ivar name: as signature lines have it; of a log, its origin.
    :ivar public: the Ed25519 key, 32 bytes.
    """

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The 4 bytes by which a signature line says which key it is of."""
        return hashlib.sha256(f"{self.name}\n".encode() + bytes([_ED25519]) + self.public).digest()[:4]

    @property
    def text(self) -> str:
        """The key as a line of text, a vkey: ``name+key id+base64(0x01 | public)``."""
        return f"{self.name}+{self.key_id.hex()}+{_to_base64(bytes([_ED25519]) + self.public)}"


class Signature(NamedTuple):
    """A signature line of a note; nothing of it is verified."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A text and the signatures under it.

    :ivar text: ends with a line feed.
    """

    text: str
    signatures: tuple[Signature, ...]

    def signers(self, keys: Iterable[NoteKey], verify: Verify = ed25519.verify) -> tuple[NoteKey, ...]:
        """Return those of *keys* that signed this note, as far as their signatures verify.

        Signatures of other keys are passed over: they may be those of witnesses, or of keys to come.

        :raises CorruptRecording: a signature that says to be of one of *keys* is not.
        """
        known: dict[tuple[str, bytes], list[NoteKey]] = {}
        for key in keys:
            known.setdefault((key.name, key.key_id), []).append(key)
        found: dict[NoteKey, None] = {}
        for line in dict.fromkeys(self.signatures):
            candidates = known.get((line.name, line.key_id), [])
            made = [key for key in candidates if verify(key.public, self.text.encode(), line.signature)]
            if candidates and not made:
                raise CorruptRecording(f"the signature of {line.name}+{line.key_id.hex()} under a note does not verify")
            found.update(dict.fromkeys(made))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself: the text of a note.

    :ivar origin: the log's name.
    :ivar size: how many leaves its tree has.
    :ivar root: root of that tree, 32 bytes.
    :ivar extensions: further lines, which recorder never writes.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text that is signed."""
        return "".join(f"{line}\n" for line in (self.origin, self.size, _to_base64(self.root), *self.extensions))


@dataclass(frozen=True, slots=True)
class LogProof:
    """That an entry is in a log, for somebody who has the entry and the log's key.

    :ivar index: number of the leaf.
    :ivar path: the hashes beside its way to the root, from below.
    :ivar checkpoint: the signed note of the tree's size and root, as it is.
    :ivar extra: bytes that nothing vouches for; None: there are none.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    @property
    def text(self) -> str:
        """The proof as text, for a file ``*.tlog-proof``."""
        extra = [] if self.extra is None else [_EXTRA + _to_base64(self.extra)]
        lines = [_PROOF, *extra, f"{_INDEX}{self.index}", *map(_to_base64, self.path), ""]
        return "\n".join(lines) + "\n" + self.checkpoint


def is_name(text: str) -> bool:
    """Return whether a key may have that name: not empty, no white space and no ``+``."""
    return bool(text) and not any(each.isspace() or each == "+" for each in text)


def parse_key(text: str) -> NoteKey:
    """Return the key that a vkey text stands for.

    :raises ConfigurationError: it is none, or not one of Ed25519.
    """
    match = _KEY.fullmatch(text)
    encoded = from_base64(match[3]) if match is not None else None
    if match is None or encoded is None or not is_name(match[1]):
        raise ConfigurationError(f"{text[:200]!r} is not a public key: it is NAME+8 HEXADECIMAL DIGITS+BASE64")
    if len(encoded) != 33 or encoded[0] != _ED25519 or not ed25519.is_sound(encoded[1:]):
        raise ConfigurationError(f"the public key of {match[1]} is not one of Ed25519: take it again from its owner")
    key = NoteKey(match[1], encoded[1:])
    if key.key_id.hex() != match[2]:
        raise ConfigurationError(f"the public key of {match[1]} is miscopied: its id is {key.key_id.hex()}")
    return key


def sign_note(text: str, key: NoteKey, sign: Sign) -> str:
    """Return a note with one signature.

    :param text: ends with a line feed.
    :param key: the public key of whoever signs.
    :param sign: signs with its private key.
    :raises ValueError: the text cannot be that of a note.
    """
    if not is_name(key.name) or not text.endswith("\n") or _NO_TEXT.search(text):
        raise ValueError("a note is UTF-8 text without control characters that ends with a line feed")
    return f"{text}\n— {key.name} {_to_base64(key.key_id + sign(text.encode()))}\n"


def parse_note(data: str | bytes) -> Note:
    """Return the text of a note and its signatures, none of them verified.

    :raises CorruptRecording: it is no signed note.
    """
    if isinstance(data, bytes):
        try:
            data = data.decode()
        except UnicodeDecodeError:
            raise CorruptRecording("a signed note is not UTF-8") from None
    text, blank, under = data.rpartition("\n\n")
    if len(data) > _MAX_SIZE or not blank or not under.endswith("\n") or _NO_TEXT.search(data):
        raise CorruptRecording("this is not a signed note: text, an empty line, and lines of signatures")
    lines = under[:-1].split("\n")
    if len(lines) > _MAX_SIGNATURES:
        raise CorruptRecording(f"a signed note has {len(lines)} signatures, more than {_MAX_SIGNATURES}")
    return Note(text + "\n", tuple(map(_signature, lines)))


def open_note(data: str | bytes, keys: Sequence[NoteKey], verify: Verify = ed25519.verify) -> Note:
    """Return a note that one of *keys* signed.

    :param verify: checks one signature; strictly, as :func:`recorder.core.ed25519.verify` does.
    :raises CorruptRecording: it is no signed note, none of *keys* signed it, or a signature of one does not verify.
    """
    note = parse_note(data)
    if not note.signers(keys, verify):
        by = ", ".join(sorted({line.name for line in note.signatures}))
        raise CorruptRecording(f"a signed note is by {by}, and by none of the keys that are known here")
    return note


def parse_checkpoint(text: str) -> Checkpoint:
    """Return what the text of a note says of a log; only an opened note's text is anybody's word.

    :raises CorruptRecording: it is not exactly what is written for such a checkpoint.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines.pop() or not all(lines):
        raise CorruptRecording("a checkpoint is not a log's name, its size and the root of its tree")
    origin, size, encoded, *extensions = lines
    digest = from_base64(encoded)
    if digest is None or len(digest) != 32:
        raise CorruptRecording("the root of a checkpoint is not 32 bytes in base64")
    return Checkpoint(origin, _number(size, "a checkpoint's size"), digest, tuple(extensions))


def open_checkpoint(
    data: str | bytes, origin: str, keys: Sequence[NoteKey], verify: Verify = ed25519.verify
) -> Checkpoint:
    """Return what a log says of itself, after verifying that it is the log who says so.

    :param data: the signed note.
    :param origin: the log's name.
    :param keys: its keys, of now and of before.
    :raises CorruptRecording: it is no checkpoint, one of another log, or not signed by any of these keys.
    """
    own = [key for key in keys if key.name == origin]
    checkpoint = parse_checkpoint(open_note(data, own, verify).text)
    if checkpoint.origin != origin:
        raise CorruptRecording(f"a checkpoint is of the log {checkpoint.origin}, not of {origin}")
    return checkpoint


def parse_proof(text: str) -> LogProof:
    """Return what a ``*.tlog-proof`` says; nothing of it is verified.

    :raises CorruptRecording: it is no such proof.
    """
    head, blank, checkpoint = text.partition("\n\n")
    first, *lines = head.split("\n")
    if first != _PROOF or not blank:
        raise CorruptRecording(f"a proof does not begin with {_PROOF}, or has no checkpoint")
    extra = None
    if lines and lines[0].startswith(_EXTRA):
        extra = from_base64(lines.pop(0).removeprefix(_EXTRA))
        if extra is None:
            raise CorruptRecording("what is extra in a proof is not base64")
    if not lines or not lines[0].startswith(_INDEX):
        raise CorruptRecording("a proof has no index")
    index = _number(lines.pop(0).removeprefix(_INDEX), "the index of a proof")
    path = tuple(digest for digest in map(from_base64, lines) if digest is not None and len(digest) == 32)
    if len(path) != len(lines) or len(path) > _LONGEST_PATH:
        raise CorruptRecording("a proof is not made of hashes, one a line")
    return LogProof(index, path, checkpoint, extra)


def _signature(line: str) -> Signature:
    match = _LINE.fullmatch(line)
    decoded = from_base64(match[2]) if match is not None else None
    if match is None or decoded is None or len(decoded) < 5 or not is_name(match[1]):
        raise CorruptRecording(f"a line under a signed note is not a signature: {line[:100]!r}")
    return Signature(match[1], decoded[:4], decoded[4:])


def _number(text: str, name: str) -> int:
    if _DECIMAL.fullmatch(text) is None or int(text) > MAX_SIZE:
        raise CorruptRecording(f"{name} is not a decimal number: {text[:100]!r}")
    return int(text)


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def from_base64(text: str) -> bytes | None:
    """Return what a base64 text stands for; None where it is not exactly what is written for that."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return decoded if _to_base64(decoded) == text else None

"""Facts of a journal's event that the holder of the ledger's key vouches for, by a signature among them.

That an event is sealed says that it was there: whoever starts a recorder seals all that he finds in a store, also what
somebody put into it who has no key. So what has to be somebody's word is signed by itself, by Ed25519 over::

    "recorder/facts/v1\\0" | log id 32 | type of the event | "\\0" | the facts without signatures, as meta is written

A signature stands among the facts as base64(key id 4 | signature 64). The id is a hint which key to try, and no more.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any, Final

from recorder.core.events import meta_text
from recorder.core.heads import log_id
from recorder.core.notes import NoteKey, Sign, Verify, from_base64

#: Of whoever did it; of a key that takes the place of another one.
SIGNATURE: Final = "signature"
ACCEPTED: Final = "accepted"
#: The journal in which facts were signed, where a copy of them in another one is to count for nothing.
JOURNAL: Final = "journal"
_ID_SIZE: Final = 4


def signature_of(kind: str, facts: Mapping[str, Any], key: NoteKey, sign: Sign) -> str:
    """Return the signature of a key under facts.

    :param kind: type of the event.
    :param key: of the ledger; its name says of which.
    """
    return base64.b64encode(key.key_id + sign(_message(kind, facts, key.name))).decode()


def signed_facts(kind: str, facts: Mapping[str, Any], key: NoteKey, sign: Sign) -> dict[str, Any]:
    """Return facts with the signature of whoever did it."""
    return {**facts, SIGNATURE: signature_of(kind, facts, key, sign)}


def signer_of(
    kind: str, facts: Mapping[str, Any], keys: Iterable[NoteKey], verify: Verify, name: str = SIGNATURE
) -> NoteKey | None:
    """Return which of some keys signed facts; None: none of them did.

    :param name: of the fact that is the signature.
    """
    made = from_base64(str(facts.get(name, "")))
    if made is None:
        return None
    fitting = [key for key in keys if key.key_id == made[:_ID_SIZE]]
    for key in fitting:
        if verify(key.public, _message(kind, facts, key.name), made[_ID_SIZE:]):
            return key
    return None


def _message(kind: str, facts: Mapping[str, Any], name: str) -> bytes:
    told = {each: value for each, value in facts.items() if each not in (SIGNATURE, ACCEPTED)}
    return b"recorder/facts/v1\0" + log_id(name) + kind.encode() + b"\0" + meta_text(told).encode()

"""The manifest of a bundle: an in-toto statement over every file of it, in a signed envelope (DSSE).

https://in-toto.io/Statement/v1 and https://github.com/secure-systems-lab/dsse; the form of its JSON is the one that
:func:`recorder.ledger.standalone.notes.parse_json` demands.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any, Final

from recorder.core.notes import NoteKey, Sign
from recorder.ledger.standalone.notes import STATEMENT_TYPE, canonical_json, signed_bytes
from recorder.ledger.standalone.verification import PREDICATE_TYPE

_STATEMENT: Final = "https://in-toto.io/Statement/v1"


def manifest(digests: Mapping[str, str], predicate: Mapping[str, Any], signer: tuple[NoteKey, Sign] | None) -> bytes:
    """Return the manifest.

    :param digests: SHA-256 of each file, by name, in hexadecimal.
    :param predicate: what the bundle is of.
    :param signer: the ledger's key; None: the manifest is not signed.
    """
    subjects = [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(digests.items())]
    statement = {
        "_type": _STATEMENT,
        "subject": subjects,
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }
    payload = canonical_json(statement)
    signatures = []
    if signer is not None:
        key, sign = signer
        fingerprint = hashlib.sha256(key.text.encode()).hexdigest()
        signatures.append({"keyid": fingerprint, "sig": _base64(sign(signed_bytes(payload)))})
    return canonical_json({"payload": _base64(payload), "payloadType": STATEMENT_TYPE, "signatures": signatures})


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()

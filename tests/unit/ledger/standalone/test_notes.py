"""What is signed, read strictly: each text has one form."""

from __future__ import annotations

import base64
import json

import pytest

from recorder.core.notes import Checkpoint, LogProof, sign_note
from recorder.ledger.bundle_manifest import manifest
from recorder.ledger.standalone.notes import (
    canonical_json,
    parse_checkpoint,
    parse_envelope,
    parse_json,
    parse_proof,
    parse_vkey,
    unbase64,
)
from tests.sealed import ORIGIN, Key

KEY = Key()
VKEY = parse_vkey(KEY.public.text)
NOTE = sign_note(Checkpoint(ORIGIN, 12, bytes(range(32))).text, KEY.public, KEY.sign)
ENVELOPE = manifest({"a": "00"}, {"format": 1}, (KEY.public, KEY.sign))


def test_a_key_is_that_of_the_ledger() -> None:
    assert (VKEY.name, VKEY.id, VKEY.public) == (ORIGIN, KEY.public.key_id, KEY.public.public)
    assert VKEY.fingerprint == KEY.fingerprint


@pytest.mark.parametrize("at", [0, 20, 27, 40, -1])
def test_a_key_that_was_miscopied_is_refused(at: int) -> None:
    text = list(KEY.public.text)
    text[at] = "b" if text[at] != "b" else "c"
    with pytest.raises(ValueError, match=r"key|base64"):
        parse_vkey("".join(text))


def test_a_checkpoint_says_who_signed_it() -> None:
    told = parse_checkpoint(NOTE.encode(), [VKEY])
    assert (told.origin, told.size, told.root, told.signers) == (ORIGIN, 12, bytes(range(32)), (VKEY,))
    assert parse_checkpoint(NOTE.encode(), []).signers == ()


@pytest.mark.parametrize(
    "changed",
    [
        NOTE.replace("\n12\n", "\n13\n"),
        NOTE.replace("\n12\n", "\n012\n"),
        NOTE.replace("\n12\n", "\n-12\n"),
        NOTE.replace("\n12\n", f"\n{1 << 63}\n"),
        NOTE.replace("\n12\n", "\n12\n\n"),
        NOTE.replace("AAEC", "ABEC"),
        NOTE.replace("— ", "- "),
        NOTE[:-1],
        NOTE + "\n",
        NOTE.replace("\n\n", "\nmore\n\n"),
        NOTE.partition("\n\n")[0] + "\n\n" + NOTE.partition("\n\n")[2] * 17,
        "",
        "\n\n",
    ],
)
def test_a_checkpoint_that_was_changed_is_refused(changed: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_checkpoint(changed.encode(), [VKEY])


def test_a_proof_is_that_of_the_ledger() -> None:
    path = (bytes(32), bytes(range(32)))
    for entry in (None, b"entry"):
        told = parse_proof(LogProof(7, path, NOTE, entry).text.encode())
        assert (told.number, told.path, told.note, told.entry) == (7, path, NOTE, entry or b"")
    for broken in (
        "",
        "c2sp.org/tlog-proof@v1\n\n",
        LogProof(7, (b"short",), NOTE).text,
        LogProof(7, (bytes(32),) * 64, NOTE).text,
    ):
        with pytest.raises(ValueError, match=r"."):
            parse_proof(broken.encode())


def test_an_envelope_says_who_signed_it() -> None:
    statement, signers = parse_envelope(ENVELOPE, [VKEY])
    assert statement["predicate"] == {"format": 1}
    assert signers == (VKEY,)
    unsigned, nobody = parse_envelope(manifest({"a": "00"}, {"format": 1}, None), [VKEY])
    assert (unsigned, nobody) == (statement, ())


def test_an_envelope_of_another_form_or_signature_is_refused() -> None:
    told = json.loads(ENVELOPE)
    other = base64.b64encode(canonical_json({"other": 1})).decode()
    cases = [
        ENVELOPE[:-1],
        b" " + ENVELOPE,
        canonical_json({**told, "payload": other}),
        canonical_json({**told, "payloadType": "text/plain"}),
        canonical_json({**told, "more": 1}),
        canonical_json({**told, "signatures": [{"sig": "AAAA"}]}),
        canonical_json({**told, "signatures": told["signatures"] * 17}),
        canonical_json({**told, "signatures": {}}),
        canonical_json([]),
        b"[" * 100_000,
    ]
    for data in cases:
        with pytest.raises(ValueError, match=r"."):
            parse_envelope(data, [VKEY])


def test_json_and_base64_have_one_form() -> None:
    assert parse_json(canonical_json({"b": 1, "a": "€"})) == {"a": "€", "b": 1}
    for text in (
        b'{"b":1,"a":2}\n',
        b'{"a": 1}\n',
        b'{"a":1}',
        b'{"a":1,"a":1}\n',
        '{"a":"€"}\n'.encode(),
        b'{"a":1e1}\n',
    ):
        with pytest.raises(ValueError, match=r"."):
            parse_json(text)
    assert unbase64("AAE=") == b"\0\1"
    for wrong in ("AAF=", "AAE", "AAE=\n", "A A E=", "AA-_"):
        with pytest.raises(ValueError, match="base64"):
            unbase64(wrong)

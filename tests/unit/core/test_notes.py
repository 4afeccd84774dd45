"""Signed notes, keys, checkpoints and proofs: the vectors of others, and what is refused."""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.core.notes import (
    Checkpoint,
    LogProof,
    NoteKey,
    is_name,
    open_checkpoint,
    open_note,
    parse_checkpoint,
    parse_key,
    parse_note,
    parse_proof,
    sign_note,
)
from recorder.errors import ConfigurationError, CorruptRecording

# Of golang.org/x/mod/sumdb/note, the first implementation.
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
BY_PETER = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
BY_ENOCH = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
NOTE = TEXT + "\n" + BY_PETER

# The examples of the C2SP specifications; their keys are not told.
SALVATORE = """Ognuno sta solo sul cuor della terra
trafitto da un raggio di sole:

ed è subito sera.

— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJ\
hUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=
"""
SOFA = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1\
Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""
PATH = """gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=
EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=
RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=
AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=
"""
PROOF = "c2sp.org/tlog-proof@v1\nindex 73894\n" + PATH + "\n" + SOFA


def key_of(seed: bytes, name: str = "example.com/log") -> tuple[NoteKey, Ed25519PrivateKey]:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    return NoteKey(name, private.public_key().public_bytes_raw()), private


class TestKeys:
    def test_the_known_ones(self) -> None:
        for text in (PETER, ENOCH):
            assert parse_key(text).text == text
        assert parse_key(PETER).key_id.hex() == "c74f20a3"

    def test_every_part_of_one_is_none(self) -> None:
        for start in range(len(PETER)):
            for end in range(start + 1, len(PETER) + 1):
                if end - start < len(PETER):
                    with pytest.raises(ConfigurationError):
                        parse_key(PETER[start:end])

    def test_every_changed_character_makes_it_none(self) -> None:
        for place, character in enumerate(PETER):
            with pytest.raises(ConfigurationError):
                parse_key(PETER[:place] + chr(ord(character) + 1) + PETER[place + 1 :])

    @pytest.mark.parametrize(
        "text",
        [
            "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",  # another size, its own id
            "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",  # another algorithm, its own id
            NoteKey("a b", parse_key(PETER).public).text,
            NoteKey("a", bytes(32)).text,  # of small order
            PETER + "\n",
        ],
    )
    def test_what_is_refused(self, text: str) -> None:
        with pytest.raises(ConfigurationError):
            parse_key(text)

    @pytest.mark.parametrize("name", ["", "a b", "a+b", "a\n", "a\u2028b", "\u00a0"])
    def test_what_is_no_name(self, name: str) -> None:
        assert not is_name(name)
        with pytest.raises(ValueError, match="note"):
            sign_note("text\n", NoteKey(name, bytes(32)), lambda _: bytes(64))


class TestNotes:
    def test_the_known_one_is_signed_again(self) -> None:
        key, private = key_of(PETER_SEED, "PeterNeumann")
        assert key.text == PETER
        assert sign_note(TEXT, key, private.sign) == NOTE

    def test_who_signed(self) -> None:
        peter, enoch = parse_key(PETER), parse_key(ENOCH)
        both = parse_note(NOTE + BY_ENOCH)
        assert both.text == TEXT
        assert both.signers([peter]) == (peter,)
        assert both.signers([enoch, peter, enoch]) == (peter, enoch)
        assert both.signers([]) == ()
        assert open_note((NOTE + BY_ENOCH).encode(), [enoch]).text == TEXT
        with pytest.raises(CorruptRecording, match="by EnochRoot, PeterNeumann, and by none of the keys"):
            open_note(NOTE + BY_ENOCH, [])

    def test_one_bad_signature_of_a_known_key_spoils_the_note(self) -> None:
        peter, enoch = parse_key(PETER), parse_key(ENOCH)
        bad = BY_ENOCH[:60] + "ABCD" + BY_ENOCH[64:]
        with pytest.raises(CorruptRecording, match=r"signature of EnochRoot\+af0cfe78 under a note does not verify"):
            open_note(NOTE + bad, [peter, enoch])
        with pytest.raises(CorruptRecording, match="does not verify"):
            open_note(NOTE + BY_ENOCH + bad, [enoch])
        assert open_note(NOTE + bad, [peter])

    def test_a_key_of_the_same_name_and_id_is_only_tried(self) -> None:
        """The id has 32 bits: whoever wants another key with it finds one."""

        class SameId(NoteKey):
            @property
            def key_id(self) -> bytes:
                return parse_key(PETER).key_id

        peter = parse_key(PETER)
        other = SameId("PeterNeumann", parse_key(ENOCH).public)
        assert parse_note(NOTE).signers([other, peter]) == (peter,)
        with pytest.raises(CorruptRecording, match="does not verify"):
            parse_note(NOTE).signers([other])

    def test_a_signature_under_another_name_is_of_nobody(self) -> None:
        renamed = NOTE.replace("PeterNeumann", "CarmenSandiego")
        with pytest.raises(CorruptRecording, match="by CarmenSandiego, and by none"):
            open_note(renamed, [parse_key(PETER)])

    def test_each_signature_is_verified_once(self) -> None:
        tried = []

        def verify(public: bytes, message: bytes, signature: bytes) -> bool:
            tried.append(signature)
            return True

        parse_note(NOTE + BY_PETER * 99).signers([parse_key(PETER)], verify)
        assert len(tried) == 1

    def test_a_text_may_have_empty_lines(self) -> None:
        note = parse_note(SALVATORE)
        assert note.text.endswith("sole:\n\ned è subito sera.\n")
        assert [(line.name, len(line.signature)) for line in note.signatures] == [("quasimodo.example/salvatore", 64)]

    @pytest.mark.parametrize(
        "data",
        [
            "",
            TEXT,
            TEXT + "\n",
            NOTE[:-1],
            "\x01" + NOTE,
            "\ufeff".encode("utf-16") + NOTE.encode(),
            NOTE.replace("\n", "\r\n"),
            NOTE + "\ud800\n",
            TEXT + "\n— Bad Name " + BY_PETER.split()[2] + "\n",
            NOTE + "Unexpected line.\n",
            NOTE + "\n",
            TEXT + "\n" + BY_PETER * 101,
            TEXT + "\n— a AAAA\n",
            TEXT + "\n— a AAAAAAB=\n",  # bits that stand for nothing
            TEXT + "\n— a AAAA AAAA\n",
            TEXT + "\n— a  AAAAAAA=\n",
            TEXT + "\n- a AAAAAAA=\n",
            "x" * 1_000_000 + "\n\n" + BY_PETER,
        ],
    )
    def test_what_is_no_note(self, data: str | bytes) -> None:
        with pytest.raises(CorruptRecording):
            parse_note(data)

    @pytest.mark.parametrize("text", ["", "no end", "tab\tin it\n", "\ud800\n"])
    def test_what_is_not_signed(self, text: str) -> None:
        with pytest.raises(ValueError, match="note"):
            sign_note(text, parse_key(PETER), lambda _: bytes(64))

    @settings(deadline=None)
    @given(place=st.integers(0, len(NOTE.encode()) - 1), bit=st.integers(0, 7))
    def test_no_changed_bit_passes(self, place: int, bit: int) -> None:
        data = bytearray(NOTE.encode())
        data[place] ^= 1 << bit
        with pytest.raises(CorruptRecording):
            open_note(bytes(data), [parse_key(PETER)])


class TestCheckpoints:
    def test_the_example_of_the_specification(self) -> None:
        note = parse_note(SOFA)
        checkpoint = parse_checkpoint(note.text)
        assert checkpoint.origin == "example.com/behind-the-sofa"
        assert checkpoint.size == 20852163
        assert checkpoint.root.hex().startswith("0ac5186a91863e8e")
        assert checkpoint.text == note.text

    def test_one_is_opened_with_the_keys_of_its_log_alone(self) -> None:
        key, private = key_of(b"1" * 32)
        checkpoint = Checkpoint("example.com/log", 3, hashlib.sha256(b"x").digest())
        data = sign_note(checkpoint.text, key, private.sign)
        assert open_checkpoint(data, "example.com/log", [key]) == checkpoint
        witness, other = key_of(b"2" * 32, "witness.example")
        cosigned = data + sign_note(checkpoint.text, witness, other.sign).rpartition("\n\n")[2]
        assert open_checkpoint(cosigned, "example.com/log", [witness, key]) == checkpoint
        with pytest.raises(CorruptRecording, match="by none of the keys"):
            open_checkpoint(cosigned, "example.com/log", [witness])

    def test_one_of_another_log_is_refused(self) -> None:
        key, private = key_of(b"1" * 32)
        data = sign_note(Checkpoint("example.com/other", 3, bytes(32)).text, key, private.sign)
        with pytest.raises(CorruptRecording, match=r"of the log example.com/other, not of example.com/log"):
            open_checkpoint(data, "example.com/log", [key])

    def test_extension_lines_are_read(self) -> None:
        text = Checkpoint("o", 0, bytes(32), ("more", "lines")).text
        assert parse_checkpoint(text) == Checkpoint("o", 0, bytes(32), ("more", "lines"))

    @settings(deadline=None)
    @given(size=st.integers(0, 2**63 - 1), root=st.binary(min_size=32, max_size=32))
    def test_what_is_written_is_read(self, size: int, root: bytes) -> None:
        checkpoint = Checkpoint("recorder/0123456789abcdef", size, root)
        assert parse_checkpoint(checkpoint.text) == checkpoint

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "\n\n\n",
            "o\n1\n",
            "o\n1\n\n",
            f"\n1\n{PATH[:44]}\n",
            f"o\n01\n{PATH[:44]}\n",
            f"o\n+1\n{PATH[:44]}\n",
            f"o\n 1\n{PATH[:44]}\n",
            f"o\n1_0\n{PATH[:44]}\n",
            f"o\n١\n{PATH[:44]}\n",
            f"o\n-1\n{PATH[:44]}\n",
            f"o\n{2**63}\n{PATH[:44]}\n",
            f"o\n{'9' * 5000}\n{PATH[:44]}\n",
            f"o\n1\n{PATH[:44]}",
            f"o\n1\n{PATH[:43]}\n",
            f"o\n1\n{PATH[:42]}R=\n",  # bits that stand for nothing
            f"o\n1\n{PATH[:40]}\n",
            f"o\n1\n{PATH[:44]}\n\nmore\n",
            f"o\n1\n{PATH[:44]} \n",
        ],
    )
    def test_what_is_no_checkpoint(self, text: str) -> None:
        with pytest.raises(CorruptRecording):
            parse_checkpoint(text)


class TestProofs:
    def test_the_example_of_the_specification(self) -> None:
        proof = parse_proof(PROOF)
        assert (proof.index, len(proof.path), proof.checkpoint, proof.extra) == (73894, 5, SOFA, None)
        assert proof.text == PROOF

    @settings(deadline=None)
    @given(
        index=st.integers(0, 2**63 - 1),
        path=st.lists(st.binary(min_size=32, max_size=32), max_size=63),
        extra=st.none() | st.binary(max_size=80),
    )
    def test_what_is_written_is_read(self, index: int, path: list[bytes], extra: bytes | None) -> None:
        proof = LogProof(index, tuple(path), SOFA, extra)
        assert parse_proof(proof.text) == proof

    @pytest.mark.parametrize(
        "text",
        [
            "",
            PROOF.replace("@v1", "@v2"),
            PROOF.replace("index 73894", "index 073894"),
            PROOF.replace("index 73894\n", ""),
            PROOF.replace("index", "extra"),
            PROOF.replace("index", "extra !\nindex"),
            PROOF.replace("index", "extra AB==\nindex"),
            PROOF.replace(PATH, PATH[1:]),
            PROOF.replace(PATH, "AAAA\n"),
            PROOF.replace(PATH, PATH[:45] * 64),
            PROOF.replace("\n\n", "\n"),
            "c2sp.org/tlog-proof@v1\n\n" + SOFA,
        ],
    )
    def test_what_is_no_proof(self, text: str) -> None:
        with pytest.raises(CorruptRecording):
            parse_proof(text)

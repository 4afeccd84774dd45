"""Media by reference: the bytes that came inline, in whichever form of base64."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from urllib.parse import quote

import pytest

from recorder.core.conversation import message_key
from recorder.core.messages import Message
from recorder.dialects.media import joined_base64, media

RAW = bytes(range(256))
WHERE = (0, 1)


def unpadded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def url_safe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode()


def standard(data: bytes) -> str:
    return base64.b64encode(data).decode()


def in_lines(data: bytes) -> str:
    return base64.encodebytes(data).decode()


@pytest.mark.parametrize("write", [standard, url_safe, unpadded, in_lines])
@pytest.mark.parametrize("size", [253, 254, 255, 256])
def test_every_form_of_base64_is_the_same_bytes(write: Callable[[bytes], str], size: int) -> None:
    held = RAW[-size:]
    for part in (
        media("image", WHERE, data=write(held)),
        media("image", WHERE, url="data:image/png;base64," + write(held)),
        media("image", WHERE, url="data:image/png;base64," + quote(write(held), safe="")),
    ):
        assert (part.size, part.sha256) == (size, hashlib.sha256(held).hexdigest())
        assert part.extras == {}


NO_BASE64 = ("A", "AAAAA", "+-AA", "/_AA", "AA.A", "AA=A", "AAAA=", "AAA==", "AA=", "é===", "\ud800")


@pytest.mark.parametrize("text", NO_BASE64)
def test_what_is_no_base64_is_never_shortened(text: str) -> None:
    part = media("image", WHERE, data=text)
    assert (part.size, part.sha256, part.extras["undecodable"]) == (None, None, True)
    other = media("image", WHERE, data=text + "!")
    assert message_key(Message("user", (part,))) != message_key(Message("user", (other,)))


def test_pieces_are_joined_in_their_alphabet() -> None:
    head, tail = RAW[:250], RAW[250:]
    assert joined_base64([standard(head), standard(tail)]) == standard(RAW)
    assert joined_base64([url_safe(head), unpadded(tail)]) == url_safe(RAW)
    assert joined_base64([unpadded(head), unpadded(tail)]) == unpadded(head) + unpadded(tail)
    cut = standard(RAW)
    assert joined_base64([cut[:7], cut[7:]]) == cut
    assert joined_base64(["no.b", "ase64"]) == "no.base64"


def test_an_answer_that_is_sent_back_in_the_other_alphabet_is_the_same_message() -> None:
    said, sent_back = (Message("model", (media("image", WHERE, data=write(RAW)),)) for write in (standard, unpadded))
    assert message_key(said) == message_key(sent_back)

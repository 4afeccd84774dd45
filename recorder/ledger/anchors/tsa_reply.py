"""The reply of a time stamping authority, put into the order that a strict reader wants.

The certificates in a token are a SET, which DER wants sorted (X.690 §11.6). OpenSSL, and with it many authorities,
sends them in the order of the chain, and ``rfc3161-client`` refuses that as ``InvalidSetOrdering``. Nothing signs
the order, so sorting changes nothing that is vouched for. What is kept as evidence stays as it came.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

_SEQUENCE: Final = 0x30
_TAGGED_0: Final = 0xA0  # [0], constructed
_CONTENT_INFO: Final = 1  # places in their sequences, RFC 3161 §2.4.2, RFC 5652 §3 and §5.1
_CONTENT: Final = 1
_CERTIFICATES: Final = 3


class _Part(NamedTuple):
    """A value with its tag and length: ``data[start:end]``, of which the content begins at ``content``."""

    tag: int
    start: int
    content: int
    end: int


def sorted_certificates(reply: bytes) -> bytes:
    """Return a TimeStampResp with the certificates of its token sorted; as it is, where it is not one in DER."""
    try:
        certificates = _certificates(reply)
        each = sorted(reply[part.start : part.end] for part in _parts(reply, certificates))
    except (IndexError, ValueError):
        return reply
    return reply[: certificates.content] + b"".join(each) + reply[certificates.end :]


def _certificates(reply: bytes) -> _Part:
    whole = _part(reply, 0, len(reply))
    content_info = _nth(reply, whole, _CONTENT_INFO)
    content = _nth(reply, content_info, _CONTENT)
    signed_data = _nth(reply, content, 0)
    found = _nth(reply, signed_data, _CERTIFICATES)
    shape = (whole.tag, content_info.tag, content.tag, signed_data.tag)
    if shape != (_SEQUENCE, _SEQUENCE, _TAGGED_0, _SEQUENCE) or found.tag != _TAGGED_0:
        raise ValueError("it is no time stamp with certificates")
    return found


def _nth(data: bytes, within: _Part, place: int) -> _Part:
    return list(_parts(data, within))[place]


def _parts(data: bytes, within: _Part) -> Iterator[_Part]:
    at = within.content
    while at < within.end:
        part = _part(data, at, within.end)
        yield part
        at = part.end


def _part(data: bytes, at: int, end: int) -> _Part:
    """Return the value at a place (X.690 §8.1); its length is definite.

    :raises ValueError: it does not end where it should.
    """
    length, content = data[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        if not size:
            raise ValueError("the length is not definite")
        length, content = int.from_bytes(data[content : content + size], "big"), content + size
    if content + length > end:
        raise ValueError("a value is longer than what it is in")
    return _Part(data[at], at, content, content + length)

"""An answer with its head, as ``curl -i`` writes it: what came of HTTP, below the framing of its chunks.

Several heads may stand before the body: interim ones (``100 Continue``) and that of a proxy's tunnel belong to no
answer; of an answer that led to another request (a redirect, a round of authentication) curl writes the head alone.
Of several URLs the answers follow each other: ``content-length`` tells where one ends, else what the answer itself
says: the end marker of a stream, or that it is a whole JSON document, before another head.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from recorder.core.exchange import Headers, first_header, is_without_body
from recorder.errors import ImportRefused
from recorder.formats.importing.base import UNTIMED, WHOLE, Foreign, Recording, Refused
from recorder.formats.importing.httprr import unframed
from recorder.formats.importing.several import first_whole
from recorder.formats.importing.source import Source
from recorder.formats.importing.values import EntryError, headers, refuse_empty, status_of

_START: Final = rb"(?P<version>HTTP/\d(?:\.\d)?) (?P<status>\d{3})(?: (?P<reason>[^\r\n]*))?\r?\n"
_HEAD: Final = re.compile(_START + rb"(?P<fields>(?:[^\r\n]++\r?\n)*+)\r?\n")
#: A head where a line begins or a JSON document ended: each of its lines is one of a field.
_ANOTHER: Final = re.compile(
    rb"(?<=[\n}\]])"
    + re.sub(rb"\?P<\w+>", b"?:", _START)
    + rb"(?:[!#-9;-~]++:[^\r\n]*+\r?\n(?:[ \t]++[^\r\n]*+\r?\n)*+)*+\r?\n"
)
_FOLDED: Final = re.compile(r"\r?\n[ \t]+")
_INTERIM: Final = frozenset(range(100, 200)) - {101}
_TUNNEL: Final = re.compile(rb"connection established", re.IGNORECASE)
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
#: A frame of HTTP's chunks, as ``curl --raw`` leaves it.
_FRAME: Final = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")


class HttpDump:
    """Answers of HTTP, and nothing of what they answered."""

    name = "http"
    help = "an answer with its head, as curl -i writes it"
    order = 6

    def recognises(self, source: Source) -> bool:
        """It begins with a line of status."""
        return source.holds(rb"\A" + _START)

    def read(self, source: Source) -> Recording:
        """Return the recording: the answers in their order."""
        return Recording(self.name, _entries(source.data.lstrip(), recoded=source.recoded))


def _entries(data: bytes, *, recoded: bool) -> Iterator[Foreign | Refused]:
    number = 0
    for head, body in _answers(data):
        number += 1
        try:
            yield _exchange(number, head, body, recoded=recoded)
        except EntryError as error:
            yield Refused(number, str(error))
    refuse_empty(number > 0, "answers")


def _answers(data: bytes) -> Iterator[tuple[re.Match[bytes], bytes]]:
    """Yield each head that is one of an answer, with its body.

    :raises ImportRefused: a head has no end.
    """
    at = 0
    while at < len(data):
        head = _HEAD.match(data, at)
        if head is None:
            raise ImportRefused("a head in it has no end")
        at = head.end()
        another = _HEAD.match(data, at) is not None
        if int(head["status"]) in _INTERIM or (another and _is_of_a_tunnel(head)):
            continue
        size = 0 if another else _size(data, head)
        yield head, data[at : at + size]
        at += size


def _is_of_a_tunnel(head: re.Match[bytes]) -> bool:
    return head["status"].startswith(b"2") and (not head["fields"] or _TUNNEL.search(head["reason"] or b"") is not None)


def _size(data: bytes, head: re.Match[bytes]) -> int:
    """How long the body after a head is: as it says where another answer follows there, or nothing.

    Else it goes up to the first head that follows a whole answer; else it is all that is left.
    """
    told = re.search(rb"(?im)^content-length:[ \t]*([0-9]{1,18})[ \t]*\r?$", head["fields"])
    if told is not None and _HEAD.match(data, head.end() + int(told[1])) is not None:
        return int(told[1])
    left = len(data) - head.end()
    if told is not None and int(told[1]) == left:
        return left
    places = (found.start() for found in _ANOTHER.finditer(data, head.end()))
    end = first_whole(data, head.end(), places)
    return left if end is None else end - head.end()


def _exchange(number: int, head: re.Match[bytes], body: bytes, *, recoded: bool) -> Foreign:
    status, fields = status_of(head["status"].decode()), _fields(head["fields"])
    length = first_header(fields, "content-length")
    bare = is_without_body("", status)
    if _is_framed(body, fields):
        body = unframed(body, fields)
    told = length is not None and _LENGTH.fullmatch(length.strip()) is not None and int(length) == len(body)
    lacks = ["request", *UNTIMED, *WHOLE]
    if not body and not told and not bare:
        lacks.append("response_body")
    if body and recoded:
        lacks.append("response_bytes")
    return Foreign(
        number,
        status=status,
        reason=(head["reason"] or b"").decode("latin-1").strip(),
        response_headers=fields,
        body=body,
        end="response_completed" if told or bare else None,
        missing=tuple(lacks),
        versions={"response": head["version"].decode()},
    )


def _fields(written: bytes) -> Headers:
    lines = _FOLDED.sub(" ", written.decode("latin-1")).split("\n")
    return headers([line.rstrip("\r") for line in lines if line])


def _is_framed(body: bytes, fields: Headers) -> bool:
    """Whether the framing of chunks is there still: a first frame that is whole."""
    frame = _FRAME.match(body)
    if frame is None or "chunked" not in (first_header(fields, "transfer-encoding") or "").lower():
        return False
    end = frame.end() + int(frame[1], 16)
    return body[end : end + 2] == b"\r\n"


IMPORTER = HttpDump()

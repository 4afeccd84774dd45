"""Traces of httprr, Go's record and replay for HTTP (``golang.org/x/oscar/internal/httprr``, used by langchaingo).

::

    "httprr trace v1" LF ( size of request " " size of response LF request response )*

Both are HTTP/1.1 as ``net/http`` writes it, the request with an absolute URL. Where an answer says that it is chunked,
its body may have the framing of HTTP chunks still; the frames are those of the writer, not those that came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from recorder.core.exchange import Headers
from recorder.errors import ImportRefused
from recorder.formats.importing.base import UNTIMED, WHOLE, Foreign, Recording, Refused
from recorder.formats.importing.source import Source
from recorder.formats.importing.values import EntryError, headers, refuse_empty, status_of

_MAGIC: Final = b"httprr trace v"
_SIZES: Final = re.compile(rb"(\d{1,15}) (\d{1,15})\r?\n")
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_FRAME: Final = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")


class Httprr:
    """httprr's traces."""

    name = "httprr"
    help = "traces of Go's httprr"
    order = 5

    def recognises(self, source: Source) -> bool:
        """It says so itself."""
        return source.data.startswith(_MAGIC)

    def read(self, source: Source) -> Recording:
        """Return the recording."""
        line, _, _ = source.data.partition(b"\n")
        version = line.removeprefix(_MAGIC).strip().decode("ascii", "replace")
        if version != "1":
            raise ImportRefused(f"it is httprr's trace of version {version:.20}, and only 1 is known")
        return Recording(self.name, _entries(source.data, len(line) + 1), version)


def _entries(data: bytes, at: int) -> Iterator[Foreign | Refused]:
    number = 0
    while at < len(data):
        sizes = _SIZES.match(data, at)
        if sizes is None:
            raise ImportRefused(f"no sizes of a request and a response stand at byte {at:,}")
        number += 1
        middle = sizes.end() + int(sizes[1])
        end = middle + int(sizes[2])
        if end > len(data):
            raise ImportRefused(f"it ends inside exchange {number}: {end - len(data):,} bytes are missing")
        try:
            yield _exchange(number, data[sizes.end() : middle], data[middle:end])
        except EntryError as error:
            yield Refused(number, str(error))
        at = end
    refuse_empty(number > 0, "exchanges")


def _exchange(number: int, request: bytes, response: bytes) -> Foreign:
    line, request_headers, payload = _parted(request)
    first, response_headers, body = _parted(response)
    method, _, rest = line.partition(" ")
    url, _, version = rest.rpartition(" ")
    answered, _, told = first.partition(" ")
    code, _, reason = told.partition(" ")
    if not url or not answered.startswith("HTTP/"):
        raise EntryError("its first lines are none of HTTP")
    return Foreign(
        number,
        method,
        url,
        request_headers,
        unframed(payload, request_headers),
        status_of(code),
        reason,
        response_headers,
        unframed(body, response_headers),
        missing=(*UNTIMED, *WHOLE),
        versions={"request": version, "response": answered},
    )


def _parted(message: bytes) -> tuple[str, Headers, bytes]:
    end = _HEAD_END.search(message)
    if end is None:
        raise EntryError("a head in it has no end")
    line, *lines = re.split(r"\r?\n", message[: end.start()].decode("latin-1"))
    return line, headers(lines), message[end.end() :]


def unframed(body: bytes, fields: Headers) -> bytes:
    """Return a body without the framing of HTTP chunks (RFC 9112 §7.1), where all of it is framed, as *fields* say."""
    if not any(name.lower() == "transfer-encoding" and "chunked" in value.lower() for name, value in fields):
        return body
    pieces: list[bytes] = []
    at = 0
    while (frame := _FRAME.match(body, at)) is not None:
        size = int(frame[1], 16)
        if size == 0:
            return b"".join(pieces)
        at = frame.end() + size
        pieces.append(body[frame.end() : at])
        if body[at : at + 2] == b"\r\n":
            at += 2
        elif body[at : at + 1] == b"\n":
            at += 1
        else:
            break
    return body


IMPORTER = Httprr()

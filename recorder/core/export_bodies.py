"""The body of an answer with what is found in it left out: text, and frames of an AWS event stream.

Only what is found is written anew; every other byte stays as it is. A frame in which something was found gets its
lengths and checksums again (:mod:`recorder.core.eventstream`); where its payload holds another value as base64 in
``bytes`` (Bedrock InvokeModel), that is looked into and put back.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from recorder.core.eventstream import Frame, FrameParser
from recorder.core.exchange import Headers, Request
from recorder.core.export_chains import chains_of, within_bytes, within_places
from recorder.core.export_matches import BODY, REQUEST, Edit, Matcher, replaced
from recorder.core.export_rules import MARKER, URL_MARKER
from recorder.core.json_pieces import STRING, Piece, pieces_of
from recorder.core.messages import Answer, Message

_PRELUDE: Final = 12
_CRC: Final = 4


class ByteEdit(NamedTuple):
    """What is to be written in the place of some bytes."""

    start: int
    end: int
    new: bytes


class Source(Protocol):
    """Bytes that are looked through, several times."""

    def edits(self, matcher: Matcher) -> list[ByteEdit]:
        """Return what has to be changed, in order and apart."""
        ...


def body_source(body: bytes, answer: Answer, headers: Headers = ()) -> Source:
    """Return a body to be looked through.

    :param body: below its content coding.
    :param answer: what was read from it.
    :param headers: those that came with it.
    """
    messages = [choice.message for choice in answer.choices]
    if answer.shape == "eventstream":
        return _Frames(body, messages)
    return TextSource(body, answer.shape, BODY, messages, form=_is_form(headers))


def request_source(request: Request | None, payload: bytes) -> Source:
    """Return the payload of a request to be looked through.

    :param payload: below its content coding; empty where there is no request.
    """
    return TextSource(payload, "json", REQUEST, form=_is_form(request.headers if request else ()))


def _is_form(headers: Headers) -> bool:
    return any(name.lower() == "content-type" and "form-urlencoded" in value.lower() for name, value in headers)


class TextSource:
    """Bytes that are text: UTF-8, as far as they are.

    :param shape: as :func:`~recorder.core.json_pieces.pieces_of` has it.
    :param place: names them, for the counts.
    :param messages: what was read from them, where that says which bytes made which part.
    :param form: they are a form, where ``+`` is a space.
    """

    def __init__(
        self, body: bytes, shape: str, place: str, messages: Sequence[Message] = (), *, form: bool = False
    ) -> None:
        self._text = text = body.decode("utf-8", "surrogateescape")
        self._place = place
        self._form = form
        self._pieces = pieces_of(text, shape)
        self._chains = chains_of(text, self._pieces, messages, within_bytes(text)) if messages else ()

    def edits(self, matcher: Matcher) -> list[ByteEdit]:
        """Return what has to be changed, in order and apart."""
        text = self._text
        edits = matcher.edits(text, self._pieces, self._place, chains=self._chains, form=self._form)
        if edits and edits[0].new == MARKER and not text[: edits[0].start].strip():
            edits[0] = edits[0]._replace(new=URL_MARKER)  # what begins with a bracket would be taken for JSON
        if text.isascii():
            return [ByteEdit(start, end, new.encode()) for start, end, new in edits]
        made: list[ByteEdit] = []
        at = offset = 0
        for start, end, new in edits:
            offset += len(text[at:start].encode("utf-8", "surrogateescape"))
            size = len(text[start:end].encode("utf-8", "surrogateescape"))
            made.append(ByteEdit(offset, offset + size, new.encode()))
            offset += size
            at = end
        return made


def moved(offsets: Iterable[int], edits: Sequence[ByteEdit]) -> list[int]:
    """Return where *offsets*, in order, are after the changes; what was in the middle of one is after it."""
    made: list[int] = []
    number = shift = 0
    for offset in offsets:
        while number < len(edits) and edits[number].end <= offset:
            shift += len(edits[number].new) - (edits[number].end - edits[number].start)
            number += 1
        inside = number < len(edits) and edits[number].start < offset
        made.append(edits[number].start + shift + len(edits[number].new) if inside else offset + shift)
    return made


@dataclass(slots=True)
class _Held:
    """The payload of a frame as text, and the value that it holds as base64, where it does."""

    frame: Frame
    outer: str
    pieces: list[Piece]
    holds: Piece | None
    inner: str | None


class _Frames:
    """A body of frames. All payloads are one text for the matcher, so that it sees what was split over frames."""

    def __init__(self, body: bytes, messages: Sequence[Message]) -> None:
        self._body = body
        self._held = [_opened(frame) for frame in FrameParser().feed(body)]
        texts: list[str] = []
        self._pieces: list[Piece] = []
        at = 0
        for number, held in enumerate(self._held):
            for text, found in ((held.outer, held.pieces), (held.inner, _inner_pieces(held.inner))):
                if text is not None:
                    texts.append(text)
                    name = held.frame.headers.get(":event-type", "")
                    self._pieces += [_placed(piece, at, number, name) for piece in found]
                    at += len(text)
        self._text = "".join(texts)
        within = within_places([(held.frame.start, held.frame.end) for held in self._held])
        self._chains = chains_of(self._text, self._pieces, messages, within)

    def edits(self, matcher: Matcher) -> list[ByteEdit]:
        """Return what has to be changed; what is in no frame cannot be looked into and is filled with zeros."""
        edits = matcher.edits(self._text, self._pieces, BODY, chains=self._chains)
        made = self._unread()
        at = number = 0
        for held in self._held:
            outer, at, number = _taken(edits, number, at, held.outer)
            inner: list[Edit] = []
            if held.inner is not None:
                inner, at, number = _taken(edits, number, at, held.inner)
            if outer or inner:
                made.append(ByteEdit(held.frame.start, held.frame.end, self._written(held, outer, inner)))
        return sorted(made)

    def _written(self, held: _Held, outer: list[Edit], inner: list[Edit]) -> bytes:
        if held.holds is not None and held.inner is not None and inner:
            coded = base64.b64encode(replaced(held.inner, inner).encode("utf-8", "surrogateescape")).decode()
            outer = sorted([*outer, Edit(held.holds.start, held.holds.end, coded)])
        payload = replaced(held.outer, outer).encode("utf-8", "surrogateescape")
        start, end = held.frame.start, held.frame.end
        headers = self._body[start + _PRELUDE : end - _CRC - len(held.frame.payload)]
        size = _PRELUDE + len(headers) + len(payload) + _CRC
        prelude = size.to_bytes(4, "big") + len(headers).to_bytes(4, "big")
        whole = prelude + zlib.crc32(prelude).to_bytes(4, "big") + headers + payload
        return whole + zlib.crc32(whole).to_bytes(4, "big")

    def _unread(self) -> list[ByteEdit]:
        """Fill what is in no frame, but for the lengths that it may begin with."""
        made: list[ByteEdit] = []
        at = 0
        places = [(held.frame.start, held.frame.end) for held in self._held] + [(len(self._body), len(self._body))]
        for start, end in places:
            if start > at + _PRELUDE:
                made.append(ByteEdit(at + _PRELUDE, start, bytes(start - at - _PRELUDE)))
            at = end
        return made


def _opened(frame: Frame) -> _Held:
    outer = frame.payload.decode("utf-8", "surrogateescape")
    pieces = pieces_of(outer, "json")
    holds = next((piece for piece in pieces if piece.kind == STRING and piece.path == ("bytes",)), None)
    inner: str | None = None
    if holds is not None:
        try:
            raw = base64.b64decode(outer[holds.start : holds.end].replace("\\/", "/"), validate=True)
            inner = raw.decode("utf-8", "surrogateescape")
        except (binascii.Error, ValueError):
            holds = None
    return _Held(frame, outer, [piece for piece in pieces if piece is not holds], holds, inner)


def _inner_pieces(inner: str | None) -> list[Piece]:
    return [] if inner is None else pieces_of(inner, "json")


def _placed(piece: Piece, at: int, number: int, name: object) -> Piece:
    track = None if piece.track is None else (name, piece.track)
    return piece._replace(start=piece.start + at, end=piece.end + at, document=number, track=track)


def _taken(edits: list[Edit], number: int, at: int, text: str) -> tuple[list[Edit], int, int]:
    """Return the changes inside *text*, which begins at *at*, where the next text begins, and the next change."""
    end = at + len(text)
    found: list[Edit] = []
    while number < len(edits) and edits[number].start < end:
        edit = edits[number]
        found.append(Edit(edit.start - at, edit.end - at, edit.new))
        number += 1
    return found, end, number

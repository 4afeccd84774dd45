"""Readers: from the bytes of a body to the values that a dialect's fold takes.

One for each shape that several dialects share. None raises, whatever the bytes: what cannot be read is a fact
of the fold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from recorder.core.eventstream import Frame, FrameParser
from recorder.core.json_text import parse_json
from recorder.core.messages import Anomaly, Answer
from recorder.core.sse import ServerSentEvent, SSEParser
from recorder.dialects.base import AnswerReader
from recorder.dialects.folding import Place

#: What keeps a connection alive is no part of the answer: nothing, or a word.
_KEPT_ALIVE: Final = re.compile(r"\s*(?:[\[(<]?[A-Za-z][A-Za-z _-]{0,38}[\])>]?)?\s*")


class Fold(Protocol):
    """What a dialect makes of the values of an answer, one after the other.

    :ivar source: before each value is taken: its text, or that of the document that it is in, and what that one is.
    """

    anomalies: list[Anomaly]
    holes: list[Place]
    errors: list[Any]
    events: int
    sentinel: bool
    source: tuple[str | bytes, Any] | None

    def take(self, value: Any, place: Place, name: str = "") -> None:
        """Take one JSON value: that of an event, of a line, of a frame, or the whole document.

        :param name: the event's name, where it has one.
        """
        ...

    def note(self, kind: str, detail: str, place: Place) -> None:
        """Keep a fact."""
        ...

    def lose(self, kind: str, detail: str, place: Place) -> None:
        """Keep a fact, and that what came at *place* could not be read."""
        ...

    def answer(self, shape: str, *, whole: bool | None, tail: int) -> Answer:
        """Return what came: see :meth:`recorder.dialects.folding.AnswerFold.result`."""
        ...


class EventStreamReader:
    """Reads server-sent events whose data is JSON, up to ``[DONE]`` where that is sent.

    An event named ``error`` is an error. So is what a correct parser drops: llama.cpp's ``error:`` field, and an
    object with ``error`` that comes without ``data:``, on one line or on many (Google's servers). Another line that is
    dropped after the first event, and has an object in it, is an event whose ``data:`` is damaged.

    :param shape: ``sse``; ``empty`` for a body of nothing.
    """

    def __init__(self, shape: str, fold: Fold) -> None:
        self._shape = shape
        self._parser = SSEParser()
        self._fold = fold
        self._done = False
        self._begun = -1  # where the first event ends

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self._take(self._parser.feed(data))

    def close(self) -> Answer:
        """Take the end of the body and return what it says."""
        self._take(self._parser.close())
        for fact in self._parser.anomalies:
            if fact.kind == "unknown_field" and fact.detail.startswith("error:"):
                self._error(fact.detail.removeprefix("error:"))
            elif fact.kind == "unknown_field" and "{" in fact.detail and 0 <= self._begun <= (fact.start or 0):
                self._fold.holes.append((fact.start or 0, fact.end or 0))
        for text in _bare_errors(self._parser.anomalies):
            self._error(text)
        self._fold.anomalies.extend(self._parser.anomalies)
        return self._fold.answer(self._shape, whole=None, tail=self._parser.tail_bytes)

    def _take(self, events: Sequence[ServerSentEvent]) -> None:
        fold = self._fold
        if self._begun < 0 and events:
            self._begun = events[0].end
        for data, name, _, start, end in events:
            if self._done:
                fold.note("after_end_marker", data, (start, end))
            elif name == "error" and not _is_done(data):
                self._error(data)
            else:
                try:
                    value = parse_json(data)
                except ValueError:  # the end marker is no JSON either
                    self._done = _is_done(data)
                    if self._done:
                        fold.sentinel = True
                    else:
                        tell = fold.note if _KEPT_ALIVE.fullmatch(data) else fold.lose
                        tell("data_unparsed", data, (start, end))
                else:
                    fold.source = data, value
                    fold.take(value, (start, end), name)

    def _error(self, text: str) -> None:
        self._fold.events += 1
        try:
            value = parse_json(text)
        except ValueError:
            value = text.strip()
        inner = value.get("error") if isinstance(value, dict) else None
        self._fold.errors.append(inner or value)


def _is_done(data: str) -> bool:
    return data.strip() == "[DONE]"


def _bare_errors(facts: Iterable[Anomaly]) -> list[str]:
    """Return the JSON objects with ``error`` among the lines that a parser of event streams drops."""
    blocks: list[list[str]] = []
    begin = end = -1
    for fact in facts:
        start, until = fact.start or 0, fact.end or 0
        if fact.kind == "unknown_field":
            if start != end:
                blocks.append([])
                begin = start
            blocks[-1].append(fact.detail)
            end = until
        elif fact.kind == "unparsed_tail":
            # Its range is that of its block, its text only what follows the lines that were dropped one by one.
            if blocks and start == begin:
                blocks[-1].append(fact.detail)
            elif until - start == len(fact.detail.encode()):
                blocks.append([fact.detail])
    return [text for text in map("\n".join, blocks) if _is_error(text)]


def _is_error(text: str) -> bool:
    try:
        value = parse_json(text)
    except ValueError:
        return False
    return isinstance(value, dict) and bool(value.get("error"))


class DocumentReader:
    """Reads a body that is one JSON document; of an array, each value is taken by itself.

    :param shape: ``json``.
    """

    def __init__(self, shape: str, fold: Fold) -> None:
        self._shape = shape
        self._fold = fold
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        self._pieces.append(data)

    def close(self) -> Answer:
        """Take the end of the body and return what it says."""
        body = b"".join(self._pieces)
        place = (0, len(body))
        try:
            value = parse_json(body)
        except ValueError as error:
            self._fold.note("document_unparsed", str(error), place)
            return self._fold.answer(self._shape, whole=False, tail=len(body))
        self._fold.source = body, value
        for item in value if isinstance(value, list) else [value]:
            self._fold.take(item, place)
        return self._fold.answer(self._shape, whole=True, tail=0)


class LineReader:
    """Reads newline-delimited JSON (NDJSON): one value a line, empty lines apart.

    A last line without a line end is a value if it parses, else the unparsed tail.

    :param shape: ``ndjson``; ``json`` where only one line has come.
    """

    def __init__(self, shape: str, fold: Fold) -> None:
        self._shape = shape
        self._fold = fold
        self._pieces: list[bytes] = []
        self._offset = 0  # where the line that has not ended yet begins

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._pieces.append(line)
            self._line(ended=True)
        self._pieces.append(rest)

    def close(self) -> Answer:
        """Take the end of the body and return what it says."""
        tail = self._line(ended=False)
        return self._fold.answer(self._shape, whole=None, tail=tail)

    def _line(self, *, ended: bool) -> int:
        """Take the line; return how many bytes of it make no value."""
        line = b"".join(self._pieces)
        self._pieces.clear()
        place = (self._offset, self._offset + len(line) + ended)
        self._offset = place[1]
        if not line.strip():
            return 0
        try:
            value = parse_json(line)
        except ValueError:
            told = line.decode("utf-8", "replace")
            if ended:
                self._fold.lose("line_unparsed", told, place)
                return 0
            self._fold.note("unparsed_tail", told, place)
            return len(line)
        self._fold.source = line, value
        self._fold.take(value, place)
        return 0


class FrameReader:
    """Reads AWS event-stream frames whose payload is JSON: one value a frame, named by its ``:event-type``.

    A frame of the type ``exception`` or ``error`` is an error, with what its headers say beside what its payload says.
    Where bytes between frames are lost, something of the answer is missing there, whatever its end says.

    :param shape: ``eventstream``; any other where the first bytes of the body are cut or damaged.
    """

    def __init__(self, shape: str, fold: Fold) -> None:
        self._shape = shape
        self._parser = FrameParser()
        self._fold = fold

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        for frame in self._parser.feed(data):
            self._frame(frame)

    def close(self) -> Answer:
        """Take the end of the body and return what it says."""
        self._parser.close()
        self._fold.anomalies.extend(self._parser.anomalies)
        self._fold.holes.extend(self._parser.lost)
        return self._fold.answer(self._shape, whole=None, tail=self._parser.tail_bytes)

    def _frame(self, frame: Frame) -> None:
        place = (frame.start, frame.end)
        failed = frame.headers.get(":message-type") in ("exception", "error")
        value: Any = {}
        if frame.payload:
            try:
                value = parse_json(frame.payload)
            except ValueError:
                value = frame.payload.decode("utf-8", "replace")
                if not failed:
                    self._fold.lose("data_unparsed", value, place)
                    return
        if failed:
            named = (":exception-type", ":error-code", ":error-message")
            error = {name: frame.headers[name] for name in named if isinstance(frame.headers.get(name), str)}
            self._fold.events += 1
            self._fold.errors.append({**error, **(value if isinstance(value, dict) else {"payload": value})})
            return
        name = frame.headers.get(":event-type")
        self._fold.source = frame.payload, value
        self._fold.take(value, place, name if isinstance(name, str) else "")


def reader_for(
    shape: str, fold: Fold, otherwise: Callable[[str, Fold], AnswerReader] = EventStreamReader
) -> AnswerReader:
    """Return the reader of a body of a shape.

    :param otherwise: the reader for bodies that are no event stream, no lines and no document, or that are cut so
        early that nobody can tell.
    """
    readers: Mapping[str, Callable[[str, Fold], AnswerReader]] = {
        "sse": EventStreamReader,
        "json": DocumentReader,
        "ndjson": LineReader,
    }
    return readers.get(shape, otherwise)(shape, fold)

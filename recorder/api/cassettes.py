"""The exchanges of a cassette that answer, as a player needs them."""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any

from recorder.clock import asked_at
from recorder.core.cassette import Block
from recorder.core.cassette_lines import LineError
from recorder.core.events import Event
from recorder.core.exchange import Request, fold
from recorder.core.matching import match_key
from recorder.locations import spool_directory, url_of_path
from recorder.recording.orphans import any_left
from recorder.replay.index import Entry
from recorder.store.cassette_file import events_of, read_file, refused, require_sound

_log = logging.getLogger("recorder")


class CassetteRecordings:
    """The exchanges of a cassette: parsed when they are asked for.

    :param path: of the file, absolute.
    :param exchanges: ids of those to take; all where it is None.
    :raises StoreUnreachable: it cannot be read.
    :raises ConfigurationError: it is no cassette, or of a newer version.
    :raises CorruptRecording: its lines cannot be those that were written.
    """

    def __init__(self, path: Path, exchanges: Container[bytes] | None = None) -> None:
        self._path = path
        self.cassette = read_file(path)
        require_sound(path, self.cassette)
        _warn_of_more(path, recording=self.cassette.recording)
        self._blocks = {block.stream: block for block in sorted(self.cassette.exchange_blocks(), key=_order)}
        self._only = exchanges

    def entries(self) -> Iterator[Entry]:
        """Yield what the index holds of each exchange, in the order in which they were recorded."""
        for stream, block in self._blocks.items():
            if self._only is None or stream in self._only:
                method, url, payload, places = self._asked(block)
                if method:  # else it begins with no request that could be asked again
                    yield Entry(stream, match_key(method, url, payload, places), places, method, url)

    def erased(self) -> int:
        """Return 0: nothing in a cassette is ever erased and kept."""
        return 0

    def _asked(self, block: Block) -> tuple[str, str, bytes, tuple[str, ...]]:
        """Return method, URL, payload and redacted places of a recorded request; nothing more is read of it."""
        facts, data = self._request(block)
        if facts is None and (told := _asking(self._read(block))):
            facts, data = told[-1].facts, told[-1].body or b""
        if facts is not None:
            return facts["method"], facts["url"], data[facts["head"] :], tuple(facts.get("redacted", ()))
        folded = fold(events_of(self._path, block))
        request = folded.request if folded is not None else None
        return (request.method, request.url, request.payload, request.redacted) if request else ("", "", b"", ())

    def _request(self, block: Block) -> tuple[dict[str, Any] | None, bytes]:
        """Return facts and bytes of the request that an exchange begins with, if it is as a recorder writes it."""
        try:
            facts, data = block.request() or (None, b"")
        except LineError as error:
            raise refused(self._path, error) from None
        return (facts, data) if facts is not None and _is_whole(facts) else (None, b"")

    def _read(self, block: Block) -> Iterator[Event]:
        try:
            yield from block.readable()
        except LineError as error:
            raise refused(self._path, error) from None

    def began_ns(self) -> int | None:
        """Return when the first of the requests was sent, in nanoseconds since 1970; None where there is none."""
        chosen = [one for stream, one in self._blocks.items() if self._only is None or stream in self._only]
        return min((block.wall_ns for block in chosen), default=None)

    def events(self, exchange: bytes) -> Iterable[Event]:
        """Return the events of an exchange.

        :raises ChainBroken: they are not what was recorded.
        :raises CorruptRecording: a line cannot be read.
        """
        return events_of(self._path, self._blocks[exchange])

    def request(self, exchange: bytes) -> Request:
        """Return a recorded request; an empty one where none is recorded."""
        block = self._blocks[exchange]
        folded = fold(_asking(self._read(block)) or events_of(self._path, block))
        return folded.request if folded is not None and folded.request is not None else Request("", "")


def _asking(events: Iterable[Event]) -> list[Event]:
    """Return what tells of a request, as long as nothing is unusual about it; else nothing."""
    found = []
    for event in events:
        found.append(event)
        if event.type == "request_sent":
            return found if _is_whole(event.facts) else []
    return []


def _order(block: Block) -> tuple[int, int, bytes]:
    return asked_at(block.stream, block.wall_ns)


def _is_whole(facts: dict[str, Any]) -> bool:
    """Whether all of a request is in its first event, which is what a recorder writes."""
    return _is_usual(facts) and not facts.get("streamed")


def _is_usual(facts: dict[str, Any]) -> bool:
    """Whether the facts of a request are what a recorder writes; else its hash is to be compared first."""
    redacted = facts.get("redacted", [])
    texts = [facts.get("method"), facts.get("url"), *(redacted if isinstance(redacted, list) else [redacted])]
    return isinstance(facts.get("head"), int) and all(isinstance(text, str) for text in texts)


def _warn_of_more(path: Path, *, recording: bool) -> None:
    """Say so where what was recorded may not be all there: whoever gets a miss should know why."""
    if any_left(spool_directory(url_of_path(path))):
        what = "what its program had recorded last is only in a spool beside it"
    elif recording:
        what = "what was recorded last may be missing"
    else:
        return
    told = "recorder: the cassette %s is being recorded, or its program was killed, and %s: "
    _log.warning(told + "where nothing runs any more, `recorder recover --store %s` finishes it", path, what, path)

"""What recorder and player make of a cassette: its rules, and the exchanges in it that answer."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from recorder.core.cassette import Block, Cassette
from recorder.core.cassette_lines import LineError
from recorder.core.events import Event
from recorder.core.exchange import Request, fold
from recorder.core.match_rules import Match
from recorder.core.matching import match_key
from recorder.errors import ConfigurationError
from recorder.replay.answers import Entry
from recorder.store.cassette_file import Rules, events_of, read_file, refused, require_sound


def rules_for(path: Path, match: Any, redact: Iterable[str] | str | None) -> Rules:
    """Return the rules by which a cassette is recorded: those of the file where it is there, else what is asked for.

    :param match: how its requests will be matched; None where nothing is asked for.
    :param redact: rules of redaction that are asked for.
    :raises ConfigurationError: the file has other rules, or is no cassette.
    """
    asked = (redact,) if isinstance(redact, str) else tuple(redact or ())
    wanted = None if match is None else match.as_json() or None
    if not path.exists():
        return Rules(wanted, asked)
    found = read_file(path)
    if match is not None:
        require_match(path, found, wanted)
    missing = [rule for rule in asked if rule not in found.redact]
    if missing:
        raise ConfigurationError(
            f"{path}, line 1: it was recorded without the redaction rule {missing[0]!r}: record it again, "
            "or leave the rule out"
        )
    return Rules(found.match, found.redact)


def require_match(path: Path, cassette: Cassette, wanted: Mapping[str, Any] | None) -> None:
    """Refuse a cassette whose first line has other rules of matching than are asked for.

    :raises ConfigurationError: it has.
    """
    if (cassette.match or None) != (wanted or None):
        raise ConfigurationError(
            f"{path}, line 1: it was recorded with match {_shown(cassette.match)}, and {_shown(wanted)} is asked for: "
            f"ask for the same, or change the file by `recorder cassette rules {path}`"
        )


def _shown(match: Mapping[str, Any] | None) -> str:
    return "strict" if not match else str(dict(match))


class CassetteRecordings:
    """The exchanges of a cassette, as a player needs them: parsed when they are asked for.

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
        self._blocks = {block.stream: block for block in self.cassette.exchange_blocks()}
        self._only = exchanges

    def entries(self) -> Iterator[Entry]:
        """Yield what the index holds of each exchange, in the order in which they were recorded."""
        for stream, block in self._blocks.items():
            if self._only is None or stream in self._only:
                method, url, payload, places = self._asked(block)
                if method:  # else it begins with no request that could be asked again
                    yield Entry(stream, match_key(method, url, payload, places), places, method, url)

    @property
    def match(self) -> Match:
        """The rules of the file by which requests are compared.

        :raises ConfigurationError: they cannot be understood.
        """
        try:
            return Match.from_json(self.cassette.match or {})
        except ConfigurationError as error:
            raise ConfigurationError(f"{self._path}, line 1: {error}") from None

    def _asked(self, block: Block) -> tuple[str, str, bytes, tuple[str, ...]]:
        """Return method, URL, payload and redacted places of a recorded request; nothing more is read of it."""
        for event in self._read(block):
            if event.type != "request_sent":
                continue
            facts = event.facts
            if facts.get("streamed"):
                break
            payload = (event.body or b"")[facts.get("head", 0) :]
            return facts.get("method", ""), facts.get("url", ""), payload, tuple(facts.get("redacted", ()))
        folded = fold(events_of(self._path, block))
        request = folded.request if folded is not None else None
        return (request.method, request.url, request.payload, request.redacted) if request else ("", "", b"", ())

    def _read(self, block: Block) -> Iterator[Event]:
        try:
            yield from block.readable()
        except LineError as error:
            raise refused(self._path, error) from None

    def began_ns(self) -> int | None:
        """Return when the first of the requests was sent, in nanoseconds since 1970; None where there is none."""
        chosen = (block for stream, block in self._blocks.items() if self._only is None or stream in self._only)
        return min((block.wall_ns for block in chosen), default=None)

    def events(self, exchange: bytes) -> Iterable[Event]:
        """Return the events of an exchange.

        :raises ChainBroken: they are not what was recorded.
        :raises CorruptRecording: a line cannot be read.
        """
        return events_of(self._path, self._blocks[exchange])

    def request(self, exchange: bytes) -> Request:
        """Return a recorded request; an empty one where none is recorded."""
        folded = fold(_asking(events_of(self._path, self._blocks[exchange])))
        request = folded.request if folded is not None else None
        return request if request is not None else Request("", "")


def _asking(events: Iterable[Event]) -> Iterator[Event]:
    """Yield what tells of the request: the answer is not read, unless the payload may come in the middle of it."""
    for event in events:
        yield event
        if event.type == "request_sent" and not event.facts.get("streamed"):
            return

"""The event streams of a bundle: each by its chain, and against the leaves that sealed it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from recorder.ledger.standalone.container import Container
from recorder.ledger.standalone.findings import Findings
from recorder.ledger.standalone.log import Log, Sealed
from recorder.ledger.standalone.records import WHYS, Broken, Entry, StreamReader, facts_of

ENDS = frozenset(
    {
        "request_failed",
        "response_completed",
        "response_truncated",
        "response_failed",
        "consumer_closed",
        "consumer_abandoned",
        "process_died",
        "recorder_closed",
        "instance_stopped",
    }
)
_ALONE = {"linked": "link", "conversation_named": "conversation", "tags_set": "conversation"}


class StreamSummary:
    """What is kept of an event stream once it has been read.

    :ivar kind: ``exchange``, ``conversation``, ``link`` or ``journal``, by its events.
    :ivar heads: the hash after some versions: those at which it was sealed or closed, and the last.
    :ivar emptied: how many payloads are not there, by the reason.
    :ivar gaps: how often the recorder itself noted a loss in it.
    """

    def __init__(self, stream: bytes, reader: StreamReader) -> None:
        self.stream, self.instance = stream, reader.instance
        self.kind = ""
        self.first = 1
        self.length = 0
        self.heads: dict[int, bytes] = {}
        self.ended_at: int | None = None
        self.ended_by = b""
        self.sent: dict[str, Any] = {}
        self.link: dict[str, Any] = {}
        self.named = ""
        self.began_ns = self.last_ns = 0
        self.emptied = dict.fromkeys(WHYS.values(), 0)
        self.gaps = 0
        self.whole = self.foreign = False

    def take(self, entry: Entry) -> None:
        """Take the next event."""
        if not self.kind:
            self.kind = kind_of(self, entry)
            self.began_ns = entry.wall_ns
            # No hash covers the opening; what recovery closed before it had begun is the one that others begin.
            self.foreign = entry.instance != self.instance and entry.type != "process_died"
        self.length, self.last_ns = entry.version, entry.wall_ns
        if entry.why:
            self.emptied[WHYS[entry.why]] += 1
        self.gaps += entry.type == "gap_recorded"
        if entry.type in ENDS and self.ended_at is None:
            self.ended_at, self.ended_by = entry.version, entry.instance
        if entry.type == "request_sent":
            self.sent = facts_of(entry)
        elif entry.type == "linked":
            self.link = facts_of(entry)
        elif entry.type == "conversation_named":
            self.named = str(facts_of(entry).get("name", ""))


def kind_of(summary: StreamSummary, entry: Entry) -> str:
    """Return what kind of event stream begins with an event."""
    if summary.stream == summary.instance:
        return "journal"
    return _ALONE.get(entry.type, "exchange")


class StreamChecks:
    """Reads event streams and tells what is wrong with them.

    :param log: the part of the ledger, read already.
    """

    def __init__(self, container: Container, log: Log, findings: Findings) -> None:
        self._container, self._log, self._findings = container, log, findings
        self.events = 0

    def read(self, name: str, stream: bytes, lengths: Iterable[int], see: Any = None) -> StreamSummary | None:
        """Read one stream.

        :param name: of its file.
        :param lengths: versions after which its hash is wanted.
        :param see: called with the summary and each event.
        :return: None where not even its opening can be read.
        """
        leaves = self._log.own.get(stream, [])
        wanted = {leaf.length for leaf in leaves}.union(lengths)
        summary: StreamSummary | None = None
        try:
            reader = StreamReader(stream, self._container.chunks(name))
            summary = StreamSummary(stream, reader)
            for entry in reader.entries():
                if not summary.length and reader.first > 1:
                    summary.first = reader.first
                summary.take(entry)
                self.events += 1
                if entry.version in wanted:
                    summary.heads[entry.version] = entry.hash
                if see is not None:
                    see(summary, entry)
            summary.whole = True
            summary.heads[reader.version] = reader.head
            if not summary.length:
                self._findings.add("version", name, "the event stream has no events", stream)
            if summary.foreign:
                told = "its first event is by another process than the one that is said to have opened it"
                self._findings.add("opening", "instance", told, stream, summary.first)
        except Broken as broken:
            self._findings.add(broken.kind, broken.field, f"{broken.detail}", stream, broken.version)
        if summary is not None and self._log.present:
            self._against_leaves(summary, leaves)
        return summary

    def _against_leaves(self, summary: StreamSummary, leaves: Sequence[Sealed]) -> None:
        stream = summary.stream
        if not leaves:
            self._findings.add("leaf", "stream", "no leaf of the ledger names it: it may have been added later", stream)
            return
        # The leaves of an exchange and of a link are all here; those of a journal and of a conversation from some on.
        if summary.kind in ("exchange", "link") and leaves[0].before:
            told = f"its leaf {leaves[0].before - 1} is not among those that are here"
            self._findings.add("leaf", "before", told, stream)
        for at in range(1, len(leaves)):
            earlier, later = leaves[at - 1], leaves[at]
            if later.before != earlier.number + 1 or later.length <= earlier.length:
                told = f"leaf {later.number} does not go on from leaf {earlier.number}"
                self._findings.add("leaf", "before", told, stream, later.length)
        for leaf in leaves:
            self._against(summary, leaf)
        if summary.whole and summary.length > leaves[-1].length:
            told = f"leaf {leaves[-1].number} has {leaves[-1].length} events; what follows is not sealed"
            self._findings.add("leaf", "length", told, stream, leaves[-1].length + 1)

    def _against(self, summary: StreamSummary, leaf: Sealed) -> None:
        place = (summary.stream, leaf.length)
        if leaf.length < summary.first or not summary.whole:
            return  # before what is here of a journal; or it has been said already what is wrong
        if leaf.length > summary.length:
            told = f"leaf {leaf.number} has {leaf.length} events, and {summary.length} are here"
            self._findings.add("omitted", "length", told, *place)
        elif summary.heads.get(leaf.length) != leaf.hash:
            told = f"these are not the events that leaf {leaf.number} sealed: the hash is another one"
            self._findings.add("leaf", "hash", told, *place)
        elif summary.first == 1 and leaf.state and (summary.ended_at is None or summary.ended_at > leaf.length):
            self._findings.add("leaf", "state", f"leaf {leaf.number} says that it had ended, and it has not", *place)

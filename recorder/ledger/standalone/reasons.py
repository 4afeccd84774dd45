"""Why event streams of a bundle were sealed long after they were recorded, as the journals in it tell.

It is what explains it to ``recorder verify``, too: that it was imported or copied, which the ledger's key has to have
signed; that its process had died, or that another one ended it; its age; the word of whoever has the key.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any

from recorder.core.clock_bounds import Late, reason_of
from recorder.ledger.standalone.records import Entry

_MOST_TELLING = 100  # journals that tell of one stream


class Reasons:
    """Takes the events of all journals of a bundle.

    :param here: its event streams.
    """

    def __init__(self, here: Collection[bytes]) -> None:
        self._here = here
        self._died: set[bytes] = set()
        self._begun: set[bytes] = set()
        self._telling: dict[bytes, set[bytes]] = {}
        self._brought: dict[bytes, set[str]] = {}
        self._unsigned: set[bytes] = set()
        self._vouched: dict[bytes, tuple[int, str]] = {}

    def take(
        self, entry: Entry, facts: Mapping[str, Any], is_vouched_for: Callable[[Entry, Mapping[str, Any]], bool]
    ) -> None:
        """Take the next event of a journal.

        :param is_vouched_for: whether a key that counts has signed the facts of an event.
        """
        self._begun.add(entry.stream)
        if entry.type == "process_died":
            self._died.add(entry.stream)
        elif entry.type in ("exchange_closed", "stream_written"):
            stream = stream_named(facts.get("exchange", facts.get("stream")))
            if stream in self._here:
                self._tell(stream, entry, facts, is_vouched_for)
        elif entry.type == "accessed" and facts.get("action") == "seal" and facts.get("result") == "sealed late":
            stream, length = stream_named(facts.get("of")), facts.get("events")
            known = self._vouched.get(stream, (0, ""))[0]
            if stream in self._here and type(length) is int and length > known and is_vouched_for(entry, facts):
                self._vouched[stream] = length, str(facts.get("ground"))

    def _tell(
        self,
        stream: bytes,
        entry: Entry,
        facts: Mapping[str, Any],
        is_vouched_for: Callable[[Entry, Mapping[str, Any]], bool],
    ) -> None:
        length, kind = facts.get("length"), facts.get("kind")
        if type(length) is not int:
            return
        if kind in ("import", "copy"):
            if is_vouched_for(entry, facts):
                self._brought.setdefault(stream, set()).add(kind)
            else:
                self._unsigned.add(stream)
        telling = self._telling.setdefault(stream, set())
        if length > 0 and len(telling) < _MOST_TELLING:
            telling.add(entry.stream)

    def late_because(self, stream: bytes, instance: bytes, began_ns: int | None) -> Late | None:
        """Return what is said of why a stream may have been sealed late; None where nothing is.

        :param instance: the process that opened it.
        :param began_ns: when the ledger was begun, nanoseconds; None: that is not known.
        """
        length, ground = self._vouched.get(stream, (0, ""))
        others = self._telling.get(stream, set()) - {instance}
        return reason_of(
            stream,
            began_ns,
            brought=self._brought.get(stream, ()),
            died=instance in self._died,
            ended_elsewhere=stream != instance and instance in self._begun and bool(others),
            vouched=Late(f"up to version {length} somebody vouches for it: {ground}", until=length) if length else None,
            unsigned=stream in self._unsigned,
        )


def stream_named(text: object) -> bytes:
    """Return the id that a journal gives as text; nothing where it is none."""
    try:
        return uuid.UUID(str(text)).bytes
    except ValueError:
        return b""

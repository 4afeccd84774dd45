"""What is said of event streams elsewhere: by the ledger's leaves, and by the journals of recorder processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from recorder.clock import id_text
from recorder.core.clock_bounds import Late, reason_of
from recorder.core.heads import Leaf, decode_entry
from recorder.core.seal_times import SealTimes
from recorder.errors import CorruptRecording
from recorder.ledger.tally import Tally
from recorder.store.walked import Walked

Value = TypeVar("Value")


class Told(NamedTuple):
    """That a stream had so many events, and which hash the last of them had.

    :ivar journal: whose word it is; None: that of the ledger.
    :ivar place: number of the leaf, or version in the journal.
    :ivar state: whether it had ended; None where that is not said.
    """

    length: int
    hash: bytes
    journal: bytes | None
    place: int
    state: int | None = None

    @property
    def by(self) -> str:
        """Whose word it is, for people."""
        if self.journal is None:
            return f"leaf {self.place} of the ledger"
        return f"version {self.place} of the journal {id_text(self.journal)}"

    @property
    def kind(self) -> str:
        """The kind of a finding that it leads to."""
        return "leaf" if self.journal is None else "journal"


class Kept(NamedTuple):
    """What is to be known of a journal when its streams are looked at.

    :ivar ended: it has its end: nothing more is to come from its process.
    :ivar died: that is ``process_died``: what its process left came later.
    :ivar lossy: it says itself that something of it was lost.
    """

    ended: bool = False
    died: bool = False
    lossy: bool = False


@dataclass(frozen=True)
class Said:
    """What is said of some event streams.

    :ivar log: id of the ledger; None where there is none.
    :ivar seals: times of seals and stamps.
    :ivar began_ns: when the ledger was begun, by its own clock; None where there is none.
    :ivar journals: all of the store.
    :ivar told: by journals, of each stream how far it goes.
    :ivar announced: by journals, of each exchange: which one, and its number there.
    :ivar imported: streams that an import wrote; ``copied``: that a copy of part of another store brought; where keys
        of the ledger count, one of these has signed that. ``unsigned``: of which a journal says either, signed by none.
    :ivar vouched: streams of which somebody with the ledger's key says why they were sealed late, and up to where.
    :ivar last: nothing more is waited for: what is missing now is missing.
    """

    log: bytes | None = None
    seals: SealTimes | None = None
    began_ns: int | None = None
    journals: Mapping[bytes, Kept] = field(default_factory=dict)
    told: Mapping[bytes, Sequence[Told]] = field(default_factory=dict)
    announced: Mapping[bytes, tuple[bytes, int]] = field(default_factory=dict)
    imported: frozenset[bytes] = frozenset()
    copied: frozenset[bytes] = frozenset()
    unsigned: frozenset[bytes] = frozenset()
    vouched: Mapping[bytes, Late] = field(default_factory=dict)
    last: bool = True

    def within(self, start: bytes | None, end: bytes | None) -> Said:
        """Return the part of it on streams from *start* on and before *end*."""
        return replace(
            self,
            told=dict(_within(self.told, start, end)),
            announced=dict(_within(self.announced, start, end)),
            imported=_among(self.imported, start, end),
            copied=_among(self.copied, start, end),
            unsigned=_among(self.unsigned, start, end),
            vouched=dict(_within(self.vouched, start, end)),
        )

    def may_come(self, journal: bytes) -> bool:
        """Whether its process may still be writing what is missed."""
        kept = self.journals.get(journal)
        return not self.last and (kept is None or not kept.ended)

    def is_running(self, journal: bytes) -> bool:
        """Whether a journal has no end yet."""
        kept = self.journals.get(journal)
        return kept is not None and not kept.ended

    def is_lossy(self, journal: bytes) -> bool:
        """Whether a journal cannot be asked for everything: it says so, or its process may not have got to it."""
        kept = self.journals.get(journal)
        return kept is None or kept.lossy or not kept.ended

    def fault_of(self, stream: bytes, instance: bytes, number: object) -> tuple[str, str, str] | None:
        """Return what is wrong with what the journal of its process says of a stream: field, kind and detail.

        :param number: what its first event says to be its number there; None: nothing.
        """
        if instance not in self.journals:
            if number is None or stream in self.told or not (self.journals or self.log):
                return None  # nothing is said to be there, or somebody else has brought it here
            return "number", "omitted", f"it has a number in the journal {id_text(instance)}, which is not there"
        announced = self.announced.get(stream)
        if announced is None and stream not in self.told:
            if self.journals[instance].lossy:
                return None
            return "stream", "journal", f"the journal {id_text(instance)} of its process does not tell of it"
        if number is not None and announced is not None and announced != (instance, number):
            told = f"it says to be number {number} of {id_text(instance)}"
            return "number", "journal", f"{told}, and is number {announced[1]} of {id_text(announced[0])}"
        return None

    def late_because(self, stream: bytes, instance: bytes | None) -> Late | None:
        """Return what is said of why a stream may have been sealed long after it was written."""
        kept = self.journals.get(stream if instance is None else instance)
        others = (one.journal for one in self.told.get(stream, ()) if one.journal not in (None, instance))
        return reason_of(
            stream,
            self.began_ns,
            brought=[kind for kind, those in (("import", self.imported), ("copy", self.copied)) if stream in those],
            died=kept is not None and kept.died,
            ended_elsewhere=stream != instance and kept is not None and any(True for _ in others),
            vouched=self.vouched.get(stream),
            unsigned=stream in self.unsigned,
        )


def _within(said: Mapping[bytes, Value], start: bytes | None, end: bytes | None) -> Iterator[tuple[bytes, Value]]:
    for stream, value in said.items():
        if (start is None or stream >= start) and (end is None or stream < end):
            yield stream, value


def _among(streams: Iterable[bytes], start: bytes | None, end: bytes | None) -> frozenset[bytes]:
    return frozenset(one for one, _ in _within(dict.fromkeys(streams), start, end))


def leaves_of(walked: Walked, log: bytes | None, tally: Tally) -> list[Leaf]:
    """Return the leaves of a stream, after checking how they hang together.

    What cannot be read, or is another stream's, is the tree's concern.
    """
    leaves: list[Leaf] = []
    if log is None:
        return leaves
    for number, entry in walked.entries:
        try:
            leaf = decode_entry(log, number, entry)
        except CorruptRecording:
            continue
        if leaf.head.stream != walked.stream:
            continue
        before = leaves[-1] if leaves else None
        if leaf.before != (0 if before is None else before.number + 1):
            told = f"leaf {number} does not name the leaf of the stream that is before it"
            tally.find(walked.stream, leaf.head.length, "before", "leaf", told)
        if before is not None and leaf.head.length <= before.head.length:
            told = f"leaf {number} has {leaf.head.length:,} events, leaf {before.number}, before it, as many or more"
            tally.find(walked.stream, leaf.head.length, "length", "leaf", told)
        leaves.append(leaf)
    return leaves

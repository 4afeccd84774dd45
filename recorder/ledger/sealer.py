"""The sealer: puts the heads of event streams into the ledger and signs for them, right behind the drainer.

An event is sealed when the store has it, never before: what is signed for can be shown. The order is always the
same: the leaves are committed, their tree is signed, the note is kept outside the database, and a copy of it inside.
A process that dies between any two of these leaves a state that the next one completes, because what comes next is
decided from what is there: the ledger's size, and the last note outside.

What was signed is held outside while anything is added, so that of several processes with one ledger one signs at
a time; and a ledger that does not continue what was signed before is refused, not continued.

Sealing is on where the store's ledger has a name and the key of that name is here. Whatever fails is told by
:attr:`Sealer.error` and tried again: recording goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from recorder.clock import Clock
from recorder.core.events import TERMINAL_TYPES, Event
from recorder.core.heads import ENDED, OPEN, Head
from recorder.core.notes import Checkpoint, open_checkpoint
from recorder.core.receipts import Receipt
from recorder.errors import ConfigurationError, LedgerConflict, NotFound, RecorderError
from recorder.ledger import keys
from recorder.ledger.keys import SigningKey
from recorder.ledger.outside import Signed, SignedCheckpoints
from recorder.store.base import EventLog, Ledger

_log = logging.getLogger("recorder")

_OPEN_NS: Final = 1_000_000_000  # an open stream is sealed this long after the last sealing
_ENDED_NS: Final = 50_000_000  # the same where a stream has ended: many that end at once share one sealing
_RETRY_NS: Final = 5_000_000_000
_MOST: Final = 50_000  # heads kept in memory while sealing fails; then the store is asked for them
_AT_ONCE: Final = 5_000  # heads in one transaction
_SEALED_AT_ONCE: Final = TERMINAL_TYPES | {"linked"}


@dataclass(frozen=True, slots=True)
class Sealing:
    """How sealing is doing.

    :ivar on: the store has a ledger, and its key is here.
    :ivar error: why nothing can be sealed, or None.
    :ivar size: leaves of the last checkpoint that was signed; None where none was.
    :ivar waiting: event streams that have events beyond their last leaf, as far as this process knows.
    :ivar lag_ns: for how long the oldest of them has waited, nanoseconds; 0 where there is none.
    """

    on: bool = False
    error: str | None = None
    size: int | None = None
    waiting: int = 0
    lag_ns: int = 0


@dataclass(frozen=True, slots=True)
class _Signing:
    key: SigningKey
    outside: SignedCheckpoints


class Sealer:
    """Seals what one drainer moves; not thread-safe: the drainer calls it where it holds the store.

    :param clock: time.
    :ivar error: why nothing can be sealed, or None.
    :ivar note: the last signed checkpoint, or None.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._signing: _Signing | None = None
        self._heads: dict[bytes, Head] = {}
        self._since_ns: int | None = None  # when the oldest of them was moved
        self._hurry = False
        self._behind = False  # there are heads that are not kept here
        self._last_ns = -_OPEN_NS
        self._retry_ns = 0
        self.error: str | None = None
        self.note: str | None = None
        self._size: int | None = None

    @property
    def waits(self) -> bool:
        """Whether there is anything to seal."""
        return self._signing is not None and (bool(self._heads) or self._behind)

    def state(self) -> Sealing:
        """Return how sealing is doing."""
        since = self._since_ns
        lag = 0 if since is None else self._clock.monotonic_ns() - since
        return Sealing(self._signing is not None, self.error, self._size, len(self._heads), lag)

    def begin(self, store: EventLog, instances: Sequence[bytes] = ()) -> None:
        """Take a store that was just opened, and complete what a process that died had begun.

        :param instances: of dead recorders whose event streams may hold more than is sealed.
        """
        try:
            self._begin(store, instances)
        except RecorderError as error:
            self._failed(error)

    def _begin(self, store: EventLog, instances: Sequence[bytes]) -> None:
        ledger = store.ledger
        origin = ledger.origin() if ledger is not None else None
        if ledger is None or origin is None:
            return
        if self._signing is None:
            key = keys.load(origin)
            if key is None:
                raise ConfigurationError(f"the signing key of {origin} is not here: nothing is sealed until it is")
            public = dict.fromkeys((*keys.known(origin), key.public))  # a key from elsewhere may not be known here
            self._signing = _Signing(key, SignedCheckpoints(origin, tuple(public)))
        for instance in instances:
            self._keep({head.stream: head for head in ledger.unsealed_of(instance)})
        with self._signing.outside as outside:
            self._complete(ledger, outside)
        self.error = None

    def moved(self, events: Sequence[Event]) -> None:
        """Take note of events that the store has now, in the order of their streams."""
        if self._signing is None:
            return
        ended = {event.stream for event in events if event.type in TERMINAL_TYPES}
        last = {event.stream: event for event in events}
        self._hurry = self._hurry or any(event.type in _SEALED_AT_ONCE for event in last.values()) or bool(ended)
        self._keep(
            {
                stream: Head(stream, event.version, event.hash, ENDED if stream in ended else self._state_of(stream))
                for stream, event in last.items()
            }
        )

    def _state_of(self, stream: bytes) -> int:
        known = self._heads.get(stream)
        return OPEN if known is None else known.state

    def _keep(self, heads: dict[bytes, Head]) -> None:
        if heads and self._since_ns is None:
            self._since_ns = self._clock.monotonic_ns()
        self._heads.update(heads)
        if len(self._heads) > _MOST:
            self._heads.clear()
            self._behind = True

    def round(self, store: EventLog) -> None:
        """Seal what is due; what fails is kept in :attr:`error` and tried again later."""
        if not self.waits:
            return
        now = self._clock.monotonic_ns()
        if now < self._retry_ns or now - self._last_ns < (_ENDED_NS if self._hurry else _OPEN_NS):
            return
        try:
            self.seal(store)
        except RecorderError as error:
            self._failed(error)

    def seal(self, store: EventLog) -> None:
        """Seal all heads that are known now, and sign.

        :raises ConfigurationError: the store has no ledger, or its key is not here.
        :raises LedgerConflict: the ledger does not continue what was signed before.
        :raises StoreError: the store, or what is outside, cannot be written.
        """
        signing, ledger = self._signing, store.ledger
        if signing is None or ledger is None:
            self._begin(store, ())
            signing = self._signing
            if signing is None or ledger is None:
                raise ConfigurationError(f"{store.name} has no ledger: make its key with `recorder keys init`")
        heads = self._heads
        with signing.outside as outside:
            self._check(ledger, outside)
            self._append(ledger, list(heads.values()))
            while self._behind:
                missed = ledger.unsealed(_AT_ONCE)
                self._behind = len(missed) == _AT_ONCE
                self._append(ledger, missed)
            self._sign(ledger, outside)
        self._heads = {}
        self._since_ns, self._hurry, self._last_ns, self.error = None, False, self._clock.monotonic_ns(), None

    def _append(self, ledger: Ledger, heads: Sequence[Head]) -> None:
        for start in range(0, len(heads), _AT_ONCE):
            ledger.append(heads[start : start + _AT_ONCE], self._clock.wall_ns())

    def _complete(self, ledger: Ledger, outside: SignedCheckpoints) -> None:
        """Do what is left of a sealing: sign leaves that are there, copy a note that is only outside."""
        self._check(ledger, outside)
        if ledger.size() or outside.last is not None:
            self._sign(ledger, outside)

    def _check(self, ledger: Ledger, outside: SignedCheckpoints) -> None:
        """Refuse a ledger that does not continue what was signed, here or elsewhere.

        Of several machines with one server each has a file of its own: what another one signed is in the store. It is
        taken over into the file here, after it was verified as anything that comes from the store.
        """
        outside.check(ledger.size(), ledger.root)
        known = 0 if outside.last is None else outside.last.checkpoint.size
        stored = ledger.last_checkpoint()
        if stored is None or stored[0] <= known:
            return
        checkpoint = open_checkpoint(stored[1], outside.origin, outside.keys, keys.verifier())
        if checkpoint.size > ledger.size() or ledger.root(checkpoint.size) != checkpoint.root:
            raise LedgerConflict(
                f"the store's ledger is not the one of its own checkpoint of {checkpoint.size:,} entries: "
                "see `recorder verify`"
            )
        if outside.last is None:
            _log.warning("recorder: %s is new: it goes on from the store's last checkpoint", outside.path)
        outside.append(stored[1])

    def _sign(self, ledger: Ledger, outside: SignedCheckpoints) -> None:
        assert self._signing is not None
        size, last = ledger.size(), outside.last
        if last is None or size > last.checkpoint.size:
            key = self._signing.key
            outside.append(key.signed(Checkpoint(outside.origin, size, ledger.root(size)).text))
            last = outside.last
        assert last is not None
        if last.note != self.note:
            ledger.add_checkpoint(last.checkpoint.size, last.note, self._clock.wall_ns())
            self.note, self._size = last.note, last.checkpoint.size

    def look_through(self) -> None:
        """Have the next sealing look at every stream of the store, whoever recorded it."""
        self._behind = True

    def prove(self, store: EventLog, stream: bytes) -> Receipt:
        """Return the proof that the newest leaf of a stream is in the log.

        :raises NotFound: nothing of it was sealed.
        """
        signing, ledger = self._signing, store.ledger
        leaf = ledger.last_leaf(stream) if ledger is not None else None
        if signing is None or ledger is None or leaf is None:
            raise NotFound("nothing of the exchange is sealed")
        signed = self._covering(signing.outside, leaf.number)
        path = ledger.inclusion(leaf.number, signed.checkpoint.size)
        return Receipt(signing.outside.origin, leaf, tuple(path), signed.note)

    def _covering(self, outside: SignedCheckpoints, number: int) -> Signed:
        signed = outside.last
        if signed is None or signed.checkpoint.size <= number:
            raise LedgerConflict(f"entry {number} of the ledger was not signed: see `recorder verify`")
        return signed

    def _failed(self, error: RecorderError) -> None:
        first = self.error is None
        self.error = str(error)
        self._retry_ns = self._clock.monotonic_ns() + _RETRY_NS
        if first:
            _log.log(
                logging.CRITICAL if isinstance(error, LedgerConflict) else logging.ERROR,
                "recorder: recording goes on, and nothing is sealed: %s",
                error,
            )

    def end(self, store: EventLog) -> None:
        """Seal the rest, without waiting until it is due, and close what is outside; ending twice is fine."""
        if self.waits:
            try:
                self.seal(store)
            except RecorderError as error:
                self._failed(error)
        if self._signing is not None:
            self._signing.outside.close()
            self._signing = None


def seal_acts(store: EventLog, clock: Clock, instance: bytes) -> str | None:
    """Seal what a process that is no recorder has written, where the store has a ledger; return why it is not sealed.

    :param instance: the id of its journal.
    """
    sealer = Sealer(clock)
    sealer.begin(store, [instance])
    sealer.end(store)
    return sealer.error

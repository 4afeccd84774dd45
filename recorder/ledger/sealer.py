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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from recorder.clock import Clock
from recorder.core import merkle
from recorder.core.events import TERMINAL_TYPES, Event
from recorder.core.heads import ENDED, OPEN, Head, Leaf
from recorder.core.notes import Checkpoint
from recorder.core.receipts import Receipt
from recorder.errors import (
    ConfigurationError,
    CorruptRecording,
    LedgerConflict,
    NotFound,
    RecorderError,
    VersionConflict,
)
from recorder.ledger.key_chain import open_own
from recorder.ledger.left_by_others import LeftByOthers
from recorder.ledger.outside import LONGEST_WAIT, InUse, SignedCheckpoints
from recorder.ledger.own_keys import require_in_force
from recorder.ledger.signing import Signing
from recorder.store.base import EventLog, Found, Grown, Ledger

_log = logging.getLogger("recorder")

_OPEN_NS: Final = 1_000_000_000  # an open stream is sealed this long after the last sealing
_ENDED_NS: Final = 50_000_000  # the same where a stream has ended: many that end at once share one sealing
_RETRY_NS: Final = 5_000_000_000
_GLANCE: Final = 0.02  # seconds to wait for the checkpoints' file where recording waits for the drainer
_PARTING: Final = 1.0  # the same at the end
RETRY: Final = _RETRY_NS / 1e9  # seconds
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


class Sealer:
    """Seals what one drainer moves; not thread-safe: the drainer calls it where it holds the store.

    :param clock: time.
    :param signed: is told of each checkpoint, right after it was signed.
    :param moved: is told of each step that the ledger has grown by.
    :ivar error: why nothing can be sealed, or None.
    :ivar note: the last signed checkpoint, or None.
    """

    def __init__(
        self,
        clock: Clock,
        signed: Callable[[str], None] = lambda note: None,
        moved: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._signed, self._grown = signed, moved
        self._signing: Signing | None = None
        self._lacking = False  # there is a ledger, but not all that is needed to sign for it
        self._heads: dict[bytes, Head] = {}
        # Apart from its own: a rotation may be among them, which is looked for before anything is signed.
        self._others: dict[bytes, Head] = {}
        self._looking = LeftByOthers(clock)
        self._since_ns: int | None = None  # when the oldest of these heads was moved
        self._hurry = False
        self._behind = False  # there are heads that are not kept here
        self._copies: list[tuple[int, str]] = []  # notes that are outside, and not in the store yet
        self._stored: tuple[int, str] | None = None  # the store's last checkpoint, as far as is known
        self._last_ns = -_OPEN_NS
        self._retry_ns = 0
        self._in_use_ns: int | None = None  # since when somebody else has had the checkpoints' file
        self.error: str | None = None
        self.note: str | None = None
        self._size: int | None = None

    @property
    def waits(self) -> bool:
        """Whether there is something to do soon; what fails is tried again after five seconds."""
        return self._signing is not None and self.error is None and self._owing

    @property
    def _owing(self) -> bool:
        return bool(self._heads or self._others or self._behind or self._copies)

    def state(self) -> Sealing:
        """Return how sealing is doing."""
        since = self._since_ns
        lag = 0 if since is None else self._clock.monotonic_ns() - since
        return Sealing(self._signing is not None, self.error, self._size, len(self._heads), lag)

    def begin(self, store: EventLog, instances: Sequence[bytes] = ()) -> None:
        """Take a store that was just opened, and complete what a process that died had begun.

        Where somebody died, all streams are looked at, not only those of the dead: who died may have recovered others
        before, and not have come to sealing them.

        :param instances: of dead recorders whose event streams may hold more than is sealed.
        """
        self._behind = self._behind or bool(instances)
        try:
            self._begin(store, _GLANCE)
        except InUse as error:
            self._put_off(error)
        except RecorderError as error:
            self._failed(error)

    def _begin(self, store: EventLog, patience: float) -> None:
        ledger = store.ledger
        origin = ledger.origin() if ledger is not None else None
        if ledger is None or origin is None:
            return
        if self._signing is None:
            self._lacking = True
            self._signing = Signing.of(store, origin)
        self._signing.outside.patience = patience
        with self._signing.outside as outside:  # sign leaves that are there, copy a note that is only outside
            grown = self._grow(store, outside, [])
            self._sign(store, outside, grown, grown.leaves)
        self._lacking = False
        self.error = None

    def moved(self, events: Sequence[Event]) -> None:
        """Take note of events that the store has now, in the order of their streams."""
        if self._signing is None:
            self._behind = True  # the store is asked for them where it turns out to have a ledger
            if self._lacking and self._since_ns is None:
                self._since_ns = self._clock.monotonic_ns()
            return
        last = {event.stream: event for event in events}
        hurried = [event for event in events if event.type in _SEALED_AT_ONCE]
        ended = {event.stream for event in hurried if event.type in TERMINAL_TYPES}
        self._hurry = self._hurry or bool(hurried)
        self._keep(
            {
                stream: Head(stream, event.version, event.hash, ENDED if stream in ended else self._state_of(stream))
                for stream, event in last.items()
            }
        )

    def take(self, store: EventLog, instance: bytes) -> None:
        """Take note of what one process has written, and nobody has sealed yet."""
        ledger = store.ledger
        if self._signing is None or ledger is None:
            self._behind = True  # as in moved()
            return
        try:
            self._keep({head.stream: head for head in ledger.unsealed_of(instance)})
        except RecorderError as error:
            self._failed(error)

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
        """Do what is due; what fails is kept in :attr:`error` and tried again later."""
        now = self._clock.monotonic_ns()
        if now < self._retry_ns or not (self._lacking or self._signing is not None):
            return
        try:
            if self._lacking:
                self._begin(store, _GLANCE)
            self._others |= {head.stream: head for head in self._looking.due(store)}
            if (self._heads or self._others or self._behind) and now - self._last_ns >= (
                _ENDED_NS if self._hurry else _OPEN_NS
            ):
                self._seal(store, _GLANCE)
            elif self._copies:
                self._copy(store)
            self._in_use_ns = None
        except InUse as error:
            self._put_off(error)
        except RecorderError as error:
            self._failed(error)

    def _put_off(self, error: InUse) -> None:
        """Come back in the next round: who waits for the drainer does not wait for another process."""
        now = self._clock.monotonic_ns()
        if self._in_use_ns is None:
            self._in_use_ns = now
        elif now - self._in_use_ns > LONGEST_WAIT * 1e9:
            self._failed(error)

    def seal(self, store: EventLog, stream: bytes | None = None) -> Receipt | None:
        """Seal all heads that are known now, and sign.

        :param stream: whose newest leaf is to be proved to be in the log.
        :return: the proof; None where none was asked for.
        :raises ConfigurationError: the store has no ledger, or its key is not here.
        :raises LedgerConflict: the ledger does not continue what was signed before.
        :raises StoreError: the store, or what is outside, cannot be written.
        :raises NotFound: nothing of the stream was recorded.
        """
        try:
            sealed = self._seal(store, LONGEST_WAIT)
        except RecorderError as error:
            self._failed(error)
            raise
        if sealed is None:
            raise ConfigurationError(f"{store.name} has no ledger: make its key with `recorder keys init`")
        return None if stream is None else self._receipt(stream, *sealed)

    def _seal(self, store: EventLog, patience: float) -> tuple[Ledger, list[Leaf], Grown] | None:
        """Append leaves and sign, with the key of now; return what was appended. None: the store has no ledger.

        :param patience: seconds to wait for the file of what was signed.
        """
        self._take_new_key()
        try:
            sealed = self._sealed(store, patience)
        except (CorruptRecording, ConfigurationError):  # by a key that is unknown here, or not in force: is it new?
            if not self._take_new_key():
                raise
            sealed = self._sealed(store, patience)
        self._heads, self._others = {}, {}
        self._since_ns, self._hurry, self._last_ns, self.error = None, False, self._clock.monotonic_ns(), None
        return sealed

    def _sealed(self, store: EventLog, patience: float) -> tuple[Ledger, list[Leaf], Grown] | None:
        if self._signing is None:
            self._begin(store, patience)
        signing, ledger = self._signing, store.ledger
        if signing is None or ledger is None:
            return None
        signing.outside.patience = patience
        with signing.outside as outside:
            leaves, grown = self._append(store, ledger, outside)
            self._sign(store, outside, grown, leaves)
        return ledger, leaves, grown

    def _take_new_key(self) -> bool:
        """Let go of the key if another one was put in its place; return whether."""
        signing = self._signing
        if signing is None or not signing.is_replaced:
            return False
        self._signing = None
        signing.outside.close()
        return True

    def _append(self, store: EventLog, ledger: Ledger, outside: SignedCheckpoints) -> tuple[list[Leaf], Grown]:
        heads = [*self._heads.values(), *self._others.values()]
        grown = self._grow(store, outside, heads[:_AT_ONCE])
        leaves = grown.leaves
        for start in range(_AT_ONCE, len(heads), _AT_ONCE):
            grown = self._grow(store, outside, heads[start : start + _AT_ONCE])
            leaves += grown.leaves
            self._grown()
        while self._behind:
            missed = ledger.unsealed(_AT_ONCE)
            grown = self._grow(store, outside, missed)
            leaves += grown.leaves
            self._grown()
            self._behind = len(missed) == _AT_ONCE
        return leaves, grown

    def _grow(self, store: EventLog, outside: SignedCheckpoints, heads: Sequence[Head]) -> Grown:
        assert store.ledger is not None
        copies, self._copies = self._copies, []  # one that the store has another of is told once
        try:
            now = self._clock.wall_ns()
            return store.ledger.grow(heads, now, lambda found: self._check(found, outside), copies)
        except CorruptRecording:  # by somebody else, or by the key that takes the place of this one
            self._copies = copies
            assert self._signing is not None
            require_in_force(store, self._signing.key.public)
            raise
        except VersionConflict:
            raise
        except BaseException:  # an interrupt too: what is not stored is still to be copied
            self._copies = copies
            raise

    def _copy(self, store: EventLog) -> None:
        ledger = store.ledger
        while self._copies and ledger is not None:
            ledger.add_checkpoint(*self._copies.pop(0), self._clock.wall_ns())

    def _check(self, found: Found, outside: SignedCheckpoints) -> None:
        """Refuse a ledger that does not continue what was signed, here or elsewhere.

        Of several machines with one server each has a file of its own: what another one signed is in the store. It is
        taken over into the file here, after it was verified as anything that comes from the store.
        """
        outside.check(found.size, found.root)
        known = 0 if outside.last is None else outside.last.checkpoint.size
        self._stored = found.checkpoint
        if found.checkpoint is None or found.checkpoint[0] <= known:
            return
        note = found.checkpoint[1]
        checkpoint = open_own(*found.checkpoint, outside.origin, outside.keys)
        outside.check_signer(note)
        if checkpoint.size > found.size or found.root(checkpoint.size) != checkpoint.root:
            raise LedgerConflict(
                f"the store's ledger is not the one of its own checkpoint of {checkpoint.size:,} entries: "
                "see `recorder verify`"
            )
        if outside.last is None:
            _log.warning("recorder: %s is new: it goes on from the store's last checkpoint", outside.path)
        outside.append(note)

    def _sign(self, store: EventLog, outside: SignedCheckpoints, grown: Grown, added: Sequence[Leaf]) -> None:
        """Sign for a ledger that was checked, unless that was done; the file of what was signed is held.

        :param added: the leaves that were added for it.
        """
        assert self._signing is not None
        assert store.ledger is not None
        last = outside.last
        if grown.size and (last is None or grown.size > last.checkpoint.size):
            self._signing.require_in_force(store, store.ledger, grown.size, added, self._heads)
            root = merkle.root(grown.size, grown.node)
            outside.append(self._signing.key.signed(Checkpoint(outside.origin, grown.size, root).text))
            last = outside.last
        if last is not None and last.note != self.note:
            self.note, self._size = last.note, last.checkpoint.size
            if self._stored != (self._size, last.note):
                self._copies.append((self._size, last.note))
            self._signed(last.note)

    def look_through(self) -> None:
        """Have the next sealing look at every stream of the store, whoever recorded it."""
        self._behind = True

    def _receipt(self, stream: bytes, ledger: Ledger, sealed: Sequence[Leaf], grown: Grown) -> Receipt:
        assert self._signing is not None
        assert self.note is not None
        size, origin = self._size or 0, self._signing.outside.origin
        leaf = next((leaf for leaf in reversed(sealed) if leaf.head.stream == stream), None) or ledger.last_leaf(stream)
        if leaf is not None and leaf.number >= size:  # another machine was faster, and has not signed yet
            leaf = next((leaf for leaf in reversed(list(ledger.leaves_of(stream))) if leaf.number < size), None)
        if leaf is None:
            raise NotFound("nothing of the exchange is sealed, since nothing of it is in the store")
        return Receipt(origin, leaf, tuple(merkle.inclusion(leaf.number, size, grown.node)), self.note)

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
        if self._signing is None and not self._lacking:
            return
        try:
            if self._heads or self._others or self._behind or self._lacking:
                self._seal(store, _PARTING)
            self._copy(store)
        except RecorderError as error:
            self._failed(error)
        if self._signing is not None:
            self._signing.outside.close()
            self._signing = None

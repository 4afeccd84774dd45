"""What a process signs a ledger with, and whether that is still the ledger's key.

A key is rotated while programs record: on this machine another file takes the place of the private one, and on another
machine, which shares the store alone, a journal tells of it. A process that goes on with the old key would sign what
every audit finds, as it cannot be told from whoever stole that key. So it looks before each signature: whether the
file is the one that it read, and whether a rotation is among the leaves that others have added since and that nobody
has signed with the same key, since he has looked. Leaves are added by one process at a time, so whoever adds them after
the rotation sees it.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from recorder.core.heads import Leaf
from recorder.errors import ConfigurationError
from recorder.ledger import keys
from recorder.ledger.key_chain import ROTATED, signer_named, successor
from recorder.ledger.keys import SigningKey
from recorder.ledger.outside import SignedCheckpoints
from recorder.ledger.own_keys import rotated_told, told_before
from recorder.store.base import EventLog, Ledger

_SHORT: Final = 3  # events of the journal of a rotation: its beginning, the rotation, its end


@dataclass(slots=True)
class Signing:
    """A ledger's key, and what was signed with it and before it.

    :ivar files: of the key; ``stamp``: of these, just before they were read.
    :ivar looked: how many leaves were looked through for a rotation; None: none yet.
    """

    key: SigningKey
    outside: SignedCheckpoints
    files: tuple[str, str]
    stamp: keys.Stamp
    looked: int | None = None

    @classmethod
    def of(cls, store: EventLog, origin: str) -> Signing:
        """Return what signs for a store here.

        :raises ConfigurationError: the key is not here, or damaged.
        :raises StoreUnreachable: what was signed, outside of the store, cannot be read.
        """
        files = keys.key_files(origin)
        stamp = keys.stamp(files)
        key = keys.load(origin)
        if key is None:
            raise ConfigurationError(f"the signing key of {origin} is not here: nothing is sealed until it is")
        public = keys.known(origin)
        if key.public not in public:  # it was brought here from elsewhere, as after a rotation there
            public = tuple(dict.fromkeys((*public, *told_before(store, key.public), key.public)))
        return cls(key, SignedCheckpoints(origin, public), files, stamp)

    @property
    def is_replaced(self) -> bool:
        """Whether another key was put in its place; one that is lost is used until the end."""
        now = keys.stamp(self.files)
        return now != self.stamp and now[0] is not None

    def require_in_force(
        self, store: EventLog, ledger: Ledger, size: int, added: Sequence[Leaf], own: Container[bytes]
    ) -> None:
        """Refuse to sign for what comes after a rotation; what was signed, outside, is held.

        :param size: how many leaves there are.
        :param added: those of them that this process has just added.
        :param own: event streams that it knows, which are none of rotations.
        :raises ConfigurationError: the key was rotated, here or elsewhere.
        """
        if self.is_replaced:
            raise ConfigurationError(f"the signing key of {self.outside.origin} was rotated just now: seal again")
        start = self.looked
        if start is None:
            last = ledger.last_checkpoint()
            start = 0 if last is None else last[0]
        if start + len(added) != size:
            start = max(start, self._signed)
        others = start + len(added) != size  # else the rest was looked through, and nobody is asked
        for leaf in ledger.leaves(start, size) if others else added:
            if leaf.head.length <= _SHORT and leaf.head.stream not in own:
                second = [one for one in islice(store.events(leaf.head.stream, after=1), 1) if one.type == ROTATED]
                after = successor(second, self.key.public)
                if after is not None and after != keys.pending(after.name):  # here it is only being completed
                    raise ConfigurationError(rotated_told(after))
        self.looked = size

    @property
    def _signed(self) -> int:
        """How many leaves somebody has signed with this key, if it was signed with last: he has looked through them."""
        last = self.outside.last
        return 0 if last is None or signer_named(last.note, [self.key.public]) is None else last.checkpoint.size

"""Destroying the keys of what is erased, so that it is gone from copies of the store as well, however old they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from recorder.clock import id_text
from recorder.core.sealed_payloads import ID_SIZE
from recorder.errors import ConfigurationError
from recorder.locations import payload_keys_file
from recorder.store.payload_keys import PayloadKeys
from recorder.store.sql import SqlStore


@dataclass(frozen=True, slots=True)
class Shredding:
    """The keys of some event streams.

    :ivar keys: ids of those that are theirs alone.
    :ivar shared: streams whose key others are sealed with as well; ``lost``: whose key is not in the table.
    """

    table: PayloadKeys
    keys: tuple[bytes, ...]
    shared: tuple[bytes, ...]
    lost: tuple[bytes, ...]

    @classmethod
    def of(cls, store: SqlStore, streams: Sequence[bytes], *, key_lost: bool) -> Shredding | None:
        """Return the keys of those streams that are sealed; None where none is.

        :param key_lost: go on where there is no such key: its table is lost for good, and nobody can use it.
        :raises ConfigurationError: the key table is not here, or a key is not in it, and *key_lost* is off.
        """
        sealed = {stream: opened.secret[:ID_SIZE] for stream, opened in store.sealed_among(streams).items()}
        if not sealed:
            return None
        table = PayloadKeys(payload_keys_file())
        try:
            states = table.states(sealed.values())
        except ConfigurationError:
            if not key_lost:
                raise
            states = {}
        lost = tuple(stream for stream, key in sealed.items() if key not in states)
        if lost and not key_lost:
            raise ConfigurationError(
                f"the key of {id_text(lost[0])} is not in {table.path}, so it cannot be destroyed: name the right "
                "table by RECORDER_PAYLOAD_KEYS, or give --key-lost where it is lost for good"
            )
        shared = tuple(stream for stream, key in sealed.items() if key in states and states[key].shared)
        return cls(table, tuple(key for key, state in states.items() if not state.shared), shared, lost)

    def destroy(self, now_ns: int) -> None:
        """Destroy the keys that can be destroyed. Again does no harm.

        :raises ConfigurationError: the table cannot be written.
        """
        if self.keys:
            self.table.destroy(self.keys, now_ns)

    def left(self) -> Iterator[str]:
        """Yield what copies from before can still be read with, a sentence each."""
        for stream in self.shared:
            yield (
                f"{id_text(stream)} was sealed with a key that others share, as the table was away: backups from "
                "before can be read with it, so erase them"
            )

"""The keys that one recorder seals payloads with: each for one event stream, so that one can be destroyed alone.

Keys are taken from the key table in batches, before they are needed: the table is synced once for many streams, and a
table that is away for a while is not missed. When none is left and none can be had, recording goes on under one key
that was kept back for that, and which many streams then share: it can be destroyed for none of them alone.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import Final

from recorder.clock import Clock
from recorder.core.events import SEALED_FORMAT, StreamOpened
from recorder.core.sealed_payloads import ID_SIZE, KEY_SIZE, payload_sealer, stream_keys
from recorder.core.sealing import Sealer
from recorder.errors import ConfigurationError
from recorder.store.payload_keys import PayloadKeys
from recorder.store.unsealing import cipher_of

_log = logging.getLogger("recorder")

_FIRST: Final = 4  # keys of the first batch; each further one is twice as large
_MOST: Final = 256
_CALM: Final = 5_000_000_000  # nanoseconds between two tries to reach a table that fails

_Key = tuple[bytes, bytes]


class PayloadSealing:
    """Gives each event stream of a recorder a key of its own.

    :param table: the key table; it is made where it is missing.
    :raises ConfigurationError: the table cannot be written, or ``cryptography`` is not installed.
    :ivar error: why the last streams got a key that they share, or None.
    """

    def __init__(self, table: PayloadKeys, clock: Clock) -> None:
        cipher_of(bytes(KEY_SIZE))
        table.make()
        self._table, self._clock = table, clock
        self._reserve = self._made(1, shared=True)[0]
        self._begin_anew()
        self._fill()

    def _begin_anew(self) -> None:
        """Begin without keys: those of a forked child's parent are the parent's."""
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._keys: list[_Key] = []
        self._batch, self._retry_at = _FIRST, 0
        self.error: str | None = None

    def opening(self, opened: StreamOpened) -> tuple[StreamOpened, Sealer]:
        """Return the opening of a stream as it is stored, and what hashes, seals and encodes its events.

        :param opened: with a secret that is not needed.
        """
        identity, key = self._taken()
        public = identity + self._clock.secret(ID_SIZE)
        keys = stream_keys(key, public, opened.stream, cipher_of)
        stored = StreamOpened(opened.stream, opened.instance, public, SEALED_FORMAT)
        return stored, payload_sealer(stored, keys, self._clock.secret)

    def _taken(self) -> _Key:
        if os.getpid() != self._pid:
            self._begin_anew()
        with self._lock:
            if not self._keys:
                self._fill()
            return self._keys.pop() if self._keys else self._reserve

    def _fill(self) -> None:
        now = self._clock.monotonic_ns()
        if self.error is not None and now < self._retry_at:
            return
        try:
            self._keys += self._made(self._batch)
        except ConfigurationError as error:
            if self.error is None:
                _log.critical(
                    "recorder: %s; until then exchanges share one key, and cannot be erased from backups", error
                )
            self.error, self._retry_at = str(error), now + _CALM
        else:
            self.error, self._batch = None, min(2 * self._batch, _MOST)

    def _made(self, count: int, *, shared: bool = False) -> list[_Key]:
        secret = self._clock.secret
        made = [(secret(ID_SIZE), secret(KEY_SIZE)) for _ in range(count)]
        self._table.add(made, self._clock.wall_ns(), shared=shared)
        return made

    def check(self) -> str | None:
        """Return why streams have to share a key; None where each gets one of its own."""
        if os.getpid() != self._pid:
            self._begin_anew()
        with self._lock:
            if self.error is not None:
                self._fill()
            return self.error

    def close(self) -> None:
        """Remove the keys that no stream was sealed with."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            unused, self._keys = [identity for identity, _ in self._keys], []
        try:
            self._table.discard(unused)
        except ConfigurationError as error:  # they are of no use to anybody
            _log.info("recorder: keys that were not used stay in the table: %s", error)

"""Sealed payloads as whoever has their keys reads them: an opening and events as if nothing were sealed.

The chain commits to the payloads themselves, so whatever checks, folds, exports or bundles a stream does with it what
it does with any other. Without the keys, an opening says that it is of another format, and its events have no payload.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from recorder.clock import id_text
from recorder.core.events import Event, StreamOpened
from recorder.core.sealed_payloads import (
    ID_SIZE,
    NONCE_SIZE,
    Cipher,
    StreamKeys,
    is_sealed,
    sealed_event,
    stream_keys,
    unsealed_event,
    unsealed_opening,
)
from recorder.errors import ConfigurationError, CorruptRecording, PayloadsSealed
from recorder.locations import payload_keys_file
from recorder.store.payload_keys import PayloadKeys

_MOST: Final = 4096  # streams whose keys are kept in memory
_ERASED: Final = bytes(32)


def cipher_of(key: bytes) -> Cipher:
    """Return AES-256-GCM under a key.

    :raises ConfigurationError: ``cryptography`` is not installed, or broken.
    """
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise ConfigurationError(
            "sealed payloads need cryptography: pip install 'conversation-recorder[proof]'"
        ) from error
    except Exception as error:
        raise ConfigurationError(f"cryptography, which encrypts, is broken here ({error}): install it anew") from error
    return AESGCM(key)


class Unsealing:
    """Unseals what the keys of this machine unseal.

    :ivar fault: why the last stream that could not be unsealed could not be; None where there was none.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, StreamKeys | str] = {}
        self.fault: str | None = None

    def keys(self, opened: StreamOpened) -> StreamKeys | None:
        """Return what a stream is sealed with; None where its key is not here.

        :param opened: its opening as it is stored.
        """
        return self._keys(opened.stream, opened.secret)

    def _keys(self, stream: bytes, public: bytes) -> StreamKeys | None:
        known = self._known.get(stream)
        if known is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            known = self._known[stream] = self._found(stream, public)
        if isinstance(known, str):
            self.fault = known
            return None
        return known

    def _found(self, stream: bytes, public: bytes) -> StreamKeys | str:
        try:
            table = PayloadKeys(payload_keys_file())
            state = table.states((public[:ID_SIZE],)).get(public[:ID_SIZE])
            if state is None:
                return f"its key is not in {table.path}: name the right table by RECORDER_PAYLOAD_KEYS"
            return state.fault() if state.key is None else stream_keys(state.key, public, stream, cipher_of)
        except ConfigurationError as error:
            return str(error)

    def opening(self, opened: StreamOpened) -> StreamOpened:
        """Return an opening as if nothing were sealed, where its key is here."""
        keys = self.keys(opened) if is_sealed(opened) and opened.secret != _ERASED else None
        return opened if keys is None else unsealed_opening(opened, keys)

    def event(self, event: Event, public: bytes) -> Event:
        """Return an event with its payload.

        :param public: what stands in the place of its stream's secret.
        :raises PayloadsSealed: its key is not here.
        :raises CorruptRecording: it is not what was sealed.
        """
        if event.body is None or public == _ERASED:
            return event
        keys = self._keys(event.stream, public)
        if keys is None:
            raise self.refusal(event.stream)
        return unsealed_event(keys, event)

    def refusal(self, stream: bytes) -> PayloadsSealed:
        """Return the error for a stream that cannot be unsealed."""
        return PayloadsSealed(f"what was said in {id_text(stream)} is sealed, and cannot be read here: {self.fault}")

    def shown(self, event: Event, public: bytes) -> Event:
        """Return an event with its payload, or without where that cannot be read."""
        try:
            return self.event(event, public)
        except (PayloadsSealed, CorruptRecording):
            return event._replace(meta=None, body=None)

    def stored(self, opened: StreamOpened, events: Iterable[Event]) -> Iterator[Event]:
        """Yield the events of a stream for an audit: where one is not what was sealed, as it is stored.

        :param opened: the opening as it is stored.
        """
        keys = self.keys(opened) if opened.secret != _ERASED else None
        for event in events:
            try:
                yield event if keys is None else unsealed_event(keys, event)
            except CorruptRecording:
                yield event

    def sealed(self, opened: StreamOpened, event: Event, random: Callable[[int], bytes]) -> Event:
        """Return an event as it is to be stored.

        :param opened: the opening, unsealed.
        """
        if opened.sealed is None:
            return event
        keys = self._keys(opened.stream, opened.sealed)
        if keys is None:
            raise self.refusal(opened.stream)
        return sealed_event(keys, event, random(NONCE_SIZE))

"""What the recording transports of all libraries share: whom they record for, and which response is which exchange."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping

from recorder.clock import id_text
from recorder.recording.tap import Call
from recorder.recording.write_path import WritePath
from recorder.transports.guard import Guard


class LibraryRecording:
    """What one recorder records by one library.

    :param path: where events go; None once the recorder is closed.
    :param conversation: returns the facts of the conversation that the current context is in.
    :param must_record: what cannot be recorded must not happen.
    :ivar guard: what stops a defect of ours where there is no exchange yet.
    """

    def __init__(
        self,
        path: Callable[[], WritePath | None],
        conversation: Callable[[], Mapping[str, str]],
        *,
        must_record: bool = False,
    ) -> None:
        self._path = path
        self._conversation = conversation
        self._must_record = must_record
        self._ids: weakref.WeakKeyDictionary[object, bytes | None] = weakref.WeakKeyDictionary()
        self.guard = Guard(None, must_record=must_record)

    @property
    def is_open(self) -> bool:
        """Whether anything is recorded."""
        return self._path() is not None

    def knows(self, sent: object) -> bool:
        """Whether a response, or a request, was sent for this recorder."""
        return sent in self._ids

    def exchange_of(self, sent: object) -> bytes | None:
        """Return the id of the exchange that a response came from, or a request's last one; None: not recorded."""
        return self._ids.get(sent)

    def _new_call(self) -> Call:
        """Return a call that goes on with no other one."""
        path = self._path()
        identity = path.clock.new_id() if path is not None else b""
        return Call(id_text(identity), conversation=self._conversation())

"""Conversations as a program opens them: a context variable, and the events that name them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextvars import ContextVar

from recorder.clock import id_text
from recorder.errors import ConfigurationError
from recorder.recording.program_end import LastingWritePath
from recorder.recording.streams import StreamWriter
from recorder.recording.write_path import WritePath

_entered: ContextVar[tuple[Conversation, ...]] = ContextVar("recorder_conversations", default=())


class Conversation:
    """Exchanges sent while it is entered belong to it.

    It may be entered any number of times, in any number of threads and tasks at once.

    :ivar id: id of this opening; openings of one name are one conversation.
    :ivar name: the user's name for it, or None.
    """

    def __init__(self, identity: str, name: str | None) -> None:
        self.id = identity
        self.name = name

    @property
    def facts(self) -> dict[str, str]:
        """What each of its exchanges says of it."""
        facts = {"conversation": self.id} if self.id else {}
        if self.name is not None and self.id:
            facts["name"] = self.name
        return facts

    def __enter__(self) -> Conversation:
        _entered.set((*_entered.get(), self))
        return self

    def __exit__(self, *exc_info: object) -> None:
        _entered.set(_entered.get()[:-1])


def current_conversation() -> Mapping[str, str]:
    """Return the facts of the conversation that the current context is in; empty outside of one."""
    entered = _entered.get()
    return entered[-1].facts if entered else {}


class Conversations:
    """The conversations that one recorder has opened.

    :param path: where their events go.
    """

    def __init__(self, path: LastingWritePath) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._open: dict[tuple[bytes, str], tuple[Conversation, StreamWriter, dict[str, str]]] = {}

    def open(self, name: str | None, tags: Mapping[str, str]) -> Conversation:
        """Return the conversation of that name, the same one within this process.

        :raises ConfigurationError: the name is empty, or a tag is not text.
        :raises RecordingError: it could not be recorded, and what is not recorded must not happen.
        """
        _check(name, tags)
        with self._lock:
            path = self._path.current()
            key = (path.instance, name or "")  # a forked child opens its own
            found = self._open.get(key) if name is not None else None
            opened, writer, known = found or self._opened(path, name, key)
            if any(known.get(tag) != value for tag, value in tags.items()):
                known.update(tags)
                path.write_apart(writer, "conversation", "tags_set", {"tags": known})
            return opened

    def _opened(
        self, path: WritePath, name: str | None, key: tuple[bytes, str]
    ) -> tuple[Conversation, StreamWriter, dict[str, str]]:
        writer = path.open_stream()
        made = (Conversation(id_text(writer.id), name), writer, dict[str, str]())
        if name is not None:
            path.write_apart(writer, "conversation", "conversation_named", {"name": name})
            self._open[key] = made
        return made


def _check(name: object, tags: object) -> None:
    if name is not None and not (isinstance(name, str) and name.strip()):
        raise ConfigurationError(f"a conversation's name is a text that is not empty, not {name!r}")
    if not isinstance(tags, Mapping):
        raise ConfigurationError(f"tags are a mapping of texts to texts, not {tags!r}")
    for key, value in tags.items():
        if not isinstance(key, str):
            raise ConfigurationError(f"the name of a tag is a text, not {key!r}")
        if not isinstance(value, str):
            raise ConfigurationError(f"the tag {key!r} is not a text but {value!r}")

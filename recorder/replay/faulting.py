"""What goes wrong with which answers: one fault for all of them, or one for each exchange, conversation or path.

A cassette holds answers of several kinds, and a fault happens to some of them only: gzip can be damaged where there is
some. So a fault happens to every answer that it can happen to; that it can happen to none, or did to none of those that
were asked for, is an error, since a test with it has tested nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from recorder.core.events import Event
from recorder.errors import ConfigurationError, CorruptRecording
from recorder.replay.faults import Fault
from recorder.replay.index import Entry

#: How a key names requests: ``POST /v1/messages``, ``POST https://api.example/v1/messages``.
_REQUESTS: Final = re.compile(r"([A-Z]+) (/\S*|https?://\S+)")


class _Group:
    """The exchanges that one fault is for."""

    def __init__(self, fault: Fault, exchanges: Sequence[bytes]) -> None:
        self.fault = fault
        self.exchanges = exchanges
        self.happened: set[bytes] = set()
        self.impossible: ConfigurationError | None = None


class Faulting:
    """The events of exchanges with what goes wrong in them.

    :param entries: the recorded exchanges.
    :param events: returns the events of one.
    :param fault: of all of them; or by ids or names of exchanges and conversations, or by requests: their method and
        their path or URL, without a query.
    :param members: returns the exchanges that a name stands for.
    :raises ConfigurationError: no such request is recorded.
    :raises NotFound: a name stands for nothing.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        events: Callable[[bytes], Iterable[Event]],
        fault: Fault | Mapping[str, Fault],
        members: Callable[[str], Iterable[bytes]],
    ) -> None:
        self._events = events
        self._groups: list[_Group] = []
        self._group_of: dict[bytes, _Group] = {}
        if not isinstance(fault, Mapping):
            self._add(fault, [entry.exchange for entry in entries])
            return
        for name, one in fault.items():
            requests = _REQUESTS.fullmatch(name)
            found = list(members(name)) if requests is None else _asking(entries, *requests.groups())
            if not found:
                raise ConfigurationError(
                    f"fault={{{name!r}: …}}: no such request is recorded: name its method and path, as "
                    f"{_nearest(entries)!r}"
                )
            self._add(one, found)

    def _add(self, fault: Fault, exchanges: Sequence[bytes]) -> None:
        group = _Group(fault, exchanges)
        self._groups.append(group)
        self._group_of |= dict.fromkeys(exchanges, group)

    def events(self, exchange: bytes) -> Iterable[Event]:
        """Return the events of an exchange, with what goes wrong where that can happen to it.

        :raises ConfigurationError: it can happen to no exchange that it is for.
        """
        group, events = self._group_of.get(exchange), self._events(exchange)
        if group is None:
            return events
        events = list(events)
        try:
            found = group.fault.apply(events)
        except ConfigurationError as error:
            if not self._can_happen(group):
                raise
            group.impossible = group.impossible or error
            return events
        group.happened.add(exchange)
        return found

    def _can_happen(self, group: _Group) -> bool:
        """Whether a fault can happen to any exchange that it is for."""
        if group.happened or group.impossible:
            return True
        for exchange in group.exchanges:
            with suppress(ConfigurationError, CorruptRecording):  # of another one: whoever asks for that is told
                group.fault.apply(list(self._events(exchange)))
                return True
        return False

    def in_vain(self, unplayed: Iterable[bytes]) -> list[ConfigurationError]:
        """Return why faults happened to nothing that was asked for, though something was.

        :param unplayed: the exchanges that were not asked for.
        """
        left = frozenset(unplayed)
        return [group.impossible for group in self._groups if group.impossible and group.happened <= left]


def _asking(entries: Iterable[Entry], method: str, where: str) -> list[bytes]:
    return [entry.exchange for entry in entries if entry.method == method and where in _names(entry)]


def _names(entry: Entry) -> tuple[str, str]:
    """Return the path and the URL of a request, without its query."""
    split = urlsplit(entry.url)
    return split.path or "/", f"{split.scheme}://{split.netloc.rpartition('@')[2]}{split.path}"


def _nearest(entries: Sequence[Entry]) -> str:
    return f"{entries[0].method} {_names(entries[0])[0]}" if entries else "POST /v1/chat/completions"

"""What a fold finds unusual about an answer, and where something of the answer could not be read.

The second is more than a fact. What came at such a place may have been part of anything that was open there: the digit
in the midst of a quantity, the end of one call and the beginning of the next. Nothing that was open there is whole
(:mod:`recorder.core.holes`), and that the answer came to its end does not say that all of it is here.
"""

from __future__ import annotations

from typing import Any, TypeVar

from recorder.core.json_sources import Sources
from recorder.core.messages import Anomaly

#: First byte, and the byte after the last, of what is taken in one go: an event, a line, a frame, a document.
Place = tuple[int, int]
_Value = TypeVar("_Value")


class Facts:
    """Facts about an answer, in the order in which they were found.

    :ivar anomalies: what is unusual.
    :ivar holes: the places at which something could not be read.
    :ivar source: the text of what is being read, and its value; None where nobody has it.
    :param sources: the texts of what is being read, where they are known already.
    """

    def __init__(self, sources: Sources | None = None) -> None:
        self.anomalies: list[Anomaly] = []
        self.holes: list[Place] = []
        self.source: tuple[str | bytes, Any] | None = None
        self._noted: set[str] = set()
        self._sources = sources
        self._read: tuple[str | bytes, Any] | None = None  # what the sources are of

    def as_sent(self, holder: Any, name: str) -> str | None:
        """Return the JSON text in which a member of an object came; None where nobody knows it.

        :param holder: the very object that was read.
        """
        sources = self._sources_now()
        return None if sources is None else sources.text_of(holder, name)

    def exact(self, value: _Value) -> _Value:
        """Return a value with its numbers as they were sent, as far as anybody knows: see :meth:`Sources.exact`.

        :param value: the very object or array that was read.
        """
        sources = self._sources_now()
        return value if sources is None else sources.exact(value)

    def _sources_now(self) -> Sources | None:
        source = self.source
        if source is not self._read and source is not None:
            self._sources, self._read = Sources(*source), source
        return self._sources

    def note(self, kind: str, detail: str, place: Place) -> None:
        """Keep a fact."""
        self.anomalies.append(Anomaly(kind, detail, *place))

    def note_once(self, kind: str, detail: str, place: Place) -> None:
        """Keep a fact, the first time that it is one."""
        if kind not in self._noted:
            self._noted.add(kind)
            self.note(kind, detail, place)

    def lose(self, kind: str, detail: str, place: Place) -> None:
        """Keep a fact, and that what came at *place* could not be read."""
        self.holes.append(place)
        self.note(kind, detail, place)

    def lose_once(self, kind: str, detail: str, place: Place) -> None:
        """As :meth:`lose`, with the fact kept the first time that it is one; the place is kept each time."""
        self.holes.append(place)
        self.note_once(kind, detail, place)

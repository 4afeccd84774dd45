"""The answer of a chat completion while it arrives: its text piece by piece, and at its end what it says.

Both are one reading, that of :mod:`recorder.dialects.openai_chat`, so that nobody is shown something else of an answer
than what is rebuilt from its recording. What the bytes are is told by the bytes: servers send streams without a content
type, and under that of a document.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from recorder.core.json_text import whole_text
from recorder.core.messages import Answer, RefusalPart
from recorder.dialects.base import AnswerReader, Clues
from recorder.dialects.folding import Place, TextFold
from recorder.dialects.openai_chat import ChatFold
from recorder.dialects.openai_choice import ChoiceFold
from recorder.dialects.reading import reader_for

_BOM: Final = b"\xef\xbb\xbf"


class ArrivingChat:
    """Reads a body that is still arriving. It never raises, whatever the bytes."""

    def __init__(self) -> None:
        self._begin = b""  # up to the first byte that tells a document from a stream
        self._reader: AnswerReader | None = None
        self._pieces: list[str] = []
        self._halves: dict[int, str] = {}  # of surrogate pairs, by the choice: the other half is in the next delta
        self._heard: set[int] = set()

    def feed(self, data: bytes) -> list[str]:
        """Take the next bytes of the body and return the pieces of text that they complete, of all choices."""
        if self._reader is None:
            self._begin += data
            head = Clues("", "", self._begin).head
            if not head or _BOM.startswith(self._begin):
                return []
            self._begin, data = b"", self._begin
            self._reader = self._reader_for("json" if head[:1] == b"{" else "sse")
        self._reader.feed(data)
        return self._taken()

    def close(self) -> tuple[list[str], Answer]:
        """Take the end of the body; return the rest of the text, and what the answer says."""
        reader = self._reader or self._reader_for("empty")
        reader.feed(self._begin)
        answer = reader.close()
        self._pieces += map(whole_text, self._halves.values())
        for choice in answer.choices:
            if choice.index not in self._heard:  # a whole message, in a document or beside deltas without text
                refusals = [part.text for part in choice.message.parts if isinstance(part, RefusalPart)]
                self._pieces += filter(None, (choice.message.text, *refusals))
        return self._taken(), answer

    def _reader_for(self, shape: str) -> AnswerReader:
        return reader_for(shape, _ArrivingFold(self._hear, document=shape == "json"))

    def _hear(self, index: int, piece: str) -> None:
        self._heard.add(index)
        piece = self._halves.pop(index, "") + piece
        if "\ud800" <= piece[-1] <= "\udbff":
            piece, self._halves[index] = piece[:-1], piece[-1]
        if piece:
            self._pieces.append(whole_text(piece))

    def _taken(self) -> list[str]:
        pieces, self._pieces = self._pieces, []
        return pieces


_Hear = Callable[[int, str], None]


class _ArrivingFold(ChatFold):
    """The fold, which says each piece of text as it takes it."""

    def __init__(self, hear: _Hear, *, document: bool) -> None:
        super().__init__(document=document)
        self._hear = hear

    def begun(self, index: int) -> ChoiceFold:
        """Return the fold of a choice, which says its text."""
        return _ArrivingChoice(index, self, self._hear)


class _ArrivingChoice(ChoiceFold):
    def __init__(self, index: int, facts: ChatFold, hear: _Hear) -> None:
        super().__init__(index, facts)
        self._hear = hear
        self._refusal = _ArrivingText(lambda piece: hear(index, piece))

    def _text(self, piece: str, place: Place) -> None:
        super()._text(piece, place)
        if piece:  # an entry of a list may be empty
            self._hear(self.index, piece)


class _ArrivingText(TextFold):
    __slots__ = ("_hear",)

    def __init__(self, hear: Callable[[str], None]) -> None:
        super().__init__()
        self._hear = hear

    def add(self, piece: str, place: Place) -> None:
        """Append *piece* and say it."""
        super().add(piece, place)
        if piece:
            self._hear(piece)

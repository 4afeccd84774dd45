"""Content blocks that grow side by side, as Anthropic Messages and Bedrock Converse stream them.

A message is a list of blocks; each event names the index of the block that it starts, continues or stops. Blocks
may interleave, indexes may have gaps, begin anywhere or come again, and a start or a stop may be missing: what came
is kept, and what is unusual is a fact.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from recorder.core.messages import Choice, CitationPart, Message, OtherPart, Part, ToolResultPart
from recorder.dialects.facts import Facts
from recorder.dialects.finishes import CUTTING, UNKNOWN, finishes_of
from recorder.dialects.folding import (
    AnswerFold,
    CallFold,
    Origin,
    Place,
    ReasoningFold,
    TextFold,
    reason_text,
    text_or_none,
)

#: Of a message that is to go on, the blocks that came are whole.
_CUTTING: Final = CUTTING - {"paused"}
_NO_ARGUMENTS: Final[dict[str, Any]] = {}


class Block:
    """One block that grows. What comes for it makes it what it is: text, reasoning, a call, or what is whole.

    :ivar index: its index on the wire, where one was sent.
    :ivar text: its text.
    :ivar closed: its stop event came.
    :ivar cut: the message was cut in it, and another message began after it.
    :ivar other: the kind and the value of a block that has no form of its own.
    :ivar origin: where the pieces of *other* came from.
    """

    __slots__ = ("_call", "_reasoning", "citations", "closed", "cut", "index", "origin", "other", "text", "whole")

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.text = TextFold()
        self.closed = False
        self.cut = False
        self.citations: list[CitationPart] = []
        self.whole: list[Part] = []
        self.other: tuple[str, Any] | None = None
        self.origin = Origin()
        self._reasoning: ReasoningFold | None = None
        self._call: CallFold | None = None

    @property
    def reasoning(self) -> ReasoningFold:
        """Its reasoning."""
        if self._reasoning is None:
            self._reasoning = ReasoningFold()
        return self._reasoning

    @property
    def call(self) -> CallFold:
        """Its call of a tool."""
        if self._call is None:
            self._call = CallFold(self.index)
        return self._call

    def stop(self, place: Place) -> None:
        """Take its stop event."""
        self.closed = True
        if self._call is not None:
            self._call.end = place[1]

    def begin_call(
        self, identity: Any, name: Any, arguments: Any, sent: str | None, place: Place, *, streamed: bool
    ) -> CallFold:
        """Take the start of a call, or a whole one, and return it.

        :param sent: the JSON text of the arguments, as it came; None where it is not known.
        :param streamed: its arguments may come later: empty ones stand for what is to come.
        """
        call = self.call
        call.id, call.name = text_or_none(identity), text_or_none(name)
        if arguments or not streamed:
            call.take_value(arguments, sent)
        call.add("", place)
        if not streamed:
            call.end = place[1]
        return call

    @property
    def calls(self) -> bool:
        """Whether it is a call of a tool."""
        return self._call is not None

    def parts(self, *, finished: bool) -> list[Part]:
        """Return what came; a call in a block that is not *finished* is not complete."""
        found: list[Part] = []
        if self._reasoning is not None:
            found.append(self._reasoning.reasoning())
        if self.text:
            found.append(self.text.part())
        found += self.citations
        if self._call is not None:
            found.append(self._call.part(finished=finished, empty=_NO_ARGUMENTS))
        found += self.whole
        if self.other is not None:
            found.append(OtherPart(*self.other, self.origin.ranges))
        return found


class Blocks:
    """The blocks of one message.

    :param facts: where facts go.
    :ivar extras: deltas and fields that have no place of their own, the values that came.
    """

    def __init__(self, facts: Facts) -> None:
        self._as_sent = facts.as_sent
        self._exact = facts.exact
        self._note = facts.note_once
        self._lose = facts.lose_once
        self.extras: dict[str, list[Any]] = {}
        self._all: list[Block] = []
        self._before: list[Block] = []  # of messages before this one
        self._last: dict[int, Block] = {}  # the block that had the index last
        self._reused = False

    def __bool__(self) -> bool:
        return bool(self._all or self._before)

    def whole(self) -> Block:
        """Return a new block that came as a whole."""
        block = Block(None)
        block.closed = True
        self._all.append(block)
        return block

    def calls_at(self, index: Any) -> bool:
        """Whether the block that has an index is a call that has not stopped."""
        block = self._last.get(index) if type(index) is int else None
        return block is not None and block.calls and not block.closed

    def start(self, index: Any, place: Place) -> Block:
        """Return a new block for a start event."""
        if type(index) is not int:
            self._note("block_without_index", f"a block starts with the index {index!r}", place)
            index = None
        elif index in self._last:
            self._note("block_index_reused", f"index {index} again: taken as a new block", place)
            self._reused = True
        block = Block(index)
        self._all.append(block)
        if index is not None:
            self._last[index] = block
        return block

    def at(self, index: Any, place: Place, *, start_owed: bool = True, of_call: bool = False) -> Block:
        """Return the block that a delta continues.

        :param start_owed: a block begins with a start event: one without is a fact.
        :param of_call: it is a delta of a call: without a start nobody knows of which.
        """
        if type(index) is not int:
            sure = not of_call or [block for block in self._all if not block.closed] == self._all[-1:]
            tell = self._note if sure else self._lose
            tell("block_without_index", f"a delta has the index {index!r}: taken for the last block", place)
            return self._all[-1] if self._all else self.start(None, place)
        block = self._last.get(index)
        if block is None:
            if start_owed:
                tell = self._lose if of_call else self._note
                tell("block_not_started", f"a delta for block {index}, which never started", place)
            block = self._last[index] = Block(index)
            self._all.append(block)
        elif block.closed:
            self._note("delta_after_stop", f"a delta for block {index}, which had stopped", place)
        return block

    def argue(self, block: Block, piece: str, place: Place) -> None:
        """Take a piece of the arguments of a call."""
        if piece and block.call.value is not None:
            self._note(
                "tool_arguments_replaced", "arguments came with the start of a call, and others in pieces", place
            )
        block.call.add(piece, place)

    def stop(self, index: Any, place: Place) -> None:
        """Take a stop event."""
        block = self._last.get(index) if type(index) is int else (self._all[-1] if self._all else None)
        if block is None:
            self._note("block_not_started", f"block {index!r} stops, which never started", place)
        else:
            block.stop(place)

    def parts(self, *, ended: bool, finishes: Collection[str] = ()) -> list[Part]:
        """Return the parts of all blocks, in the order of their indexes.

        :param ended: the message came to its end: blocks whose stop event is missing are finished too.
        :param finishes: what the finish reasons come down to. One that says that the message was cut says that it was
            in the last block; what one says of calls that is not known, nobody knows: no call is complete.
        """
        cut, unknown = not _CUTTING.isdisjoint(finishes), UNKNOWN in finishes
        found = [part for block in self._before for part in block.parts(finished=block.closed and not block.cut)]
        blocks = self._ordered()
        last = blocks[-1] if blocks else None
        for block in blocks:
            finished = (block.closed or (ended and not cut)) and not (cut and block is last) and not unknown
            found += block.parts(finished=finished)
        return found

    def begin_again(self, *, ended: bool, finishes: Collection[str]) -> None:
        """Begin another message in the same answer: indexes count anew, and what is told is about the one before.

        :param ended: as for :meth:`parts`.
        :param finishes: as for :meth:`parts`.
        """
        cut, unknown = not _CUTTING.isdisjoint(finishes), UNKNOWN in finishes
        blocks = self._ordered()
        for block in blocks:
            block.closed = block.closed or (ended and not cut)
            block.cut = unknown or (cut and block is blocks[-1])
        self._before += blocks
        self._all, self._last, self._reused = [], {}, False

    def _ordered(self) -> list[Block]:
        if self._reused or any(block.index is None for block in self._all):
            return list(self._all)
        return sorted(self._all, key=lambda block: block.index or 0)


class BlocksFold(AnswerFold):
    """An answer that is one message made of blocks.

    :ivar begun: something of the message came.
    :ivar role: whose the message is.
    :ivar reasons: the finish reasons that came.
    """

    def __init__(self, dialect: str) -> None:
        super().__init__(dialect)
        self.begun = False
        self.role: str | None = None
        self.reasons: list[str] = []

    def finish(self, reason: Any, place: Place) -> None:
        """Take a finish reason; one that comes again says nothing new."""
        told = reason_text(reason)
        if told is None or self.reasons[-1:] == [told]:
            return
        if self.reasons:
            self.note("finish_reason_changed", f"{self.reasons[-1]!r} is followed by {told!r}", place)
        self.reasons.append(told)

    def choices(
        self,
        blocks: Blocks,
        *,
        whole: bool | None,
        extras: Mapping[str, Any] | None = None,
    ) -> list[Choice]:
        """Return the message as the only choice, or none where none came.

        :param blocks: what the message is made of.
        :param whole: the body is one whole document.
        :param extras: fields of the choice that have no place of their own.
        """
        if not (self.begun or blocks):
            return []
        finishes = finishes_of(self.reasons)
        ended = (self.sentinel or bool(whole) or bool(finishes)) and not self.errors
        # Whatever reason follows it: one that says that the answer was cut is not taken back.
        parts = blocks.parts(ended=ended, finishes=finishes)
        message = Message(self.role, tuple(parts), extras=blocks.extras)
        finish = finishes[-1] if finishes else None
        return [Choice(0, message, tuple(self.reasons), None, extras or {}, "error" in finishes, finish)]


def result_text(content: Any, is_text: Callable[[Any], bool]) -> tuple[str | None, bool]:
    """Return the text of a tool's result, and whether that is all of it.

    :param content: a text, or a list of blocks.
    :param is_text: tells blocks that are nothing but text.
    """
    if isinstance(content, str):
        return content, True
    if not isinstance(content, list):
        return None, content is None
    texts = [
        item if isinstance(item, str) else item["text"]
        for item in content
        if isinstance(item, str) or (isinstance(item, dict) and isinstance(item.get("text"), str))
    ]
    only = all(isinstance(item, str) or is_text(item) for item in content)
    return ("".join(texts) if texts else None), only


def tool_result(call_id: Any, text: str | None, failed: Any, value: Any, place: Place) -> ToolResultPart:
    """Return what a tool answered; fields of a wrong type are in *value* alone."""
    return ToolResultPart(
        text_or_none(call_id),
        None,
        text,
        failed if isinstance(failed, bool) else None,
        value,
        (place,),
    )

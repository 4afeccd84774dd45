"""One answer of Cohere's first API: what its events say, and what the whole response adds to them.

See :mod:`recorder.dialects.cohere_v1` for the format and its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from recorder.core.messages import Choice, CitationPart, Message, Part
from recorder.dialects.facts import Facts
from recorder.dialects.finishes import CUTTING, finishes_of
from recorder.dialects.folding import AnswerFold, CallFold, Place, TextFold, nonempty, reason_text, same_json

_CALL_OWN: Final = frozenset({"name", "parameters", "index", "text"})


def objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def whole_call(entry: dict[str, Any], place: Place, facts: Facts) -> CallFold:
    """Return a call that came whole.

    :param facts: who knows how its parameters were written.
    """
    call = CallFold()
    call.name = nonempty(entry.get("name"))
    parameters = entry.get("parameters")
    call.add(parameters if isinstance(parameters, str) else "", place)
    call.end = place[1]
    if parameters is not None and not isinstance(parameters, str):
        call.take_value(parameters, facts.as_sent(entry, "parameters"))
    call.extras.update((key, entry[key]) for key in entry.keys() - _CALL_OWN)
    return call


def _citation(item: Any, documents: Mapping[str, dict[str, Any]], place: Place) -> CitationPart:
    """Return a citation, with the address and the title of the first document that it names."""
    fields = item if isinstance(item, dict) else {}
    named = fields.get("document_ids")
    known = (
        [documents[name] for name in named if isinstance(name, str) and name in documents]
        if isinstance(named, list)
        else []
    )
    source = known[0] if known else {}
    return CitationPart(
        item,
        nonempty(fields.get("text")),
        nonempty(source.get("url")),
        nonempty(source.get("title")),
        (place,),
    )


class Generation:
    """One answer: what its events say, and what the whole response adds to them."""

    def __init__(self, index: int, answer: AnswerFold) -> None:
        self._index = index
        self._answer = answer
        self._text = TextFold()
        self._cited: list[tuple[Any, Place]] = []
        self._pieces: dict[Any, CallFold] = {}
        self._calls: list[CallFold] = []
        self._finish: list[str] = []
        self._extras: dict[str, Any] = {}
        self._message_extras: dict[str, list[Any]] = {}

    def say(self, text: Any, place: Place) -> None:
        """Take a piece of text."""
        if isinstance(text, str) and text:
            self._text.add(text, place)
        elif text:
            self._message_extras.setdefault("text", []).append(text)

    def say_all(self, text: Any, place: Place) -> None:
        """Take the whole text, which may have come before; where it differs, what was said last counts."""
        if not self._text:
            self.say(text, place)
        elif isinstance(text, str) and text and text != self._text.text:
            self._answer.note_once("response_differs", "the whole text differs from the sum of its pieces", place)
            self._text = TextFold()
            self.say(text, place)

    def cite(self, citations: Any, place: Place) -> None:
        """Take citations, those that are new."""
        for item in citations if isinstance(citations, list) else []:
            if not any(item == known for known, _ in self._cited):
                self._cited.append((item, place))

    def call_piece(self, delta: Any, place: Place) -> None:
        """Take a piece of a call."""
        if delta is not None and not isinstance(delta, dict):
            self._answer.lose_once("delta_malformed", f"the delta of a call is a {type(delta).__name__}", place)
        fields = delta if isinstance(delta, dict) else {}
        self.say(fields.get("text"), place)
        index, name, piece = fields.get("index"), nonempty(fields.get("name")), fields.get("parameters")
        if index is None and name is None and piece is None:
            return
        key = index if isinstance(index, int | float | str) else None
        call = self._pieces.get(key)
        if call is None:
            call = self._pieces[key] = CallFold(index if type(index) is int else None)
        call.name = call.name or name
        call.add(piece if isinstance(piece, str) else "", place)
        if piece is not None and not isinstance(piece, str):
            if call.pieces:
                told = f"parameters that came as text go on with a {type(piece).__name__}"
                self._answer.lose_once("delta_malformed", told, place)
            else:
                call.take_value(piece, self._answer.as_sent(fields, "parameters"))

    def call_all(self, calls: Any, place: Place) -> None:
        """Take the whole calls, which may have come before, whole or in pieces.

        What was said last counts, as for clients that read the final response; a call that was said otherwise before
        is not complete: who acted on it then has acted on another.
        """
        entries, told = objects(calls), bool(self._calls)
        known = self._calls or list(self._pieces.values())
        if entries and (len(entries) < len(known) or (told and len(entries) > len(known))):
            self._differs(f"{len(entries)} whole calls, {len(known)} before", place)
            for call in known[len(entries) :]:
                call.disputed = True
        found: list[CallFold] = []
        for at, entry in enumerate(entries):
            call = whole_call(entry, place, self._answer)
            if at < len(known):
                self._settle(known[at], call, place)
                call = known[at]
            else:
                call.disputed = told
            found.append(call)
        self._calls = [*found, *self._calls[len(found) :]]

    def finish(self, reason: Any) -> None:
        """Take a finish reason."""
        told = reason_text(reason)
        if told is not None and self._finish[-1:] != [told]:
            self._finish.append(told)

    @property
    def finished(self) -> bool:
        """A finish reason came."""
        return bool(self._finish)

    def keep(self, name: str, value: Any) -> None:
        """Keep another field."""
        if value is not None:
            self._extras[name] = value

    def choice(self, documents: Mapping[str, dict[str, Any]], *, ended: bool, failed: bool) -> Choice:
        """Return it.

        :param documents: those that citations may name, by their ids.
        :param ended: the answer came to its end.
        :param failed: an error came.
        """
        finishes = finishes_of(self._finish)
        finish = finishes[-1] if finishes else None
        # Whatever reason follows it: one that says that the answer was cut is not taken back.
        whole = CUTTING.isdisjoint(finishes) and not failed
        # Pieces are finished by the whole call, or by the end; a call of no parameters is one without any text.
        calls = [call.part(finished=whole, empty={}) for call in self._calls]
        others = [call for call in self._pieces.values() if call not in self._calls]
        calls += [call.part(finished=whole and ended, empty={}) for call in others]
        parts: list[Part] = [self._text.part()] if self._text else []
        cited = [_citation(item, documents, place) for item, place in self._cited]
        message = Message(None, (*parts, *cited, *calls), extras=self._message_extras)
        return Choice(self._index, message, tuple(self._finish), None, self._extras, finish == "error", finish)

    def _settle(self, known: CallFold, call: CallFold, place: Place) -> None:
        """Take a whole call for one that came before."""
        known.origin.add(place)
        known.begin, known.end = place  # it is said whole here
        known.extras.update(call.extras)
        if not known.text:
            known.value, known.sent = call.value, call.sent
        if known.name != call.name or not same_json(known.text or "{}", call.text or "{}"):
            self._differs("a whole call differs from what came of it before", place)
            known.name, known.disputed = call.name, True
            known.pieces, known.value, known.sent = call.pieces, call.value, call.sent

    def _differs(self, detail: str, place: Place) -> None:
        self._answer.note_once("tool_call_differs", detail, place)

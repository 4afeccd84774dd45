"""Redaction for an export: what the rules find is left out of an exchange, and so of everything that is made of it.

The recording stays as it is. The exchange is changed, down to the bytes of its chunks, and read again: every format
gets one in which there is nothing to be found. Chunks and their times stay, their sizes may differ; a body under a
content coding is put below it, and the header says so no more.

Theory of operation: values go, the words of the protocol stay (:mod:`recorder.core.export_words`). What a rule finds
once is a secret, and is looked for in the next pass everywhere in the exchange and in every form, until a pass finds
nothing new. Then the result is read again and all of it is searched. Where anything is still to be found, a rule finds
one of the words that stay, or something else was lost on the way (:mod:`recorder.core.export_forms`), the export is
refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from recorder.core.content_coding import decoded_ends, undo
from recorder.core.conversation import Conversation, Relation
from recorder.core.exchange import Chunk, Exchange, Headers, Request, Response, first_header
from recorder.core.export_bodies import Source, body_source, moved, request_source
from recorder.core.export_forms import same_form
from recorder.core.export_matches import Matcher, replaced
from recorder.core.export_residue import Guard, left_over, lost, residue
from recorder.core.export_rules import URL_MARKER, known_texts, parse_rules
from recorder.core.messages import Anomaly
from recorder.core.rebuilt import Rebuilt
from recorder.core.verdict import verdict
from recorder.errors import RedactionRefused

#: Kind of the finding that tells what was left out: how often each rule found something, never what.
REDACTED: Final = "redacted_for_export"
_PASSES: Final = 6
_CODED: Final = "content-encoding"
#: Of the facts of an import (docs/format.md) those that something else wrote.
_OF_FILE: Final = frozenset({"file", "creator", "recorded_at", "set_aside"})


class ExportRedaction:
    """Leaves out of exchanges what some rules find.

    :param rules: as :mod:`recorder.core.export_rules` has them.
    :param rebuild: reads an exchange, as :func:`recorder.dialects.rebuild.rebuild` does.
    :raises ConfigurationError: a rule is none.
    """

    def __init__(self, rules: Iterable[str], rebuild: Callable[[Exchange], Rebuilt]) -> None:
        self.rules = parse_rules(rules)
        self._rebuild = rebuild
        self._matcher = Matcher(self.rules, known_texts(self.rules))
        self._totals: dict[int, int] = dict.fromkeys((rule.number for rule in self.rules), 0)

    @property
    def totals(self) -> Mapping[str, int]:
        """How many places each rule has found so far, by its label."""
        return {rule.label: self._totals[rule.number] for rule in self.rules}

    def exchanges(self, exchanges: Iterable[Rebuilt]) -> Iterator[Rebuilt]:
        """Yield each exchange with what is found in it left out.

        What is found in one of a sequence is left out of all of them; else out of those after it, and of those before
        it where :meth:`learn` has seen it.

        :raises RedactionRefused: it cannot be done.
        """
        if not self.rules:
            yield from exchanges
            return
        if isinstance(exchanges, Sequence):
            self.learn(exchanges)
        for rebuilt in exchanges:
            yield self.exchange(rebuilt)

    def learn(self, exchanges: Iterable[Rebuilt]) -> None:
        """Look through exchanges, so that what is found in one of them is left out of every one from now on."""
        for rebuilt in exchanges if self.rules else ():
            self._learn(_Whole(rebuilt))

    def exchange(self, rebuilt: Rebuilt, *, counted: bool = True) -> Rebuilt:
        """Return an exchange with what is found in it left out.

        :param counted: it is exported, and not only looked at.
        :raises RedactionRefused: something would still be found, or the answer would be another one.
        """
        _readable(rebuilt)
        whole = _Whole(rebuilt)
        matcher = self._learn(whole)
        changed = whole.without(matcher)
        for rule in matcher.kept.values():
            raise RedactionRefused(
                f"{rule.label} finds a name or a word of the wire format in exchange {rebuilt.id}, and these stay: "
                "nothing is exported of it; make it more specific"
            )
        if changed == rebuilt.exchange:
            made = rebuilt
        else:
            made = _as_it_was(rebuilt, self._rebuild(changed))
            if not same_form(rebuilt, made) or lost(rebuilt, made, matcher):
                raise RedactionRefused(
                    f"exchange {rebuilt.id} would no longer be read as what it is: a rule finds words of the wire "
                    "format, more than one value of the JSON in a tool call, or two names of one object, which would "
                    "be the same; make it more specific"
                )
            if left_over(rebuilt, made, matcher):
                raise RedactionRefused(
                    f"a part of what is found in exchange {rebuilt.id} would stay, because it cannot be told which of "
                    "its bytes made it: nothing is exported of it; leave this exchange out"
                )
        if rebuilt.place is not None:
            named = rebuilt.place.name
            named = named if named is None else matcher.text(named, "name")
            made = replace(made, place=replace(rebuilt.place, name=named))
        left = residue(made, matcher, changed=made.exchange is not rebuilt.exchange)
        if left is not None:
            place, rule = left
            raise RedactionRefused(
                f"{rule.label} still finds something in {place} of exchange {rebuilt.id}: "
                "nothing is exported of it; give a rule that covers more, such as text: with all of it"
            )
        for number, places in matcher.counts.items() if counted else ():
            self._totals[number] += len(places)
        if matcher.counts:
            made = replace(made, anomalies=(*made.anomalies, Anomaly(REDACTED, self._told(matcher))))
        return made

    def conversation(self, conversation: Conversation, relations: Mapping[str, Relation]) -> Conversation:
        """Return a conversation without what is found in its name.

        :param relations: of its redacted exchanges: findings quote what they are about.
        """
        matcher = self._matcher.again()
        name = conversation.name if conversation.name is None else matcher.text(conversation.name, "name")
        return replace(conversation, name=name, relations=dict(relations))

    def words(self, text: str) -> str:
        """Return a text that belongs to the exchanges, as a tag does, without what is found in it."""
        return self._matcher.again().text(text, "words")

    def guard(self, pieces: Iterable[str | bytes]) -> Iterator[str | bytes]:
        """Yield the pieces of a document, each after it is known to hold nothing that was found.

        :raises RedactionRefused: one does.
        """
        return Guard(self._matcher.again()).checked(pieces)

    def _learn(self, whole: _Whole) -> Matcher:
        """Look through an exchange until nothing new is found; return a matcher for all that was."""
        matcher = self._matcher.again()
        for _ in range(_PASSES):
            whole.without(matcher)
            if not matcher.learns:
                break
            matcher = matcher.again()
        self._matcher = matcher
        final = matcher.again()
        final.copies = bool(matcher.counts)
        return final

    def _told(self, matcher: Matcher) -> str:
        counts = ((rule, len(matcher.counts.get(rule.number, ()))) for rule in self.rules)
        return ", ".join(f"{rule.label}: {count}" for rule, count in counts if count)


class _Whole:
    """An exchange as it was recorded, taken apart once."""

    def __init__(self, rebuilt: Rebuilt) -> None:
        self._exchange = exchange = rebuilt.exchange
        self._coding = exchange.content_coding
        self._body = undo(exchange.body, self._coding).body
        self._answer = body_source(self._body, rebuilt.answer, exchange.response.headers if exchange.response else ())
        self._payload = b""
        self._asked: Source | None = None
        if exchange.request is not None:
            self._payload = undo(exchange.request.payload, first_header(exchange.request.headers, _CODED)).body
            self._asked = request_source(exchange.request, self._payload)

    def without(self, matcher: Matcher) -> Exchange:
        """Return it without what is found in it."""
        exchange, ending = self._exchange, self._exchange.ending
        body, chunks, response = self._answered(matcher)
        if ending is not None:
            ending = replace(ending, facts=_value(ending.facts, "ending", matcher))
        name = exchange.conversation_name
        return replace(
            exchange,
            request=self._request(exchange.request, matcher) if exchange.request else None,
            response=response,
            body=body,
            chunks=chunks,
            ending=ending,
            gaps=tuple(_value(gap, "gap", matcher) for gap in exchange.gaps),
            imported=_told_by_file(exchange.imported, matcher),
            conversation_name=None if name is None else matcher.text(name, "name"),
            anomalies=tuple(
                replace(fact, detail=matcher.text(fact.detail, ("anomaly", at)))
                for at, fact in enumerate(exchange.anomalies)
            ),
        )

    def _request(self, request: Request, matcher: Matcher) -> Request:
        url = matcher.text(request.url, "url", marker=URL_MARKER, form=True)
        headers, places = _headers(request.headers, "request", matcher)
        payload = request.payload
        edits = self._asked.edits(matcher) if self._asked is not None else []
        if edits:
            payload = replaced(self._payload, edits)
            headers = _sized(_bare(headers), len(payload))
            places.append("export:body:")
        if url != request.url:
            places.append("export:url")
        if not places:
            return request
        return replace(request, url=url, headers=headers, payload=payload, redacted=(*request.redacted, *places))

    def _answered(self, matcher: Matcher) -> tuple[bytes, tuple[Chunk, ...], Response | None]:
        exchange, response = self._exchange, self._exchange.response
        places: list[str] = []
        if response is not None:
            headers, places = _headers(response.headers, "response", matcher)
            reason = matcher.text(response.reason, "reason")
            if places or reason != response.reason:
                response = replace(response, headers=headers, reason=reason)
        edits = self._answer.edits(matcher)
        body, chunks = exchange.body, exchange.chunks
        if edits:
            body = replaced(self._body, edits)
            ends = decoded_ends(exchange.body, self._coding, [chunk.end for chunk in chunks], len(self._body))
            if ends is None:  # the coding does not let it be told: all of it is there with the last chunk
                ends = (*([0] * (len(chunks) - 1)), len(self._body))
            chunks = _cut_at(chunks, moved(ends, edits), len(body))
            places.append("export:body:")
            if response is not None:
                response = _resized(response, exchange.body, body)
        if response is not None and places:
            response = replace(response, redacted=(*response.redacted, *places))
        return body, chunks, response


def _value(value: Any, place: str, matcher: Matcher) -> Any:
    if isinstance(value, str):
        return matcher.text(value, place)
    if isinstance(value, Mapping):
        return {key: _value(held, f"{place}/{key}", matcher) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_value(held, f"{place}/{at}", matcher) for at, held in enumerate(value)]
    return value


def _told_by_file(facts: Mapping[str, Any] | None, matcher: Matcher) -> Mapping[str, Any] | None:
    """Return the facts of an import with the words of the file and its name looked through; the others are ours."""
    if facts is None:
        return None
    return {key: _value(held, "imported", matcher) if key in _OF_FILE else held for key, held in facts.items()}


def _headers(headers: Headers, side: str, matcher: Matcher) -> tuple[Headers, list[str]]:
    made = tuple((name, matcher.text(value, (side, name))) for name, value in headers)
    places = [f"export:header:{new[0].lower()}" for old, new in zip(headers, made, strict=True) if old != new]
    return made, places


def _cut_at(chunks: Sequence[Chunk], ends: Sequence[int], size: int) -> tuple[Chunk, ...]:
    """Return the chunks with other ends; what was after the last one belongs to it."""
    made: list[Chunk] = []
    start = 0
    for number, (chunk, end) in enumerate(zip(chunks, ends, strict=True), 1):
        end = size if number == len(chunks) else max(start, min(end, size))
        made.append(chunk._replace(start=start, end=end))
        start = end
    return tuple(made)


def _bare(headers: Headers) -> Headers:
    return tuple((name, value) for name, value in headers if name.lower() != _CODED)


def _sized(headers: Headers, size: int) -> Headers:
    return tuple((name, str(size) if name.lower() == "content-length" else value) for name, value in headers)


def _resized(response: Response, before: bytes, after: bytes) -> Response:
    """Return the head of an answer whose body is another one: below its coding, as much longer as the body is."""
    headers, length = _bare(response.headers), response.length
    if length is not None:
        length = max(0, length + len(after) - len(before))
        headers = _sized(headers, length)
    return replace(response, headers=headers, length=length)


def _readable(rebuilt: Rebuilt) -> None:
    exchange = rebuilt.exchange
    bodies = [(exchange.body, exchange.content_coding, "answer")]
    if exchange.request is not None:
        bodies.append((exchange.request.payload, first_header(exchange.request.headers, _CODED), "request"))
    for body, coding, side in bodies:
        if not undo(body, coding).understood:
            raise RedactionRefused(
                f"the body of the {side} of exchange {rebuilt.id} cannot be searched: its content coding {coding!r} "
                "cannot be undone here; install the module for it, or export without it"
            )


def _as_it_was(before: Rebuilt, after: Rebuilt) -> Rebuilt:
    """Return *after* with what was known of the content coding: it is undone, and was as it was."""
    if before.exchange.response == after.exchange.response or not before.exchange.body:
        return after
    coding = [fact for fact in before.anomalies if fact.kind.startswith(("coding_", "decoded_"))]
    known = [fact.kind for fact in after.anomalies]
    evidence = replace(after.evidence, coding_cut=before.evidence.coding_cut)
    kept = tuple(fact for fact in coding if fact.kind not in known)
    return replace(after, evidence=evidence, verdict=verdict(evidence), anomalies=(*kept, *after.anomalies))

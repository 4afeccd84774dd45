"""A rebuilt exchange, and how it is shown as JSON (docs/schema/show.schema.json, list.schema.json).

Absent is absent: a key whose value is not known is not there, and there are no nulls but those that a
provider sent inside a value that is shown as it came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from recorder.core.conversation import Conversation, Relation
from recorder.core.exchange import Exchange, Headers
from recorder.core.json_text import milliseconds, plain, present, rfc3339, whole
from recorder.core.linked import Linked
from recorder.core.message_json import AnswerJson, message_json, tokens_json
from recorder.core.messages import ERASED, NOT_AS_WRITTEN, UNKNOWN_TYPE, Anomaly, Answer, Message, RequestReading
from recorder.core.provenance import Arrivals
from recorder.core.verdict import Evidence

_SHORT = 200


@dataclass(frozen=True, slots=True)
class Place:
    """Where an exchange stands among others.

    :ivar conversation: id of the conversation that it is in; ``name`` as the user named it.
    :ivar parent: id of the exchange that it extends.
    :ivar extended_by: how many of those that are exported with it extend it.
    :ivar relation: what it is to those before it, where somebody looked: see :mod:`recorder.core.history`.
    """

    conversation: str | None = None
    name: str | None = None
    parent: str | None = None
    extended_by: int = 0
    relation: Relation | None = None


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """An exchange and what it says.

    :ivar reading: what a dialect reads from the request; None where none can.
    :ivar answer: what a dialect reads from the body.
    :ivar verdict: one of ``complete``, ``truncated``, ``aborted_by_client``, ``errored``, ``unknown``.
    :ivar anomalies: of the event stream, of the content coding and of the body.
    :ivar arrivals: tells when the bytes arrived that made a part of the answer.
    :ivar place: where it stands among others, where somebody looked.
    :ivar links: what rests on it outside, orders say, where somebody looked.
    """

    exchange: Exchange
    reading: RequestReading | None
    answer: Answer
    verdict: str
    evidence: Evidence
    anomalies: tuple[Anomaly, ...] = ()
    arrivals: Arrivals = field(default_factory=lambda: Arrivals((), None, 0), compare=False, repr=False)
    place: Place | None = field(default=None, compare=False, repr=False)
    links: tuple[Linked, ...] = field(default=(), compare=False, repr=False)

    @property
    def id(self) -> str:
        """The exchange's id as text."""
        return self.exchange.id

    @property
    def request_messages(self) -> tuple[Message, ...]:
        """The messages that were sent, as far as they could be read."""
        return self.reading.messages if self.reading else ()

    @property
    def answer_messages(self) -> tuple[Message, ...]:
        """The message of each choice."""
        return tuple(choice.message for choice in self.answer.choices)

    @property
    def model(self) -> str | None:
        """The model that answered, else the one that was asked."""
        if self.answer.models:
            return self.answer.models[-1]
        return self.reading.model if self.reading else None

    @property
    def not_as_written(self) -> str | None:
        """What its hash chain says against the recording; None where nothing is known against it."""
        return next((fact.detail for fact in self.anomalies if fact.kind == NOT_AS_WRITTEN), None)

    @property
    def lost(self) -> tuple[str, ...]:
        """What the recorder itself noted that it could not keep, a sentence for each loss."""
        return tuple(map(_loss, self.exchange.gaps))

    @property
    def unknown_events(self) -> str | None:
        """Which events of it nobody here can read; None where all can be read."""
        found = [fact for fact in self.exchange.anomalies if fact.kind == UNKNOWN_TYPE]
        if not found:
            return None
        where = f"version {found[0].version}" if len(found) == 1 else f"the first one is version {found[0].version}"
        what = "1 event of it is" if len(found) == 1 else f"{len(found):,} events of it are"
        return f"{what} of a type that this version of recorder does not know, {where}"

    @property
    def erased(self) -> str | None:
        """What is known of its erasure; None where what was said in it is there."""
        return next((fact.detail for fact in self.exchange.anomalies if fact.kind == ERASED), None)


def _loss(facts: Mapping[str, Any]) -> str:
    events = facts.get("events")
    what = f"{events:,} {'event' if events == 1 else 'events'}" if type(events) is int and events > 0 else "events"
    reason = f" ({facts['reason']})" if isinstance(facts.get("reason"), str) else ""
    return f"the recorder itself noted that {what} of it could not be kept{reason}"


def place_of(rebuilt: Rebuilt, conversation: Conversation | None) -> Place:
    """Return where an exchange stands: in *conversation* where there is one, else as it is known of it."""
    if conversation is not None:
        return Place(conversation.id, conversation.name, conversation.parents.get(rebuilt.id))
    return rebuilt.place or Place(rebuilt.exchange.conversation, rebuilt.exchange.conversation_name)


def summary(rebuilt: Rebuilt, *, conversation: str | None = None) -> dict[str, Any]:
    """Return one line of ``list --json``.

    :param conversation: id of the conversation it belongs to; by default that of its opening.
    """
    exchange = rebuilt.exchange
    request, response = exchange.request, exchange.response
    return present(
        id=exchange.id,
        conversation=conversation or exchange.conversation,
        started_at=None if exchange.lacks("started_at") else rfc3339(exchange.started_ns),
        imported_at=None if exchange.imported_ns is None else rfc3339(exchange.imported_ns),
        method=request.method if request else None,
        url=whole(request.url) if request else None,
        status=response.status if response else None,
        model=rebuilt.model,
        verdict=rebuilt.verdict,
        erased=True if rebuilt.erased else None,
        chunks=None if exchange.lacks("chunk_boundaries") else len(exchange.chunks),
        bytes=len(exchange.body),
        duration_ms=_ms(exchange.duration_ns),
        first_chunk_ms=_ms(exchange.first_chunk_ns),
        dialect=rebuilt.answer.dialect,
        finish=[choice.finish for choice in rebuilt.answer.choices if choice.finish] or None,
        tools=plain(_tools(rebuilt)) or None,
        tokens=tokens_json(rebuilt.answer.tokens),
    )


def _tools(rebuilt: Rebuilt) -> list[str]:
    """The names of the tools that the answer calls, each once."""
    calls = (call for message in rebuilt.answer_messages for call in message.tool_calls)
    return list(dict.fromkeys(call.name for call in calls if call.name))


def as_json(
    rebuilt: Rebuilt,
    *,
    conversation: str | None = None,
    parent: str | None = None,
    relation: Relation | None = None,
    asked: Callable[[Message], Any] = message_json,
    payload: Callable[[Any], Any] = plain,
) -> dict[str, Any]:
    """Return what ``show --json`` prints.

    :param conversation: id of the conversation it belongs to; by default that of its opening.
    :param parent: id of the exchange that its request extends, where one is known.
    :param relation: what it is to those before it, with what was changed in the history that it sent.
    :param asked: what stands for each message of the request; ``payload``: for its JSON value.
    """
    exchange, answer, reading = rebuilt.exchange, rebuilt.answer, rebuilt.reading
    shown = AnswerJson(rebuilt.arrivals)
    messages = list(map(asked, rebuilt.request_messages))
    messages += [shown.message(choice.message, choice.index) for choice in answer.choices]
    differing = answer.usage_reports if len(answer.usage_reports) > 1 else None
    return present(
        **summary(rebuilt, conversation=conversation),
        conversation_name=exchange.conversation_name,
        parent=parent,
        relation={"kind": relation.kind, "of": relation.of} if relation is not None and relation.of else None,
        call=exchange.call,
        attempt=exchange.attempt,
        imported=plain(exchange.imported),
        request=_request(exchange, payload),
        response=_response(exchange),
        messages=messages,
        choices=[shown.choice(choice) for choice in answer.choices],
        usage=plain(answer.usage),
        usage_reports=plain(differing),
        finish_reasons=[choice.finish_reason for choice in answer.choices if choice.finish_reason],
        model_requested=plain(reading.model) if reading else None,
        models_answered=plain(answer.models) or None,
        provider_ids=plain(answer.ids) or None,
        provider_request_ids=_provider_request_ids(exchange) or None,
        provider_fields=plain(answer.extras) or None,
        evidence=_evidence(rebuilt.evidence),
        findings=[*_findings(rebuilt.anomalies), *_history(relation.findings if relation else ())],
    )


def relation_of(rebuilt: Rebuilt, conversation: Conversation | None) -> Relation | None:
    """Return what an exchange is to those before it; None where nobody looked."""
    if conversation is not None:
        return conversation.relations.get(rebuilt.id)
    return rebuilt.place.relation if rebuilt.place is not None else None


def changes_of(rebuilt: Rebuilt, conversation: Conversation | None) -> tuple[Anomaly, ...]:
    """Return what was changed in the history that an exchange sent; empty where nobody looked."""
    relation = relation_of(rebuilt, conversation)
    return relation.findings if relation is not None else ()


def origin_json(exchange: Exchange) -> dict[str, Any]:
    """Return ``imported`` and ``imported_at`` as an export has them: where its recording comes from.

    What came here in an export of ours is exported again as that export had it.
    """
    facts = exchange.imported
    if facts is None:
        return {}
    before = facts.get("before")
    if isinstance(before, dict):
        return {name: plain(before[name]) for name in ("imported", "imported_at") if name in before}
    at = None if exchange.imported_ns is None else rfc3339(exchange.imported_ns)
    return present(imported=plain(facts), imported_at=at)


def _ms(duration_ns: int | None) -> float | None:
    return None if duration_ns is None else milliseconds(duration_ns)


#: Headers by which providers, and gateways before them, name a request in their own logs.
_REQUEST_IDS: Final = frozenset(
    {
        *("x-request-id", "request-id", "apim-request-id", "x-ms-request-id", "x-amzn-requestid", "x-goog-request-id"),
        *("x-generation-id", "x-groq-request-id", "x-kong-request-id", "mistral-correlation-id", "cf-ray"),
    }
)


def _provider_request_ids(exchange: Exchange) -> dict[str, str]:
    headers = exchange.response.headers if exchange.response else ()
    return {name.lower(): value for name, value in headers if name.lower() in _REQUEST_IDS}


def _fields(headers: Headers) -> list[list[str]]:
    return [[name, value] for name, value in headers]


def _request(exchange: Exchange, payload: Callable[[Any], Any]) -> dict[str, Any] | None:
    request = exchange.request
    if request is None:
        return None
    shown = present(
        method=request.method,
        url=whole(request.url),
        headers=_fields(request.headers),
        redacted=list(request.redacted) or None,
        bytes=len(request.payload),
    )
    if request.json is not None:
        shown["json"] = payload(request.exact_json)
    elif request.payload:
        shown["body"] = request.payload.decode("utf-8", "replace")
    return shown


def _response(exchange: Exchange) -> dict[str, Any] | None:
    response = exchange.response
    if response is None:
        return None
    return present(
        status=response.status,
        reason=response.reason or None,
        headers=_fields(response.headers),
        framing=response.framing or None,
        redacted=list(response.redacted) or None,
    )


def _evidence(evidence: Evidence) -> dict[str, Any]:
    reasons: Mapping[int, str | None] = evidence.finish_reasons
    return present(
        transport_end=evidence.transport_end,
        failure=plain(evidence.failure),
        http_status=evidence.http_status,
        sentinel_seen=evidence.sentinel_seen,
        finish_reasons={str(index): plain(reason) for index, reason in reasons.items() if reason is not None},
        unfinished_choices=[index for index, reason in reasons.items() if reason is None] or None,
        failed_choices=list(evidence.failed_choices) or None,
        choices_asked=evidence.choices_asked,
        choices_missing=evidence.choices_missing or None,
        usage_seen=evidence.usage_seen,
        unparsed_tail_bytes=evidence.unparsed_tail_bytes,
        error_frames=plain(evidence.error_frames) or None,
        finished=evidence.finished,
        content_coding_cut=evidence.coding_cut or None,
        recording_has_gaps=evidence.missing or None,
        answer_pending=evidence.pending or None,
        unread_places=evidence.unread or None,
    )


def _findings(anomalies: Iterable[Anomaly]) -> list[dict[str, Any]]:
    """Return the anomalies, each kind once, with the place of the first and how often it came."""
    found: dict[str, dict[str, Any]] = {}
    for fact in anomalies:
        if fact.kind in found:
            found[fact.kind]["count"] += 1
            continue
        detail = whole(fact.detail)
        found[fact.kind] = present(
            kind=fact.kind,
            detail=detail if len(detail) <= _SHORT else detail[:_SHORT] + "…",
            start=fact.start,
            end=fact.end,
            version=fact.version,
            count=1,
        )
    return list(found.values())


def _history(findings: Iterable[Anomaly]) -> list[dict[str, Any]]:
    """Return what was changed in the history, each detail by itself: which message, and what, must not be lost."""
    counted = Counter((fact.kind, whole(fact.detail)) for fact in findings)
    return [{"kind": kind, "detail": detail, "count": count} for (kind, detail), count in counted.items()]

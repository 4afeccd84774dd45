"""OpenTelemetry: one span for each exchange, as OTLP JSON in the lines of the OTLP file exporter.

Encoding: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding (ids in hex, enums as numbers, 64-bit
integers as text). File: https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/ (each line a ``TracesData``,
which is also an ``ExportTraceServiceRequest``). Attributes: the GenAI conventions, and those of HTTP client spans.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from recorder.core.conversation import Conversation
from recorder.core.exchange import Exchange
from recorder.core.json_text import present, whole
from recorder.core.rebuilt import Place, Rebuilt, changes_of, place_of
from recorder.formats.genai_attributes import genai_attributes, operation_of

_CLIENT: Final = 3  # Span.SPAN_KIND_CLIENT
_ERROR: Final = 2  # Status.STATUS_CODE_ERROR
_PORTS: Final = {"http": 80, "https": 443}
#: What can be an error's type: few values, no sentences.
_WORD: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
#: Verdicts that are errors. A consumer that stops reading makes none, and of what is unknown nothing is said.
_FAILED: Final = frozenset({"errored", "truncated"})


class OtlpLines:
    """Spans for any OpenTelemetry backend.

    The trace is the conversation, its id the conversation's where that is a UUID; the span's id is a hash of the
    exchange's. An exchange that extends another one links to its span: it is no child, for that one had ended. A
    request that is no call of a model gets an HTTP span without GenAI attributes.

    ``recorder.verdict`` tells of every span whether its answer is whole; one that is ``errored`` or ``truncated`` has
    an error status, and a finish reason that was owed and never came is ``error``, as the conventions lay down.
    ``recorder.not_as_written`` is there where a recording was changed afterwards, ``recorder.history_findings`` where
    the history that was sent back is not what was said before. The end is that of the transport; of an exchange whose
    end was not seen, the last chunk; without one, there is none.
    """

    name = "otlp"
    help = "OpenTelemetry GenAI spans as OTLP JSON lines"
    is_binary = False

    def render(self, exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> Iterator[str]:
        """Yield a line for each exchange."""
        for rebuilt in exchanges:
            spans = {"scope": {"name": "recorder"}, "spans": [_span(rebuilt, conversation)]}
            line = {"resourceSpans": [{"resource": {}, "scopeSpans": [spans]}]}
            yield json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"


def _span(rebuilt: Rebuilt, conversation: Conversation | None) -> dict[str, Any]:
    exchange = rebuilt.exchange
    url = _split(exchange.request.url if exchange.request else "")
    place = place_of(rebuilt, conversation)
    changes = [f"{change.kind}: {change.detail}" for change in changes_of(rebuilt, conversation)] or None
    trace, parent = _trace_id(place.conversation or rebuilt.id), place.parent
    attributes = [
        {"key": key, "value": _value(value)}
        for key, value in (*_attributes(rebuilt, url, place), ("recorder.history_findings", changes))
        if value is not None
    ]
    return present(
        traceId=trace,
        spanId=_span_id(rebuilt.id),
        name=_name(rebuilt, url),
        kind=_CLIENT,
        startTimeUnixNano=None if exchange.lacks("started_at") else str(exchange.started_ns),
        endTimeUnixNano=_end(exchange),
        attributes=attributes,
        links=[{"traceId": trace, "spanId": _span_id(parent)}] if parent is not None else None,
        status={"code": _ERROR, "message": rebuilt.verdict} if rebuilt.verdict in _FAILED else None,
    )


def _is_inference(rebuilt: Rebuilt) -> bool:
    return rebuilt.reading is not None or rebuilt.answer.dialect != "opaque"


def _name(rebuilt: Rebuilt, url: SplitResult) -> str:
    if _is_inference(rebuilt):
        model = rebuilt.reading.model if rebuilt.reading else None
        return whole(" ".join(filter(None, (operation_of(url), model))))
    request = rebuilt.exchange.request
    return whole(request.method) if request and request.method else "HTTP"


def _attributes(rebuilt: Rebuilt, url: SplitResult, place: Place) -> Iterator[tuple[str, Any]]:
    exchange = rebuilt.exchange
    if _is_inference(rebuilt):
        yield from genai_attributes(rebuilt, url)
        yield "gen_ai.conversation.id", place.conversation
    if exchange.request is not None:
        yield "http.request.method", exchange.request.method
        yield "url.full", exchange.request.url
        yield "server.address", url.hostname
        yield "server.port", _port(url)
    yield "http.response.status_code", exchange.response.status if exchange.response else None
    yield "http.request.resend_count", exchange.attempt - 1 if exchange.attempt and exchange.attempt > 1 else None
    yield "error.type", _error_type(rebuilt)
    yield "recorder.exchange.id", rebuilt.id
    yield "recorder.conversation.name", place.name
    yield "recorder.call.id", exchange.call
    yield "recorder.verdict", rebuilt.verdict
    yield "recorder.not_as_written", rebuilt.not_as_written
    yield "recorder.erased", rebuilt.erased


def _error_type(rebuilt: Rebuilt) -> str | None:
    """Return what the transport, the provider or HTTP calls the error, in this order; else the verdict."""
    if rebuilt.verdict not in _FAILED:
        return None
    evidence = rebuilt.evidence
    frames = [frame for frame in evidence.error_frames if isinstance(frame, dict)]
    said = [(evidence.failure or {}).get("kind"), *(frame.get(key) for frame in frames for key in ("code", "type"))]
    status = evidence.http_status or 0
    words = (str(word) for word in said if isinstance(word, str | int) and not isinstance(word, bool))
    known = next((word for word in words if _WORD.fullmatch(word)), None)
    return known or (str(status) if status >= 400 else rebuilt.verdict)


def _end(exchange: Exchange) -> str | None:
    if exchange.lacks("started_at"):
        return None
    if exchange.duration_ns is not None:
        return str(exchange.started_ns + exchange.duration_ns)
    if exchange.chunks and not exchange.lacks("chunk_times"):
        return str(exchange.started_ns + exchange.chunks[-1].mono_ns - exchange.origin_ns)
    return None


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _port(url: SplitResult) -> int | None:
    if not url.hostname:
        return None
    try:
        return url.port or _PORTS.get(url.scheme)
    except ValueError:
        return None


def _trace_id(identity: str) -> str:
    """Return 16 bytes in hex: those of a UUID, else a hash."""
    try:
        found = uuid.UUID(identity)
    except ValueError:
        found = uuid.UUID(int=0)
    return found.hex if found.int else hashlib.blake2b(identity.encode("utf-8", "replace"), digest_size=16).hexdigest()


def _span_id(exchange: str) -> str:
    return hashlib.blake2b(exchange.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _value(value: Any) -> dict[str, Any]:
    """Return an ``AnyValue``."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue" if -(2**63) <= value < 2**63 else "stringValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    return {"stringValue": whole(value)}


FORMAT = OtlpLines()

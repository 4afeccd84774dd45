"""From an exchange to what it says: content coding undone, the dialect chosen, the answer read, the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from recorder.core.content_coding import decoded_ends, undo
from recorder.core.exchange import Exchange
from recorder.core.holes import without_holes
from recorder.core.messages import Anomaly, Answer, RequestReading
from recorder.core.provenance import Arrivals
from recorder.core.rebuilt import Rebuilt
from recorder.core.verdict import Evidence, gather, verdict
from recorder.dialects.base import Clues, Dialect, choose, failed_claims, read_request, reason_of
from recorder.dialects.opaque import DIALECT as OPAQUE
from recorder.dialects.remembered import Remembered, sent

_PIECE = 1 << 16


def rebuild(exchange: Exchange, remembered: Remembered | None = None) -> Rebuilt:
    """Return what *exchange* says. Never raises: what cannot be read is reported and left as bytes.

    :param remembered: what was read of others, by whoever reads many: their requests repeat each other.
    """
    request, response = exchange.request, exchange.response
    decoded = undo(exchange.body, response.header("content-encoding") if response else None)
    body = decoded.body if decoded.understood else b""
    clues = Clues(request.url if request else "", (response.header("content-type") if response else None) or "", body)
    dialect: Dialect | None = None
    if response is None and not exchange.body:
        answer = Answer(dialect="opaque", shape="empty")
    elif not decoded.understood:
        answer = Answer(dialect="opaque", shape="binary")
    else:
        dialect = choose(clues)
        answer = _read(dialect, clues, _missing(exchange, body) if exchange.holes else ())
    reading: RequestReading | None = None
    if request is not None and request.json is not None:
        payload = sent(request.json, request.payload, remembered)
        reading = read_request(request.url, payload, dialect)
    asked = reading.choices if reading else None
    evidence = gather(exchange, answer, asked, (decoded.understood, decoded.cut))
    return Rebuilt(
        exchange=exchange,
        reading=reading,
        answer=answer,
        verdict=verdict(evidence),
        evidence=evidence,
        arrivals=_arrivals(exchange, len(body) if decoded.understood else None),
        anomalies=(*exchange.anomalies, *decoded.anomalies, *_lack(evidence), *answer.anomalies),
    )


def _arrivals(exchange: Exchange, size: int | None) -> Arrivals:
    ends: Sequence[int] | None = None
    if size is not None and not exchange.lacks("chunk_boundaries"):
        coding = exchange.response.header("content-encoding") if exchange.response else None
        ends = decoded_ends(exchange.body, coding, [chunk.end for chunk in exchange.chunks], size)
    return Arrivals(exchange.chunks, ends, None if exchange.lacks("chunk_times") else exchange.origin_ns)


def _missing(exchange: Exchange, body: bytes) -> list[tuple[int, int]]:
    """Return where in the decoded body something of it was not recorded."""
    if 0 in exchange.holes or body != exchange.body:  # a content coding that is broken off may give anything
        return [(0, len(body))]
    places = [max((chunk.end for chunk in exchange.chunks if chunk.version < at), default=0) for at in exchange.holes]
    return [(place, place) for place in places]


def _lack(evidence: Evidence) -> Iterator[Anomaly]:
    if evidence.choices_missing:
        asked = evidence.choices_asked or 1
        told = "one choice was" if asked == 1 else f"{asked} choices were"
        yield Anomaly("choices_missing", f"{told} asked for, {asked - evidence.choices_missing} came")


def _read(dialect: Dialect, clues: Clues, missing: Sequence[tuple[int, int]]) -> Answer:
    try:
        answer = without_holes(_read_by(dialect, clues), missing, clues.body)
        if dialect is OPAQUE:
            failures = tuple(Anomaly("dialect_failed", reason) for reason in failed_claims(clues))
            answer = replace(answer, anomalies=(*answer.anomalies, *failures)) if failures else answer
        return answer
    except Exception as error:  # noqa: BLE001 - a dialect that fails, perhaps somebody else's: the bytes are still there
        answer = _read_by(OPAQUE, clues)
        failed = Anomaly("dialect_failed", f"the dialect {dialect.name} failed: {reason_of(error)}")
        return replace(answer, whole=None, anomalies=(*answer.anomalies, failed))


def _read_by(dialect: Dialect, clues: Clues) -> Answer:
    reader = dialect.reader(clues)
    body = clues.body
    for at in range(0, len(body), _PIECE):
        reader.feed(body[at : at + _PIECE])
    return reader.close()

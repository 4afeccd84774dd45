"""How an exchange ended, as one word with the evidence for it.

The first row that applies decides. *Finished* means that the answer owes nothing more: every choice that
was asked for came and has a finish reason, or the end marker came and no choice has one (some providers never
send them), or the body is one whole document. *Lacking* means that the answer came to its end all the same (the
end marker, or one whole document), and a choice has no finish reason or one that was asked for never came: the
provider may not know ``n``, or have dropped it; nothing was cut, and nothing says that this was all. A document
that says that the answer is still being made is lacking too, and so is an answer that would be finished, but
something in its midst could not be read: what was said there, nobody knows.
Of what was imported, the file may not have the body, or may have messages and no word that the answer came to its end:
no dialect can tell then.
*Bytes are missing* means a ``gap_recorded``, a hole in the event stream, or an event of a type that is not known here:
a newer recorder wrote it, and what it says could change everything.

=====================================================================  =================
what is recorded                                                        verdict
=====================================================================  =================
the program broke off by itself before an answer came                   aborted_by_client
the request failed: no answer came                                      errored
HTTP status 400 or above                                                errored
an error object or error event in the body                              errored
a finish reason by which the provider says that it failed               errored
the transport failed before the head, or the framing was malformed      errored
bytes are missing from the recording                                    unknown
the body ended before its framing, or was reset, or timed out           truncated
no end is recorded (yet)                                                unknown
the consumer closed, let go, or its process died, answer finished       complete
the same, answer lacking                                                unknown
the same, answer not finished                                           aborted_by_client
the recorder was closed first, answer finished / not finished           complete / unknown
body ended as framed, answer finished                                   complete
body ended as framed, its content coding is cut short                   truncated
body ended as framed, answer lacking                                    unknown
body ended as framed, no dialect can tell whether it is finished        unknown
body ended as framed, not finished                                      truncated
=====================================================================  =================

Both are needed for ``complete``: the dialect's end and an end of the transport that is not a failure.
A consumer that closes right after the end (as the openai SDK does at ``[DONE]``) has the whole answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from recorder.core.events import INTERRUPTED
from recorder.core.exchange import Exchange, Response
from recorder.core.json_text import parse_json
from recorder.core.messages import UNKNOWN_TYPE, Answer, ToolCallPart

#: Shapes that end where the connection does: only their dialect knows whether that was the end.
_STREAMS: Final = frozenset({"sse", "ndjson", "eventstream"})
#: Anomalies of an event stream of which something is not known.
_HOLES: Final = frozenset({"missing_events", UNKNOWN_TYPE})
_CLIENT_ENDS: Final = frozenset({"consumer_closed", "consumer_abandoned", "process_died"})


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a verdict rests on.

    :ivar transport_end: type of the event that closed the exchange; None while none did.
    :ivar failure: facts of a failed transport (``kind``, ``phase``, ``error``).
    :ivar finish_reasons: per choice; None where none was sent.
    :ivar failed_choices: those with a finish reason by which the provider says that it failed.
    :ivar choices_asked: how many choices the request asked for, where it says so.
    :ivar choices_missing: how many of them (of one, where it does not say) never came, though the answer came to its
        end.
    :ivar finished: the answer owes nothing more; None where no dialect can tell.
    :ivar coding_cut: the content coding (gzip …) ends before its own end.
    :ivar missing: the recording has a hole: a ``gap_recorded``, missing versions, or an event of an unknown type.
    :ivar pending: a whole document says that the answer is still being made.
    :ivar unread: how many places in the midst of the answer could not be read.
    """

    transport_end: str | None
    failure: Mapping[str, Any] | None
    http_status: int | None
    error_frames: tuple[Any, ...]
    sentinel_seen: bool
    finish_reasons: Mapping[int, str | None]
    failed_choices: tuple[int, ...]
    choices_asked: int | None
    choices_missing: int
    usage_seen: bool
    unparsed_tail_bytes: int
    finished: bool | None
    coding_cut: bool
    missing: bool
    pending: bool = False
    unread: int = 0


def gather(exchange: Exchange, answer: Answer, choices_asked: int | None, coding: tuple[bool, bool]) -> Evidence:
    """Return the evidence about *exchange*.

    :param answer: what the dialect read from the body.
    :param choices_asked: how many choices the request asked for, where it says so.
    :param coding: the content coding was understood; it is cut short.
    """
    understood, cut = coding
    ending, response = exchange.ending, exchange.response
    failed = ending is not None and ending.type in ("request_failed", "response_failed")
    return Evidence(
        transport_end=exchange.transport_end,
        failure=ending.facts if failed and ending else None,
        http_status=response.status if response else None,
        error_frames=answer.errors,
        sentinel_seen=answer.sentinel_seen,
        finish_reasons={choice.index: choice.finish_reason for choice in answer.choices},
        failed_choices=tuple(choice.index for choice in answer.choices if choice.failed),
        choices_asked=choices_asked,
        choices_missing=_choices_missing(answer, choices_asked),
        usage_seen=bool(answer.usage_reports),
        unparsed_tail_bytes=answer.unparsed_tail_bytes,
        finished=_finished(exchange, answer, choices_asked) if understood else None,
        coding_cut=cut,
        missing=bool(exchange.gaps)
        or any(fact.kind in ("missing_events", UNKNOWN_TYPE) for fact in exchange.anomalies),
        pending=answer.pending,
        unread=_unread(answer),
    )


def _finished(exchange: Exchange, answer: Answer, choices_asked: int | None) -> bool | None:
    response = exchange.response
    if _untold(exchange):
        return None
    if answer.understood and not (response and _bodiless(response)):
        if answer.whole is not None:
            return answer.whole and not answer.pending and not _choices_missing(answer, choices_asked)
        finished = _choices_finished(answer, choices_asked)
        return None if finished and _unread(answer) else finished
    if answer.shape in _STREAMS or response is None:
        return None
    if answer.whole is not None:
        return answer.whole
    if response.framing == "length" and response.length is not None:
        return len(exchange.body) >= response.length
    return True if response.framing in ("chunked", "none") and exchange.transport_end == "response_completed" else None


def _untold(exchange: Exchange) -> bool:
    """Whether the file that it was imported from does not have the answer, or does not say whether it is whole."""
    if exchange.lacks("answer_end") or exchange.lacks("websocket_messages"):
        return True
    return exchange.lacks("response_body") and not (exchange.response and _bodiless(exchange.response))


def _unread(answer: Answer) -> int:
    """How many places could not be read; that something came before a place and is not here only seems so."""
    return sum(start < end for start, end in answer.holes)


def _bodiless(response: Response) -> bool:
    """Whether such an answer has no message to finish (RFC 9110 §15.3.5, §15.4, §9.3.2)."""
    return response.framing == "none" or response.status == 204 or 300 <= response.status < 400


def _choices_missing(answer: Answer, choices_asked: int | None) -> int:
    ended = answer.sentinel_seen or (answer.whole and not answer.pending)
    if not (answer.understood and ended) or answer.errors:
        return 0
    return max(0, (choices_asked or 1) - len(answer.choices))


def _choices_finished(answer: Answer, choices_asked: int | None) -> bool | None:
    """Whether every choice is finished; some providers send the end marker and never a finish reason.

    Others send a finish reason after each of several tool calls: where no end marker came, and the last call's
    arguments break off, nobody can tell. That they do with a call by itself is the model's mistake.
    """
    choices = answer.choices
    reasons = [bool(choice.finish_reasons) for choice in choices]
    if answer.sentinel_seen:
        return len(choices) >= (choices_asked or 1) and (all(reasons) or not any(reasons))
    if len(choices) < (choices_asked or 1) or not all(reasons):
        return False
    return None if any(_breaks_off(choice.message.tool_calls) for choice in choices) else True


def _breaks_off(calls: Sequence[ToolCallPart]) -> bool:
    """Whether the last of several calls has arguments that begin as JSON and do not end so."""
    if len(calls) < 2 or calls[-1].complete or calls[-1].arguments_text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        parse_json(calls[-1].arguments_text)
    except ValueError:
        return True
    return False


def _broke_off(evidence: Evidence) -> bool:
    return evidence.http_status is None and (evidence.failure or {}).get("kind") == INTERRUPTED


def _failed_transport(evidence: Evidence) -> bool:
    kind = (evidence.failure or {}).get("kind")
    return evidence.transport_end == "response_failed" and (evidence.http_status is None or kind == "malformed")


def _lacking(evidence: Evidence) -> bool:
    if evidence.finished is None and evidence.unread:
        return True
    return not evidence.finished and (evidence.sentinel_seen or evidence.choices_missing > 0 or evidence.pending)


#: ``(verdict, does it apply)``: the first that applies decides; see the table above.
RULES: Final[tuple[tuple[str, Callable[[Evidence], bool]], ...]] = (
    ("aborted_by_client", _broke_off),
    ("errored", lambda e: e.transport_end == "request_failed"),
    ("errored", lambda e: (e.http_status or 0) >= 400),
    ("errored", lambda e: bool(e.error_frames)),
    ("errored", lambda e: bool(e.failed_choices)),
    ("errored", _failed_transport),
    ("unknown", lambda e: e.missing),
    ("truncated", lambda e: e.transport_end in ("response_truncated", "response_failed")),
    ("unknown", lambda e: e.transport_end is None),
    ("complete", lambda e: e.transport_end in _CLIENT_ENDS and bool(e.finished)),
    ("unknown", lambda e: e.transport_end in _CLIENT_ENDS and _lacking(e)),
    ("aborted_by_client", lambda e: e.transport_end in _CLIENT_ENDS),
    ("complete", lambda e: bool(e.finished) and not e.coding_cut),
    ("unknown", lambda e: e.transport_end == "recorder_closed"),
    ("truncated", lambda e: e.coding_cut),
    ("unknown", lambda e: e.finished is None or _lacking(e)),
    ("truncated", lambda e: True),
)


def verdict(evidence: Evidence) -> str:
    """Return ``complete``, ``truncated``, ``aborted_by_client``, ``errored`` or ``unknown``."""
    return next(word for word, applies in RULES if applies(evidence))

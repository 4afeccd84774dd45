"""What only our own HAR has, under keys with ``_``: ids, chunks with their times, how the exchange ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from recorder.core.events import TERMINAL_TYPES
from recorder.formats.importing.base import Cut, Foreign, Origin
from recorder.formats.importing.values import EntryError, from_base64, integer, mapping_or_empty, text, texts


def entry_of_ours(exchange: Foreign, entry: dict[str, Any]) -> Foreign:
    """Return *exchange* with what our own HAR says beyond the specification.

    :raises EntryError: its recording was changed after it was made; its id is none.
    """
    changed = entry.get("_not_as_written")
    if changed is not None:
        raise EntryError(f"its recording was changed after it was made ({text(changed)})")
    request, response = mapping_or_empty(entry.get("request")), mapping_or_empty(entry.get("response"))
    coded = mapping_or_empty(response.get("content")).get("_coded")
    body = from_base64(coded) if coded is not None else exchange.body
    lacks = set(exchange.missing)
    cuts = exchange.cuts
    chunks = entry.get("_chunks")
    if isinstance(chunks, list):
        cuts = cuts_of(chunks, len(body))
        lacks -= {"chunk_boundaries", "chunk_times"} if cuts is not None else set()
    if coded is not None:
        lacks.discard("response_body")
    lacks |= set(texts(mapping_or_empty(entry.get("_imported")).get("missing")))
    end, failure = entry.get("_transport_end"), entry.get("_failure")
    known = end in TERMINAL_TYPES
    if not known:
        lacks.add("end")
    return replace(
        exchange,
        body=body,
        cuts=cuts,
        end=end if known else None,
        failure=failure if isinstance(failure, dict) else exchange.failure if end == "request_failed" else {},
        missing=tuple(sorted(lacks)),
        gaps=entry.get("_recording_has_gaps") is True,
        origin=origin_of(entry, request, response, prefix="_"),
    )


def cuts_of(chunks: list[Any], size: int) -> tuple[Cut, ...] | None:
    """Return the chunks of a body; None where they are those of other bytes: of a body that is kept decoded.

    :param chunks: objects with ``end`` and, where it is known, ``elapsed_ns``.
    """
    cuts: list[Cut] = []
    before = 0
    for chunk in chunks:
        end = integer(chunk.get("end")) if isinstance(chunk, dict) else None
        if end is None or end < before:
            return None
        cuts.append(Cut(end, integer(chunk.get("elapsed_ns"))))
        before = end
    return tuple(cuts) if before == size else None


def origin_of(
    entry: dict[str, Any], request: dict[str, Any], response: dict[str, Any], *, prefix: str = ""
) -> Origin | None:
    """Return what it was given when it was recorded; None where it has no id.

    :param request: of the entry, empty where there is none; so is *response*.
    :raises EntryError: its id is none.
    """
    identity = entry.get("_exchange" if prefix else "id")
    if identity is None:
        return None
    digits = text(identity).replace("-", "")
    if len(digits) != 32 or not digits.isalnum():
        raise EntryError("its id is no UUID")
    try:
        own = bytes.fromhex(digits)
    except ValueError:
        raise EntryError("its id is no UUID") from None
    told = {name: entry.get(prefix + name) for name in ("call", "conversation", "conversation_name")}
    words = {name: value if isinstance(value, str) else None for name, value in told.items()}
    attempt = integer(entry.get(prefix + "attempt"))
    redacted = (texts(holder.get(prefix + "redacted")) for holder in (request, response))
    return Origin(own, words["call"], attempt, words["conversation"], words["conversation_name"], *redacted)

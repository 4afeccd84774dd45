"""What only our own HAR has, under keys with ``_``: ids, chunks with their times, how the exchange ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from recorder.core.events import TERMINAL_TYPES
from recorder.formats.importing.base import Cut, Foreign, Origin
from recorder.formats.importing.values import EntryError, from_base64, integer, text


def entry_of_ours(exchange: Foreign, entry: dict[str, Any]) -> Foreign:
    """Return *exchange* with what our own HAR says beyond the specification.

    :raises EntryError: its recording was changed after it was made; its id is none.
    """
    changed = entry.get("_not_as_written")
    if changed is not None:
        raise EntryError(f"its recording was changed after it was made ({text(changed)})")
    response = entry.get("response")
    held = response if isinstance(response, dict) else {}
    content = held.get("content")
    coded = content.get("_coded") if isinstance(content, dict) else None
    body = from_base64(coded) if coded is not None else exchange.body
    lacks = set(exchange.missing)
    cuts = exchange.cuts
    chunks = entry.get("_chunks")
    if isinstance(chunks, list):
        cuts = cuts_of(chunks, len(body))
        lacks -= {"chunk_boundaries", "chunk_times"} if cuts is not None else set()
    if coded is not None:
        lacks.discard("response_body")
    told = entry.get("_imported")
    lacks |= set(told.get("missing", ())) if isinstance(told, dict) else set()
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
        origin=origin_of(entry, prefix="_", redacted=(places(entry.get("request")), places(held))),
    )


def places(holder: Any, name: str = "_redacted") -> tuple[str, ...]:
    """Return the places of a request or an answer that were redacted."""
    told = holder.get(name) if isinstance(holder, dict) else None
    return tuple(one for one in told if isinstance(one, str)) if isinstance(told, list) else ()


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
    entry: dict[str, Any], *, prefix: str = "", redacted: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
) -> Origin | None:
    """Return what it was given when it was recorded; None where it has no id.

    :param redacted: places of the request and of the answer.
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
    return Origin(own, words["call"], attempt, words["conversation"], words["conversation_name"], *redacted)

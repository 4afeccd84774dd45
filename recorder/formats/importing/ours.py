"""What our own exports have in common, HAR as well as JSON: ids, chunks, how an exchange ended, where it came from."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final

from recorder.core.events import TERMINAL_TYPES
from recorder.core.json_text import plain
from recorder.formats.importing.base import LACKS, Cut, Foreign, Home, Origin
from recorder.formats.importing.values import (
    EntryError,
    elapsed_ns,
    integer,
    iso_ns,
    mapping_or_empty,
    text,
    texts,
    word,
)

_MOST_ATTEMPTS: Final = 1_000_000
_NUMBERS: Final = 1 << 62
#: The facts of an end, and what each of them is: docs/format.md, "Failures" and "Ends".
_TEXTS: Final = ("kind", "phase", "tail", "pre", "found_by")
_COUNTS: Final = ("taken", "received", "expected")


def cuts_of(chunks: Any, size: int) -> tuple[Cut, ...] | None:
    """Return the chunks of a body; None where nothing tells them, or where they are those of another body.

    :param chunks: a list of objects with ``end`` and, where it is known, ``elapsed_ns``.
    """
    if not isinstance(chunks, list):
        return None
    cuts: list[Cut] = []
    before = 0
    for chunk in chunks:
        end = integer(chunk.get("end")) if isinstance(chunk, dict) else None
        if end is None or end < before:
            return None
        cuts.append(Cut(end, elapsed_ns(chunk.get("elapsed_ns"))))
        before = end
    return tuple(cuts) if before == size else None


def end_of(told: Any) -> str | None:
    """Return the type of the event that ended an exchange; None where none is named."""
    return told if isinstance(told, str) and told in TERMINAL_TYPES else None


def failure_of(told: Any) -> dict[str, Any]:
    """Return the facts of an end that are of the types that they have in our events; others are left out."""
    if not isinstance(told, dict):
        return {}
    facts = {name: told[name] for name in _TEXTS if isinstance(told.get(name), str)}
    facts |= {name: told[name] for name in _COUNTS if _is_number(told.get(name))}
    if isinstance(told.get("proxy"), bool):
        facts["proxy"] = told["proxy"]
    if isinstance(told.get("reads"), list) and all(map(_is_number, told["reads"])):
        facts["reads"] = told["reads"]
    error = told.get("error")
    if isinstance(error, dict):
        facts["error"] = {"type": word(error.get("type")), "message": word(error.get("message"))}
        if _is_number(error.get("errno")):
            facts["error"]["errno"] = error["errno"]
        args = error.get("args")
        if isinstance(args, list) and all(_is_number(one) or isinstance(one, str) for one in args):
            facts["error"]["args"] = args
    return facts


def _is_number(value: Any) -> bool:
    return type(value) is int and -_NUMBERS < value < _NUMBERS


def origin_of(entry: Mapping[str, Any], request: Any, response: Any, *, prefix: str = "") -> Origin | None:
    """Return what it was given when it was recorded; None where it has no id.

    :param prefix: of the names of our own fields.
    :raises EntryError: its id is none.
    """
    identity = entry.get("_exchange" if prefix else "id")
    if identity is None:
        return None
    try:
        own = uuid.UUID(text(identity)).bytes
    except ValueError:
        raise EntryError("its id is no UUID") from None
    attempt = integer(entry.get(f"{prefix}attempt"))
    asked, answered = (texts(mapping_or_empty(one).get(f"{prefix}redacted")) for one in (request, response))
    return Origin(
        own,
        word(entry.get(f"{prefix}call")) or None,
        attempt if attempt is not None and 0 < attempt < _MOST_ATTEMPTS else None,
        asked,
        answered,
        _before(entry, prefix),
    )


def _before(entry: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    imported, at = entry.get(f"{prefix}imported"), entry.get(f"{prefix}imported_at")
    if not isinstance(imported, dict):
        return {}
    return {"imported": plain(imported)} | ({"imported_at": at} if iso_ns(at) is not None else {})


def home_of(entry: Mapping[str, Any], name: Any, *, prefix: str = "") -> Home | None:
    """Return the conversation of an entry; None where it has none."""
    identity = word(entry.get(f"{prefix}conversation"))
    return Home(identity, name if isinstance(name, str) else None) if identity else None


def lacking(found: Foreign, told: Any) -> tuple[str, ...]:
    """Return what is missing from an exchange of our own.

    :param told: what its export says of where it had been imported from.
    """
    names = texts(told.get("missing")) if isinstance(told, dict) else ()
    lacks = {name for name in names if name in LACKS}
    has: Iterable[tuple[str, bool]] = (
        ("started_at", found.started_ns is not None),
        ("head_time", found.head_ns is not None or found.status is None),
        ("end_time", found.end_ns is not None),
        ("chunk_boundaries", found.cuts is not None),
        ("chunk_times", found.cuts is not None and all(cut.elapsed_ns is not None for cut in found.cuts)),
        ("end", found.end is not None),
    )
    lacks |= {name for name, there in has if not there}
    return tuple(sorted(lacks - ({"response_head"} if found.status is not None else set())))

"""Our own JSON and JSON Lines, as ``recorder export --format json`` and ``jsonl`` write them.

What they say of the answer is derived; what is imported is its body, its chunks with their times, and its end. Exports
of versions that did not write the body (``recording``) cannot be imported. What such an export has not: how HTTP
framed the chunks, what the program did with the answer, the tags of conversations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from recorder.core.json_text import parse_json
from recorder.core.messages import NOT_AS_WRITTEN
from recorder.core.reader_mark import reader_mark
from recorder.core.told_digest import told_digest
from recorder.errors import ImportRefused
from recorder.formats.importing.base import Foreign, Recording, Refused
from recorder.formats.importing.ours import cuts_of, end_of, failure_of, home_of, lacking, origin_of
from recorder.formats.importing.source import Source
from recorder.formats.importing.values import (
    EntryError,
    as_bytes,
    elapsed_ns,
    from_base64,
    headers,
    iso_ns,
    mapping,
    mapping_or_empty,
    numbered_lines,
    refuse_empty,
    status_of,
    text,
    word,
)

_SHAPE: Final = frozenset({"id", "verdict", "evidence", "messages"})


class Own:
    """Our own exports."""

    name = "recorder"
    help = "our own export as json or jsonl"
    order = 15

    def recognises(self, source: Source) -> bool:
        """A document of exchanges, or a line that is one."""
        if not source.looks_like_json:
            return False
        if _is_line(source):
            return True
        value = source.json
        if not isinstance(value, dict) or not isinstance(value.get("exchanges"), list):
            return False
        return all(isinstance(one, dict) and one.keys() >= _SHAPE for one in value["exchanges"][:1])

    def read(self, source: Source) -> Recording:
        """Return the recording."""
        if _is_line(source):
            return Recording(self.name, _lines(source.data), "jsonl")
        found = source.required_json()["exchanges"]
        return Recording(self.name, _document(found), "json")


def _is_line(source: Source) -> bool:
    line = source.first_line
    return isinstance(line, dict) and line.keys() >= _SHAPE


def _document(found: list[Any]) -> Iterator[Foreign | Refused]:
    for number, value in enumerate(found, 1):
        yield _entry(number, value)
    refuse_empty(bool(found), "exchanges")


def _lines(data: bytes) -> Iterator[Foreign | Refused]:
    for number, place, line in numbered_lines(data):
        try:
            value = parse_json(line)
        except ValueError as error:
            raise ImportRefused(f"line {place} is no JSON ({error})") from None
        yield _entry(number, value)


def _entry(number: int, value: Any) -> Foreign | Refused:
    try:
        return _exchange(number, mapping(value, "exchange"))
    except EntryError as error:
        return Refused(number, str(error))


def _exchange(number: int, value: dict[str, Any]) -> Foreign:
    changed = next((one for one in _dicts(value.get("findings")) if one.get("kind") == NOT_AS_WRITTEN), None)
    if changed is not None:
        raise EntryError(f"its recording was changed after it was made ({text(changed.get('detail'))})")
    if not isinstance(value.get("recording"), dict):
        raise EntryError("it has no bodies: export it again, as har or with this version of recorder")
    kept = value["recording"]
    request, response, evidence = value.get("request"), value.get("response"), mapping(value["evidence"], "evidence")
    fields, answer = mapping_or_empty(request), mapping_or_empty(response)
    versions = mapping_or_empty(kept.get("http"))
    body = _bytes(kept, "response_body")
    found = Foreign(
        number,
        text(fields.get("method")),
        text(fields.get("url")),
        headers(fields.get("headers")),
        _bytes(kept, "request_body"),
        status_of(answer.get("status")) if response is not None else None,
        text(answer.get("reason")),
        headers(answer.get("headers")),
        body,
        cuts=cuts_of(kept.get("chunks"), len(body)),
        started_ns=iso_ns(value.get("started_at")),
        head_ns=elapsed_ns(kept.get("head_ns")),
        end_ns=elapsed_ns(kept.get("end_ns")),
        end=end_of(evidence.get("transport_end")),
        failure=failure_of(evidence.get("failure")),
        versions={
            side: word(told) for side, told in versions.items() if side in ("request", "response") and word(told)
        },
        framing=word(answer.get("framing")) or None,
        gaps=evidence.get("recording_has_gaps") is True,
        origin=origin_of(value, fields, answer),
        home=home_of(value, value.get("conversation_name")),
        told=None if (untold := _untold(value)) else told_digest(value),
        untold=untold,
    )
    lacks = {*lacking(found, value.get("imported")), *(("request",) if request is None else ())}
    return replace(found, missing=tuple(sorted(lacks - ({"request"} if request is not None else set()))))


def _untold(value: dict[str, Any]) -> str | None:
    """Why what it says beside its bodies cannot be held against what is read in these here; None where it can."""
    reader, mark = value["recording"].get("reader"), reader_mark()
    if reader is None:
        return "the file does not say what read it"
    if mark is None:
        return "another package reads here, too"
    if reader != mark:
        return "another version read it"
    # Where the gaps were does not leave with an export, and what was read around them depends on it.
    return "its recording has gaps" if value["evidence"].get("recording_has_gaps") is True else None


def _bytes(kept: dict[str, Any], name: str) -> bytes:
    coded = kept.get(f"{name}_base64")
    return as_bytes(kept.get(name)) if coded is None else from_base64(coded)


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


IMPORTER = Own()

"""Where the markers of a request are: the places that its redaction named when it put them there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import unquote_plus

from recorder.core.exchange import Request
from recorder.core.form_fields import fields_of
from recorder.core.json_value import MISSING, parsed
from recorder.core.matching import PARAMETER
from recorder.core.multipart import parts_of
from recorder.core.redaction import MARKER

_MARK: Final = "~redacted~"


def marker_places(request: Request) -> frozenset[str]:
    """Return the places of a redacted request, as in :class:`recorder.core.redaction.Redacted`.

    Userinfo is left out: it is no part of a match.
    """
    found = {f"header:{name.lower()}" for name, value in request.headers if MARKER.search(value)}
    if _MARK in request.url:
        fields = PARAMETER.finditer(request.url.partition("#")[0])
        found |= {f"url:{unquote_plus(field[2])}" for field in fields if MARKER.search(field[3])}
    if _MARK.encode() in request.payload:
        found |= {f"body:{pointer}" for pointer in _in_payload(request.payload)}
    return frozenset(found)


def _in_payload(payload: bytes) -> Iterator[str]:
    text = payload.decode("utf-8", "surrogateescape")
    if MARKER.fullmatch(text):
        yield ""
        return
    value = parsed(payload)
    if value is not MISSING:
        yield from _in_json(value)
    elif (parts := parts_of(payload)) is not None:
        for part in parts:
            name, content = _pointed(part.name), payload[part.start : part.end]
            if MARKER.fullmatch(content.decode("latin-1")):
                yield f"/{name}"
            else:
                lines = [content] if parsed(content) is not MISSING else content.splitlines()
                yield from (f"/{name}{inner}" for line in lines for inner in _in_json(parsed(line)))
    else:
        yield from (f"/{name}" for name, start, end in fields_of(text) if MARKER.fullmatch(text, start, end))


def _in_json(value: Any) -> Iterator[str]:
    """Yield the JSON Pointers of the markers in a value; none of one that is nested too deeply."""
    left = [("", value)]
    while left:
        pointer, value = left.pop()
        if isinstance(value, dict):
            left += [(f"{pointer}/{_pointed(name)}", inner) for name, inner in value.items()]
        elif isinstance(value, list):
            left += [(f"{pointer}/{index}", inner) for index, inner in enumerate(value)]
        elif isinstance(value, str) and MARKER.fullmatch(value):
            yield pointer


def _pointed(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")

"""What the cassettes of VCR and its relatives have in common: pairs of request and response in one document."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from recorder.formats.importing.base import Foreign, Refused
from recorder.formats.importing.source import Source
from recorder.formats.importing.values import (
    EntryError,
    NoBytesError,
    PythonObject,
    as_bytes,
    from_base64,
    items,
    json_bytes,
    mapping,
    refuse_empty,
)

#: Makes an exchange of a pair; the number is its place in the file.
Reads = Callable[[int, dict[str, Any], dict[str, Any], dict[str, Any]], Foreign]
_PAIRED: Final = frozenset({None, "interactions", "http_interactions"})


def entries(source: Source, reads: Reads) -> Iterator[Foreign | Refused]:
    """Yield the exchanges of a cassette: a list of pairs, or two lists, ``requests`` and ``responses``.

    :raises ImportRefused: it cannot be read from somewhere on, or there is no pair.
    """
    apart: dict[str, list[Any]] = {"requests": [], "responses": []}
    number = 0
    for key, value in items(source):
        if key in _PAIRED:
            number += 1
            yield _entry(number, value, reads)
        elif key in apart:
            apart[key].append(value)
    requests, responses = apart["requests"], apart["responses"]
    for at in range(max(len(requests), len(responses))):
        number += 1
        if at < len(requests) and at < len(responses):
            yield _entry(number, {"request": requests[at], "response": responses[at]}, reads)
        else:
            yield Refused(number, "it has no response" if at < len(requests) else "it has no request")
    refuse_empty(number > 0, "interactions")


def _entry(number: int, value: Any, reads: Reads) -> Foreign | Refused:
    try:
        pair = mapping(value, "interaction")
        request, response = mapping(pair.get("request"), "request"), mapping(pair.get("response"), "response")
        return reads(number, pair, request, response)
    except EntryError as error:
        return Refused(number, str(error))


def bodies_of(request: dict[str, Any], response: dict[str, Any], *names: str) -> tuple[bytes, bytes, tuple[str, ...]]:
    """Return the bodies of a pair, and what is missing of them: they had to be written again, or nothing tells them.

    A request whose body is of a kind that has no bytes loses that, and not the answer that came to it.

    :param names: where the body of the response may stand.
    :raises EntryError: one is damaged, or that of the response is none.
    """
    lacks = []
    try:
        payload, written = _body_of(request, "body")
        if written:
            lacks.append("request_bytes")
    except NoBytesError:
        payload = b""
        lacks.append("request_body")
    body, written = _body_of(response, *names)
    if written:
        lacks.append("response_bytes")
    return payload, body, tuple(lacks)


def _body_of(holder: dict[str, Any], *names: str) -> tuple[bytes, bool]:
    """Return the body that stands under the first of *names* that is there, and whether it had to be written again.

    It may be text, bytes, a mapping with ``string`` or ``base64_string`` (VCR), or, as ``parsed_body``, a JSON value
    (pydantic-ai).

    :raises NoBytesError: it is something else.
    :raises EntryError: it is damaged.
    """
    if "parsed_body" in holder:
        return json_bytes(holder["parsed_body"]), True
    value = next((holder[name] for name in names if name in holder), None)
    if not isinstance(value, dict):
        return as_bytes(value), False
    if "base64_string" in value:
        return from_base64(value["base64_string"]), False
    if "string" in value:
        return as_bytes(value["string"]), False
    if isinstance(value, PythonObject):
        return as_bytes(value), False
    return (json_bytes(value), True) if value else (b"", False)

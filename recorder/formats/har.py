"""HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/): what browsers, proxies and load tests exchange.

Where the specification has no place, there is a key with ``_`` before its name, as it says for custom fields.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from recorder.core.conversation import Conversation
from recorder.core.exchange import Exchange, Headers, Request, first_header
from recorder.core.json_text import milliseconds, plain, present, rfc3339, written
from recorder.core.rebuilt import Rebuilt, origin_json, place_of
from recorder.core.version import __version__
from recorder.formats.bodies import as_text, decoded_body
from recorder.formats.endings import WARNINGS, error_text

#: What browsers write for the type of a content that has none.
_NO_TYPE: Final = "x-unknown"
_UNKNOWN: Final = -1


class Har:
    """One HAR document, an entry for each exchange.

    Bodies are text where they are UTF-8, else base64 (``encoding``, in a request ``_encoding``). ``content`` is the
    body below its content coding, as far as it can be undone: ``content.size`` counts its bytes, ``bodySize`` those
    that came. What came under a content coding is in ``content._coded`` (base64); a body whose coding cannot be undone
    here has no ``content.text``.

    Sizes and times that are not known are -1: those of heads (credentials were replaced in them), ``send`` (a part
    of ``wait``), ``receive`` of an answer whose end is not recorded.

    A URL has no fragment in a HAR: what follows its ``#`` is in ``request._fragment``.

    An answer that is not complete says so in ``_verdict``, in the entry's ``comment``, and in ``response._error``
    where the transport failed or an error was sent. An exchange without an answer has status 0 and ``_error``. An
    exchange of which no request is recorded is left out: HAR has no place for it.
    """

    name = "har"
    help = "HAR 1.2, for browsers and HTTP tools"
    is_binary = False

    def render(self, exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> Iterator[str]:
        """Yield the document: head, one piece for each exchange, end."""
        head: dict[str, Any] = {"version": "1.2", "creator": {"name": "recorder", "version": __version__}, "pages": []}
        if conversation is not None:
            head["_conversation"] = present(id=conversation.id, name=conversation.name)
        yield '{"log": ' + written(head).removesuffix("}") + ', "entries": ['
        separator = "\n"
        for rebuilt in exchanges:
            if rebuilt.exchange.request is not None:
                yield separator + written(_entry(rebuilt, rebuilt.exchange.request, conversation))
                separator = ",\n"
        yield "\n]}}\n"


def _entry(rebuilt: Rebuilt, request: Request, conversation: Conversation | None) -> dict[str, Any]:
    exchange = rebuilt.exchange
    place = place_of(rebuilt, conversation)
    timings, origin = _timings(exchange), origin_json(exchange)
    times = [value for name, value in timings.items() if name != "comment" and value >= 0]
    return present(
        startedDateTime=_started(exchange, origin),
        time=round(sum(times), 3),
        request=_request(request),
        response=_response(rebuilt),
        cache={},
        timings=timings,
        comment=_comment(rebuilt),
        _exchange=exchange.id,
        _call=exchange.call,
        _attempt=exchange.attempt,
        _conversation=place.conversation,
        _conversation_name=exchange.conversation_name,
        _parent=place.parent,
        _verdict=rebuilt.verdict,
        _transport_end=exchange.transport_end,
        _failure=plain(rebuilt.evidence.failure),
        _recording_has_gaps=rebuilt.evidence.missing or None,
        _not_as_written=rebuilt.not_as_written,
        _first_chunk_ms=None if exchange.first_chunk_ns is None else milliseconds(exchange.first_chunk_ns),
        _duration_ms=None if exchange.duration_ns is None else milliseconds(exchange.duration_ns),
        _head_ns=exchange.head_ns,
        _duration_ns=exchange.duration_ns,
        _imported=origin.get("imported"),
        _imported_at=origin.get("imported_at"),
        _chunks=None if exchange.lacks("chunk_boundaries") else _chunks(exchange),
    )


def _started(exchange: Exchange, origin: dict[str, Any]) -> str:
    """When it was sent; of an imported one of which nothing tells that, when it was imported first."""
    known = not exchange.lacks("started_at")
    return rfc3339(exchange.started_ns) if known else origin.get("imported_at") or rfc3339(exchange.imported_ns or 0)


def _chunks(exchange: Exchange) -> list[dict[str, int]]:
    timed = not exchange.lacks("chunk_times")
    return [
        present(
            elapsed_ns=chunk.mono_ns - exchange.origin_ns if timed else None,
            size=chunk.end - chunk.start,
            end=chunk.end,
        )
        for chunk in exchange.chunks
    ]


def _comment(rebuilt: Rebuilt) -> str | None:
    told = []
    if rebuilt.exchange.lacks("started_at"):
        told.append("Imported: nothing tells when it was sent, startedDateTime is that of the import.")
    if rebuilt.not_as_written is not None:
        told.append(f"Not as written: {rebuilt.not_as_written}.")
    if rebuilt.erased is not None:
        told.append(f"Erased: {rebuilt.erased}.")
    if rebuilt.verdict in WARNINGS:
        told.append(f"{rebuilt.verdict}: {WARNINGS[rebuilt.verdict]}")
    return " ".join(told) or None


def _request(request: Request) -> dict[str, Any]:
    # What was sent in the place of a marker had another size, and nobody knows which.
    redacted = any(place.startswith("body:") for place in request.redacted)
    url, hash_sign, fragment = request.url.partition("#")
    return present(
        method=request.method,
        url=url,
        httpVersion=request.version,
        cookies=_cookies(request.headers),
        headers=_pairs(request.headers),
        queryString=_query(request.url),
        postData=_post_data(request),
        headersSize=_UNKNOWN,
        bodySize=_UNKNOWN if redacted else len(request.payload),
        _fragment=fragment if hash_sign else None,
        _redacted=list(request.redacted) or None,
    )


def _query(url: str) -> list[dict[str, str]]:
    try:
        query = urlsplit(url).query
    except ValueError:  # a bracket that opens no IPv6 address: the query ends where the fragment begins all the same
        query = url.partition("#")[0].partition("?")[2]
    return _pairs(parse_qsl(query, keep_blank_values=True, errors="replace"))


def _post_data(request: Request) -> dict[str, Any] | None:
    if not request.payload:
        return None
    media_type = first_header(request.headers, "content-type") or ""
    coded = first_header(request.headers, "content-encoding")
    text = None if coded else as_text(request.payload, media_type)
    if text is None:
        return {"mimeType": media_type, "params": [], "text": _base64(request.payload), "_encoding": "base64"}
    return {"mimeType": media_type, "params": [], "text": text}


def _response(rebuilt: Rebuilt) -> dict[str, Any]:
    exchange = rebuilt.exchange
    response, error = exchange.response, error_text(rebuilt.evidence)
    if response is None:
        return {
            "status": 0,
            "statusText": "",
            "httpVersion": "",
            "cookies": [],
            "headers": [],
            "content": _content(rebuilt, _NO_TYPE) if exchange.body else {"size": 0, "mimeType": _NO_TYPE},
            "redirectURL": "",
            "headersSize": _UNKNOWN,
            "bodySize": _UNKNOWN,
            "_error": error or f"no answer is recorded: {exchange.transport_end or 'no end yet'}",
        }
    return present(
        status=response.status,
        statusText=response.reason,
        httpVersion=response.version,
        cookies=_set_cookies(response.headers),
        headers=_pairs(response.headers),
        content=_content(rebuilt, response.header("content-type") or _NO_TYPE),
        redirectURL=response.header("location") or "",
        headersSize=_UNKNOWN,
        bodySize=_UNKNOWN if rebuilt.evidence.missing else len(exchange.body),
        _error=error,
        _framing=response.framing or None,
        _redacted=list(response.redacted) or None,
    )


def _content(rebuilt: Rebuilt, media_type: str) -> dict[str, Any]:
    exchange = rebuilt.exchange
    decoded = decoded_body(exchange)
    if not decoded.understood:
        return {"size": _UNKNOWN, "mimeType": media_type, "_coded": _base64(exchange.body)}
    body = decoded.body
    saved = len(body) - len(exchange.body)
    text = as_text(body, media_type)
    return present(
        size=len(body),
        compression=saved or None,
        mimeType=media_type,
        text=_base64(body) if text is None else text,
        encoding="base64" if text is None else None,
        _cut=decoded.cut or None,
        _coded=None if body == exchange.body else _base64(exchange.body),
    )


def _timings(exchange: Exchange) -> dict[str, Any]:
    """Return the phases in milliseconds.

    A request is told when it begins to be sent, so that ``wait`` holds the sending; one that failed while it
    connected has the whole time under ``connect``.
    """
    phases: dict[str, Any] = dict.fromkeys(("blocked", "dns", "connect", "send", "wait", "receive", "ssl"), _UNKNOWN)
    head, whole = exchange.head_ns, exchange.duration_ns
    if head is not None:
        phases["wait"] = _ms(head)
        if whole is not None:
            phases["receive"] = _ms(whole - head)
    elif whole is not None:
        connecting = exchange.ending is not None and exchange.ending.facts.get("phase") == "connect"
        phases["connect" if connecting else "wait"] = _ms(whole)
        if connecting:
            phases["comment"] = "connect: all that was tried until it failed, name resolution and TLS included"
    return phases


def _ms(duration_ns: int) -> float:
    return milliseconds(max(duration_ns, 0))


def _pairs(fields: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in fields]


def _cookies(headers: Headers) -> list[dict[str, str]]:
    """Return the cookies of a request (RFC 6265 §4.2)."""
    sent = [pair for name, value in headers if name.lower() == "cookie" for pair in value.split(";")]
    split = (pair.partition("=") for pair in sent if "=" in pair)
    return _pairs((name.strip(), value.strip()) for name, _, value in split)


def _set_cookies(headers: Headers) -> list[dict[str, Any]]:
    """Return the cookies of an answer (RFC 6265 §4.1)."""
    return [_set_cookie(value) for name, value in headers if name.lower() == "set-cookie" and "=" in value]


def _set_cookie(line: str) -> dict[str, Any]:
    first, *rest = line.split(";")
    name, _, value = first.partition("=")
    attributes = {key.strip().lower(): said.strip() for key, _, said in (one.partition("=") for one in rest)}
    return present(
        name=name.strip(),
        value=value.strip(),
        path=attributes.get("path"),
        domain=attributes.get("domain"),
        expires=_iso(attributes.get("expires")),
        httpOnly="httponly" in attributes,
        secure="secure" in attributes,
    )


def _iso(date: str | None) -> str | None:
    if date is None:
        return None
    try:
        parsed = parsedate_to_datetime(date)
    except (ValueError, TypeError, LookupError, OverflowError):
        return None
    # A date without a zone is UTC (RFC 6265 §5.1.1).
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).isoformat()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


FORMAT = Har()

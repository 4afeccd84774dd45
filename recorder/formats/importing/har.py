"""HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/) of browsers, proxies, Insomnia, Polly.JS and our own.

Bodies in a HAR are below their content coding, but for those of Polly.JS, which writes down what came: one text, or a
JSON array of chunks, in base64 (``encoding``) or, before version 5, in hexadecimal digits. ``content.size`` is wrong in
many files: where there is a text, it decides nothing. Where there is none, as browsers leave out what they did not keep
and Playwright what it was told to omit, any size above 0 says that there was a body, and so that it is missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

from recorder.core.exchange import Headers, first_header, is_without_body
from recorder.core.json_text import parse_json
from recorder.errors import ImportRefused
from recorder.formats.importing.base import WHOLE, Cut, Foreign, Recording, Refused, cuts_after
from recorder.formats.importing.har_files import Attached
from recorder.formats.importing.har_own import entry_of_ours
from recorder.formats.importing.source import Folder, Source
from recorder.formats.importing.values import (
    EntryError,
    as_bytes,
    from_base64,
    headers,
    integer,
    is_outside,
    iso_ns,
    mapping,
    mapping_or_empty,
    ms_ns,
    refuse_empty,
    status_of,
    text,
    word,
)

#: The phases before the first byte of an answer; ``ssl`` is a part of ``connect``.
_BEFORE: Final = ("blocked", "dns", "connect", "send", "wait")
_SWITCHED: Final = 101
_LENGTH: Final = re.compile(r"[0-9]{1,18}")


class HarFile:
    """HAR documents."""

    name = "har"
    help = "HAR of browsers, proxies and Polly.JS, and our own"
    order = 10

    def recognises(self, source: Source) -> bool:
        """A document with a log."""
        if not source.looks_like_json:
            return False
        if source.json is None:
            return source.holds(rb'\A\{\s*"log"\s*:')
        return isinstance(source.json, dict) and "log" in source.json

    def read(self, source: Source) -> Recording:
        """Return the recording."""
        log = source.required_json()["log"]
        if not isinstance(log, dict) or not isinstance(log.get("entries"), list):
            raise ImportRefused("its log has no list of entries")
        told = mapping_or_empty(log.get("creator"))
        made_by = " ".join(filter(None, (word(told.get("name")), word(told.get("version")))))
        ours = told.get("name") == "recorder"
        version = word(log.get("version")) or None
        return Recording(self.name, _entries(log, source.folder, ours=ours), version, made_by or None)


def _entries(log: dict[str, Any], folder: Folder | None, *, ours: bool) -> Iterator[Foreign | Refused]:
    found = log["entries"]
    for number, value in enumerate(found, 1):
        try:
            entry = mapping(value, "entry")
            yield entry_of_ours(number, entry, log.get("_conversation")) if ours else _exchange(number, entry, folder)
        except EntryError as error:
            yield Refused(number, str(error))
    refuse_empty(bool(found), "entries")


def _exchange(number: int, entry: dict[str, Any], folder: Folder | None) -> Foreign:
    request, response = mapping(entry.get("request"), "request"), mapping_or_empty(entry.get("response"))
    lacks: list[str] = []
    attached = Attached(folder)
    payload = _payload(request, lacks, attached)
    started, head, end = _times(entry, lacks)
    versions = {"request": _version(request)}
    url = text(request.get("url"))
    if not url:
        raise EntryError("its request has no URL")
    fields: dict[str, Any] = {
        "method": text(request.get("method")),
        "url": url,
        "request_headers": _fields(request),
        "payload": payload,
        "started_ns": started,
    }
    status = integer(response.get("status")) or 0
    if status <= 0:
        fields |= _unanswered(entry, response, end)
    else:
        body, cuts = _body(mapping(response.get("content", {}), "content"), attached)
        in_file = attached.has("response")
        if attached.lacks("response") or (not body and not in_file and _had_body(fields["method"], status, response)):
            lacks.append("response_body")
        if status == _SWITCHED or entry.get("_webSocketMessages"):
            lacks.append("websocket_messages")  # Chrome has them beside the entry; they are no body of HTTP
        versions["response"] = _version(response)
        fields |= {
            "status": status_of(status),
            "reason": text(response.get("statusText")),
            "response_headers": _fields(response),
            "body": body,
            "cuts": cuts,
            "head_ns": head,
            "end_ns": end,
        }
        lacks += ["chunk_times"] if cuts is not None else WHOLE
    versions = {side: told for side, told in versions.items() if told}
    if versions.keys() != ({"request", "response"} if "status" in fields else {"request"}):
        lacks.append("http_version")
    return Foreign(number, **fields, versions=versions, missing=tuple(lacks), absent=tuple(attached.absent))


def _unanswered(entry: dict[str, Any], response: dict[str, Any], end: int | None) -> dict[str, Any]:
    """What is known of a request to which no answer is recorded: browsers and proxies say in words why."""
    told = next(filter(None, map(word, (response.get("_error"), entry.get("_error"), response.get("comment")))), "")
    if not told:
        return {"end": None, "end_ns": None}
    failure = {"kind": "other", "phase": "head", "error": {"type": "", "message": told}}
    return {"end": "request_failed", "failure": failure, "end_ns": end}


def _fields(holder: dict[str, Any]) -> Headers:
    """The header fields; those of HTTP/2 whose names begin with a colon are the start line."""
    return tuple(field for field in headers(holder.get("headers")) if field[0] and not field[0].startswith(":"))


def _version(holder: dict[str, Any]) -> str:
    told = word(holder.get("httpVersion")).strip()
    return "" if told.lower() in ("", "unknown") else told


def _payload(request: dict[str, Any], lacks: list[str], attached: Attached) -> bytes:
    posted = request.get("postData")
    if not isinstance(posted, dict):
        if (integer(request.get("bodySize")) or 0) > 0:
            lacks.append("request_body")
        return b""
    if text(posted.get("_encoding") or posted.get("encoding")).lower() == "base64":
        return from_base64(posted.get("text"))
    if posted.get("text"):
        return as_bytes(posted["text"])
    kept = attached.content("request", posted)
    if attached.lacks("request"):
        lacks.append("request_body")
    if kept is not None or attached.lacks("request"):
        return kept or b""
    params = posted.get("params")
    if not isinstance(params, list) or not params:
        return b""
    lacks.append("request_bytes")
    form = "urlencoded" in text(posted.get("mimeType"))
    if not form:
        lacks.append("request_body")  # parts of a form: their boundary is not kept
        return b""
    pairs = [(text(one.get("name")), text(one.get("value"))) for one in params if isinstance(one, dict)]
    return urlencode(pairs).encode()


def _times(entry: dict[str, Any], lacks: list[str]) -> tuple[int | None, int | None, int | None]:
    """Return when it was sent, and how long its head and its end took."""
    started = iso_ns(entry.get("startedDateTime"))
    phases = mapping_or_empty(entry.get("timings"))
    head: int | None = None
    if ms_ns(phases.get("wait")) is not None:
        head = sum(ms_ns(phases.get(name)) or 0 for name in _BEFORE)
    receive = ms_ns(phases.get("receive"))
    end = None if head is None or receive is None else head + receive
    if end is None and head is None:
        end = ms_ns(entry.get("time"))
    known = (("started_at", started), ("head_time", head), ("end_time", end))
    lacks += [name for name, found in known if found is None]
    if is_outside(entry.get("startedDateTime")):
        lacks.append("started_at_outside")
    return started, head, end


def _had_body(method: str, status: int, response: dict[str, Any]) -> bool:
    """Whether an answer without a text had a body all the same, or nothing says that it had none.

    Sizes that are not known are -1. A coded body has bytes though nothing is in it.
    """
    if is_without_body(method, status):
        return False
    content, fields = mapping_or_empty(response.get("content")), _fields(response)
    size = integer(content.get("size"))
    if size is not None and size > 0:
        return True
    length, there = first_header(fields, "content-length"), "text" in content
    sent = [integer(response.get("bodySize")), int(length) if length and _LENGTH.fullmatch(length.strip()) else None]
    if any(number is not None and number > 0 for number in sent):
        coded = (first_header(fields, "content-encoding") or "identity").strip().lower() != "identity"
        return not (coded and there and size == 0)
    return not (there or size == 0 or 0 in sent)


def _body(content: dict[str, Any], attached: Attached) -> tuple[bytes, tuple[Cut, ...] | None]:
    told, encoding = content.get("text"), text(content.get("encoding")).lower()
    if not told:
        kept = attached.content("response", content)
        if kept is not None or told is None:
            return kept or b"", None
    if not isinstance(told, str):
        raise EntryError("its content's text is no text")
    pieces = _pieces(told, encoding, binary=bool(content.get("_isBinary")))
    if pieces is not None:
        return b"".join(pieces), cuts_after(pieces)
    if encoding == "base64":
        return from_base64(told), None
    if encoding not in ("", "utf8", "utf-8"):
        raise EntryError(f"nobody knows the encoding {encoding!r:.40} of its content")
    return as_bytes(told), None


def _pieces(told: str, encoding: str, *, binary: bool) -> list[bytes] | None:
    """Return the chunks that Polly.JS wrote, a JSON array of texts; None where it is no such thing."""
    if not told.startswith("[") or not (encoding == "base64" or binary):
        return None
    try:
        value = parse_json(told)
    except ValueError:
        value = None
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise EntryError("its content is to be an array of chunks, and is none")
    if encoding == "base64":
        return [from_base64(one) for one in value]
    try:
        return [bytes.fromhex(one) for one in value]
    except ValueError:
        raise EntryError("a chunk of its content is not hexadecimal") from None


IMPORTER = HarFile()

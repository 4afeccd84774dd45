"""Our own HAR: what it has under keys with ``_`` says more than the specification has a place for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from recorder.formats.importing.base import Foreign
from recorder.formats.importing.ours import cuts_of, end_of, failure_of, home_of, lacking, origin_of
from recorder.formats.importing.values import (
    EntryError,
    as_bytes,
    elapsed_ns,
    from_base64,
    headers,
    integer,
    iso_ns,
    mapping,
    mapping_or_empty,
    status_of,
    text,
    texts,
    word,
)


def entry_of_ours(number: int, entry: dict[str, Any], conversation: Any) -> Foreign:
    """Return an exchange of our own.

    :param conversation: ``_conversation`` of the log: whose name it is.
    :raises EntryError: a value is not of its type, or its recording was changed after it was made.
    """
    changed = entry.get("_not_as_written")
    if changed is not None:
        raise EntryError(f"its recording was changed after it was made ({text(changed)})")
    request, response = mapping(entry.get("request"), "request"), mapping(entry.get("response"), "response")
    answered = integer(response.get("status")) != 0
    body = _content(mapping_or_empty(response.get("content")))
    told = {"request": word(request.get("httpVersion")), "response": word(response.get("httpVersion"))}
    imported = entry.get("_imported")
    untimed = "started_at" in texts(mapping_or_empty(imported).get("missing"))
    return _complete(
        Foreign(
            number,
            text(request.get("method")),
            _url(request),
            headers(request.get("headers")),
            _payload(request.get("postData")),
            status_of(response.get("status")) if answered else None,
            text(response.get("statusText")),
            headers(response.get("headers")),
            body,
            cuts=cuts_of(entry.get("_chunks"), len(body)),
            started_ns=None if untimed else iso_ns(entry.get("startedDateTime")),
            head_ns=elapsed_ns(entry.get("_head_ns")) if answered else None,
            end_ns=elapsed_ns(entry.get("_duration_ns")),
            end=end_of(entry.get("_transport_end")),
            failure=failure_of(entry.get("_failure")),
            versions={side: version for side, version in told.items() if version},
            framing=word(response.get("_framing")) or None,
            gaps=entry.get("_recording_has_gaps") is True,
            origin=origin_of(entry, request, response, prefix="_"),
            home=home_of(entry, _name_of(entry, conversation), prefix="_"),
        ),
        imported,
    )


def _complete(found: Foreign, imported: Any) -> Foreign:
    return replace(found, missing=lacking(found, imported))


def _name_of(entry: Mapping[str, Any], conversation: Any) -> Any:
    """The name that an entry was given itself; in files of before, that of the log's conversation."""
    log = mapping_or_empty(conversation)
    same = log.get("id") is not None and log.get("id") == entry.get("_conversation")
    return entry.get("_conversation_name", log.get("name") if same else None)


def _url(request: Mapping[str, Any]) -> str:
    """The URL, with the fragment for which HAR has no place."""
    url, fragment = text(request.get("url")), request.get("_fragment")
    return url if fragment is None else f"{url}#{text(fragment)}"


def _payload(posted: Any) -> bytes:
    """The body of a request: text, or base64 where its ``_encoding`` says so."""
    fields = mapping_or_empty(posted)
    encoded = fields.get("_encoding") == "base64"
    return from_base64(fields.get("text")) if encoded else as_bytes(fields.get("text"))


def _content(content: dict[str, Any]) -> bytes:
    """The body of an answer as it came: in ``_coded`` where it came under a content coding."""
    if content.get("_coded") is not None:
        return from_base64(content["_coded"])
    return from_base64(content.get("text")) if content.get("encoding") == "base64" else as_bytes(content.get("text"))

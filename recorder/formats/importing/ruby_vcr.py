"""Cassettes of VCR for Ruby, YAML and JSON (https://github.com/vcr/vcr, ``lib/vcr/structs.rb``).

``recorded_at`` has the second in which the exchange was written down: it was over then, and nothing says when it had
begun. The ``encoding`` of a body is the label of a Ruby string; its bytes are those that are there.
"""

from __future__ import annotations

import re
from typing import Any, Final

from recorder.formats.importing.base import UNTIMED, WHOLE, Foreign, Recording
from recorder.formats.importing.interactions import bodies_of, entries
from recorder.formats.importing.source import Source
from recorder.formats.importing.values import headers, mapping, status_of, text, word

_WITH: Final = re.compile(rb"^recorded_with: *['\"]?([^'\"\r\n]+)", re.MULTILINE)


class RubyVcr:
    """VCR's cassettes."""

    name = "ruby-vcr"
    help = "cassettes of VCR for Ruby"
    order = 30

    def recognises(self, source: Source) -> bool:
        """A document with HTTP interactions."""
        if source.looks_like_json and source.json is not None:
            return isinstance(source.json, dict) and isinstance(source.json.get("http_interactions"), list)
        return source.holds(rb"^http_interactions:")

    def read(self, source: Source) -> Recording:
        """Return the recording."""
        if source.looks_like_json and source.json is not None:
            creator = word(source.json.get("recorded_with"))
        else:
            found = _WITH.search(source.data[-200:]) or _WITH.search(source.head)
            creator = found[1].decode("utf-8", "replace") if found else ""
        return Recording(self.name, entries(source, _exchange), creator=creator or None)


def _exchange(number: int, pair: dict[str, Any], request: dict[str, Any], response: dict[str, Any]) -> Foreign:
    payload, body, rewritten = bodies_of(request, response, "body")
    status = mapping(response.get("status"), "status")
    version = response.get("http_version")
    return Foreign(
        number,
        text(request.get("method")).upper(),
        text(request.get("uri")),
        headers(request.get("headers")),
        payload,
        status_of(status.get("code")),
        text(status.get("message")),
        headers(response.get("headers")),
        body,
        missing=(*rewritten, *(() if version else ("http_version",)), *UNTIMED, *WHOLE),
        versions={"response": _version(version)} if version else {},
        recorded=text(pair.get("recorded_at")) or None,
    )


def _version(value: Any) -> str:
    told = text(value)
    return told if told.upper().startswith("HTTP/") else f"HTTP/{told}"


IMPORTER = RubyVcr()

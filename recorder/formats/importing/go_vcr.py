"""Cassettes of go-vcr (https://github.com/dnaeon/go-vcr): version 1, and 2 as versions 3 and 4 of the module write it.

``duration`` is what the whole exchange took; a ``uncompressed`` answer came coded, and Go decoded it.
"""

from __future__ import annotations

import re
from typing import Any, Final

from recorder.formats.importing.base import UNTIMED, WHOLE, Foreign, Recording
from recorder.formats.importing.interactions import bodies_of, entries
from recorder.formats.importing.source import Source
from recorder.formats.importing.values import LONGEST_NS, headers, integer, status_of, text

_UNITS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_STEP: Final = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|μs|ms|s|m|h)")
#: Between a pair's request and its end: what VCR.py never has, and go-vcr always. A form that was sent is a mapping on
#: lines of its own, and the headers are the field after it.
_SHAPE: Final = (
    rb"^ +(form: |rwmutex|proto: |remote_addr: )|^rwmutex:"
    rb"|^( +)form:\r?\n(?:\2[ -][^\n]*\n)+\2headers:"
)


class GoVcr:
    """go-vcr's cassettes."""

    name = "go-vcr"
    help = "cassettes of go-vcr"
    order = 35

    def recognises(self, source: Source) -> bool:
        """Interactions with the fields of Go's own requests."""
        return not source.looks_like_json and source.holds(rb"^interactions:") and source.holds(_SHAPE)

    def read(self, source: Source) -> Recording:
        """Return the recording."""
        found = re.search(rb"^version: *(\d+)", source.data, re.MULTILINE)
        return Recording(self.name, entries(source, _exchange), found[1].decode() if found else None)


def _exchange(number: int, _: dict[str, Any], request: dict[str, Any], response: dict[str, Any]) -> Foreign:
    payload, body, rewritten = bodies_of(request, response, "body")
    line = text(response.get("status"))
    code = integer(response.get("code"))
    took = duration_ns(text(response.get("duration")))
    versions = {
        side: text(held["proto"]) for side, held in (("request", request), ("response", response)) if held.get("proto")
    }
    return Foreign(
        number,
        text(request.get("method")) or "GET",  # Go's own meaning of an empty method
        text(request.get("url")),
        headers(request.get("headers")),
        payload,
        status_of(line.partition(" ")[0] if code is None else code),
        line.partition(" ")[2],
        headers(response.get("headers")),
        body,
        end_ns=took,
        missing=(
            *rewritten,
            *(("content_coding",) if response.get("uncompressed") is True else ()),
            *(() if "response" in versions else ("http_version",)),
            *(name for name in UNTIMED if name != "end_time" or took is None),
            *WHOLE,
        ),
        versions=versions,
    )


def duration_ns(told: str) -> int | None:
    """Return a duration as Go writes it (``1m2.5s``) in nanoseconds; None where it is none, nothing,
    or longer than anything takes."""
    steps = _STEP.findall(told)
    if not steps or "".join(number + unit for number, unit in steps) != told:
        return None
    found = sum(float(number) * _UNITS[unit] for number, unit in steps)
    return round(found) or None if found < LONGEST_NS else None


IMPORTER = GoVcr()

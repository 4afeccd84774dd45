"""Cassettes of VCR.py, YAML and JSON, of every age (https://vcrpy.readthedocs.io).

Version 1 has ``interactions``; before it a cassette was a bare list, whose requests have host, port and path instead
of a URI, whose headers are lines, and whose Python objects are tagged. Between 2022 and 2024 responses to httpx had
``status_code`` and ``content``. Other writers keep the keys and change the rest: ``parsed_body`` (pydantic-ai), two
lists ``requests`` and ``responses`` (langchain-tests).
"""

from __future__ import annotations

from typing import Any

from recorder.formats.importing.base import UNTIMED, WHOLE, Foreign, Recording
from recorder.formats.importing.interactions import bodies_of, entries
from recorder.formats.importing.source import Source
from recorder.formats.importing.values import EntryError, headers, integer, status_of, text


class VcrPy:
    """VCR.py's cassettes."""

    name = "vcrpy"
    help = "cassettes of VCR.py, YAML or JSON"
    order = 40

    def recognises(self, source: Source) -> bool:
        """A document with interactions, or a list of pairs."""
        if source.looks_like_json and source.json is not None:
            value = source.json
            if isinstance(value, dict):
                return isinstance(value.get("interactions"), list)
            return bool(value) and isinstance(value[0], dict) and {"request", "response"} <= value[0].keys()
        return source.holds(rb"^(interactions|requests|responses):") or source.holds(rb"\A(---\s*)?- request:")

    def read(self, source: Source) -> Recording:
        """Return the recording."""
        old = source.head.startswith((b"[", b"- request:", b"---\n- request:"))
        return Recording(self.name, entries(source, _exchange), "0" if old else "1")


def _exchange(number: int, _: dict[str, Any], request: dict[str, Any], response: dict[str, Any]) -> Foreign:
    payload, body, rewritten = bodies_of(request, response, "body", "content")
    status = response.get("status")
    code, reason = (status.get("code"), status.get("message")) if isinstance(status, dict) else (status, None)
    version = response.get("http_version")
    return Foreign(
        number,
        text(request.get("method")),
        _url(request),
        headers(request.get("headers")),
        payload,
        status_of(response.get("status_code", code)),
        text(reason),
        headers(response.get("headers")),
        body,
        missing=(*rewritten, *(() if version is not None else ("http_version",)), *UNTIMED, *WHOLE),
        versions={} if version is None else {"response": text(version)},
    )


def _url(request: dict[str, Any]) -> str:
    for name in ("uri", "url"):
        if name in request:
            return text(request[name])
    host, scheme, port = text(request.get("host")), text(request.get("protocol")), integer(request.get("port"))
    if not host:
        raise EntryError("its request has no URI")
    usual = {"http": 80, "https": 443}.get(scheme)
    return f"{scheme}://{host}{'' if port in (None, usual) else f':{port}'}{text(request.get('path'))}"


IMPORTER = VcrPy()

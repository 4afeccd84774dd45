"""A request of requests as it was prepared: its payload, and its recording where no wire is to be seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import requests
from requests.models import PreparedRequest

if TYPE_CHECKING:
    from recorder.recording.tap import ExchangeTap  # with all that writes, which replaying does not need

CLIENT: Final = f"requests/{requests.__version__} urllib3/{version('urllib3')}"


def known_payload(body: Any) -> bytes | None:
    """Return a request's payload, None where it is only known once it is sent (files, generators)."""
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode("utf-8")
    if isinstance(body, bytes | bytearray | memoryview):
        return bytes(body)
    return None


def tell_prepared(tap: ExchangeTap, request: PreparedRequest, extra: Mapping[str, Any]) -> None:
    """Record a request as it was prepared, where the bytes that leave are not to be seen."""
    payload = known_payload(request.body) or b""
    facts = {"client": CLIENT, **extra}
    tap.request_sent(request.method or "GET", request.url or "", prepared_head(request), payload, facts)


def prepared_head(request: PreparedRequest) -> bytes:
    """Return the head of a request that never reached a connection, as it was prepared."""
    lines: Iterable[str] = (f"{_text(name)}: {_text(value)}\r\n" for name, value in request.headers.items())
    return f"{request.method} {request.path_url} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("latin-1", "replace")


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value

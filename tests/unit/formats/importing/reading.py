"""Reads small foreign recordings."""

from __future__ import annotations

import json
from typing import Any

from recorder.formats.importing.base import Foreign, Recording, Refused, read_recording


def recording(data: bytes | str | dict[str, Any] | list[Any]) -> Recording:
    """Return the recording that a text, bytes or a JSON value is."""
    if isinstance(data, dict | list):
        data = json.dumps(data)
    return read_recording(data.encode() if isinstance(data, str) else data)


def read(data: bytes | str | dict[str, Any] | list[Any]) -> list[Foreign | Refused]:
    """Return its entries."""
    return list(recording(data).entries)


def one(data: bytes | str | dict[str, Any] | list[Any]) -> Foreign:
    """Return its only exchange."""
    (entry,) = read(data)
    assert isinstance(entry, Foreign), entry
    return entry


def refusal(data: bytes | str | dict[str, Any] | list[Any]) -> str:
    """Return why its only entry is refused."""
    (entry,) = read(data)
    assert isinstance(entry, Refused), entry
    return entry.reason

"""Reads small foreign recordings."""

from __future__ import annotations

import json
from typing import Any

from recorder.errors import ImportRefused
from recorder.formats.importing.base import Foreign, Recording, Refused, importer_for
from recorder.formats.importing.source import Source


def recording(data: bytes | str | dict[str, Any] | list[Any]) -> Recording:
    """Return the recording that a text, bytes or a JSON value is, by whichever importer recognises it."""
    if isinstance(data, dict | list):
        data = json.dumps(data)
    source = Source.of(data.encode() if isinstance(data, str) else data)
    importer = importer_for(source)
    if importer is None:
        raise ImportRefused(source.unknown())
    return importer.read(source)


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

"""Reads small foreign recordings."""

from __future__ import annotations

import json
from typing import Any

from recorder.core.exchange import fold
from recorder.core.rebuilt import Rebuilt
from recorder.core.redaction import Redaction
from recorder.dialects.rebuild import rebuild
from recorder.errors import ImportRefused
from recorder.formats.importing.base import Foreign, Recording, Refused, importer_for
from recorder.formats.importing.source import Source
from recorder.recording.imports import File, Identities, Writer

_FILE = File("a", "0" * 64, 10, "any")


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


def rebuilt_of(found: Foreign) -> Rebuilt:
    """Return what is said of an exchange when it is in a store."""
    writer = Writer(Redaction(b"key"), b"i" * 16, lambda size: b"s" * size, 1)
    exchange = fold(writer.made(Identities().of(found), found, _FILE).events)
    assert exchange is not None
    assert exchange.anomalies == ()
    return rebuild(exchange)

"""A SQLite store with one exchange in it."""

from __future__ import annotations

from pathlib import Path

from recorder.store import open_store
from tests.building import ExchangeBuilder


def filled(path: Path, chunks: int = 200) -> ExchangeBuilder:
    built = ExchangeBuilder(1).request().response()
    built.chunks(*(bytes([number % 256]) * 300 for number in range(chunks))).completed()
    store = open_store(f"sqlite:///{path}", write=True)
    store.append([built.opened], built.events)
    store.close()
    return built

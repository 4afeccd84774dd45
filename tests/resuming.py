"""Readers that go on from where one was copied, so that every beginning of a long stream is read in minutes.

To read each of a quarter of a million beginnings from its first byte takes an hour for one stream. That a reader may
have its bytes in any pieces, with the same result, is tested by itself; so one that was copied after some of them reads
the rest to the same end.
"""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from recorder.core.messages import Answer
from recorder.dialects.base import AnswerReader, Clues, Dialect

#: After so many bytes, a reader is copied: not much is read twice, and copies cost little.
_STEP = 200


class _Kept:
    """The last copy of a reader, and what it had been given."""

    def __init__(self, fresh: bytes) -> None:
        self.state, self.given = fresh, b""


class _Resumed:
    """Reads a body that begins with what the kept one was given."""

    def __init__(self, kept: _Kept) -> None:
        self._kept, self._body = kept, bytearray()

    def feed(self, data: bytes) -> None:
        self._body += data

    def close(self) -> Answer:
        kept, body = self._kept, bytes(self._body)
        reader: Any = pickle.loads(kept.state)
        reader.feed(body[len(kept.given) :])
        if len(body) - len(kept.given) >= _STEP:
            kept.state, kept.given = pickle.dumps(reader, pickle.HIGHEST_PROTOCOL), body
        answer: Answer = reader.close()
        return answer


def resume(monkeypatch: pytest.MonkeyPatch, dialect: Dialect) -> None:
    """Have a dialect's readers go on from copies, as long as each body begins with the one before."""
    original = type(dialect).reader
    kept: dict[bytes, _Kept] = {}

    def reader(self: Dialect, clues: Clues) -> AnswerReader:
        fresh = original(self, clues)
        try:
            state = pickle.dumps(fresh, pickle.HIGHEST_PROTOCOL)
        except (pickle.PicklingError, TypeError, AttributeError):
            return fresh  # it holds what cannot be copied
        found = kept.setdefault(state, _Kept(state))
        return _Resumed(found) if clues.body.startswith(found.given) else fresh

    monkeypatch.setattr(type(dialect), "reader", reader)

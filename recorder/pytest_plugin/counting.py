"""What a cassette holds, in a few words: a first recording that went wrong does not look like a good one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from recorder.api.cassettes import CassetteRecordings
from recorder.core.exchange import Exchange, fold

_FAILURES: Final = frozenset({"request_failed", "response_failed"})
_WRONG: Final = 400  # and above: a status that says so


def counted(path: Path, added: int | None = None) -> str:
    """Return how many exchanges a cassette has, and how those ended that went wrong.

    :param added: how many of them are new; None: that does not matter.
    """
    recordings = CassetteRecordings(path)
    streams = [block.stream for block in recordings.cassette.exchange_blocks()]
    wrong = Counter(filter(None, (_wrong(fold(recordings.events(stream))) for stream in streams)))
    told = "1 exchange" if len(streams) == 1 else f"{len(streams)} exchanges"
    if added is not None and added < len(streams):
        told += f", {added} of them new"
    return f"{told} ({wrong.total()} failed: {', '.join(sorted(wrong))})" if wrong else told


def _wrong(exchange: Exchange | None) -> str:
    """Return the status or the error that an exchange ended with; nothing where it is as it should be."""
    if exchange is None:
        return ""
    if exchange.response is not None and exchange.response.status >= _WRONG:
        return f"status {exchange.response.status}"
    if exchange.ending is not None and exchange.ending.type == "recorder_closed":
        return "still under way when its test ended"
    if exchange.ending is None or exchange.ending.type not in _FAILURES:
        return ""
    error = exchange.ending.facts.get("error")
    named = error.get("type") if isinstance(error, Mapping) else None
    return named.rpartition(".")[2] if isinstance(named, str) else str(exchange.ending.facts.get("kind", "error"))

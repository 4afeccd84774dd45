"""A flight recorder for LLM conversations.

::

    from recorder import Recorder, Player

    with Recorder("sqlite:///trades.db") as recorder:
        session = recorder.mount(requests.Session())
        session.post(url, json=..., stream=True)

    with Player("sqlite:///trades.db") as player:
        offline = player.mount(requests.Session())
"""

from typing import TYPE_CHECKING

from recorder.api.player import Player
from recorder.api.recorder import Recorder
from recorder.errors import (
    CassetteExhausted,
    ChainBroken,
    ConfigurationError,
    CorruptRecording,
    DialectError,
    NoMatchingExchange,
    NotFound,
    RecorderError,
    RecordingEnded,
    RecordingError,
    ReplayError,
    StaleSchema,
    StoreError,
    StoreUnreachable,
    UnknownEventType,
    VersionConflict,
)

if TYPE_CHECKING:
    from recorder.api.store import Store
else:

    def __getattr__(name: str) -> object:
        """Import the reading side when it is first asked for: a program that records need not pay for it."""
        if name != "Store":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from recorder.api.store import Store

        return Store


__all__ = [
    "CassetteExhausted",
    "ChainBroken",
    "ConfigurationError",
    "CorruptRecording",
    "DialectError",
    "NoMatchingExchange",
    "NotFound",
    "Player",
    "Recorder",
    "RecorderError",
    "RecordingEnded",
    "RecordingError",
    "ReplayError",
    "StaleSchema",
    "Store",
    "StoreError",
    "StoreUnreachable",
    "UnknownEventType",
    "VersionConflict",
]
__version__ = "0.1.0"

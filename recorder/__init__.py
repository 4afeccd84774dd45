"""A flight recorder for LLM conversations.

::

    from recorder import Recorder, Player

    with Recorder("sqlite:///trades.db") as recorder:
        session = recorder.mount(requests.Session())
        session.post(url, json=..., stream=True)

    with Player("sqlite:///trades.db") as player:
        offline = player.mount(requests.Session())
"""

from recorder.api.player import Player
from recorder.api.recorder import Recorder
from recorder.api.store import Store
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

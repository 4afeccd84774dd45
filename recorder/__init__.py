"""A flight recorder for LLM conversations.

::

    from recorder import Recorder, Player

    with Recorder("sqlite:///trades.db") as recorder:
        session = recorder.mount(requests.Session())
        session.post(url, json=..., stream=True)

    with Player("sqlite:///trades.db") as player:
        offline = player.mount(requests.Session())
"""

from importlib import import_module

from recorder.errors import (
    AnchorFailed,
    CassetteExhausted,
    ChainBroken,
    ConfigurationError,
    CorruptRecording,
    DialectError,
    ErasureRefused,
    ImportRefused,
    LedgerConflict,
    NetworkBlocked,
    NoMatchingExchange,
    NotFound,
    NotPermitted,
    PayloadsSealed,
    RecorderError,
    RecordingEnded,
    RecordingError,
    RedactionRefused,
    ReplayError,
    StaleSchema,
    StoreError,
    StoreUnreachable,
    UnknownEventType,
    VersionConflict,
)

TYPE_CHECKING = False  # importing typing would take longer than all the rest
if TYPE_CHECKING:
    from typing import Any

    from recorder.api.player import Player
    from recorder.api.recorder import Recorder
    from recorder.api.store import Store
    from recorder.core.match_rules import Match as Match
    from recorder.core.version import __version__ as __version__
    from recorder.replay.virtual_clock import VirtualClock

__all__ = [
    "AnchorFailed",
    "CassetteExhausted",
    "ChainBroken",
    "ConfigurationError",
    "CorruptRecording",
    "DialectError",
    "ErasureRefused",
    "ImportRefused",
    "LedgerConflict",
    "Match",
    "NetworkBlocked",
    "NoMatchingExchange",
    "NotFound",
    "NotPermitted",
    "PayloadsSealed",
    "Player",
    "Recorder",
    "RecorderError",
    "RecordingEnded",
    "RecordingError",
    "RedactionRefused",
    "ReplayError",
    "StaleSchema",
    "Store",
    "StoreError",
    "StoreUnreachable",
    "UnknownEventType",
    "VersionConflict",
    "VirtualClock",
]

# Imported when asked for. With SQLAlchemy and requests they take a third of a second, in which the command
# line, whose modules lie in this package too, could not yet have said what an interrupt should do.
_WHEN_ASKED_FOR = {
    "Match": "recorder.core.match_rules",
    "Player": "recorder.api.player",
    "Recorder": "recorder.api.recorder",
    "Store": "recorder.api.store",
    "VirtualClock": "recorder.replay.virtual_clock",
    "__version__": "recorder.core.version",
}


def __getattr__(name: str) -> "Any":
    if name not in _WHEN_ASKED_FOR:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_WHEN_ASKED_FOR[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHEN_ASKED_FOR})

"""Every exception that recorder raises on purpose.

::

    RecorderError
    ├── ConfigurationError          the caller's settings, URL or arguments are wrong
    │   └── PayloadsSealed          what was said is sealed, and its key is not at hand
    ├── StoreError                  the store cannot do what was asked of it
    │   ├── StoreUnreachable        nobody answers, or the path cannot be opened
    │   │   └── NotPermitted        this user of the database has no right to that
    │   ├── StaleSchema             the store's schema is not the one this version reads and writes
    │   ├── VersionConflict         two different events claim one place in an event stream
    │   └── LedgerConflict          the store's ledger does not continue what was signed of it
    ├── RecordingError              only under on_failure="raise": the request was not, or is not, recorded
    ├── CorruptRecording            what is stored cannot be what was written
    │   ├── UnknownEventType
    │   └── ChainBroken
    ├── DialectError                a body does not follow its dialect (views fall back to bytes)
    ├── RedactionRefused            an export would still hold what it was to leave out
    ├── ErasureRefused              what was to be erased has to be kept
    ├── AnchorFailed                what is outside cannot be reached, or did not do what it should
    ├── ImportRefused               a file, or the rest of one, cannot be imported
    ├── NotFound                    no exchange or conversation goes by that name, or more than one does
    └── ReplayError
        ├── NoMatchingExchange      the request was never recorded
        ├── CassetteExhausted       it was recorded, but every recorded answer has been given already
        ├── NetworkBlocked          a test without a network asked for it
        └── RecordingEnded          reading on where the recorded consumer had closed or its process had died, or
                                    where nothing more comes and the client has no timeout

Each class has one sentence; it is the default message.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in the package itself: an interrupt of the command line cannot be heeded before
if TYPE_CHECKING:
    from collections.abc import Sequence


class RecorderError(Exception):
    """Something in recorder failed."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message if message is not None else (type(self).__doc__ or "").strip().partition("\n")[0])


class ConfigurationError(RecorderError):
    """The configuration is wrong."""


class PayloadsSealed(ConfigurationError):
    """What was said is sealed, and its key is not at hand."""


class StoreError(RecorderError):
    """The store cannot do what was asked of it."""


class StoreUnreachable(StoreError):
    """The store cannot be reached."""


class NotPermitted(StoreUnreachable):
    """This user of the database has no right to that."""


class StaleSchema(StoreError):
    """The store's schema is not the one that this version of recorder uses."""


class VersionConflict(StoreError):
    """Two different events claim the same place in an event stream."""


class LedgerConflict(StoreError):
    """The store's ledger does not continue what was signed of it before."""


class RecordingError(RecorderError):
    """The exchange cannot be recorded."""


class CorruptRecording(RecorderError):
    """The recording is corrupt.

    :param message: what is wrong.
    :param position: position of the event in the store, where it is known.
    """

    def __init__(self, message: str | None = None, *, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class UnknownEventType(CorruptRecording):
    """The recording holds an event of a type that this version of recorder does not know."""


class ChainBroken(CorruptRecording):
    """The hash chain of an event stream does not verify."""


class DialectError(RecorderError):
    """The body does not follow its dialect."""


class RedactionRefused(RecorderError):
    """The export would still hold what it was to leave out."""


class ErasureRefused(RecorderError):
    """What was to be erased has to be kept."""


class AnchorFailed(RecorderError):
    """The checkpoint cannot be anchored outside."""


class ImportRefused(RecorderError):
    """The file cannot be imported."""


class NotFound(RecorderError):
    """Nothing in the store goes by that name."""


class ReplayError(RecorderError):
    """The recording cannot answer."""


class NoMatchingExchange(ReplayError):
    """No recorded exchange matches the request.

    :param message: the request, the nearest recording and the fields that differ, on one line.
    :param request: ``METHOD URL`` of the request that was missed, after redaction.
    :param nearest: ids of the nearest recorded exchanges, best first.
    :param differences: the fields in which the nearest one differs, as ``path: recorded != asked``.
    """

    def __init__(
        self,
        message: str | None = None,
        *,
        request: str = "",
        nearest: Sequence[str] = (),
        differences: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.request = request
        self.nearest = tuple(nearest)
        self.differences = tuple(differences)


class CassetteExhausted(NoMatchingExchange):
    """Every recorded answer to this request has been given already."""


class NetworkBlocked(ReplayError):
    """There is no network in this test."""


class RecordingEnded(ReplayError):
    """The recording ends here: what followed was never read by the recorded program."""

"""What comes out of the block of a player in which a request was missed, or was not answered to its end.

Nothing that was missed is passed over silently, and no exception of the program's own is lost:

=====================================  ==============================================================================
what leaves the block                  what comes out
=====================================  ==============================================================================
nothing                                the miss
the miss itself, or a group with it    that
an exception that was made of it       the miss: SDKs rename whatever they meet, and tests expect the new name
any other exception                    that, with a note of the miss, which the log has as well
an interrupt, an exit, a cancellation  that, with the same: who raised it is owed it
=====================================  ==============================================================================

Of :class:`~recorder.RecordingEnded` in the place of the miss, an exception that was made of it comes out as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from recorder.errors import CorruptRecording, NoMatchingExchange, RecorderError, RecordingEnded

_log = logging.getLogger("recorder")


def leave(error: BaseException | None, told: Sequence[RecorderError], ended: Sequence[RecordingEnded]) -> None:
    """Raise what a program has not been told, where nothing of its own stands in the way.

    :param error: what leaves the block; None: nothing.
    :param told: what was missed or refused in it.
    :param ended: where the program read on past the end of what was recorded.
    :raises RecorderError: the first of *told*, else of *ended*.
    """
    if not told and not ended:
        return
    first = told[0] if told else ended[0]
    if error is None:
        raise first
    if _is_among(error, told) or (not told and _was_made_of(error, ended)):
        return
    if isinstance(error, Exception) and _was_made_of(error, told):
        raise first
    more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
    error.add_note(f"recorder: before, {first}{more}")
    _log.error("recorder: %s leaves the block of a Player in which %s%s", type(error).__qualname__, first, more)


def _is_among(error: BaseException, told: Iterable[RecorderError]) -> bool:
    """Whether an error is the one that was told, or a group that has it."""
    if isinstance(error, BaseExceptionGroup):
        return any(_is_among(each, told) for each in error.exceptions)
    return bool(told) and (
        isinstance(error, NoMatchingExchange | CorruptRecording) or any(error is each for each in told)
    )


def _was_made_of(error: BaseException, told: Iterable[RecorderError]) -> bool:
    """Whether an error is one of *told*, or was raised because of one."""
    known = set(map(id, told))
    left: list[BaseException | None] = [error] if known else []
    seen: set[int] = set()
    while left:
        one = left.pop()
        if one is None or id(one) in seen:
            continue
        if id(one) in known:
            return True
        seen.add(id(one))
        left += [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
    return False

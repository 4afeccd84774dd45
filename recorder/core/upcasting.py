"""Old event formats, step by step into the newest.

Format v1 is the first, and v2 is v1 with payloads that are sealed, so the registry is empty. When v3 comes, a function
that turns one event into a v3 event is registered under ``(1, type)``; a v1 store is then read through it for ever, and
nothing stored is rewritten: hashes are verified on what is stored, before upcasting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from recorder.core.events import FORMAT_VERSION, TYPE_CODES, Event
from recorder.errors import CorruptRecording, UnknownEventType

Upcaster = Callable[[Event], Event]

#: ``(format, event type) -> upcaster to format + 1``; a type without one is unchanged in that step.
UPCASTERS: dict[tuple[int, str], Upcaster] = {}


def upcast(
    event: Event,
    written_as: int,
    *,
    upcasters: Mapping[tuple[int, str], Upcaster] = UPCASTERS,
    newest: int = FORMAT_VERSION,
) -> Event:
    """Return *event*, written in format *written_as*, as an event of the *newest* format.

    :raises CorruptRecording: the format is newer than this version of recorder.
    :raises UnknownEventType: no format known here has such a type.
    """
    if not 1 <= written_as <= newest:
        raise CorruptRecording(
            f"event format {written_as} is newer than {newest}: upgrade recorder", position=event.position
        )
    for step in range(written_as, newest):
        convert = upcasters.get((step, event.type))
        if convert is not None:
            event = convert(event)
    if event.type not in TYPE_CODES:
        raise UnknownEventType(f"unknown event type {event.type!r}: upgrade recorder", position=event.position)
    return event

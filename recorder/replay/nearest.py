"""Which recording is nearest to a request: the one of its method and URL that differs in the fewest fields.

Of several that differ in equally many, as all do of whose requests only the prompt is another one, it is the one that
shares the most words with the request.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from recorder.core.exchange import Request
from recorder.core.json_value import MISSING, mask, parsed, steps_of
from recorder.core.loosening import Loosening
from recorder.core.matching import canonical_url, differences, pointers_of
from recorder.core.nearness import apart, said

_COMPARED: Final = 64  # recordings that a missing request is compared with, those of its method and URL first
_SAME_PATH: Final = 1


class Near(NamedTuple):
    """A recording and how it differs from a request.

    :ivar number: of the recording.
    :ivar differences: the fields in which they differ, as ``field: recorded != asked``.
    """

    number: int
    differences: list[str]


def nearest(
    asked: Request,
    requests: Sequence[str],
    places: Sequence[tuple[str, ...]],
    recorded: Callable[[int], Request],
    hidden: frozenset[str],
    loosening: Loosening | None = None,
    most: int = _COMPARED,
) -> list[Near]:
    """Return the recordings that are nearest to a request, the nearest first; of very many, the newest are looked at.

    :param asked: after redaction.
    :param requests: method and URL of every recording, as ``METHOD URL``, in the order in which they were made.
    :param places: what each has redacted in its request, which equals anything.
    :param recorded: returns the request of one by its number.
    :param hidden: places whose live values are never shown, since some recording has redacted them.
    :param loosening: applies the rules; what these do not compare is no difference. None where they are strict.
    :param most: how many recordings it is compared with.
    """
    told = f"{asked.method} {canonical_url(asked.url, hidden)}"
    differing = _strictly(asked, hidden) if loosening is None else loosening.differing_from(asked, hidden)
    distance = {request: _distance(request, told, hidden) for request in set(requests)}
    newest_first = range(len(requests) - 1, -1, -1)
    compared = heapq.nsmallest(most, newest_first, key=lambda number: distance[requests[number]])
    ranked = []
    for number in sorted(compared):
        found = differing(recorded(number), places[number])
        ranked.append((distance[requests[number]] > _SAME_PATH, len(found), number, found))
    ranked.sort()
    best = ranked[0][:2] if ranked else None
    nearest_first = [each for each in ranked if each[:2] == best]
    if len(nearest_first) > 1:
        text_of = _text if loosening is None else loosening.text
        near = {each[2]: _apart(text_of, asked, recorded(each[2]), places[each[2]]) for each in nearest_first}
        nearest_first.sort(key=lambda each: (near[each[2]], each[2]))
    return [Near(number, found) for _, _, number, found in [*nearest_first, *ranked[len(nearest_first) :]]]


def _apart(
    text_of: Callable[[Request, Iterable[str]], str], asked: Request, recorded: Request, places: Iterable[str]
) -> float:
    return apart(text_of(recorded, places), text_of(asked, places))


def _text(request: Request, places: Iterable[str]) -> str:
    """What a payload says, without what the recording has redacted."""
    value: Any = parsed(request.payload)
    if value is MISSING:
        return request.payload.decode("utf-8", "replace")
    mask(value, map(steps_of, pointers_of(places)))
    return said(value)


def _strictly(asked: Request, hidden: frozenset[str]) -> Callable[[Request, Iterable[str]], list[str]]:
    compared = asked.method, asked.url, asked.payload

    def differing(recorded: Request, places: Iterable[str]) -> list[str]:
        return differences((recorded.method, recorded.url, recorded.payload), compared, places, hidden)

    return differing


def _distance(request: str, asked: str, hidden: frozenset[str]) -> int:
    """How far a recorded method and URL are from those that were asked for; 0 where they are the same."""
    method, _, url = request.partition(" ")
    recorded = f"{method} {canonical_url(url, hidden)}"
    if recorded == asked:
        return 0
    one, other = recorded.partition("?")[0], asked.partition("?")[0]
    if one == other:
        return _SAME_PATH
    return 2 if _path(one) == _path(other) else 3


def _path(request: str) -> str:
    return request.partition("://")[2].partition("/")[2]

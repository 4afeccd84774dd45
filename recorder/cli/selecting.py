"""Which exchanges a command is about: the filters that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final

import click

from recorder.api.store import Store
from recorder.cli.times import PointInTime

_VERDICTS: Final = ("complete", "truncated", "aborted_by_client", "errored", "unknown")
_OPTIONS: Final = (
    click.option("--model", metavar="NAME", help="Only those that this model answered."),
    click.option("--verdict", type=click.Choice(_VERDICTS), help="Only those that ended so."),
    click.option("--conversation", metavar="ID", help="Only those of this conversation: name or ID."),
    click.option("--status", type=click.IntRange(100, 999), metavar="CODE", help="Only those with this HTTP status."),
    click.option("--since", "since_ns", type=PointInTime(), help="Only those sent at or after: 2h, 3d, 2026-11-01."),
    click.option("--until", "until_ns", type=PointInTime(), help="Only those sent before."),
)


@dataclass(frozen=True, slots=True)
class Selection:
    """The filters as they were given; the fields are the parameters of :meth:`recorder.Store.exchanges`."""

    model: str | None = None
    verdict: str | None = None
    conversation: str | None = None
    status: int | None = None
    since_ns: int | None = None
    until_ns: int | None = None

    def of(self, store: Store) -> Iterator[dict[str, Any]]:
        """Yield the exchanges of a store that fit, newest first.

        :raises NotFound: there is no such conversation, or several.
        """
        return store.exchanges(**{name: getattr(self, name) for name in self.__dataclass_fields__})


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the filters to a command, which gets them as its first argument."""

    @wraps(command)
    def selecting(*args: Any, **options: Any) -> Any:
        given = {name: options.pop(name) for name in Selection.__dataclass_fields__}
        return command(Selection(**given), *args, **options)

    made: Callable[..., Any] = selecting
    for option in reversed(_OPTIONS):
        made = option(made)
    return made

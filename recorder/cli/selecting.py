"""Which exchanges a command is about: the filters that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import click

from recorder.api.store import Store
from recorder.cli.times import PointInTime, require_span
from recorder.core.messages import FINISHES

if TYPE_CHECKING:
    _Type = click.ParamType[tuple[str, str]]
else:  # older versions of click know no [tuple]
    _Type = click.ParamType


class Tag(_Type):
    """An option's value: the name of a tag and what it says."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Read it."""
        if isinstance(value, tuple):
            return value
        name, equals, told = str(value).partition("=")
        if not equals or not name:
            self.fail(f"{value!r} is no tag: write NAME=VALUE, as in bot=elion.", param, ctx)
        return name, told


_SHOWN: Final = 20

#: Option ``-n`` of the commands that show the newest ones first.
count_option = click.option(
    "-n", "count", type=click.IntRange(min=1), metavar="N", help=f"How many; {_SHOWN}, with --json all."
)


def limit_of(count: int | None, *, as_json: bool) -> int | None:
    """Return how many to show; None for all.

    :param count: what ``-n`` says.
    """
    return None if as_json and count is None else min(count or _SHOWN, sys.maxsize - 1)  # one more is looked for


def _tags(ctx: click.Context, param: click.Parameter, given: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the tags, all of which a conversation is to have: one of each name."""
    for name, told in given:
        if dict(given)[name] != told:
            raise click.BadParameter(
                f"{name} is given with two values, and a conversation has one of each: leave one out.", ctx, param
            )
    return tuple(given)


def _names(ctx: click.Context, param: click.Parameter, given: Sequence[str]) -> tuple[str, ...]:
    """Return the names, none of which may be empty, as that of a variable that a script has not set is."""
    if "" in given:
        raise click.BadParameter("its value is empty: give a name, or leave the option out.", ctx, param)
    return tuple(given)


_VERDICTS: Final = ("complete", "truncated", "aborted_by_client", "errored", "unknown")
#: Those with ``multiple`` may be given several times; of others, a second one is refused (:mod:`recorder.cli.once`).
_OPTIONS: Final = (
    click.option(
        "--model",
        metavar="NAME",
        multiple=True,
        callback=_names,
        help="Only those of this model: that answered, or else was asked for. This and the next five may be given "
        "several times: any of these.",
    ),
    click.option("--verdict", type=click.Choice(_VERDICTS), multiple=True, help="Only those that ended so."),
    click.option(
        "--conversation",
        metavar="ID",
        multiple=True,
        callback=_names,
        help="Only those of this conversation: name or ID.",
    ),
    click.option(
        "--status",
        type=click.IntRange(100, 999),
        metavar="CODE",
        multiple=True,
        help="Only those with this HTTP status.",
    ),
    click.option("--tool", metavar="NAME", multiple=True, callback=_names, help="Only those that call this tool."),
    click.option(
        "--finish", type=click.Choice(sorted(FINISHES)), multiple=True, help="Only those that the model ended so."
    ),
    click.option(
        "--tag",
        "tags",
        type=Tag(),
        multiple=True,
        callback=_tags,
        help="Only those of a conversation with this tag; of several, all.",
    ),
    click.option(
        "--since",
        "since_ns",
        type=PointInTime(),
        help="Only those sent at or after: 2h, 1h30m, today, 14:00, 2026-11, 2026-11-01; UTC.",
    ),
    click.option("--until", "until_ns", type=PointInTime(), help="Only those sent before."),
)


#: Options whose parameters have other names.
_OPTION_OF: Final = {"since_ns": "since", "until_ns": "until", "tags": "tag"}


@dataclass(frozen=True, slots=True)
class Selection:
    """The filters as they were given; the fields are the parameters of :meth:`recorder.Store.exchanges`."""

    model: tuple[str, ...] = ()
    verdict: tuple[str, ...] = ()
    conversation: tuple[str, ...] = ()
    status: tuple[int, ...] = ()
    since_ns: int | None = None
    until_ns: int | None = None
    tool: tuple[str, ...] = ()
    finish: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()

    def of(self, store: Store) -> Iterator[dict[str, Any]]:
        """Yield the exchanges of a store that fit, newest first.

        :raises NotFound: there is no such conversation, or several.
        """
        return store.exchanges(**self.filters)

    @property
    def is_given(self) -> bool:
        """Whether there is any filter."""
        return self != Selection()

    @property
    def options(self) -> tuple[str, ...]:
        """The options that were given, by their names on the command line."""
        given = (name for name in self.__dataclass_fields__ if getattr(self, name) not in ((), None))
        return tuple(f"--{_OPTION_OF.get(name, name)}" for name in given)

    @property
    def filters(self) -> dict[str, Any]:
        """The filters as parameters; None for those that were not given."""
        given = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: None if value == () else value for name, value in given.items()} | {"tags": dict(self.tags)}


def selection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the filters to a command, which gets them as its first argument."""

    @wraps(command)
    def selecting(*args: Any, **options: Any) -> Any:
        given = Selection(**{name: options.pop(name) for name in Selection.__dataclass_fields__})
        require_span(given.since_ns, given.until_ns)
        return command(given, *args, **options)

    made: Callable[..., Any] = selecting
    for option in reversed(_OPTIONS):
        made = option(made)
    return made

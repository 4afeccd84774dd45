"""Commands whose options can be given once: a second value is an error, where click takes the last without a word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click


class Command(click.Command):
    """A command that refuses a second value of an option that has one.

    Every command is one, so that no option has to think of it. What may be given several times is made with
    ``multiple``, and a flag that is given again says nothing new.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the arguments; click passes on the last value of each option alone, so the others are looked for first.

        :raises click.BadParameter: an option has two values.
        """
        _, _, given = self.make_parser(ctx).parse_args(list(args))
        _require_once(ctx, given)
        return super().parse_args(ctx, args)


class Group(Command, click.Group):
    """A group of such commands, which is one itself."""

    command_class = Command


def command(name: str | None = None, **attributes: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a command of a function; what :func:`click.command` takes."""
    return click.command(name, cls=Command, **attributes)


def group(name: str | None = None, **attributes: Any) -> Callable[[Callable[..., Any]], Group]:
    """Make a group of a function; what :func:`click.group` takes."""
    return click.group(name, cls=Group, **attributes)


def _require_once(ctx: click.Context, given: Sequence[click.Parameter]) -> None:
    """Which of several values counts, nobody could see.

    :param given: the options and arguments as they were given, in order.
    :raises click.BadParameter: one has a value already.
    """
    seen: set[int] = set()
    for one in given:
        if not isinstance(one, click.Option) or one.multiple or one.is_flag or one.count:
            continue
        if id(one) in seen:
            raise click.BadParameter("it is given twice, and one is all it can be: leave one out.", ctx, one)
        seen.add(id(one))

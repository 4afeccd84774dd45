"""Options of which there can be only one: a second one is an error, where click takes the last without a word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click


def each_once(command: click.Command) -> click.Command:
    """Return a command, or a group with its commands, that refuses a second value of an option that has one.

    Every command goes through here, so that no option has to think of it. What may be given several times is made
    with ``multiple``, and a flag that is given again says nothing new.
    """
    if "make_parser" in vars(command):
        return command
    make = command.make_parser

    def make_parser(ctx: click.Context) -> Any:
        parser = make(ctx)
        parse = parser.parse_args

        def parse_args(args: list[str]) -> Any:
            values, rest, order = parse(args)
            _require_once(ctx, order)
            return values, rest, order

        parser.parse_args = parse_args  # type: ignore[method-assign]
        return parser

    command.make_parser = make_parser  # type: ignore[method-assign]
    for inner in command.commands.values() if isinstance(command, click.Group) else ():
        each_once(inner)
    return command


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

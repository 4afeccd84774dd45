"""``recorder hold``: keeps from being erased what somebody may still have to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from recorder.api.holding import keeping, place_hold, release_hold, without_effect
from recorder.api.store import Store
from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.failures import tell_unsealed, tell_without_effect
from recorder.cli.naming import conversation_option, named, tell_others
from recorder.cli.once import group
from recorder.cli.output import Column, clean, emit_json, print_table, short
from recorder.cli.times import PointInTime
from recorder.clock import SystemClock
from recorder.core.holds import Hold
from recorder.core.json_text import rfc3339
from recorder.errors import ConfigurationError

_COLUMNS = (Column("ID"), Column("KEEPS"), Column("UNTIL (UTC)"), Column("BY"), Column("GROUND", shrinks=True))


@group()
@store_option
def hold() -> None:
    """Place, release and list holds: what is held is not erased."""


@hold.command()
@click.argument("identity", metavar="[ID]", required=False)
@conversation_option
@click.option("--all", "everything", is_flag=True, help="Everything in the store.")
@click.option("--ground", metavar="TEXT", required=True, help="Why; it stays for ever.")
@click.option("--until", "until_ns", type=PointInTime(), help="Ends by itself at this time: 2030-01-01.")
@store_option
@pass_settings
def place(
    settings: Settings, identity: str | None, whole: bool, everything: bool, ground: str, until_ns: int | None
) -> None:
    """Keep an exchange, a conversation or everything from being erased.

    ID is what list shows, or a conversation's name. A hold of a conversation is about what is in it when something is
    to be erased, also what is recorded later. A conversation that no program opened has the ID of its first exchange,
    which is kept alone without --conversation.
    """
    if everything == (identity is not None):
        raise ConfigurationError("give the ID of an exchange or a conversation, or --all")
    if everything and whole:
        raise ConfigurationError("--all and --conversation are given together: leave one of them out")
    clock = SystemClock()
    if until_ns is not None and until_ns <= clock.wall_ns():
        raise ConfigurationError("--until is not in the future: give a date that is, or leave it out")
    with Store(settings.store) as store:
        found = None if identity is None else named(store, identity, whole=whole)
    made = place_hold(settings.store, clock, found, ground, until_ns, tell_unsealed)
    click.echo(f"hold {made} keeps {'everything' if found is None else f'the {found.kind} {found.id}'}")
    if found is not None:
        with Store(settings.store) as store:
            tell_others(store, found, "--conversation")


@hold.command()
@click.argument("part", metavar="HOLD")
@click.option("--ground", metavar="TEXT", required=True, help="Why; it stays for ever.")
@store_option
@pass_settings
def release(settings: Settings, part: str, ground: str) -> None:
    """Release a hold, by its ID or a part of that."""
    click.echo(f"released: hold {release_hold(settings.store, SystemClock(), part, ground, tell_unsealed).id}")


@hold.command("list")
@json_option
@store_option
@pass_settings
def list_holds(settings: Settings, as_json: bool) -> None:
    """List the holds that are in force."""
    with Store(settings.store) as store:
        kept = keeping(store)
        found = kept.in_force(SystemClock().wall_ns())
        ids = {one.id for one in found}
        passed = [one for one in without_effect(store, kept) if one.about in ids]
    if as_json:
        for one in found:
            emit_json(_json(one, [each.as_json() for each in passed if each.about == one.id]))
    else:
        print_table(_COLUMNS, [_cells(one) for one in found], empty="nothing is held")
        tell_without_effect(passed)


def _json(one: Hold, passed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    shown: dict[str, Any] = {"hold": one.id, "ground": one.ground, "by": one.by, "placed_at": rfc3339(one.placed_ns)}
    shown["signed"] = one.signed
    shown |= {"without_effect": passed} if passed else {}
    shown |= {"all": True} if one.scope == "all" else {one.scope: one.of}
    return shown if one.until_ns is None else shown | {"until": rfc3339(one.until_ns)}


def _cells(one: Hold) -> list[str]:
    of = "everything" if one.scope == "all" else f"{one.scope} {short(one.of)}"
    until = "" if one.until_ns is None else rfc3339(one.until_ns)[:16].replace("T", " ")
    return [short(one.id), of, until, clean(one.by), clean(one.ground)]

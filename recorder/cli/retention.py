"""``recorder retention``: for how long nothing may be erased."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from recorder.api.holding import keeping, set_retention, without_effect
from recorder.api.store import Store
from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.failures import tell_unsealed, tell_without_effect
from recorder.cli.naming import named
from recorder.cli.once import group
from recorder.cli.output import Column, clean, emit_json, print_table, short
from recorder.clock import SystemClock
from recorder.core.holds import Retention
from recorder.core.json_text import rfc3339
from recorder.ledger.kept import PassedOver

_COLUMNS = (Column("DAYS", right=True), Column("OF"), Column("SET (UTC)"), Column("BY"))


@group()
@store_option
def retention() -> None:
    """Set and list retention periods: what is younger is not erased.

    Nothing is erased by itself when its time has come: that does `recorder erase`.
    """


@retention.command("set")
@click.option("--days", type=int, required=True, metavar="N", help="Days from the moment an exchange began; 0: none.")
@click.option("--of", metavar="ID", help="Only of this conversation, whatever counts for everything.")
@store_option
@pass_settings
def set_days(settings: Settings, days: int, of: str | None) -> None:
    """Keep everything, or a conversation, for so many days. Who set it, and when, is recorded."""
    found = None
    if of is not None:
        with Store(settings.store) as store:
            found = named(store, of, whole=True)
    set_retention(settings.store, SystemClock(), days, found, tell_unsealed)
    kept = "everything" if found is None else f"the conversation {found.id}"
    click.echo(f"{kept} is kept for {days:,} days" if days else f"{kept} is kept by no retention period")


@retention.command("list")
@json_option
@store_option
@pass_settings
def list_periods(settings: Settings, as_json: bool) -> None:
    """List the retention periods that count."""
    with Store(settings.store) as store:
        kept = keeping(store)
        passed = [one for one in without_effect(store, kept) if one.about is None]
    places = {(one.event.stream, one.event.version) for one in passed}
    found = [one for one in kept.retention.values() if (one.days or one.of) and one.place not in places]
    if as_json:
        for one in found:
            emit_json(_json(one, [each.as_json() for each in passed if _goes_before(one, each, found)]))
    else:
        print_table(_COLUMNS, [_cells(one) for one in found], empty="no retention period is set")
        tell_without_effect(passed)


def _goes_before(one: Retention, other: PassedOver, found: Sequence[Retention]) -> bool:
    """Whether a period is the one in spite of which another one has no effect: that of the same, or of everything."""
    of = str(other.event.facts.get("of", ""))
    return one.of == (of if any(each.of == of for each in found) else "")


def _json(one: Retention, passed: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    shown: dict[str, Any] = {"days": one.days, "by": one.by, "set_at": rfc3339(one.set_ns), "signed": one.signed}
    shown |= {"without_effect": passed} if passed else {}
    return shown | ({"of": one.of} if one.of else {})


def _cells(one: Retention) -> list[str]:
    of = f"conversation {short(one.of)}" if one.of else "everything"
    return [f"{one.days:,}", of, rfc3339(one.set_ns)[:16].replace("T", " "), clean(one.by)]

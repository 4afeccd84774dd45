"""``recorder redact``: hides what rules find in all that is shown and exported; what is recorded stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from recorder.api.redacting import Standing, in_force, lift_redaction, set_redaction
from recorder.api.store import Store
from recorder.api.threaded import Found
from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.failures import warn
from recorder.cli.naming import named
from recorder.cli.once import group
from recorder.cli.output import Column, clean, counted, emit_json, print_table, short
from recorder.clock import SystemClock
from recorder.core.json_text import rfc3339
from recorder.core.standing_redactions import StandingRedaction
from recorder.errors import ConfigurationError

_COLUMNS = (Column("ID"), Column("HIDES IN"), Column("SET (UTC)"), Column("RULES", shrinks=True), Column("BY"))

#: Option ``--unredacted`` of the commands that apply redactions.
unredacted_option: Callable[..., Any] = click.option(
    "--unredacted", is_flag=True, help="What is recorded, also what `recorder redact` hides."
)


def standing_of(store: Store, *, unredacted: bool = False) -> Standing:
    """Return what applies the redactions in force, or none.

    :raises CorruptRecording: nobody knows what has to be hidden.
    """
    return Standing(store, () if unredacted else in_force(store))


def tell_standing(standing: Standing, otherwise: str = "--unredacted shows what is recorded") -> None:
    """Tell on standard error how many redactions were applied, and what to do about it."""
    if standing.applied:
        were = "was" if len(standing.applied) == 1 else "were"
        click.echo(f"{counted(len(standing.applied), 'redaction')} {were} applied: {otherwise}", err=True)


@group()
@store_option
def redact() -> None:
    """Set, lift and list redactions: what is hidden in what is shown and exported."""


@redact.command("set")
@click.argument("identity", metavar="[ID]", required=False)
@click.option("--conversation", metavar="ID", help="The conversation of this name or ID, or that this exchange is in.")
@click.option("--all", "everything", is_flag=True, help="Everything in the store, also what is recorded later.")
@click.option(
    "--rule",
    "rules",
    metavar="RULE",
    multiple=True,
    required=True,
    help="Hide what this finds: re:EXPRESSION, json:PATH, detect:email, iban, card, phone or key.",
)
@click.option("--ground", metavar="TEXT", required=True, help="Why; it stays for ever, as do the rules.")
@store_option
@pass_settings
def set_rules(
    settings: Settings,
    identity: str | None,
    conversation: str | None,
    everything: bool,
    rules: Sequence[str],
    ground: str,
) -> None:
    """Hide what rules find in an exchange, a conversation or everything.

    What is recorded is not changed, and what was proved of it is proved as before: show, export, search and the
    transcripts of bundles leave out what is hidden. Everybody who can read the store can read it all the same; what has
    to be gone for good is for `recorder erase`.
    """
    if (identity is not None) + (conversation is not None) + everything != 1:
        raise ConfigurationError("give the ID of an exchange or a conversation, or --conversation, or --all")
    with Store(settings.store) as store:
        found, others = _found(store, identity, conversation)
    made, hidden = set_redaction(settings.store, SystemClock(), found, rules, ground)
    click.echo(f"redaction {made.id} hides what its rules find in {_scope(made)}")
    if found is not None and not hidden:
        warn("its rules find nothing there by now")
    if others:
        warn(f"{counted(others, 'other exchange')} of the same conversation may repeat it: give --conversation ID")


def _found(store: Store, identity: str | None, conversation: str | None) -> tuple[Found | None, int]:
    """What is named, and of an exchange how many others its conversation has."""
    if identity is None and conversation is None:
        return None, 0
    found = named(store, identity or conversation or "", whole=conversation is not None)
    if found.kind == "conversation":
        return found, 0
    home = store.conversation_of(found.id)[0]
    return found, len(store.threaded.conversation(home).exchanges) - 1


@redact.command()
@click.argument("part", metavar="REDACTION")
@click.option("--ground", metavar="TEXT", required=True, help="Why; it stays for ever.")
@store_option
@pass_settings
def lift(settings: Settings, part: str, ground: str) -> None:
    """Show again what a redaction hides, by its ID or a part of that."""
    click.echo(f"lifted: redaction {lift_redaction(settings.store, SystemClock(), part, ground).id}")


@redact.command("list")
@json_option
@store_option
@pass_settings
def list_redactions(settings: Settings, as_json: bool) -> None:
    """List the redactions that are in force."""
    with Store(settings.store) as store:
        found = in_force(store)
    if as_json:
        for one in found:
            emit_json(_json(one))
    else:
        print_table(_COLUMNS, [_cells(one) for one in found], empty="nothing is redacted")


def _scope(one: StandingRedaction) -> str:
    return "everything" if one.scope == "all" else f"the {one.scope} {one.of}"


def _json(one: StandingRedaction) -> dict[str, Any]:
    shown: dict[str, Any] = {"redaction": one.id, "rules": list(one.rules), "ground": one.ground, "by": one.by}
    shown["set_at"] = rfc3339(one.set_ns)
    return shown | ({"all": True} if one.scope == "all" else {one.scope: one.of})


def _cells(one: StandingRedaction) -> list[str]:
    of = "everything" if one.scope == "all" else f"{one.scope} {short(one.of)}"
    at = rfc3339(one.set_ns)[:16].replace("T", " ")
    return [short(one.id), of, at, clean(" ".join(one.rules)), clean(one.by)]

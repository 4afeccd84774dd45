"""``recorder erase``: takes out of a store what was said, and leaves what proves that nothing else was."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

import click

from recorder.api.erasing import Erased, Ground, Plan, bring_up_to_date, carry_out, plan_for, unfinished_plan
from recorder.api.holding import require_no_reason
from recorder.api.store import Store
from recorder.api.threaded import Found
from recorder.api.vouching import told
from recorder.cli.application import Settings, store_option
from recorder.cli.failures import FOUND, warn
from recorder.cli.naming import conversation_option, named
from recorder.cli.once import command
from recorder.cli.output import clean, counted
from recorder.clock import SystemClock
from recorder.errors import ConfigurationError

_SHOWN: Final = 8  # ids of what stays


@command()
@click.argument("identity", metavar="[ID]", required=False)
@conversation_option
@click.option("--ground", metavar="TEXT", help="Why; it stays for ever, so name no person in it.")
@click.option("--approved-by", metavar="NAME", help="Who else decided it.")
@click.option("--override-hold", is_flag=True, help="Erase in spite of holds and retention periods, which is recorded.")
@click.option("--key-lost", is_flag=True, help="Erase what is encrypted though its key is lost for good.")
@click.option("--finish", is_flag=True, help="Complete what was begun, vouch for what was recorded without the key.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@store_option
@click.pass_context
def erase(
    ctx: click.Context,
    identity: str | None,
    whole: bool,
    ground: str | None,
    approved_by: str | None,
    override_hold: bool,
    key_lost: bool,
    finish: bool,
    yes: bool,
) -> None:
    """Erase what was said in an exchange or a conversation, for good.

    ID is what list shows, or a conversation's name. A conversation that no program opened has the ID of its first
    exchange, which is erased alone without --conversation: what goes on from it, which may repeat it, stays.

    What stays are times, sizes, hashes and commitments, so that everything that was proved of the
    store is still proved, and the record of who erased it, when, and why. What the exchanges led to
    (links) is erased with them. The store's file is written anew, which takes as long as to copy it.

    The key of what is encrypted is destroyed with it, so that no copy from before can be read either. Else
    copies that were made before, a server's archives and its replicas are out of reach: docs/howto-erase.md.
    The exit code is 1 where a hold or a retention period refuses it, or where something is left.
    """
    url, clock = ctx.ensure_object(Settings).store, SystemClock()
    if finish == (identity is not None):
        raise ConfigurationError("give an ID, or --finish to complete what was begun")
    if finish and whole:
        raise ConfigurationError("--finish and --conversation are given together: leave one of them out")
    if identity is not None and ground is None:
        raise ConfigurationError("give --ground, why it is erased: it is recorded, and the question will be asked")
    bring_up_to_date(url, clock)
    with Store(url) as store:
        now = clock.wall_ns()
        plan = (
            unfinished_plan(store, now)
            if identity is None
            else plan_for(store, named(store, identity, whole=whole), now)
        )
    require_no_reason(plan.kept, override=override_hold, approved_by=approved_by)
    for one in plan.unvouched:
        click.echo(f"nobody vouches for this erasure yet: {clean(told(one))}", err=True)
    if not yes and (plan.streams or plan.unvouched):
        _ask(plan)
    done = carry_out(url, clock, plan, Ground(ground or "", approved_by, override_hold, key_lost), again=finish)
    _tell(plan, done)
    if plan.others:
        with Store(url) as store:
            _tell_others(store, plan)
    ctx.exit(FOUND if done.left else 0)


def _ask(plan: Plan) -> None:
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "neither erasing nor vouching for it can be undone: give --yes where nobody can be asked"
        )
    if plan.streams:
        said = f"erase what was said in {counted(len(plan.exchanges), 'exchange')}, for good?"
        click.confirm(said, abort=True, err=True)
    if plan.unvouched:
        click.confirm("vouch for these in the name of the ledger's key?", abort=True, err=True)


def _tell(plan: Plan, done: Erased) -> None:
    if done.streams:
        with_them = [
            counted(len(some), what)
            for some, what in ((plan.openings, "name of a conversation"), (plan.links, "link"))
            if some
        ]
        named = ", ".join([counted(len(plan.exchanges), "exchange"), *with_them])
        click.echo(f"erased: {named}; {counted(done.events, 'event')}, {done.bytes:,} bytes")
    elif not plan.unvouched:
        click.echo("nothing is there to be erased any more; the store's file was written anew")
    if plan.unvouched:
        click.echo(f"vouched for: {counted(len(plan.unvouched), 'record')} of erasures")
    if done.unsealed is not None:
        warn(
            f"the record of it is neither signed nor sealed, as {done.unsealed}: `recorder verify` will say that "
            "nobody vouches for the erasure, until `recorder erase --finish` is run where the key is"
        )
    for line in done.left:
        warn(f"{clean(line)}; then run `recorder erase --finish`")


def _tell_others(store: Store, plan: Plan) -> None:
    """Tell what stays by IDs that count now: the conversation has another one where its first exchange was erased."""
    homes = list(dict.fromkeys(store.conversation_of(one)[0] for one in plan.others))
    there = {one for home in homes for one in store.outline(Found("conversation", home)).exchanges}
    if there > set(plan.others):  # what goes on from what was erased may go on from the same words in another one
        advice = f"erase them one by one, as they are in a conversation with others now ({_some(plan.others)})"
    elif len(homes) > 1:
        advice = f"`recorder erase ID --conversation` erases what is left of it, with each of {_some(homes)}"
    else:
        advice = f"`recorder erase {homes[0]} --conversation` erases what is left of it"
    may = f"{counted(len(plan.others), 'other exchange')} of the conversation may repeat what was said"
    warn(f"{may}: {advice}; `recorder search` finds them")


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_SHOWN]) + (", …" if len(ids) > _SHOWN else "")

"""``recorder keys``: the key that signs what a store holds."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import click

from recorder.api.acts import who, write_down
from recorder.cli.application import Settings, json_option, pass_settings, store_option
from recorder.cli.failures import warn
from recorder.cli.once import group
from recorder.cli.output import clean, emit_json
from recorder.clock import SystemClock
from recorder.core.notes import NoteKey
from recorder.core.signed_facts import signed_facts
from recorder.errors import ConfigurationError, RecorderError
from recorder.ledger.founding import found, origin_of, succeeded
from recorder.ledger.key_chain import CREATED, ROTATED, rotated
from recorder.ledger.keys import SigningKey, fingerprint, known, load, private_file
from recorder.ledger.keys import rotate as make_new
from recorder.ledger.own_keys import chain_here, require_own, rotated_away, rotated_told
from recorder.ledger.sealing_acts import seal_acts, seal_all
from recorder.locations import absolute_url
from recorder.recording.short_journal import write_once
from recorder.store import open_store, schema
from recorder.store.sql import SqlStore
from recorder.store.urls import parse_url


@group()
@store_option
def keys() -> None:
    """Make, show and rotate the key that signs what a store holds.

    Whoever audits compares its fingerprint, which he has to get by another way than the recording.
    Signing needs the extra `proof`; without a key, nothing is signed.
    """


@keys.command()
@click.option("--origin", metavar="NAME", help="The log's name, as example.com/bot; else one that no other log has.")
@click.option("--after", metavar="URL", help="The store whose ledger this one takes the place of, as it is lost.")
@store_option
@pass_settings
def init(settings: Settings, origin: str | None, after: str | None) -> None:
    """Found the store's ledger: give it a name and a key, and seal what is recorded from now on.

    The private key is kept in the user's data directory, or in the file that RECORDER_SIGNING_KEY
    names, apart from the store. The name stays for good.

    Where a ledger cannot be gone on with, since its key or its newest entries are lost for good, copy
    its store without it (db copy --without-ledger) and found another one in the copy, with --after:
    which one it follows, and what is known to be lost, is recorded, and verify says so for ever.
    """
    facts: dict[str, Any] = {}
    unsealed: RecorderError | None = None
    if after is not None:
        with closing(open_store(absolute_url(after), write=False)) as former:
            before = chain_here(former, origin_of(former.ledger))
            facts["succeeds"] = succeeded(former.ledger, who(), before.keys)
        if origin == facts["succeeds"]["origin"]:
            raise ConfigurationError(f"{origin} is the name of the ledger before: give another one with --origin")
    with closing(open_store(settings.store, write=True)) as store:
        key = found(store.ledger, origin, SystemClock())
        created = {"key": key.public.text, **facts}
        if facts:
            created = signed_facts(CREATED, created, key.public, key.sign)
            unsealed = _founded_after(store, created)
        else:
            write_down(store, SystemClock(), "keys", [(CREATED, created)])
    _print(key.public, "log", key.public.name)
    if after is not None and not facts["succeeds"]["keys"]:
        warn(
            f"no public key of {clean(facts['succeeds']['origin'])} is here, so nobody who audits this one can "
            "tell who has signed an erasure before: `recorder erase --finish` vouches for them anew"
        )
    if unsealed is not None:
        warn(f"what was copied is not sealed yet, `recorder seal` does it: {unsealed}")
    elif after is not None:
        click.echo("What was copied is sealed by the new key; keep the store that was left, as it is.")
    click.echo("Give the fingerprint to whoever will audit, by another way than the recording: all that is proved is")
    click.echo("proved to those who have it. Keep a copy of the private key where the store is not.")


def _founded_after(store: SqlStore, created: Mapping[str, Any]) -> RecorderError | None:
    """Record that a ledger takes the place of another one, and seal it last: the keys of that one end with it.

    :return: why that is not sealed; None: it is.
    """
    write_once(store, SystemClock(), [(CREATED, created)], {"action": "keys"})
    try:
        seal_all(store, SystemClock())
    except RecorderError as error:
        return error
    return None


@keys.command()
@json_option
@store_option
@pass_settings
def show(settings: Settings, as_json: bool) -> None:
    """Show the name of the store's ledger and its keys."""
    with closing(open_store(settings.store, write=False)) as store:
        origin = origin_of(store.ledger)
    signing = load(origin)
    current = None if signing is None else signing.public
    earlier = [key for key in known(origin) if key != current]
    if as_json:
        shown = {"origin": origin, "earlier": list(map(_shown, earlier))}
        emit_json(shown if current is None else shown | {"key": _shown(current), "file": str(private_file(origin))})
        return
    if current is None:
        click.echo(f"{'log':12} {clean(origin)}")
        click.echo(f"{'private key':12} not here: nothing is signed until it is at {private_file(origin)}")
    else:
        _print(current, "log", origin)
    for key in earlier:
        click.echo(f"{'earlier key':12} {clean(key.text)}\n{'fingerprint':12} {fingerprint(key)}")


@keys.command()
@store_option
@pass_settings
def rotate(settings: Settings) -> None:
    """Make a new private key in the place of the old one, which is gone then.

    What the old one signed verifies for ever: its public key is kept.
    """
    schema.state(parse_url(settings.store))  # refuses what is not there: opening it to write would make it
    with closing(open_store(settings.store, write=True)) as store:
        origin = origin_of(store.ledger)
        require_own(store)
        if load(origin) is not None:  # else there is nothing to rotate, which is told below
            seal_all(store, SystemClock())  # what is sealed after the rotation counts as not signed by the old key
        journals: list[bytes] = []

        def announce(old: SigningKey, new: SigningKey) -> None:
            away = rotated_away(store, old.public)
            if away is not None and away != new.public:  # on another machine: two keys must not follow on one
                raise ConfigurationError(rotated_told(away))
            journals.append(write_down(store, SystemClock(), "keys", [(ROTATED, rotated(old, new))], seal=False))

        before, after = make_new(origin, SystemClock(), announce)
        unsealed = seal_acts(store, SystemClock(), journals[0])  # by the new key: from there on the old one is retired
    _print(after.public, "log", origin)
    click.echo(f"{'earlier key':12} {clean(before.text)}")
    click.echo(
        "Give the new fingerprint to whoever audits, by another way than the recording, as you gave the first; "
        "programs that record here take the new key before they seal again."
    )
    if unsealed is not None:
        warn(f"the rotation is recorded, and not sealed: {clean(unsealed)}")


def _shown(key: NoteKey) -> dict[str, Any]:
    return {"vkey": key.text, "fingerprint": fingerprint(key)}


def _print(key: NoteKey, name: str, origin: str) -> None:
    lines = (
        (name, origin),
        ("key", key.text),
        ("fingerprint", fingerprint(key)),
        ("private key", str(private_file(origin))),
    )
    for label, value in lines:
        click.echo(f"{label:12} {clean(value)}")

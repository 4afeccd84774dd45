"""``recorder link``: ties something outside, as an order, to the exchange that it rests on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import click

from recorder.api.acts import write_down
from recorder.api.sealing import kind_and_id, link_facts
from recorder.api.store import Store
from recorder.api.tracing import tag_of_leaf
from recorder.cli.application import Settings, pass_settings, store_option
from recorder.cli.failures import warn
from recorder.cli.naming import resolve
from recorder.cli.once import command
from recorder.cli.output import clean
from recorder.clock import SystemClock, id_bytes
from recorder.errors import ConfigurationError, NotFound
from recorder.store import open_store


@command()
@click.argument("thing", metavar="KIND:ID")
@click.argument("identity", metavar="EXCHANGE")
@click.option("--tag", help="The tag of the receipt that went with it.")
@click.option("--fact", "facts", multiple=True, metavar="NAME=VALUE", help="Something else to be known of it.")
@store_option
@pass_settings
def link(settings: Settings, thing: str, identity: str, tag: str | None, facts: Sequence[str]) -> None:
    """Record that something outside, as an order, rests on an exchange.

    KIND:ID is what it is and its id out there: order:12345. A program does this with Recorder.link; this
    is for what it did not link.
    """
    kind, name = kind_and_id(thing)
    with Store(settings.store) as store:
        found = resolve(store, identity)
        known = tag is None or tag_of_leaf(store.reader.store.ledger, tag, id_bytes(found.id)) is not None
    if found.kind != "exchange":
        raise NotFound(f"{found.id} is a conversation: name the one of its exchanges that {thing} rests on")
    told = link_facts(kind, name, id_bytes(found.id), tag, _told(facts))
    with closing(open_store(settings.store, write=True)) as store_to_write:
        write_down(store_to_write, SystemClock(), "link", (), links=[told])
    if not known:
        warn(
            f"no seal here has the tag {clean(tag or '')}: it is recorded as it is; look whether it is of another store"
        )
    click.echo(f"{clean(thing)} is linked to {found.id}")


def _told(texts: Sequence[str]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, value in map(_fact, texts):
        if name in told:
            raise ConfigurationError(f"the fact {name!r} is given twice: give each name once")
        told[name] = value
    return told


def _fact(text: str) -> tuple[str, Any]:
    """Return name and value of a fact; a value that is JSON is what it says, anything else is text."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ConfigurationError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value

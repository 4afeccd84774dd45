"""The links of a bundle: which belong to it, and what people are told of each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from recorder.api.led_to import Histories
from recorder.api.store import Store
from recorder.clock import id_bytes, id_text
from recorder.core.heads import ENDED, Leaf, encode_entry, log_id
from recorder.core.link_words import tag_of
from recorder.core.linked import Linked, SealBefore
from recorder.core.merkle import leaf_hash
from recorder.errors import CorruptRecording, NotFound
from recorder.ledger.bundle_plan import Part, Plan, Wanted
from recorder.ledger.bundle_range import covered
from recorder.store.base import Ledger
from recorder.store.linked import LinkRow

_KINDS: Final = ("kind", "id", "exchange")


def with_links(store: Store, wanted: Wanted) -> tuple[Wanted, int]:
    """Return what a bundle is asked to hold with the links that rest on its exchanges, and how many of these are
    not sealed yet and so not among them.

    What was asked for by a link holds the links to that thing alone. With an exchange that is withheld its links are.
    """
    if "link" in wanted.selection:
        return wanted, 0
    found: dict[bytes, bytes] = {}  # of each link the exchange that it rests on
    for exchange in wanted.exchanges:
        found |= {row.stream: exchange for row in store.reader.links_of_exchange(exchange)}
    for record in store.erasures.links_resting_on(frozenset(map(id_text, wanted.exchanges))):
        found[record.stream] = id_bytes(str(record.linked["exchange"]))
    sealed = _sealed(store.reader.store.ledger, sorted(found))
    hidden = {one for one in sealed if found[one] in wanted.withheld}
    links = replace(wanted, links=tuple(sealed), withheld=wanted.withheld | hidden)
    return links, len(found) - len(sealed)


def _sealed(ledger: Ledger, streams: list[bytes]) -> list[bytes]:
    """Return those streams that a checkpoint covers; all, where there is no ledger."""
    if ledger.origin() is None:
        return streams
    limit = covered(ledger)
    return [one for one in streams if any(leaf.number < limit for leaf in ledger.leaves_of(one))]


def links_of(store: Store, plan: Plan) -> list[Linked]:
    """Return what people are told of the links of a bundle, the oldest first."""
    histories = Histories(store)
    here = frozenset(map(id_text, plan.wanted.exchanges))
    told = [_told(store, plan, part, histories, here) for part in plan.parts if part.kind == "link"]
    tags = {one.tag for one in told if one.tag is not None}
    span = (0, 0) if plan.within is None else (plan.within.start, plan.within.end)
    exchanges = [id_bytes(one.exchange) for one in told if one.exchange]
    leaves = leaves_tagged(store.reader.store.ledger, tags, exchanges, span) if tags and plan.within else {}
    return sorted((_tagged(one, leaves) for one in told), key=lambda one: (one.at_ns, one.link))


def leaves_tagged(
    ledger: Ledger, tags: Collection[str], exchanges: Collection[bytes], span: tuple[int, int] | None = None
) -> dict[str, Leaf]:
    """Return the leaves whose hashes begin with some tags, by these.

    :param exchanges: to whose leaves these tags should belong; all others are read only where one does not.
    :param span: numbers from which and before which a leaf counts; None: all do.
    """
    start, end = span or (0, ledger.size())
    log = log_id(ledger.origin() or "")
    found: dict[str, Leaf] = {}
    own = (leaf for one in dict.fromkeys(exchanges) for leaf in ledger.leaves_of(one) if start <= leaf.number < end)
    for leaves in (own, ledger.leaves(start, end)):
        if found.keys() >= set(tags):
            break
        for leaf in leaves:
            tag = tag_of(leaf_hash(encode_entry(log, leaf)))
            if tag in tags:
                found.setdefault(tag, leaf)
    return found


def first_to_seal(leaves: Collection[Leaf]) -> Leaf | None:
    """Return which of the leaves of an exchange sealed it: the first that has its end, else the last."""
    ended = next((leaf for leaf in leaves if leaf.head.state == ENDED), None)
    return ended or max(leaves, key=lambda leaf: leaf.number, default=None)


def _tagged(one: Linked, leaves: Mapping[str, Leaf]) -> Linked:
    leaf = leaves.get(one.tag or "")
    return one if leaf is None else replace(one, tag_leaf=leaf.number, tag_stream=id_text(leaf.head.stream))


def _told(store: Store, plan: Plan, part: Part, histories: Histories, here: Collection[str]) -> Linked:
    stream = part.opened.stream
    event = next(store.reader.found_events(stream), None)
    bare = Linked(id_text(stream), 0 if event is None else event.wall_ns)
    if part.withheld:
        return replace(bare, missing="withheld")
    record = store.erasures.of(stream)
    try:
        facts = (event.facts if event is not None else {}) if record is None else dict(record.linked)
    except CorruptRecording:  # whoever verifies it is told
        facts = {}
    named = {name: facts[name] for name in _KINDS if isinstance(facts.get(name), str)}
    tag, more = facts.get("tag"), facts.get("facts")
    one = replace(
        bare,
        **named,
        tag=tag if isinstance(tag, str) else None,
        facts=more if isinstance(more, dict) else {},
        missing="erased" if part.erased else "",
    )
    return replace(one, **_rests(store, plan, one, stream, histories, here))


def _rests(
    store: Store, plan: Plan, one: Linked, stream: bytes, histories: Histories, here: Collection[str]
) -> dict[str, Any]:
    try:
        exchange = id_bytes(one.exchange)
        led = histories.led_to(LinkRow(stream, one.kind, one.id, exchange, one.at_ns))
    except ValueError:  # no id: changed in the store, as in the next case, which whoever verifies it is told
        return {"exchange": ""}
    except NotFound:
        return {}
    branch = tuple(each for each in led.exchanges if each not in led.aside)
    told: dict[str, Any] = {"led_to": branch, "here": frozenset(branch).intersection(here)}
    if plan.within is not None:
        leaf = first_to_seal(_within(store, plan.within.end, exchange))
        if leaf is not None:
            told["seal"] = SealBefore(leaf.number, leaf.sealed_ns, one.at_ns - leaf.sealed_ns)
    return told


def _within(store: Store, end: int, exchange: bytes) -> list[Leaf]:
    leaves: Iterator[Leaf] = store.reader.store.ledger.leaves_of(exchange)
    return [leaf for leaf in leaves if leaf.number < end]

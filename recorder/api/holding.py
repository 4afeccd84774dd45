"""Holds and retention periods: recorded as events, and derived from these whenever something is to be erased."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from functools import partial
from typing import Any, Final, TypeAlias

from recorder.api.acts import seal_first, signing_key, who, write_down
from recorder.api.homes import Homes
from recorder.api.store import Store
from recorder.api.threaded import Found
from recorder.api.vouching import ERASED, signed
from recorder.clock import Clock, id_bytes, id_text
from recorder.core.act_order import in_order
from recorder.core.holds import LONGEST_DAYS, RETENTION, TYPES, Hold, Keeping, Retention, by_nobody, rules_of
from recorder.core.json_text import rfc3339
from recorder.core.signed_facts import JOURNAL, SIGNATURE
from recorder.errors import ConfigurationError, ErasureRefused, NotFound, RecorderError
from recorder.ledger.kept import PassedOver, passed_over, rules_signed_by
from recorder.ledger.own_keys import own_chain
from recorder.store import open_store
from recorder.store.erased import acts_of_types, sealing_leaf
from recorder.store.related import SEALED
from recorder.store.sql import SqlStore

_UNDONE: Final = "whoever can write the database can undo it until it is said once more where the key is"

#: Is told something, in words.
Tell: TypeAlias = Callable[[str], None]


def keeping(store: Store) -> Keeping:
    """Return what has to be kept.

    :raises ConfigurationError: the keys that are here are damaged.
    :raises CorruptRecording: the facts of a hold cannot be read: then nobody knows.
    """
    log = store.reader.store
    leaf_of = partial(sealing_leaf, log)
    rules = in_order(acts_of_types(log, TYPES), leaf_of)
    return rules_of(rules, by_nobody if log.ledger.origin() is None else rules_signed_by(own_chain(log), leaf_of))


def without_effect(store: Store, kept: Keeping) -> Sequence[PassedOver]:
    """Return what would end, change or repeat what is signed, and has no effect, with the reason.

    :param kept: of :func:`keeping`.
    :raises ConfigurationError: the keys that are here are damaged.
    """
    log = store.reader.store
    return passed_over(kept, own_chain(log), partial(sealing_leaf, log)) if kept.without_effect else ()


def place_hold(
    url: str, clock: Clock, found: Found | None, ground: str, until_ns: int | None, unsealed: Tell = lambda reason: None
) -> str:
    """Keep something from being erased; return the id of the hold.

    :param found: an exchange or a conversation; None: everything.
    :param until_ns: when it ends by itself, UTC nanoseconds; None: when it is released.
    :param unsealed: is told why it is recorded and not sealed, where that is so.
    :raises StoreError: it could not be recorded.
    """
    identity = id_text(clock.new_id())
    facts: dict[str, Any] = {"hold": identity, "ground": _text(ground, "ground"), "by": who()}
    facts |= {"all": True} if found is None else {found.kind: found.id}
    if until_ns is not None:
        facts["until_ns"] = until_ns
    _act(url, clock, "hold", "hold_placed", facts, unsealed)
    return identity


def release_hold(url: str, clock: Clock, part: str, ground: str, unsealed: Tell = lambda reason: None) -> Hold:
    """Release a hold; return it.

    :param part: its id, or a beginning or an end of that.
    :param unsealed: is told why it is recorded and not sealed, where that is so.
    :raises ConfigurationError: it is signed, and the key is not here: that would lift nothing.
    :raises NotFound: no hold goes by it that nobody released, or several do.
    :raises StoreError: it could not be recorded.
    """
    with Store(url) as store:
        hold = hold_called(keeping(store), part)
    facts = {"hold": hold.id, "by": who(), "ground": _text(ground, "ground")}
    asked = f"hold {hold.id} is signed with the ledger's key, and lifted by nothing else" if hold.signed else None
    _act(url, clock, "hold", "hold_released", facts, unsealed, asked)
    return hold


def hold_called(kept: Keeping, part: str) -> Hold:
    """Return the hold whose id begins or ends so.

    :raises NotFound: none does that nobody released, or several.
    """
    found = [hold for hold in kept.holds.values() if part and (hold.id.startswith(part) or hold.id.endswith(part))]
    if len(found) != 1:
        told = "no hold goes by" if not found else f"{len(found)} holds go by"
        raise NotFound(f"{told} {part!r}: see `recorder hold list`")
    return found[0]


def set_retention(url: str, clock: Clock, days: int, found: Found | None, unsealed: Tell = lambda reason: None) -> None:
    """Have everything, or a conversation, kept for so many days after an exchange began.

    :param unsealed: is told why it is recorded and not sealed, where that is so.
    :raises ConfigurationError: that is no number of days; or what counts is signed, and the key is not here.
    :raises StoreError: it could not be recorded.
    """
    if not 0 <= days <= LONGEST_DAYS:
        raise ConfigurationError(f"a retention period has 0 to {LONGEST_DAYS} days, not {days}")
    facts: dict[str, Any] = {"days": days, "by": who()}
    of = "" if found is None else found.id
    if of:
        facts["of"] = of
    with Store(url) as store:
        kept = keeping(store).retention
    before = kept.get(of)
    if before is not None:
        facts["replaces"] = id_text(before.place[0])
    asked = _signed_before(before, kept.get(""), days)
    _act(url, clock, "retention", "retention_set", facts, unsealed, asked)


def _signed_before(before: Retention | None, everything: Retention | None, days: int) -> str | None:
    """Return what a retention period cannot replace or shorten without the ledger's key, in words."""
    if before is not None and before.signed:
        return "the retention period that counts is signed with the ledger's key, and replaced by nothing else"
    if before is not everything and everything is not None and everything.signed and days < everything.days:
        return "the retention period of everything is signed with the ledger's key, and shortened by nothing else"
    return None


def reasons_to_keep(
    store: Store, exchanges: Sequence[str], now_ns: int, *, decided: bool = False
) -> tuple[list[str], str | None]:
    """Return what keeps exchanges from being erased: what an erasure would override, and the first of it in words.

    :param exchanges: their ids.
    :param decided: it is recorded already that they are erased: what is sealed need not be read again.
    """
    kept = keeping(store)
    asked = kept.conversations
    conversations = Homes(store, asked)
    held: dict[str, Hold] = {}
    latest: tuple[int, str] | None = None
    for exchange in exchanges:
        row = store.reader.exchange(id_bytes(exchange))
        homes = conversations.of(exchange)
        held |= {hold.id: hold for hold in kept.in_force(now_ns) if hold.is_of(exchange, homes)}
        retention = kept.retention_of(homes)
        if retention is not None and row is not None and (until := retention.until_ns(row.started_ns)) > now_ns:
            latest = max(latest or (until, exchange), (until, exchange))
    if asked and not decided and (closed := [one for one in exchanges if is_closed(store, one)]):
        told = f"{closed[0]} is sealed, and its key is not here: a hold or a period of a conversation may be about it"
        return [one.id for one in kept.in_force(now_ns) if one.scope != "exchange"], told
    overridden = [*held, *([RETENTION] if latest else ())]
    if held:
        return overridden, next(iter(held.values())).told
    if latest is not None:
        return overridden, f"{latest[1]} is kept until {rfc3339(latest[0])} by the retention period"
    return overridden, None


def require_no_reason(told: str | None, *, override: bool, approved_by: str | None) -> None:
    """Make sure that nothing keeps what is to be erased, or that somebody has decided that this does not count.

    :param told: of :func:`reasons_to_keep`.
    :raises ConfigurationError: an override says nobody who approved it.
    :raises ErasureRefused: it has to be kept.
    """
    if override and not (approved_by or "").strip():
        raise ConfigurationError("to override a hold or a retention period, say who approved it: give --approved-by")
    if told is not None and not override:
        raise ErasureRefused(f"{told}: nothing was erased; --override-hold and --approved-by are recorded with it")


def is_closed(store: Store, exchange: str) -> bool:
    """Whether nobody here can tell which conversation an exchange is in."""
    row = store.reader.exchange(id_bytes(exchange))
    return row is not None and row.dialect == SEALED


def _text(text: str, name: str) -> str:
    if not text.strip():
        raise ConfigurationError(f"the {name} is empty: say why, in words that may stay for ever")
    return text


def _act(
    url: str, clock: Clock, action: str, kind: str, facts: dict[str, Any], unsealed: Tell, asked: str | None = None
) -> None:
    """Record what is to be kept, or is not any more, signed where the key is here.

    :param asked: why it would be without effect where nobody signs it; None: it would not.
    """
    with closing(open_store(url, write=True)) as store:
        key, reason = signing_key(store)
        if key is None and asked is not None:
            raise ConfigurationError(f"{asked}: nothing was recorded, as {reason}; do it where that key is")
        journal = clock.new_id()
        if key is not None:
            _seal_erasures(store, clock)
            facts = {**facts, JOURNAL: id_text(journal)}

        def tell(why: str) -> None:
            unsealed(why if key is not None else f"{why}; nor is it signed: {_UNDONE}")

        write_down(store, clock, action, signed([(kind, facts)], key), journal=journal, unsealed=tell)


def _seal_erasures(store: SqlStore, clock: Clock) -> None:
    """Seal the records of erasures that nobody has sealed, so that the ledger says that they came before this."""
    with suppress(RecorderError):  # what prevents it is told of what is written down next, or by an audit
        records = sorted(acts_of_types(store, (ERASED,)), key=lambda event: event.position or 0)
        journals = dict.fromkeys(event.stream for event in records if event.facts.get(SIGNATURE) is None)
        pending = [one for one in journals if store.ledger.last_leaf(one) is None]
        if pending:
            seal_first(store, clock, pending)

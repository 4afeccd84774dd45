"""What an attacker does to a store of :mod:`tests.acceptance.attacked`, one function each."""

from __future__ import annotations

import json
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from recorder.core.events import Event, StreamOpened
from recorder.core.notes import NoteKey
from recorder.core.signed_facts import signed_facts
from recorder.ledger import keys
from recorder.ledger.keys import SigningKey
from tests.acceptance.attacked import HOUR, NOW, ORIGIN, outside_file
from tests.attacker import Attacker, name, write_outside

Attack = Callable[[Attacker], None]


def edited(events: list[Event]) -> list[Event]:
    """Let the model have said something else."""
    at = next(at for at, event in enumerate(events) if event.body is not None and b'"Buy"' in event.body)
    body = events[at].body
    assert body is not None
    events[at] = events[at]._replace(body=body.replace(b'"Buy"', b'"Sell"'))
    return events


def without(at: int) -> Callable[[list[Event]], list[Event]]:
    return lambda events: events[:at] + events[at + 1 :]


def swapped(events: list[Event]) -> list[Event]:
    events[3], events[4] = events[4], events[3]
    return events


def in_place(events: list[Event]) -> list[Event]:
    """Swap two events and let each have the version of the other."""
    third, fourth = events[3], events[4]
    events[3], events[4] = fourth._replace(version=third.version), third._replace(version=fourth.version)
    return events


def edit(rehash: bool, which: int = -1) -> Attack:
    return lambda one: one.change(one.exchanges()[which], edited, rehash=rehash)


def cut(one: Attacker) -> None:
    one.change(one.exchanges()[-1], lambda events: events[:-3], rehash=False)


def remove(one: Attacker) -> None:
    one.remove(one.exchanges()[-1])


def transplant(one: Attacker) -> None:
    """Let one exchange be there under the id of another."""
    first, second = one.exchanges()[0], one.exchanges()[1]
    events = [event._replace(stream=second) for event in one.events(first)]
    secret = one.streams()[first].secret
    one.run("UPDATE event_streams SET secret = ? WHERE stream = ?", secret, second)
    one.put(second, events)
    one.remove(first)


def take_payload(one: Attacker) -> None:
    one.run("UPDATE events SET meta = NULL, body = NULL WHERE stream = ? AND version = 4", one.exchanges()[0])


def and_journals(attack: Attack) -> Attack:
    def both(one: Attacker) -> None:
        attack(one)
        one.fix_journals()

    return both


def and_ledger(attack: Attack) -> Attack:
    def all_three(one: Attacker) -> None:
        and_journals(attack)(one)
        one.fix_leaves()

    return all_three


# Erasures


def signing_key() -> SigningKey:
    key = keys.load(ORIGIN)
    assert key is not None
    return key


SECOND = 1_000_000_000
KEPT, ERASED = NOW - HOUR, NOW - 10 * SECOND  # when it was recorded


def told_erased(
    one: Attacker, exchange: bytes, count: int, number: int = 9, key: SigningKey | None = None, **facts: object
) -> bytes:
    """Put a journal beside the others that says that an erasure was decided; return its id.

    :param key: signs that; None: nobody does.
    """
    told = {"exchange": name(exchange), "events": count, "bytes": 1, "ground": "Art. 17", "by": "officer"}
    told |= {"conversations": ["c"]} | facts
    if key is not None:
        told = signed_facts("payload_erased", told, key.public, key.sign)
    return short_journal(one, number, "payload_erased", told, ERASED)


def short_journal(one: Attacker, number: int, kind: str, facts: dict[str, object], at_ns: int) -> bytes:
    """Put a journal of one act beside the others; return its id."""
    first = one.events(one.journals()[-1])[0]
    at = journal_id(number, at_ns)
    kinds = [("instance_started", json.loads(first.meta or "")), (kind, facts), ("instance_stopped", {})]
    events = [
        first._replace(type=what, meta=json.dumps(meta), instance=at, wall_ns=at_ns + place, mono_ns=place)
        for place, (what, meta) in enumerate(kinds)
    ]
    one.add(StreamOpened(at, at, bytes([number]) * 32), events)
    return at


def journal_id(number: int, at_ns: int) -> bytes:
    """Return the id that a short journal of that number has."""
    return bytes.fromhex(f"{at_ns // 1_000_000:012x}7000800f{number:012x}")


def kept(one: Attacker, **facts: object) -> bytes:
    """Record that something has to be kept; return the journal."""
    kind = "retention_set" if "days" in facts else "hold_placed"
    return short_journal(one, 8, kind, {"by": "officer", "ground": "the case", **facts}, KEPT)


def sealed(one: Attacker, journal: bytes, at_ns: int) -> None:
    """Let whoever has the key seal a journal."""
    one.seal([journal], at_ns + SECOND)
    write_outside(outside_file(), one.sign(signing_key()))


def erasing(one: Attacker, exchange: bytes, seal: bool = True, sign: bool = True, **facts: object) -> None:
    journal = told_erased(one, exchange, one.erase(exchange), key=signing_key() if sign else None, **facts)
    if seal:
        sealed(one, journal, ERASED)


def leaf_without_signature(one: Attacker, exchange: bytes) -> None:
    journal = told_erased(one, exchange, one.erase(exchange))
    one.seal([journal], ERASED + SECOND)


def held(one: Attacker, exchange: bytes) -> None:
    sealed(one, kept(one, hold="h", exchange=name(exchange)), KEPT)


def released_by_hand(one: Attacker, exchange: bytes) -> None:
    """Release a hold, which nobody seals, and have whoever has the key seal an erasure after it."""
    held(one, exchange)
    short_journal(one, 7, "hold_released", {"hold": "h", "by": "nobody", "ground": "none"}, KEPT + SECOND)
    erasing(one, exchange)


def overridden_by_hand(one: Attacker, exchange: bytes) -> None:
    """Add, unsealed, to a sealed record that was forbidden another one that overrides what forbade it."""
    held(one, exchange)
    count = one.erase(exchange)
    sealed(one, told_erased(one, exchange, count, key=signing_key()), ERASED)
    told_erased(one, exchange, count, number=10, overrides=["h"])


def overridden_and_sealed(one: Attacker, exchange: bytes) -> None:
    """The same; and the next recorder that starts seals it."""
    held(one, exchange)
    count = one.erase(exchange)
    sealed(one, told_erased(one, exchange, count, key=signing_key()), ERASED)
    sealed(one, told_erased(one, exchange, count, number=10, overrides=["h"]), ERASED)


def signed_act(one: Attacker, number: int, kind: str, at_ns: int, **facts: object) -> dict[str, object]:
    """Let the key's holder say what has to be kept, or has not any more, and seal it; return what he said."""
    key, journal = signing_key(), journal_id(number, at_ns)
    told = {"by": "officer", "ground": "the case", **facts, "journal": name(journal)}
    told = signed_facts(kind, told, key.public, key.sign)
    sealed(one, short_journal(one, number, kind, told, at_ns), at_ns)
    return told


def released(key: bool, copied: bool = False) -> Attack:
    """Release a signed hold with or without the key, which a restart seals; or copy a release of another one."""

    def attack(one: Attacker) -> None:
        exchange = one.exchanges()[0]
        signed_act(one, 8, "hold_placed", KEPT, hold="h", exchange=name(exchange))
        if copied:
            other = signed_act(one, 6, "hold_released", KEPT + SECOND, hold="i")
            sealed(one, short_journal(one, 5, "hold_released", other, KEPT + 3 * SECOND), KEPT + 3 * SECOND)
            other["hold"] = "h"
            sealed(one, short_journal(one, 7, "hold_released", other, KEPT + 5 * SECOND), KEPT + 5 * SECOND)
        elif key:
            signed_act(one, 7, "hold_released", KEPT + SECOND, hold="h")
        else:
            told: dict[str, object] = {"hold": "h", "by": "nobody", "ground": "none"}
            sealed(one, short_journal(one, 7, "hold_released", told, KEPT + SECOND), KEPT + SECOND)
        erasing(one, exchange)

    return attack


def replaced(key: bool) -> Attack:
    """Replace a signed retention period with or without the key, which a restart seals."""

    def attack(one: Attacker) -> None:
        signed_act(one, 8, "retention_set", KEPT, days=30)
        if key:
            signed_act(one, 7, "retention_set", KEPT + SECOND, days=0)
        else:
            told: dict[str, object] = {"days": 0, "by": "nobody", "replaces": name(journal_id(8, KEPT))}
            sealed(one, short_journal(one, 7, "retention_set", told, KEPT + SECOND), KEPT + SECOND)
        erasing(one, one.exchanges()[0])

    return attack


def signed_by_somebody(one: Attacker, exchange: bytes) -> None:
    private = Ed25519PrivateKey.generate()
    key = SigningKey(NoteKey(ORIGIN, private.public_key().public_bytes_raw()), private.sign)
    sealed(one, told_erased(one, exchange, one.erase(exchange), key=key), ERASED)


def signed_for_another(one: Attacker, exchange: bytes) -> None:
    """Change a signed record, so that it tells of another exchange, and have it sealed."""
    facts: dict[str, object] = {"exchange": name(one.exchanges()[1]), "events": 5, "bytes": 1, "by": "officer"}
    honest = signed_facts("payload_erased", facts, signing_key().public, signing_key().sign)
    sealed(one, told_erased(one, exchange, one.erase(exchange), signature=honest["signature"]), ERASED)


def told_twice(one: Attacker, exchange: bytes) -> None:
    """Write a signed record of a part of it once more, so that it seems to be of all of it."""
    count = one.erase(exchange)
    for number in (9, 10):
        sealed(one, told_erased(one, exchange, (count + 1) // 2, number=number, key=signing_key()), ERASED)


def told_twice_in_another_spelling(one: Attacker, exchange: bytes) -> None:
    """The same; the bits of the signature's last digit that stand for nothing are set in the second one."""
    count = one.erase(exchange)
    half = {"exchange": name(exchange), "events": (count + 1) // 2, "bytes": 1, "ground": "Art. 17", "by": "officer"}
    half |= {"conversations": ["c"]}
    key = signing_key()
    told = signed_facts("payload_erased", half, key.public, key.sign)
    text = told["signature"]
    for number, signature in ((9, text), (10, f"{text[:-2]}{chr(ord(text[-2]) + 1)}=")):
        journal = short_journal(one, number, "payload_erased", {**told, "signature": signature}, ERASED)
        sealed(one, journal, ERASED)


#: Ways in which an exchange comes to be erased, and the field of the finding: that of nothing, where it may be.
ERASURES: dict[str, tuple[Callable[[Attacker, bytes], object], str | None]] = {
    "as the rules have it": (erasing, None),
    "no record": (lambda one, exchange: one.erase(exchange), "payload"),
    "a record by hand": (lambda one, exchange: erasing(one, exchange, seal=False), "authority"),
    "a record by hand, with a leaf": (leaf_without_signature, "authority"),
    "a record by hand, sealed by a restart": (lambda one, exchange: erasing(one, exchange, sign=False), "authority"),
    "a record signed by somebody": (signed_by_somebody, "authority"),
    "a record signed for another exchange": (signed_for_another, "authority"),
    "a signed record, told twice": (told_twice, "payload"),
    "a signed record, told twice in another spelling": (told_twice_in_another_spelling, "authority"),
    "in spite of a hold": (lambda one, exchange: (held(one, exchange), erasing(one, exchange)), "hold"),
    "in spite of a hold of its conversation": (
        lambda one, exchange: (sealed(one, kept(one, hold="h", conversation="c"), KEPT), erasing(one, exchange)),
        "hold",
    ),
    "in spite of a hold that was released by hand": (released_by_hand, "hold"),
    "in spite of a signed hold, released without the key": (lambda one, exchange: released(False)(one), "hold"),
    "in spite of a signed hold, a release of another copied": (lambda one, exchange: released(True, True)(one), "hold"),
    "after a signed release of a signed hold": (lambda one, exchange: released(True)(one), None),
    "before its time, which was replaced without the key": (lambda one, exchange: replaced(False)(one), "retention"),
    "after its time was replaced with the key": (lambda one, exchange: replaced(True)(one), None),
    "before its time": (
        lambda one, exchange: (sealed(one, kept(one, days=30), KEPT), erasing(one, exchange)),
        "retention",
    ),
    "in spite of a hold, overriding it by hand": (overridden_by_hand, "hold"),
    "in spite of a hold, overriding it by hand, sealed by a restart": (overridden_and_sealed, "hold"),
    "overriding both": (
        lambda one, exchange: (held(one, exchange), erasing(one, exchange, overrides=["h", "retention"])),
        None,
    ),
    "after a hold of something else": (
        lambda one, exchange: (held(one, one.exchanges()[1]), erasing(one, exchange)),
        None,
    ),
}
